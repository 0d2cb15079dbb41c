// The worker's importer, and lean's policy behind the interface that the chain core has for it.

#include <gtest/gtest.h>

#include "chain/lean/fork_choice.h"
#include "chain/lean/messages.h"
#include "tests/chain/lean_chain.h"

namespace beamline::chain::lean {
namespace {

using testing::LeanChain;
using testing::NoProver;
using testing::types;

constexpr size_t kValidators = 6;

struct Fixture {
  explicit Fixture(LeanForkChoiceConfig config = {}, Verifier* verifier = nullptr)
      : chain(kValidators, config.genesis_time), importer(types(), verifier) {
    const auto& genesis = chain.at(chain.genesis);
    const Result<StoreBlock> anchor = importer.add_anchor(genesis.block, genesis.post);
    EXPECT_TRUE(anchor);
    fork_choice.emplace(types(), config, *anchor);
  }
  // Through the worker and into the fork choice.
  Verdict import(const Root& root) {
    const testing::MadeBlock& made = chain.at(root);
    const Imported imported = importer.import(root, made.bytes);
    if (imported.verdict != Verdict::valid) return imported.verdict;
    ForkChoice::Block block;
    block.root = root;
    block.parent_root = made.block.parent_root;
    block.slot = made.block.slot;
    block.proposer = made.block.proposer_index;
    block.post = imported.post();
    EXPECT_TRUE(fork_choice->on_block(block));
    for (const chain::Vote& vote : imported.votes) fork_choice->on_vote(vote, true);
    return Verdict::valid;
  }
  chain::Vote vote(const LeanAttestationData& data, std::vector<ValidatorIndex> voters,
                   bool aggregate) {
    chain::Vote vote = testing::vote_of(data);
    vote.validators = std::move(voters);
    vote.aggregate = aggregate;
    vote.proof = SharedBytes::copy(as_bytes("signed"));
    return vote;
  }
  void tick_to(Slot slot, Interval interval) {
    fork_choice->on_tick(WallTime{} + kSlot * static_cast<int64_t>(slot) +
                         kInterval * static_cast<int64_t>(interval));
  }

