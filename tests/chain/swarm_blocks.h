// Blocks of a simulated beacon chain, and the little of a state transition that finality needs:
// votes in blocks justify and finalise epochs as in the specification (phase0, "Justification and
// finalization"), with one vote of each validator in an epoch and equal balances.
#pragma once

#include <bitset>
#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "chain/fork_choice.h"
#include "tests/chain/blocks.h"

namespace beamline::chain::testing {

inline constexpr size_t kMostValidators = 128;

class BlockBook {
 public:
  using Voters = std::bitset<kMostValidators>;
  using VotePtr = std::shared_ptr<const Vote>;
  // What a block's state says.
  struct State {
    Checkpoint justified, previous_justified, finalized;
    Voters current, previous;                    // who voted for the right target, by epoch
    Voters current_included, previous_included;  // who voted at all
  };
  struct Entry {
    BlockInfo block;
    std::vector<VotePtr> votes;
    State state;
    PostState post;
    bool valid = true;
  };

  BlockBook(uint32_t validators, uint64_t slots_per_epoch);

  const BlockInfo& genesis() const { return genesis_; }
  // A block with those of these votes that it may hold. REQUIRES: the parent is here.
  const Entry& make(const Root& parent, Slot slot, ValidatorIndex proposer,
                    const std::vector<VotePtr>& votes, bool valid = true);
  // Null if it is not here, or no more.
  const Entry* find(const Root& root) const;
  // The block as it came over the wire.
  static BlockInfo decode(const SharedBytes& bytes);
  // The same block, with a proof that does not hold.
  static BlockInfo forge(const BlockInfo& block);
  static bool is_forged(const BlockInfo& block) { return block.signed_bytes.bytes()[32] != 1; }
  // A block on nothing.
  static BlockInfo orphan(const Root& parent, Slot slot, ValidatorIndex proposer);

  Root ancestor(Root root, Slot slot) const;
  // What a validator votes that has this head. REQUIRES: it is here.
  Vote vote_for(const Root& head, Slot slot, ValidatorIndex validator) const;
  Epoch epoch_of(Slot slot) const { return slot / slots_per_epoch_; }
  Slot start_of(Epoch epoch) const { return epoch * slots_per_epoch_; }
  // Forgets what lies below this slot.
  void forget(Slot below);

 private:
  State advance(const Entry& parent, Epoch to) const;
  void weigh(State& state, const Root& tip, Epoch epoch) const;
  bool take(State& state, const Vote& vote, const Root& tip, Epoch epoch) const;

  const uint32_t validators_;
  const uint64_t slots_per_epoch_;
  BlockInfo genesis_;
  std::map<Root, Entry> entries_;
  std::multimap<Slot, Root> by_slot_;
};

}  // namespace beamline::chain::testing
