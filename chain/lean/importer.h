// The worker's side of a lean chain: it keeps the states, verifies and runs blocks, and answers an
// ImportBlock with what the core must know: the verdict, a summary of the post-state, the votes.
//
// One thread owns it. A state is kept until forget(), or until there is no room: then the one of
// the lowest slot goes, and a block on it is answered with try_again.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "chain/events.h"
#include "chain/fork_choice.h"
#include "chain/lean/store.h"
#include "chain/lean/transition.h"

namespace beamline::chain::lean {

// The caller's signature checks, with the keys of the registry in `state` (the parent's).
class Verifier {
 public:
  virtual ~Verifier() = default;
  // The proof over all of the block's votes, in their order, and its proposer's signature.
  virtual bool verify_block(const LeanState& state, const LeanBlock& block, const Root& root,
                            Bytes proof) = 0;
};

struct ImporterLimits {
  uint32_t states = 1024;
  uint64_t state_bytes = 2u << 30;
};
struct ImporterStats {
  uint64_t imported = 0;
  uint64_t undecodable = 0;
  uint64_t no_state = 0;  // the parent's was not here (any more)
  uint64_t bad_proofs = 0;
  uint64_t rejected[kRejections] = {};  // by reason
  uint64_t evicted = 0;                 // states, for want of room
};

// What is known of a block after its transition.
struct Imported {
  Verdict verdict = Verdict::try_again;
  Error why;  // where it is not valid
  StoreBlock summary;
  std::vector<chain::Vote> votes;  // of its body, without validators: they count by their proofs

  PostState post() const;
  // The answer to ImportBlock.
  ImportVerdict event(ImportId id) const;
};

class Importer {
 public:
  // Without a verifier every proof is taken. `types` must outlive it.
  explicit Importer(const LeanTypes& types, Verifier* verifier = nullptr,
                    const ImporterLimits& limits = {});

  // The trusted start. ANCHOR_STATE_ROOT_MISMATCH.
  Result<StoreBlock> add_anchor(const LeanBlock& block, LeanState state);
  // A SignedBlock's bytes. `invalid_bytes`: they do not decode, are not of this root, or the proof
  // does not hold; `invalid_block`: the rules reject it; `try_again`: the parent's state is not
  // here.
  Imported import(const Root& root, Bytes signed_block);
  // A block that this node made, with the state that it made.
  Result<StoreBlock> add_own(const LeanBlock& block, LeanState post);
  void forget(std::span<const Root> roots);

  // Null if it is not here.
  const LeanState* state(const Root& root) const;
  size_t states() const { return states_.size(); }
  uint64_t state_bytes() const { return bytes_; }
  const ImporterStats& stats() const { return stats_; }
  StateTransition& transition() { return transition_; }

 private:
  struct Kept {
    LeanState state;
    Root state_root;
    uint64_t bytes = 0;
  };
  Imported refuse(Verdict verdict, const Error& error);
  StoreBlock keep(const Root& root, const LeanBlock& block, LeanState post);
  void erase(const Root& root);

  const LeanTypes& types_;
  Verifier* verifier_;
  const ImporterLimits limits_;
  ImporterStats stats_;
  StateTransition transition_;
  std::map<Root, Kept> states_;
  std::set<std::pair<Slot, Root>> by_slot_;
  uint64_t bytes_ = 0;
};

}  // namespace beamline::chain::lean
