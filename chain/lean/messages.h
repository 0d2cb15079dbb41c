// Lean's gossip and sync messages as the chain core takes them: a SignedBlock, a SignedAttestation,
// a SignedAggregatedAttestation (leanSpec, forks/lstar/containers). For the thread that receives:
// the bytes are checked whole, and hashed where the core needs a root.
#pragma once

#include "chain/fork_choice.h"
#include "codec/lean_types.h"

namespace beamline::chain::lean {

// One for each thread; `types` must outlive it. Errors: those of ssz::View::parse.
class MessageDecoder {
 public:
  explicit MessageDecoder(const LeanTypes& types) : types_(types) {}

  // Shares the bytes.
  Result<BlockInfo> block(const SharedBytes& bytes);
  // The signature and the proof share the bytes.
  Result<chain::Vote> attestation(const SharedBytes& bytes) const;
  // Besides: EMPTY_AGGREGATION_BITS.
  Result<chain::Vote> aggregate(const SharedBytes& bytes) const;

 private:
  const LeanTypes& types_;
  ssz::Hasher hasher_;
};

}  // namespace beamline::chain::lean