  LeanChain chain;
  Importer importer;
  std::optional<LeanForkChoice> fork_choice;
};

TEST(LeanForkChoiceAdapter, VotesMoveTheHeadWhenTheyAreAccepted) {
  Fixture f;
  const Root a = f.chain.add(f.chain.genesis, 1);
  const Root b = f.chain.add(f.chain.genesis, 2);
  EXPECT_EQ(f.import(a), Verdict::valid);
  EXPECT_EQ(f.import(b), Verdict::valid);
  const Root smaller = std::min(a, b);
  EXPECT_EQ(f.fork_choice->head().root, std::max(a, b));
  f.tick_to(2, 1);
  const chain::Vote vote = f.vote(f.chain.vote_for(smaller, 2), {0, 3}, true);
  EXPECT_EQ(f.fork_choice->check_vote(vote), VoteResult::applied);
  EXPECT_EQ(f.fork_choice->on_vote(vote, false), VoteResult::applied);
  EXPECT_EQ(f.fork_choice->head().root, std::max(a, b));
  EXPECT_EQ(*f.fork_choice->next_tick(), WallTime{} + kInterval * 12);
  f.tick_to(2, 4);
  EXPECT_EQ(f.fork_choice->head().root, smaller);
}

TEST(LeanForkChoiceAdapter, FinalityIsToldAsSlots) {
  Fixture f;
  Root tip = f.chain.genesis;
  for (Slot slot = 1; slot < 6; ++slot) {
    tip = f.chain.add(tip, slot,
                      slot == 1 ? std::vector<LeanAggregatedAttestation>{}
                                : std::vector{LeanChain::cast(f.chain.vote_for(tip, slot), 4)});
    f.tick_to(slot, 0);
    EXPECT_EQ(f.import(tip), Verdict::valid);
  }
  EXPECT_EQ(f.fork_choice->head().root, tip);
  EXPECT_EQ(f.fork_choice->justified().number, 4u);
  EXPECT_EQ(f.fork_choice->finalized().number, 3u);
  EXPECT_TRUE(f.fork_choice->contains(f.chain.genesis));  // kept, for finality may go back
}

TEST(LeanForkChoiceAdapter, VotesAreJudgedBeforeTheirSignature) {
  Fixture f({.aggregator = true});
  const Root a = f.chain.add(f.chain.genesis, 1);
  EXPECT_EQ(f.import(a), Verdict::valid);
  f.tick_to(1, 1);
  const LeanAttestationData good = f.chain.vote_for(a, 1);
  const auto judged = [&](const LeanAttestationData& data,
                          std::vector<ValidatorIndex> voters = {1}) {
    return f.fork_choice->check_vote(f.vote(data, std::move(voters), true));
  };
  EXPECT_EQ(judged(good), VoteResult::applied);
  LeanAttestationData data = good;
  data.head.root = Root{};
  EXPECT_EQ(judged(data), VoteResult::unknown_block);
  data = good;
  data.source.root.bytes[0] ^= 1;
  EXPECT_EQ(judged(data), VoteResult::inconsistent);
  data = good;
  data.slot = 2;
  EXPECT_EQ(judged(data), VoteResult::too_early);
  data.slot = UINT64_MAX;
  EXPECT_EQ(judged(data), VoteResult::too_early);
  data = good;
  ++data.head.slot;
  EXPECT_EQ(judged(data), VoteResult::inconsistent);
  EXPECT_EQ(judged(good, {kValidators}), VoteResult::inconsistent);
  EXPECT_EQ(judged(good, {UINT64_MAX}), VoteResult::inconsistent);
  EXPECT_EQ(judged(good, {}), VoteResult::inconsistent);
  // One signature is of one validator.
  EXPECT_EQ(f.fork_choice->check_vote(f.vote(good, {1, 2}, false)), VoteResult::inconsistent);
}

TEST(LeanForkChoiceAdapter, AnAggregatorProvesAtIntervalTwoAndAProposerUsesIt) {
  Fixture f({.aggregator = true});
  const Root a = f.chain.add(f.chain.genesis, 1);
  f.tick_to(1, 0);
  EXPECT_EQ(f.import(a), Verdict::valid);
  f.tick_to(1, 1);
  EXPECT_TRUE(f.fork_choice->take_aggregations().empty());  // of slot 0
  EXPECT_FALSE(f.fork_choice->aggregation_due());
  EXPECT_EQ(f.fork_choice->attestation_data(1).head.root, a);
  const LeanAttestationData data = f.chain.vote_for(a, 1);
  for (ValidatorIndex voter = 0; voter < 4; ++voter) {
    EXPECT_EQ(f.fork_choice->on_vote(f.vote(data, {voter}, false), false), VoteResult::applied);
  }
  f.tick_to(1, 2);
  ASSERT_TRUE(f.fork_choice->aggregation_due());
  const std::vector<Aggregation> work = f.fork_choice->take_aggregations();
  ASSERT_EQ(work.size(), 1u);
  EXPECT_EQ(work[0].signatures.size(), 4u);
  EXPECT_FALSE(f.fork_choice->aggregation_due());
  NoProver prover;
  const std::pair<Vote, Proof> made(work[0].vote, *aggregate(prover, work[0]));
  f.fork_choice->finish_aggregations({&made, 1});
  f.tick_to(1, 3);
  EXPECT_EQ(f.fork_choice->store().safe_target().root, a);
  // The proposer of the next slot puts it into its block, which justifies.
  const Result<Proposal> proposal = f.fork_choice->prepare_proposal(2, 2);
  ASSERT_TRUE(proposal);
  EXPECT_EQ(proposal->parent_root, a);
  const Result<ProducedBlock> produced =
      produce_block(f.importer.transition(), *f.importer.state(a), *proposal, &prover);
  ASSERT_TRUE(produced);
  ASSERT_EQ(produced->block.body.attestations.size(), 1u);
  EXPECT_EQ(produced->post.latest_justified.root, a);
  const Root root = *f.importer.transition().root_of(produced->block);
  const SharedBytes bytes = LeanChain::sign(produced->block, as_bytes("proof"));
  EXPECT_EQ(f.importer.import(root, bytes).verdict, Verdict::valid);
  const Result<Proposal> wrong = f.fork_choice->prepare_proposal(3, 2);
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(is(wrong.error(), Rejection::wrong_proposer));
}

// A proof of the same voters, or a validator's own signature again, is not verified twice.
TEST(LeanForkChoiceAdapter, WhatIsHereIsNotVerifiedAgain) {
  Fixture f({.aggregator = true});
  const Root a = f.chain.add(f.chain.genesis, 1);
  EXPECT_EQ(f.import(a), Verdict::valid);
  f.tick_to(1, 1);
  const LeanAttestationData data = f.chain.vote_for(a, 1);
  const chain::Vote many = f.vote(data, {1, 2}, true);
  const chain::Vote one = f.vote(data, {3}, false);
  for (const chain::Vote& vote : {many, one}) {
    EXPECT_EQ(f.fork_choice->check_vote(vote), VoteResult::applied);
    EXPECT_EQ(f.fork_choice->on_vote(vote, false), VoteResult::applied);
    EXPECT_EQ(f.fork_choice->check_vote(vote), VoteResult::not_newer);
  }
  EXPECT_EQ(f.fork_choice->check_vote(f.vote(data, {1, 2, 4}, true)), VoteResult::applied);
  EXPECT_EQ(f.fork_choice->check_vote(f.vote(data, {4}, false)), VoteResult::applied);
  f.tick_to(1, 4);
  EXPECT_EQ(f.fork_choice->check_vote(many), VoteResult::not_newer);
}

std::vector<uint8_t> encoded(const char* type, const void* value) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(ssz::encode_value(*types().find(type), value, bytes));
  return bytes;
}

TEST(LeanMessages, AreDecodedForTheCoreAndRefusedWhenCut) {
  LeanChain chain(kValidators);
  const Root a = chain.add(chain.genesis, 1);
  MessageDecoder decoder(types());
  const Result<BlockInfo> block = decoder.block(chain.at(a).bytes);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->root, a);
  EXPECT_EQ(block->parent_root, chain.genesis);
  EXPECT_EQ(block->slot, 1u);
  EXPECT_EQ(block->proposer, 1u);

