// What the votes of a block justify and finalise: 3SF-mini.

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "chain/lean/config.h"
#include "chain/lean/justifiability.h"
#include "chain/lean/transition.h"
#include "chain/lean/validator_set.h"

namespace beamline::chain::lean {
namespace {

// Copies `count` bits from bit `from` of a list to its start. REQUIRES: they are there.
std::vector<uint8_t> cut_bits(Bytes bits, size_t from, size_t count) {
  std::vector<uint8_t> out((count + 7) / 8, 0);
  const size_t shift = from % 8;
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t at = from / 8 + i;
    unsigned value = bits[at];
    if (at + 1 < bits.size()) value |= static_cast<unsigned>(bits[at + 1]) << 8;
    out[i] = static_cast<uint8_t>(value >> shift);
  }
  if (count % 8 != 0) out.back() = static_cast<uint8_t>(out.back() & ((1u << count % 8) - 1));
  return out;
}

// Appends `count` bits. REQUIRES: the bits beyond `count` in the last byte are zero.
void append_bits(ssz::Bitlist& to, const std::vector<uint8_t>& bits, size_t count) {
  const size_t at = to.length;
  to.length += count;
  to.bits.resize((to.length + 7) / 8, 0);
  const size_t shift = at % 8;
  for (size_t i = 0; i < bits.size(); ++i) {
    const unsigned value = static_cast<unsigned>(bits[i]) << shift;
    to.bits[at / 8 + i] = static_cast<uint8_t>(to.bits[at / 8 + i] | value);
    if (at / 8 + i + 1 < to.bits.size()) {
      to.bits[at / 8 + i + 1] = static_cast<uint8_t>(value >> 8);
    }
  }
}

// The votes for one target, a bit per validator.
struct Tally {
  Root root;
  std::vector<uint8_t> votes;

  void vote(ValidatorIndex index) {
    votes[index / 8] = static_cast<uint8_t>(votes[index / 8] | 1u << (index % 8));
  }
  size_t count() const {
    size_t sum = 0;
    for (const uint8_t byte : votes) sum += static_cast<size_t>(std::popcount(byte));
    return sum;
  }
};

// The part of a state that votes change, unpacked.
class Justifier {
 public:
  explicit Justifier(LeanState& state) : state_(state), validators_(state.validators.size()) {}

  Status unpack();
  Status apply(const LeanAggregatedAttestation& attestation);
  void pack();

 private:
  Result<bool> counts(const LeanAttestationData& data) const;
  Status justify(const LeanAttestationData& data, size_t tally);
  Status finalize(const LeanCheckpoint& source);

