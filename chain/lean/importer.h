// The worker's side of a lean chain: it keeps the states, verifies and runs blocks, and answers an
// ImportBlock with what the core must know: the verdict, a summary of the post-state, the votes.
//
// One thread owns it. States are large, so few are kept: the base and those used last. Of the rest
// there are the blocks, and a state is made again from an ancestor's when a block builds on it.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "chain/events.h"
#include "chain/fork_choice.h"
#include "chain/lean/store.h"
#include "chain/lean/transition.h"

namespace beamline::chain {
class Store;
struct Recovered;
struct StoredBlock;
}  // namespace beamline::chain

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
  uint32_t states = 256;
  uint64_t state_bytes = 1u << 30;
  uint32_t blocks = 16'384;  // without their proofs
  uint32_t replay = 1024;    // blocks, to make a state again
  // The first block of so many slots on each branch gives its state to be stored; 0: none does. At
  // most `replay`.
  uint64_t state_every = 32;
};
struct ImporterStats {
  uint64_t imported = 0;
  uint64_t undecodable = 0;
  uint64_t no_state = 0;  // the parent's was not here and could not be made again
  uint64_t replayed = 0;  // blocks, to make a state again
  uint64_t bad_proofs = 0;
  uint64_t rejected[kRejections] = {};  // by reason
  uint64_t evicted = 0;                 // states, for want of room
  uint64_t blocks_evicted = 0;
  uint64_t states_given = 0;     // to be stored
  uint64_t states_restored = 0;  // from a store
};

// What is known of a block after its transition.
struct Imported {
  Verdict verdict = Verdict::try_again;
  Error why;  // where it is not valid
  StoreBlock summary;
  std::vector<chain::Vote> votes;  // of its body, without validators: they count by their proofs
  SharedBytes state;               // the post-state as SSZ, where it is to be stored

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
  // The start from what a store held: its blocks, and its newest states down to the first at or
  // below `floor`, which becomes the base. Before anything else. Returns how many validators there
  // are. Errors: not_found (no state to begin with), those of the codec and of the store.
  Result<uint32_t> restore(const Recovered& found, chain::Store& store, Slot floor);
  // A SignedBlock's bytes. `invalid_bytes`: they do not decode, are not of this root, or the proof
  // does not hold; `invalid_block`: the rules reject it; `try_again`: the parent's state is not
  // here.
  Imported import(const Root& root, Bytes signed_block);
  // Makes this block the base, whose state never goes: the anchor until then. For the fork choice's
  // floor (Store::floor_root()), when it moved. False: its state is not here and cannot be made.
  bool set_base(const Root& root);
  // A block that this node made, with the state that it made.
  Result<StoreBlock> add_own(const LeanBlock& block, LeanState post);
  void forget(std::span<const Root> roots);

  // Null if it is not here. Valid until the next call.
  const LeanState* state(const Root& root) const;
  // The same, made again where it is not here.
  const LeanState* make_state(const Root& root);
  size_t states() const { return states_.size(); }
  uint64_t state_bytes() const { return bytes_; }
  const ImporterStats& stats() const { return stats_; }
  StateTransition& transition() { return transition_; }

 private:
  struct Kept {
    LeanState state;
    Root state_root;
    uint64_t bytes = 0;
    uint64_t used = 0;  // when last
  };
  Imported refuse(Verdict verdict, const Error& error);
  Result<LeanBlock> decode(const Root& root, Bytes signed_block, Bytes& proof);
  const Kept* find_state(const Root& root);
  const Kept* replay(const Root& root);
  StoreBlock keep(const Root& root, const LeanBlock& block, LeanState post);
  void put_state(const Root& root, const Root& state_root, LeanState state);
  void restore_block(const StoredBlock& stored);
  Result<bool> restore_state(const Root& root, chain::Store& store);
  SharedBytes encode_state(const LeanState& state);
  void erase_state(const Root& root);
  void erase_block(const Root& root);

  const LeanTypes& types_;
  Verifier* verifier_;
  const ImporterLimits limits_;
  ImporterStats stats_;
  StateTransition transition_;
  std::map<Root, Kept> states_;
  std::set<std::pair<uint64_t, Root>> by_use_;
  uint64_t uses_ = 0;
  Root base_;
  uint64_t bytes_ = 0;
  std::map<Root, LeanBlock> blocks_;
  std::set<std::pair<Slot, Root>> by_slot_;
};

}  // namespace beamline::chain::lean
