#include "chain/lean/proof.h"

#include <algorithm>

#include "chain/lean/rejection.h"
#include "chain/lean/vote_pool.h"

namespace beamline::chain::lean {

Result<Proof> Proof::make(ssz::Bitlist participants, SharedBytes bytes) {
  if (participants.length > ValidatorSet::kCapacity ||
      participants.bits.size() != (participants.length + 7) / 8) {
    return reject(Rejection::validator_index_out_of_range);
  }
  Proof proof;
  proof.voters = ValidatorSet::of(participants);
  if (proof.voters.empty()) return reject(Rejection::empty_aggregation_bits);
  proof.participants = std::move(participants);
  proof.bytes = std::move(bytes);
  return proof;
}

// Encoded, a proof is the offset of its participants (always 8), the offset of its bytes (8 and the
// size of the participants), the participants with their end mark, the bytes.
bool encodes_larger(const Proof& a, const Proof& b) {
  const auto offset = [](const Proof& proof) { return 8 + proof.participants.length / 8 + 1; };
  const size_t offset_a = offset(a);
  const size_t offset_b = offset(b);
  if (offset_a % 256 != offset_b % 256) return offset_a % 256 > offset_b % 256;  // little endian
  if (offset_a != offset_b) return offset_a > offset_b;
  const auto marked = [](const Proof& proof) {
    std::vector<uint8_t> bits(proof.participants.bits.begin(), proof.participants.bits.end());
    bits.resize(proof.participants.length / 8 + 1, 0);
    bits.back() = static_cast<uint8_t>(bits.back() | 1u << proof.participants.length % 8);
    return bits;
  };
  const std::vector<uint8_t> bits_a = marked(a);
  const std::vector<uint8_t> bits_b = marked(b);
  if (bits_a != bits_b) return bits_a > bits_b;
  return std::ranges::lexicographical_compare(b.bytes.bytes(), a.bytes.bytes());
}

void select_proofs(const std::vector<Proof>& from, std::vector<const Proof*>& chosen,
                   ValidatorSet& covered) {
  // A proof that was chosen adds nothing any more, so nothing need be crossed out.
  for (;;) {
    const Proof* best = nullptr;
    size_t most = 0;
    for (const Proof& proof : from) {
      const size_t adds = proof.voters.count_without(covered);
      if (adds == 0 || adds < most) continue;
      if (best != nullptr && adds == most && !encodes_larger(proof, *best)) continue;
      best = &proof;
      most = adds;
    }
    if (best == nullptr) return;
    chosen.push_back(best);
    covered.merge(best->voters);
  }
}

bool Proofs::add(const Proof& proof) {
  if (std::ranges::find(list, proof) != list.end()) return false;
  list.push_back(proof);
  voters.merge(proof.voters);
  return true;
}

ValidatorSet Aggregation::voters() const {
  ValidatorSet all;
  for (const Proof& child : children) all.merge(child.voters);
  for (const Signature& signature : signatures) all.insert(signature.validator);
  return all;
}

Result<Proof> aggregate(Prover& prover, const Aggregation& aggregation) {
  Result<SharedBytes> bytes = prover.prove(aggregation);
  if (!bytes) return std::unexpected(bytes.error());
  return Proof::make(aggregation.voters().to_bitlist(), *std::move(bytes));
}

}  // namespace beamline::chain::lean
