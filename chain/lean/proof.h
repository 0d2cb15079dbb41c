// Aggregate proofs of lean's votes: what the pools hold, which of them cover most validators, and
// what a prover makes one of (leanSpec, forks/lstar/aggregation.py). No cryptography here.
#pragma once

#include <utility>
#include <vector>

#include "chain/lean/validator_set.h"
#include "codec/lean_block.h"

namespace beamline::chain::lean {

// A vote and its hash_tree_root, which is the message that validators sign and the key of pools.
struct Vote {
  Root root;
  LeanAttestationData data;
};

// A SingleMessageAggregate. Copies share the proof's bytes.
struct Proof {
  ssz::Bitlist participants;  // as it was encoded: its length counts where proofs tie
  ValidatorSet voters;        // the same
  SharedBytes bytes;

  // Refused: more bits than the registry may have validators, bits that do not fit the length,
  // and none set (EMPTY_AGGREGATION_BITS).
  static Result<Proof> make(ssz::Bitlist participants, SharedBytes bytes);
  friend bool operator==(const Proof& a, const Proof& b) {
    return a.participants == b.participants && equal(a.bytes, b.bytes);
  }
};

// Whether `a` comes after `b` in the order of their encodings, byte by byte: how ties are broken.
bool encodes_larger(const Proof& a, const Proof& b);

// Greedy set cover: the one that adds most validators first, of equal ones the larger encoding,
// from `first` before any of `then`; until none adds one. What was chosen is appended, and
// `covered` grows.
void select_proofs(const std::vector<Proof>& from, std::vector<const Proof*>& chosen,
                   ValidatorSet& covered);

// What a prover is to make one proof of: proofs that stand, and signatures of validators that none
// of them covers. It may take seconds and runs on a worker.
struct Aggregation {
  struct Signature {
    ValidatorIndex validator = 0;
    SharedBytes bytes;
  };
  Vote vote;
  std::vector<Proof> children;
  std::vector<Signature> signatures;  // by rising validator

  // All that the result will speak for.
  ValidatorSet voters() const;
};

// The caller's prover. Its keys come from the registry, by index.
class Prover {
 public:
  virtual ~Prover() = default;
  // The proof's bytes.
  virtual Result<SharedBytes> prove(const Aggregation& aggregation) = 0;
};

// Runs the prover, and gives its bytes the participants that they are for.
Result<Proof> aggregate(Prover& prover, const Aggregation& aggregation);

}  // namespace beamline::chain::lean
