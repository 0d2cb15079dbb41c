// The load of the flood benchmarks, the same for every host of the chain: gossip blocks that cost
// one millisecond of CPU to verify, from four threads, flat out; eight peers that ask for 1,024
// blocks each, again and again; and a tick each 10 ms, whose lateness is what is measured.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "chain/chain.h"

namespace beamline::bench {

inline constexpr uint32_t kProducers = 4;
inline constexpr uint32_t kPeers = 8;  // connected; those that ask are an argument
inline constexpr uint32_t kServedBlocks = 1024;
inline constexpr Duration kTickPeriod = milliseconds(10);
inline constexpr Duration kFloodTime = milliseconds(1000);
inline constexpr Duration kVerification = milliseconds(1);

MonoTime mono_now();
Now clock_now();
// Spends kVerification of this thread's CPU time.
void verify();
// What the answer to a peer costs beyond the chain: its bytes are compressed.
void encode(const SharedBytes& bytes);

// The blocks, in the order in which the mesh brings them. Any thread takes the next.
class Flood {
 public:
  Flood();
  // A block still to be decoded; nullptr: the flood is over.
  const chain::BlockInfo* next();
  // Decompresses and hashes its bytes.
  chain::BlockInfo decode(const chain::BlockInfo& block) const;

  // The 1,024 blocks that are in the chain before the flood begins.
  const std::vector<chain::BlockInfo>& served() const { return served_; }
  static chain::ChainConfig config();

 private:
  std::vector<chain::BlockInfo> served_;
  std::vector<chain::BlockInfo> flood_;
  SharedBytes compressed_;
  std::atomic<size_t> taken_{0};
};

// Brings the chain to where the flood begins: peers up, the served blocks imported.
void prepare(chain::Chain& chain, const Flood& flood);
chain::IncomingByRange ask_all(chain::PeerHandle peer, chain::ServeId serve);

struct FloodResult {
  std::vector<int64_t> late_ns;  // of each tick
  std::vector<int64_t> push_ns;  // of each hand-over of a gossip block
  uint64_t imported = 0;
  uint64_t served = 0;  // chunks
  double seconds = 0;
};

// `peers`: how many ask for blocks meanwhile.
//
// Every thread calls into the chain under one mutex. Wide: decoding, verification and encoding are
// done under it too. Narrow: outside.
enum class Lock : uint8_t { barging, fair };
FloodResult flood_wide(Flood& flood, uint32_t peers, Lock lock);
FloodResult flood_narrow(Flood& flood, uint32_t peers);
// Through the inbox: one core reactor, one network reactor, two worker threads.
FloodResult flood_inbox(Flood& flood, uint32_t peers);

}  // namespace beamline::bench