  const LeanAttestationData data = chain.vote_for(a, 7);
  LeanSingleMessageAggregate proof;
  proof.participants = ssz::Bitlist::of_length(5);
  proof.participants.set(1, true);
  proof.participants.set(4, true);
  proof.proof = {1, 2, 3};
  // SignedAggregatedAttestation: the data, and the offset of the proof.
  const auto message = [&] {
    std::vector<uint8_t> bytes = encoded("AttestationData", &data);
    for (const uint8_t byte : {uint8_t{132}, uint8_t{0}, uint8_t{0}, uint8_t{0}}) {
      bytes.push_back(byte);
    }
    const std::vector<uint8_t> tail = encoded("SingleMessageAggregate", &proof);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    return SharedBytes::copy(bytes);
  };
  const Result<chain::Vote> vote = decoder.aggregate(message());
  ASSERT_TRUE(vote);
  EXPECT_EQ(vote->slot, 7u);
  EXPECT_EQ(vote->head_root, a);
  EXPECT_EQ(vote->head_slot, 1u);
  EXPECT_EQ(vote->target, (Checkpoint{1, a}));
  EXPECT_EQ(vote->validators, (std::vector<ValidatorIndex>{1, 4}));
  EXPECT_TRUE(equal(vote->proof, std::vector<uint8_t>{1, 2, 3}));
  proof.participants = ssz::Bitlist::of_length(5);
  const Result<chain::Vote> nobody = decoder.aggregate(message());
  ASSERT_FALSE(nobody);
  EXPECT_TRUE(is(nobody.error(), Rejection::empty_aggregation_bits));
  const SharedBytes whole = message();
  for (size_t size = 0; size < 132 + 8; ++size) {
    EXPECT_FALSE(decoder.aggregate(whole.slice(0, size))) << size;
    EXPECT_FALSE(decoder.attestation(whole.slice(0, size))) << size;
    EXPECT_FALSE(decoder.block(whole.slice(0, size))) << size;
  }
}

class Doubter : public Verifier {
 public:
  bool verify_block(const LeanState&, const LeanBlock&, const Root&, Bytes proof) override {
    ++asked;
    return as_text(proof) == "proof";
  }
  size_t asked = 0;
};

