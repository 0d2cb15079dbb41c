#include "tests/chain/witnessed_lean.h"

#include "base/check.h"
#include "base/rng.h"
#include "chain/record.h"

namespace beamline::chain::testing {
namespace {

constexpr size_t kForestBlocks = 96;

LeanForest grow() {
  LeanForest forest;
  Rng rng(7);
  forest.order.push_back(forest.world.genesis);
  while (forest.order.size() <= kForestBlocks) {
    const uint64_t back = rng.below(std::min<size_t>(forest.order.size(), 5));
    const Root parent = forest.order[forest.order.size() - 1 - back];
    const Slot slot = forest.world.at(parent).block.slot + 1 + rng.below(2);
    std::vector<LeanAggregatedAttestation> votes;
    if (rng.chance(2, 3)) {
      const LeanAttestationData data = forest.world.vote_for(parent, slot - 1);
      votes.push_back(lean::testing::LeanChain::cast(data, rng.chance(3, 4) ? 4 : 3));
    }
    const Root root = forest.world.add(parent, slot, std::move(votes));
    if (std::ranges::find(forest.order, root) == forest.order.end()) forest.order.push_back(root);
  }
  return forest;
}

LeanAttestationData data_of(const Vote& vote) {
  return {.slot = vote.slot,
          .head = {.root = vote.head_root, .slot = vote.head_slot},
          .target = lean::checkpoint_of(vote.target),
          .source = lean::checkpoint_of(vote.source)};
}

}  // namespace

const LeanForest& lean_forest() {
  static const LeanForest forest = grow();
  return forest;
}

WitnessedLean::WitnessedLean(const lean::LeanForkChoiceConfig& config,
                             const lean::StoreBlock& anchor)
    : clock_(config.genesis_time),
      policy_(lean::testing::types(), config, anchor),
      oracle_(anchor) {}

void WitnessedLean::on_tick(WallTime wall) {
  const lean::Interval target = clock_.total_intervals(wall);
  policy_.on_tick(wall);
  if (target <= oracle_.time) return;
  seed_body_votes();
  oracle_.on_tick(target, false);
  compare();
}

Status WitnessedLean::on_block(const Block& block) {
  seed_body_votes();
  const Status told = policy_.on_block(block);
  const bool known = oracle_.blocks.contains(block.parent_root);
  // What builds below what is kept is refused, and nothing else that a client vouches for.
  const bool pruned = known && (!policy_.contains(block.parent_root) ||
                                oracle_.blocks.at(block.parent_root).slot < policy_.floor());
  BL_CHECK(told.has_value() == (known && !pruned));
  if (told) oracle_.on_block(lean_forest().world.summary(block.root), {});
  compare();
  return told;
}

VoteResult WitnessedLean::on_vote(const Vote& vote, bool in_block) {
  const LeanAttestationData data = data_of(vote);
  const VoteResult result = policy_.on_vote(vote, in_block);
  if (in_block) {
    body_votes_.push_back(data);
    return result;
  }
  seed_body_votes();
  const lean::Oracle::Voters voters(vote.validators.begin(), vote.validators.end());
  const bool formed = !voters.empty() && *voters.rbegin() < kLeanValidators &&
                      (vote.aggregate || vote.validators.size() == 1);
  const auto gone = [&](const Root& root) {
    return oracle_.blocks.contains(root) && !policy_.contains(root);
  };
  const bool pruned = gone(data.head.root) || gone(data.target.root) || gone(data.source.root);
  const bool right = formed && !pruned && oracle_.refusal(data).empty();
  BL_CHECK((result == VoteResult::applied) == right);
  if (!right) return result;
  if (vote.aggregate) oracle_.add(oracle_.pending, data, &voters);
  ++votes_;
  compare();
  return result;
}

void WitnessedLean::restore(const Checkpoint& justified, const Checkpoint& finalized,
                            std::span<const PolicyRecord> records) {
  policy_.restore(justified, finalized, records);
  for (const PolicyRecord& record : records) restore_record(record);
  oracle_.update_head();
  compare();
}

// A proof that was accepted by now counts at once; the others are pending.
void WitnessedLean::restore_record(const PolicyRecord& record) {
  RecordReader in(record.bytes);
  const lean::Interval added = in.u64();
  LeanAttestationData data;
  data.slot = in.u64();
  for (LeanCheckpoint* point : {&data.head, &data.target, &data.source}) {
    *point = lean::checkpoint_of(in.checkpoint());
  }
  const uint32_t length = in.u32();
  const Bytes bits = in.sized();
  lean::Oracle::Voters voters;
  for (uint32_t i = 0; i < length; ++i) {
    if (bits[i / 8] >> (i % 8) & 1) voters.insert(i);
  }
  if (!oracle_.refusal(data).empty()) return;
  const auto accepted = [](lean::Interval time) { return (time + 1) / lean::kIntervalsPerSlot; };
  const bool counts = accepted(oracle_.time) > accepted(added);
  lean::Oracle::add(counts ? oracle_.counted : oracle_.pending, data, &voters);
}

// They lead the pool, without a proof of their own.
void WitnessedLean::seed_body_votes() {
  lean::Oracle::Pool seeded;
  for (const LeanAttestationData& data : body_votes_) {
    const bool stale = data.head.slot <= oracle_.finalized.slot ||
                       !oracle_.is_ancestor(oracle_.finalized, data.head);
    if (stale || lean::Oracle::find(seeded, data) != nullptr) continue;
    const lean::Oracle::Entry* known = lean::Oracle::find(oracle_.counted, data);
    seeded.push_back(known == nullptr ? lean::Oracle::Entry{data, {}} : *known);
  }
  body_votes_.clear();
  if (seeded.empty()) return;
  for (const lean::Oracle::Entry& entry : oracle_.counted) {
    if (lean::Oracle::find(seeded, entry.data) == nullptr) seeded.push_back(entry);
  }
  oracle_.counted = std::move(seeded);
}

void WitnessedLean::compare() {
  BL_CHECK(policy_.store().head() == oracle_.head);
  BL_CHECK(policy_.store().safe_target().root == oracle_.safe_target);
  BL_CHECK(policy_.store().latest_justified() == oracle_.justified);
  BL_CHECK(policy_.store().latest_finalized() == oracle_.finalized);
}

const Root& WitnessedLean::spec_head() {
  seed_body_votes();
  return oracle_.head;
}

ForkChoice::Head WitnessedLean::head() {
  const Head head = policy_.head();
  BL_CHECK(head.root == spec_head());
  return head;
}

}  // namespace beamline::chain::testing