  LeanState& state_;
  const size_t validators_;
  std::vector<Tally> tallies_;  // by rising root
};

Status Justifier::unpack() {
  const auto& roots = state_.justifications_roots;
  const ssz::Bitlist& votes = state_.justifications_validators;
  if (votes.length != roots.size() * validators_ || votes.bits.size() != (votes.length + 7) / 8) {
    return reject(Rejection::inconsistent_state);
  }
  tallies_.reserve(roots.size() + kMaxAttestationsData);
  for (size_t i = 0; i < roots.size(); ++i) {
    if (roots[i].is_zero()) return reject(Rejection::inconsistent_state);
    tallies_.push_back({roots[i], cut_bits(votes.bits, i * validators_, validators_)});
  }
  std::ranges::sort(tallies_, {}, &Tally::root);
  const auto twice = std::ranges::adjacent_find(tallies_, {}, &Tally::root);
  if (twice != tallies_.end()) return reject(Rejection::inconsistent_state);
  return {};
}

// Whether a vote counts at all; what does not is passed over, not an error.
Result<bool> Justifier::counts(const LeanAttestationData& data) const {
  const Slot finalized = state_.latest_finalized.slot;
  const Result<bool> source =
      is_slot_justified(state_.justified_slots, finalized, data.source.slot);
  if (!source || !*source) return source;
  const Result<bool> target =
      is_slot_justified(state_.justified_slots, finalized, data.target.slot);
  if (!target) return target;
  return !*target && lies_on_chain(data, state_.historical_block_hashes) &&
         data.target.slot > data.source.slot && is_justifiable_after(data.target.slot, finalized);
}

Status Justifier::apply(const LeanAggregatedAttestation& attestation) {
  const LeanAttestationData& data = attestation.data;
  const Result<bool> counted = counts(data);
  if (!counted) return std::unexpected(counted.error());
  if (!*counted) return {};
  const ssz::Bitlist& bits = attestation.aggregation_bits;
  if (bits.length > ValidatorSet::kCapacity || bits.bits.size() != (bits.length + 7) / 8) {
    return reject(Rejection::validator_index_out_of_range);
  }
  const ValidatorSet voters = ValidatorSet::of(bits);
  if (voters.empty()) return reject(Rejection::empty_aggregation_bits);
  if (voters.bound() > validators_) return reject(Rejection::validator_index_out_of_range);

  auto it = std::ranges::lower_bound(tallies_, data.target.root, {}, &Tally::root);
  if (it == tallies_.end() || it->root != data.target.root) {
    it = tallies_.insert(
        it, {data.target.root, std::vector<uint8_t>((validators_ + 7) / 8, uint8_t{0})});
  }
  voters.for_each([&](ValidatorIndex index) { it->vote(index); });
  if (3 * it->count() < 2 * validators_) return {};
  return justify(data, static_cast<size_t>(it - tallies_.begin()));
}

Status Justifier::justify(const LeanAttestationData& data, size_t tally) {
  const Slot finalized = state_.latest_finalized.slot;
  // Targets of one block may be justified out of order.
  if (data.target.slot > state_.latest_justified.slot) state_.latest_justified = data.target;
  state_.justified_slots.set(static_cast<size_t>(data.target.slot - finalized) - 1, true);
  tallies_.erase(tallies_.begin() + static_cast<std::ptrdiff_t>(tally));
  if (data.source.slot <= finalized) return {};
  if (is_any_justifiable_between(data.source.slot, data.target.slot, finalized)) return {};
  return finalize(data.source);
}

// The flags begin after the finalised slot: they move with it. Votes for what lies at or below it
// are dropped.
Status Justifier::finalize(const LeanCheckpoint& source) {
  const Slot before = state_.latest_finalized.slot;
  state_.latest_finalized = source;
  const auto delta = static_cast<size_t>(source.slot - before);
  ssz::Bitlist& flags = state_.justified_slots;
  BL_CHECK(delta <= flags.length);
  const std::vector<uint8_t> left = cut_bits(flags.bits, delta, flags.length - delta);
  flags.bits.assign(left.begin(), left.end());
  flags.length -= delta;

  if (tallies_.empty()) return {};
  std::vector<Root> above(
      state_.historical_block_hashes.begin() + static_cast<std::ptrdiff_t>(source.slot) + 1,
      state_.historical_block_hashes.end());
  std::ranges::sort(above);
  std::erase_if(tallies_,
                [&](const Tally& tally) { return !std::ranges::binary_search(above, tally.root); });
  return {};
}

void Justifier::pack() {
  state_.justifications_roots.clear();
  state_.justifications_validators = {};
  for (const Tally& tally : tallies_) {
    state_.justifications_roots.push_back(tally.root);
    append_bits(state_.justifications_validators, tally.votes, validators_);
  }
}

bool has_too_many_data(const std::vector<LeanAggregatedAttestation>& attestations) {
  std::vector<const LeanAttestationData*> distinct;
  for (const LeanAggregatedAttestation& attestation : attestations) {
    const bool known = std::ranges::any_of(
        distinct, [&](const LeanAttestationData* data) { return *data == attestation.data; });
    if (known) continue;
    if (distinct.size() == kMaxAttestationsData) return true;
    distinct.push_back(&attestation.data);
  }
  return false;
}

// Sorted by their memory: a hostile block holds thousands.
bool has_data_twice(const std::vector<LeanAggregatedAttestation>& attestations) {
  static_assert(std::has_unique_object_representations_v<LeanAttestationData>);
  const auto compare = [](const LeanAttestationData* a, const LeanAttestationData* b) {
    return std::memcmp(a, b, sizeof(LeanAttestationData));
  };
  std::vector<const LeanAttestationData*> sorted;
  sorted.reserve(attestations.size());
  for (const LeanAggregatedAttestation& one : attestations) sorted.push_back(&one.data);
  std::ranges::sort(sorted, [&](const auto* a, const auto* b) { return compare(a, b) < 0; });
  const auto same = [&](const auto* a, const auto* b) { return compare(a, b) == 0; };
  return std::ranges::adjacent_find(sorted, same) != sorted.end();
}

}  // namespace

Status check_signers(const LeanBlock& block, uint64_t validators) {
  const std::vector<LeanAggregatedAttestation>& attestations = block.body.attestations;
  if (has_data_twice(attestations)) return reject(Rejection::duplicate_attestation_data);
  for (const LeanAggregatedAttestation& attestation : attestations) {
    const ssz::Bitlist& bits = attestation.aggregation_bits;
    if (bits.length > ValidatorSet::kCapacity || bits.bits.size() != (bits.length + 7) / 8) {
      return reject(Rejection::validator_index_out_of_range);
    }
    const ValidatorSet voters = ValidatorSet::of(bits);
    if (voters.empty()) return reject(Rejection::empty_aggregation_bits);
    if (voters.bound() > validators) return reject(Rejection::validator_index_out_of_range);
  }
  if (block.proposer_index >= validators) return reject(Rejection::proposer_index_out_of_range);
  return {};
}

bool lies_on_chain(const LeanAttestationData& data, std::span<const Root> history) {
  for (const LeanCheckpoint* point : {&data.source, &data.target, &data.head}) {
    if (point->root.is_zero() || point->slot >= history.size()) return false;
    if (history[static_cast<size_t>(point->slot)] != point->root) return false;
  }
  return true;
}

Result<bool> is_slot_justified(const ssz::Bitlist& justified, Slot finalized, Slot slot) {
  if (slot <= finalized) return true;
  const uint64_t index = slot - finalized - 1;
  if (index >= justified.length) return reject(Rejection::justified_slot_out_of_range);
  return justified.get(static_cast<size_t>(index));
}

Status process_attestations(LeanState& state,
                            const std::vector<LeanAggregatedAttestation>& attestations) {
  if (has_too_many_data(attestations)) return reject(Rejection::too_many_attestation_data);
  if (attestations.empty() && std::ranges::is_sorted(state.justifications_roots)) return {};
  Justifier justifier(state);
  if (Status status = justifier.unpack(); !status) return status;
  for (const LeanAggregatedAttestation& attestation : attestations) {
    if (Status status = justifier.apply(attestation); !status) return status;
  }
  justifier.pack();
  return {};
}

}  // namespace beamline::chain::lean