// The three kinds of wrong block: the proof is outside the root, so its sender is at fault and the
// root is not; a broken rule condemns the root; a missing state is ours.
TEST(LeanImporter, TellsWhoseFaultABlockIs) {
  Doubter doubter;
  Fixture f({}, &doubter);
  const Root one = f.chain.add(f.chain.genesis, 1);
  const Root two = f.chain.add(one, 2);
  EXPECT_EQ(f.importer.import(two, f.chain.at(two).bytes).verdict, Verdict::try_again);
  EXPECT_EQ(f.importer.stats().no_state, 1u);
  EXPECT_EQ(doubter.asked, 0u);

  const SharedBytes forged = LeanChain::sign(f.chain.at(one).block, as_bytes("forged"));
  EXPECT_EQ(f.importer.import(one, forged).verdict, Verdict::invalid_bytes);
  EXPECT_EQ(f.importer.stats().bad_proofs, 1u);
  EXPECT_EQ(f.importer.import(one, f.chain.at(one).bytes).verdict, Verdict::valid);
  EXPECT_EQ(f.importer.import(two, f.chain.at(one).bytes).verdict, Verdict::invalid_bytes);

  LeanBlock wrong = f.chain.at(two).block;
  wrong.proposer_index = 5;
  const Root wrong_root = *f.importer.transition().root_of(wrong);
  const Imported refused = f.importer.import(wrong_root, LeanChain::sign(wrong, as_bytes("proof")));
  EXPECT_EQ(refused.verdict, Verdict::invalid_block);
  EXPECT_TRUE(is(refused.why, Rejection::wrong_proposer));
  EXPECT_EQ(f.importer.stats().rejected[static_cast<size_t>(Rejection::wrong_proposer)], 1u);

  EXPECT_EQ(f.importer.import(two, f.chain.at(two).bytes).verdict, Verdict::valid);
  EXPECT_EQ(*f.importer.state(two), f.chain.at(two).post);
  const Bytes whole = f.chain.at(two).bytes;
  for (size_t size = 0; size < whole.size(); ++size) {
    const Verdict verdict = f.importer.import(two, whole.first(size)).verdict;
    // Only what is cut off the proof leaves a block that decodes.
    EXPECT_EQ(verdict, Verdict::invalid_bytes) << size;
  }
}

// Few states are kept, whatever the fork: one that went is made again from the blocks.
TEST(LeanImporter, StatesAreBoundedAndMadeAgain) {
  LeanChain chain(kValidators);
  Importer importer(types(), nullptr, {.states = 4, .blocks = 40, .replay = 30});
  ASSERT_TRUE(importer.add_anchor(chain.at(chain.genesis).block, chain.at(chain.genesis).post));
  Root tip = chain.genesis;
  std::vector<Root> row{tip};
  for (Slot slot = 1; slot < 20; ++slot) {
    tip = chain.add(tip, slot, {LeanChain::cast(chain.vote_for(tip, slot), 1 + slot % 6)});
    row.push_back(tip);
    EXPECT_EQ(importer.import(tip, chain.at(tip).bytes).verdict, Verdict::valid);
    EXPECT_LE(importer.states(), 4u);
  }
  EXPECT_EQ(importer.stats().evicted, 16u);
  EXPECT_EQ(importer.stats().replayed, 0u);
  const Root fork = chain.add(row[3], 20);  // from the anchor, which is the base
  EXPECT_EQ(importer.import(fork, chain.at(fork).bytes).verdict, Verdict::valid);
  EXPECT_EQ(importer.stats().replayed, 3u);
  ASSERT_TRUE(importer.set_base(row[10]));
  ASSERT_NE(importer.make_state(row[15]), nullptr);
  EXPECT_EQ(*importer.make_state(row[15]), chain.at(row[15]).post);
  EXPECT_LE(importer.states(), 4u);
  for (size_t i = 11; i < 20; ++i) ASSERT_NE(importer.make_state(row[i]), nullptr);
  EXPECT_NE(importer.state(row[10]), nullptr);
  EXPECT_EQ(importer.state(row[0]), nullptr);
  // What lies before the base cannot be made again.
  const Root old = chain.add(row[2], 21);
  EXPECT_EQ(importer.import(old, chain.at(old).bytes).verdict, Verdict::try_again);
  EXPECT_EQ(importer.stats().no_state, 1u);
  EXPECT_FALSE(importer.set_base(row[2]));
  importer.forget(row);
  EXPECT_EQ(importer.make_state(row[19]), nullptr);
}

TEST(LeanImporter, ALongReplayIsNotBegun) {
  LeanChain chain(kValidators);
  Importer importer(types(), nullptr, {.states = 2, .blocks = 40, .replay = 5});
  ASSERT_TRUE(importer.add_anchor(chain.at(chain.genesis).block, chain.at(chain.genesis).post));
  Root tip = chain.genesis;
  std::vector<Root> row{tip};
  for (Slot slot = 1; slot < 12; ++slot) {
    tip = chain.add(tip, slot);
    row.push_back(tip);
    EXPECT_EQ(importer.import(tip, chain.at(tip).bytes).verdict, Verdict::valid);
  }
  EXPECT_NE(importer.make_state(row[5]), nullptr);
  EXPECT_NE(importer.make_state(row[10]), nullptr);
  EXPECT_EQ(importer.make_state(row[9]), nullptr);
}

}  // namespace
}  // namespace beamline::chain::lean
