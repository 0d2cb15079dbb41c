// Where the bytes of imported blocks are kept, to be served. An interface: a client has a database;
// the chain core only asks for what it serves, and never waits (an implementation that has to read
// a disk answers "not here").
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "chain/block.h"

namespace beamline::chain {

class BlockStore {
 public:
  struct Stored {
    Slot slot = 0;
    SharedBytes signed_bytes;
  };
  virtual ~BlockStore() = default;
  // Takes a reference to the bytes. May refuse or evict; what is not here is not served.
  virtual void put(const BlockInfo& block) = 0;
  virtual std::optional<Stored> get(const Root& root) const = 0;
  virtual void erase(const Root& root) = 0;
  // Blocks that had to go because of a limit of the store.
  virtual uint64_t evicted() const { return 0; }
};

// In memory, up to `max_bytes`; the lowest slots go first. Not thread safe.
class MemoryStore final : public BlockStore {
 public:
  explicit MemoryStore(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  void put(const BlockInfo& block) override;
  std::optional<Stored> get(const Root& root) const override;
  void erase(const Root& root) override;

  uint64_t bytes() const { return bytes_; }
  size_t size() const { return blocks_.size(); }
  uint64_t evicted() const override { return evicted_; }

 private:
  const uint64_t max_bytes_;
  uint64_t bytes_ = 0;
  uint64_t evicted_ = 0;
  std::map<Root, Stored> blocks_;
  std::set<std::pair<Slot, Root>> by_slot_;
};

}  // namespace beamline::chain
