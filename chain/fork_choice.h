// What the chain core asks of a fork choice, and what it tells it: the policy behind the head.
// `HighestSlot` follows without verification; lean's and beacon's stand on chain/proto_array.h.
//
// The chain calls it on its own thread, in the order of its events, and asks for the head once a
// turn. A policy is deterministic and sans-IO: signatures, state transitions and balances are the
// client's and come in as values. It never blocks and bounds what it keeps.
//
// Sources: consensus-specs phase0/fork-choice.md (handlers), sync/optimistic.md; leanSpec
// forkchoice.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "chain/block.h"

namespace beamline::chain {

// `number` is the epoch; in lean the slot.
struct Checkpoint {
  uint64_t number = 0;
  Root root;
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// What the execution engine says of a block's payload (sync/optimistic.md).
enum class Execution : uint8_t {
  none,        // the block has no payload
  optimistic,  // not validated yet
  valid,
  invalid,
};
const char* name(Execution execution);

// What the fork choice needs to know of the state after a block. The client computes it.
struct PostState {
  Checkpoint justified;
  Checkpoint finalized;
  // After justification and finalisation ran over this state as at an epoch's end (in lean the same
  // as the two above).
  Checkpoint unrealized_justified;
  Checkpoint unrealized_finalized;
  Execution execution = Execution::none;
  Hash256 payload_hash;  // the payload's block hash; zero for none
};

// One attestation, or several that say the same. The client vouches for the signatures.
struct Vote {
  Slot slot = 0;
  Root head_root;  // what it votes for
  Checkpoint source;
  Checkpoint target;
  std::vector<ValidatorIndex> validators;
  // Lean's alone: the slot that the vote says of its head, and what was signed, as it came: the
  // proof of an aggregate, or else one validator's signature. Kept for aggregation and for blocks.
  Slot head_slot = 0;
  bool aggregate = false;
  SharedBytes proof{};
};

// What becomes of a vote.
enum class VoteResult : uint8_t {
  applied,        // of one validator at least
  not_newer,      // each has a vote as new already, or is known to equivocate
  unknown_block,  // the block that it votes for is not here: give it again when it is
  too_early,      // counts only when its slot is over: give it again then
  too_late,       // of an epoch before the last one, or for what is final already
  inconsistent,   // it contradicts itself or the tree: never valid
  too_many,       // a validator beyond the limit
};
inline constexpr size_t kVoteResults = 7;
const char* name(VoteResult result);

// Something that a policy keeps besides its blocks, as a store holds it. The record of a key takes
// the place of the one before; an empty one erases it.
struct PolicyRecord {
  uint64_t key = 0;
  SharedBytes bytes;
};

class ForkChoice {
 public:
  struct Head {
    Root root;
    Slot slot = 0;
  };
  struct Block {
    Root root;
    Root parent_root;
    Slot slot = 0;
    ValidatorIndex proposer = 0;
    WallTime arrived{};  // when it came to us whole, not when its verification ended
    PostState post;
  };
  virtual ~ForkChoice() = default;

  // The time. Called before anything else in a turn; a clock that goes back changes nothing.
  virtual void on_tick(WallTime wall) = 0;
  // When the next call of on_tick changes something (the next slot or interval), if ever.
  virtual std::optional<WallTime> next_tick() const { return std::nullopt; }

  // A verified block whose parent is here. Refused, without a trace, when it conflicts with what is
  // final, when its post-state names checkpoints that are not on its branch, or when there is no
  // room (Code::full).
  virtual Status on_block(const Block& block) = 0;
  // `in_block`: the vote came in a block's body, where older ones count too.
  virtual VoteResult on_vote(const Vote&, bool /*in_block*/) { return VoteResult::not_newer; }
  // The same judgement without effect, before the signature is verified; `not_newer` and the like
  // save the verification.
  virtual VoteResult check_vote(const Vote&) const { return VoteResult::not_newer; }
  // These validators signed contradicting votes: they have no weight any more.
  virtual void on_equivocation(std::span<const ValidatorIndex>) {}
  // The effective balances at a justified checkpoint, by validator, 0 for who is not active or is
  // slashed; `total_active` as get_total_active_balance() has it. Asked for by JustifiedChanged;
  // until they come the former count. Of another checkpoint: Code::not_found.
  virtual Status on_justified_balances(const Checkpoint&, std::span<const uint64_t>,
                                       uint64_t /*total_active*/) {
    return {};
  }
  // The engine's word on a payload. `valid` holds for its ancestors, `invalid` for its descendants.
  // `latest_valid`: the engine's latestValidHash, where it gave one; zero: none of the branch. What
  // is invalid is removed; the roots are appended, lowest first.
  // Code::not_found: the block is not here. Code::invalid_argument: the justified block would go;
  // nothing was changed, and the client must stop and tell its user.
  virtual Status on_payload(const Root&, Execution, const std::optional<Hash256>& /*latest_valid*/,
                            std::vector<Root>& /*removed*/) {
    return {};
  }

  // The head of all that was told so far.
  virtual Head head() = 0;
  virtual Checkpoint justified() const = 0;
  virtual Checkpoint finalized() const = 0;
  virtual Execution execution(const Root&) const { return Execution::none; }
  virtual bool contains(const Root& root) const = 0;

  // Forgets what can never be in the chain of a head again, and the past of what is final; appends
  // the roots. Called when a checkpoint changed.
  virtual void prune(std::vector<Root>& /*removed*/) {}
  // A block at or below this slot is never taken.
  virtual Slot floor() const { return 0; }
  // May the tree forget blocks of this slot and below, final or not, to make room?
  virtual bool may_forget(Slot slot) const { return slot < floor(); }

  // ---- Restarts (chain/store.h).
  // From here on, what take_records() gives is kept.
  virtual void keep_records() {}
  // Appends the records that changed since the last time.
  virtual void take_records(std::vector<PolicyRecord>&) {}
  // What a store held, once, after its blocks: the checkpoints, which blocks that went may have
  // said, and the records by rising key. What does not fit the blocks has no effect.
  virtual void restore(const Checkpoint& /*justified*/, const Checkpoint& /*finalized*/,
                       std::span<const PolicyRecord>) {}
};

// Without votes: the tip of the highest slot, of equal slots the larger root. Nothing is ever
// justified or final but the anchor.
class HighestSlot final : public ForkChoice {
 public:
  explicit HighestSlot(const BlockInfo& anchor)
      : head_{anchor.root, anchor.slot}, anchor_{0, anchor.root} {}
  void on_tick(WallTime) override {}
  Status on_block(const Block& block) override;
  Head head() override { return head_; }
  Checkpoint justified() const override { return anchor_; }
  Checkpoint finalized() const override { return anchor_; }
  bool contains(const Root&) const override { return true; }
  bool may_forget(Slot) const override { return true; }

 private:
  Head head_;
  Checkpoint anchor_;
};

}  // namespace beamline::chain
