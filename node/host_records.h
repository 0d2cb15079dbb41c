// The chain's store in the hands of a host: records with keys, opaque to it. A Persist becomes
// records to put and to erase; what the host kept becomes the chain again. Each value ends with a
// checksum over key and value, for a host's disk may have none.
//
// Keys: 'b' and a root (a block, with its body), 's' and a root (the state after it), 'v' and a
// number (of the fork choice's records), and "mhead", "mjustified", "mfinalized".
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "chain/store.h"

namespace beamline::node {

struct HostRecord {
  std::vector<uint8_t> key;
  std::vector<uint8_t> value;  // empty: the record goes
};

// What the host is told. `anchor` is what the store began with, and stands in the head's record.
std::vector<HostRecord> host_records(const chain::Persist& persist, const Root& anchor);
// A store's first Persist: as it is, and the anchor, where it says nothing else.
chain::Persist begin_store(const chain::StoreAnchor& anchor, chain::Persist&& first);

struct HostRecordLimits {
  uint32_t blocks = 1u << 18;
  uint64_t block_bytes = 1u << 30;  // of bodies; those of the lowest slots go first
  uint64_t state_bytes = 2ull << 30;
  uint32_t votes = 1u << 22;
  uint64_t vote_bytes = 512u << 20;
};

// What a host kept, as it comes back. As a Store it can be opened and asked for states.
class HostRecords final : public chain::Store {
 public:
  explicit HostRecords(const HostRecordLimits& limits = {}) : limits_(limits) {}

  // In any order; copies the value. Errors: bad_checksum; bad_encoding (a key that is none of
  // ours); duplicate; bad_version (of a later format); full (a limit); those of decoding.
  Status add(Bytes key, Bytes value);
  bool empty() const { return records_ == 0; }

  // Once, with all records. Errors: mismatch (it began with another anchor), missing (the head or a
  // checkpoint), not_found (the head's block).
  Result<chain::Recovered> open(const chain::StoreAnchor& anchor) override;
  Result<std::optional<SharedBytes>> state(const Root& block) override;

  // Not here.
  Status apply(const chain::Persist&) override;
  Status sync() override;
  Result<std::optional<Root>> canonical(Slot) override;
  Result<std::optional<chain::ReadBlock>> block(const Root&) override;
  Result<std::vector<std::pair<Slot, Root>>> canonical_range(Slot, Slot, size_t) override;

 private:
  struct Head {
    chain::BlockTree::Tip tip;
    Root anchor;
  };
  Status add_block(const Root& root, Bytes value);
  Status add_head(Bytes value);
  Status add_state(const Root& root, Bytes value);
  Status add_vote(uint64_t number, Bytes value);

  const HostRecordLimits limits_;
  uint64_t records_ = 0;
  std::map<Root, chain::StoredBlock> blocks_;
  std::set<std::pair<Slot, Root>> bodies_;
  uint64_t block_bytes_ = 0;
  std::map<Root, SharedBytes> states_;
  uint64_t state_bytes_ = 0;
  std::map<uint64_t, SharedBytes> votes_;
  uint64_t vote_bytes_ = 0;
  std::optional<Head> head_;
  std::optional<chain::Checkpoint> justified_;
  std::optional<chain::Checkpoint> finalized_;
};

}  // namespace beamline::node
