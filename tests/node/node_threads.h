// Nodes on their threads and rings, over loopback, and a chain that they follow.
#pragma once

#include <atomic>
#include <vector>

#include <gtest/gtest.h>

#include "codec/beacon_block.h"
#include "loop/ring.h"
#include "node/node.h"

namespace beamline::node {

inline Result<std::unique_ptr<Backend>> make_backend() { return make_ring(); }

// Counts what the core says, for a thread that waits.
class Counter final : public CoreObserver {
 public:
  void on_imported(const chain::BlockImported& block) override {
    if (block.origin == chain::Origin::gossip) gossip.fetch_add(1);
    imported.fetch_add(1);
    imported.notify_all();
  }
  void on_peer(const chain::PeerHandle&, bool up) override {
    peers.fetch_add(up ? 1 : -1);
    peers.notify_all();
  }
  static void wait_for(std::atomic<int>& counter, int least) {
    for (int seen = counter.load(); seen < least; seen = counter.load()) counter.wait(seen);
  }

  std::atomic<int> imported{0};
  std::atomic<int> gossip{0};
  std::atomic<int> peers{0};
};

// Blocks of slots that have begun long ago.
inline ChainSpec spec() {
  ChainSpec spec;
  spec.genesis_time = WallTime::from_unix(1'600'000'000);
  spec.genesis_block_root.bytes.fill(0x47);
  spec.preset = &Preset::minimal();
  return spec;
}

inline NodeOptions options(bool network_thread) {
  NodeOptions options;
  options.spec = spec();
  options.make_backend = make_backend;
  options.network_thread = network_thread;
  options.network.listen = Endpoint::v4(0x7f000001, 0);
  options.network.max_peers = 8;
  options.tcp.max_streams = 16;
  options.tcp.buffer_count = 16;
  options.tcp.buffer_size = 16'384;
  options.tcp.write_chunks = 64;
  options.tcp.send_batches = 16;
  return options;
}

inline secp256k1::SecretKey identity(uint64_t seed) {
  Rng rng(seed);
  return secp256k1::SecretKey::generate(rng);
}

// A chain, as long as wanted.
inline std::vector<SharedBytes> make_chain(size_t length) {
  const BeaconTypes types(Preset::minimal());
  ssz::Hasher hasher;
  std::vector<SharedBytes> blocks;
  Root parent = spec().genesis_block_root;
  for (Slot slot = 1; slot <= length; ++slot) {
    EmptyBlock block;
    block.slot = slot;
    block.parent_root = parent;
    blocks.push_back(SharedBytes::copy(encode_empty_block(block)));
    parent = SignedBlockView::trust(types, Fork::phase0, blocks.back()).block_root(hasher);
  }
  return blocks;
}

}  // namespace beamline::node
