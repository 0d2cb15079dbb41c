// The nodes that were good to us, for the next start: seeds. In memory and as bytes; who writes
// them to a disk is not known here (node_db_file.h does).
//
// Thread rule: one thread. Sans-IO; times are of the wall clock, since they outlive the process.
//
// The bytes: "BLND", u16 version (1), u16 zero, u32 count, then per node u16 length and that many
// bytes (id, key, address, ports, protocols, time, record), then the CRC-32C of all before it.
// Integers are little-endian. A file of another version, or one that does not check, is an error
// and the node starts without seeds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "discovery/id_index.h"
#include "discovery/node_record.h"

namespace beamline::discovery {

class NodeDb {
 public:
  static constexpr size_t kMaxNodes = 4096;
  static constexpr size_t kMaxBytes = kMaxNodes * 512;
  static constexpr uint16_t kVersion = 1;

  struct Config {
    size_t capacity = 1024;                  // the longest without a pong go first
    Duration max_age = seconds(5 * 86'400);  // since its last pong
    size_t seeds = 30;
  };
  struct Stats {
    uint64_t stored = 0, displaced = 0, expired = 0, removed = 0;
  };

  NodeDb(const Config& config, Rng& rng);

  // It answered now. The newer record is kept.
  void store(const NodeRecord& record, Now now);
  void remove(const NodeId& id);
  // At most Config::seeds random nodes that are not too old.
  std::vector<NodeRecord> seeds(Now now, Rng& rng) const;
  void expire(Now now);
  size_t size() const { return index_.size(); }
  const Stats& stats() const { return stats_; }

  std::vector<uint8_t> encode() const;
  // Replaces what is there. Errors (Fault::local, field "node_db.*"): truncated, trailing,
  // too_long, bad_version, bad_encoding (magic), bad_checksum, out_of_range (a field of a node);
  // the database is then unchanged. Signatures of records are checked by who uses them. Nodes whose
  // time lies in the future count as of now.
  Status decode(Bytes bytes, Now now);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    NodeRecord record;
    WallTime last_pong;
    uint32_t newer = kNone, older = kNone;  // by the order of store()
  };
  uint32_t slot_of(const NodeId& id) const;
  void put(const NodeRecord& record, WallTime last_pong);
  void unlink(uint32_t slot);
  void link_newest(uint32_t slot);
  void erase(uint32_t slot);

  Config config_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> free_;
  IdIndex index_;
  uint32_t oldest_ = kNone, newest_ = kNone;
  Stats stats_;
};

}  // namespace beamline::discovery
