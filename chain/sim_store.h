// A store for simulations: a log in memory that loses what was not synced when a crash comes. Of
// the bytes after the last sync any number may be left, and any of them may be wrong, as sectors
// are that were not written yet. Deterministic.
//
// The log is written anew, as one record of all that is live, when most of it is dead: as a file
// that takes the old one's place, whole or not at all.
#pragma once

#include "base/rng.h"
#include "chain/store.h"

namespace beamline::chain {

class SimStore final : public Store {
 public:
  Result<Recovered> open(const StoreAnchor& anchor) override;
  Status apply(const Persist& persist) override;
  Status sync() override;
  Result<std::optional<SharedBytes>> state(const Root& block) override;
  Result<std::optional<Root>> canonical(Slot slot) override;
  Result<std::optional<ReadBlock>> block(const Root& root) override;
  Result<std::vector<std::pair<Slot, Root>>> canonical_range(Slot from, Slot end,
                                                             size_t max) override;

  // The machine stops. open() comes next.
  void crash(Rng& rng);
  // From the nth write on (0: the next), apply() and sync() fail with this errno, until heal().
  void fail_from(uint64_t nth, int err) { fail_at_ = writes_ + nth, fail_errno_ = err; }
  void heal() { fail_at_ = UINT64_MAX, fail_reads_ = 0; }
  // Reads of blocks fail with this errno, until heal().
  void fail_reads(int err) { fail_reads_ = err; }

  size_t bytes() const { return log_.size(); }
  uint64_t compactions() const { return compactions_; }
  size_t states() const { return states_.size(); }
  size_t archived() const { return archive_.size(); }

 private:
  void append(const Persist& persist);
  void replay(const Persist& persist);
  Persist all_live() const;
  void compact();
  void erase(const Root& root);
  void cut_archive(Slot from);

  std::vector<uint8_t> log_;
  size_t synced_ = 0;
  bool open_ = false;
  uint64_t writes_ = 0;
  uint64_t fail_at_ = UINT64_MAX;
  int fail_errno_ = 0;
  int fail_reads_ = 0;
  uint64_t compactions_ = 0;
  // What the log says.
  std::map<Root, StoredBlock> blocks_;
  std::map<Root, StoredBlock> archive_;
  std::map<Root, SharedBytes> states_;
  std::map<uint64_t, SharedBytes> records_;
  std::map<Slot, Root> canonical_;
  std::optional<Root> first_anchor_;
  BlockTree::Tip head_;
  Checkpoint justified_;
  Checkpoint finalized_;
  PersistId last_ = 0;
  size_t live_bytes_ = 0;
};

}  // namespace beamline::chain
