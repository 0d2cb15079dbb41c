// The store, the crash, and the start from what it left: chain.RestartFromStore in small, in the
// midst of everything else.
#include <algorithm>

#include "base/check.h"
#include "tests/chain/injection.h"

namespace beamline::chain::testing {

std::unique_ptr<ForkChoice> Injection::make_policy(const Recovered* found) {
  if (policy_ == Policy::highest_slot) return nullptr;
  if (policy_ == Policy::lean) {
    auto lean = make_lean_policy(found);
    witness_ = lean.get();
    return lean;
  }
  BeaconConfig beacon;
  beacon.slot_duration = config().slot_duration;
  beacon.slots_per_epoch = kSlotsPerEpoch;
  beacon.max_validators = kValidators;
  BeaconForkChoice::Anchor anchor{made_.front().block.root, 0, 0, Execution::none, {}};
  if (found != nullptr) anchor = BeaconForkChoice::anchor_of(*found, beacon);
  auto made = std::make_unique<WitnessedBeacon>(beacon, anchor);
  witness_ = made.get();
  return made;
}

void Injection::acknowledge() {
  if (written_.empty()) return;
  BL_CHECK(store_.sync());
  for (const Persist& persist : written_) {
    for (const StoredBlock& stored : persist.blocks) acknowledged_.insert(stored.block.root);
    for (const Root& root : persist.erased) acknowledged_.erase(root);
  }
  const PersistId last = written_.back().id;
  written_.clear();
  give(Persisted{last});
}

void Injection::crash() {
  ++tally_.crashes;
  store_.crash(rng_);
  auto found = store_.open(made_.front().block);
  BL_CHECK(found && found->unconnected == 0);
  auto policy = make_policy(&*found);
  ChainConfig restarted = config();
  restarted.anchor = anchor_ = found->anchor.block;
  chain_.emplace(std::move(restarted), nullptr, std::move(policy));
  std::set<std::pair<Slot, Root>> stored_blocks;
  for (const StoredBlock& stored : found->blocks) {
    stored_blocks.emplace(stored.block.slot, stored.block.root);
  }
  // A clock that was set back is set right before the start.
  if (!stored_blocks.empty()) {
    const auto highest = static_cast<int64_t>(stored_blocks.rbegin()->first);
    now_.wall = std::max(now_.wall, WallTime{} + config().slot_duration * highest);
  }
  BL_CHECK(chain_->restore(now_, std::move(*found)));
  final_number_ = 0;
  imported_.clear();
  history_.clear();
  for (const auto& [slot, root] : stored_blocks) {
    if (!chain_->tree().contains(root)) continue;
    imported_.emplace(slot, root);
    if (!chain_->fork_choice().contains(root)) history_.insert(root);
    condemned_.erase(root);  // its end was not written
  }
  // What was not acknowledged may have come about too.
  for (const Persist& persist : written_) {
    for (const Root& root : persist.erased) acknowledged_.erase(root);
  }
  for (const Root& root : acknowledged_) BL_CHECK(chain_->tree().contains(root));
  acknowledged_.clear();
  for (const auto& [slot, root] : imported_) acknowledged_.insert(root);
  written_.clear();
  open_.clear();
  imports_.clear();
  owed_.clear();
  serves_.clear();
  verifying_.clear();
  data_jobs_.clear();
  have_.clear();
  said_missing_.clear();
  for (const PeerHandle& peer : up_) give(PeerUp{peer});
}

}  // namespace beamline::chain::testing
