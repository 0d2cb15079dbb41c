// hash_tree_root of lean states, one after the other. A state differs from its parent's in little:
// the registry stays, the history grows at its end. So both are kept as they were last and compared
// with the next state's; only what changed is hashed. Any states may come in any order.
//
// Holds about as much memory as the last state's history twice and its registry. One thread at a
// time.
#pragma once

#include <vector>

#include "codec/lean_state.h"
#include "codec/lean_types.h"
#include "codec/merkle_tree.h"

namespace beamline::chain::lean {

class StateHasher {
 public:
  // `types` must outlive it.
  explicit StateHasher(const LeanTypes& types) : types_(types) {}

  // As ssz::root_of_value() has it, with its errors.
  Result<Root> root_of(const LeanState& state, ssz::Hasher& hasher);

 private:
  Result<Root> root_of_field(const ssz::Field& field, const LeanState& state, ssz::Hasher& hasher);

  const LeanTypes& types_;
  ssz::MerkleTree history_;
  ssz::MerkleTree fields_;
  std::vector<LeanValidator> validators_;
  Root validators_root_;  // of those; where there are none yet it is not looked at
};

}  // namespace beamline::chain::lean
