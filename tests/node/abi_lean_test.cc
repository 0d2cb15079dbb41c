// The C ABI with lean's fork choice: the state transition runs inside the library, on its workers,
// the host checks signatures; justification, finality and votes move what the host sees.
#include "tests/node/abi_lean.h"

namespace beamline::node::testing {
namespace {

TEST(AbiLean, BlocksRunThroughTheEmbeddedStateTransitionJustifyAndFinalise) {
  LeanWorld world;
  LeanHost host(world, world.options());
  Root tip = world.chain.genesis;
  EXPECT_TRUE(host.head_is(tip));  // the anchor follows from its state
  for (Slot slot = 1; slot <= 6; ++slot) {
    std::vector<LeanAggregatedAttestation> votes;
    if (slot > 1) votes.push_back(LeanChain::cast(world.chain.vote_for(tip, slot - 1), 4));
    tip = world.chain.add(tip, slot, std::move(votes));
    ASSERT_EQ(host.block(slot, world.chain.at(tip).bytes), BL_OK) << bl_last_error(host.producer);
    ASSERT_TRUE(host.head_is(tip));
    EXPECT_EQ(host.verdict(slot).result, BL_GOSSIP_ACCEPT);
  }
  EXPECT_EQ(host.count(BL_COMMAND_IMPORT), 0u);
  const LeanState& post = world.chain.at(tip).post;
  ASSERT_TRUE(host.until([&] {
    return host.count(BL_COMMAND_FINALIZED_CHANGED) > 0 &&
           host.last(BL_COMMAND_FINALIZED_CHANGED).command.count == 4;
  }));
  EXPECT_EQ(host.last(BL_COMMAND_JUSTIFIED_CHANGED).command.count, post.latest_justified.slot);
  EXPECT_TRUE(same(host.last(BL_COMMAND_FINALIZED_CHANGED).command.root,
                   c_root(post.latest_finalized.root)));
  EXPECT_EQ(host.stats().imported, 6u);
}

TEST(AbiLean, WhatTheTransitionOrTheHostRefusesIsRejectedAndItsSenderPays) {
  LeanWorld world;
  LeanHost host(world, world.options());
  const Root good = world.chain.add(world.chain.genesis, 1);
  LeanBlock wrong = world.chain.at(good).block;
  ASSERT_EQ(host.block(1, LeanChain::sign(wrong, as_bytes("forged"))), BL_OK);
  EXPECT_EQ(host.verdict(1).result, BL_GOSSIP_REJECT);
  EXPECT_EQ(host.last(BL_COMMAND_GOSSIP_VERDICT).reason, "invalid_bytes");
  // The same block, well signed: the root was honest.
  ASSERT_EQ(host.block(2, world.chain.at(good).bytes), BL_OK);
  EXPECT_EQ(host.verdict(2).result, BL_GOSSIP_ACCEPT);
  wrong = world.chain.at(world.chain.add(good, 2)).block;
  wrong.state_root.bytes[0] ^= 1;
  ASSERT_EQ(host.block(3, LeanChain::sign(wrong, as_bytes("proof"))), BL_OK);
  EXPECT_EQ(host.verdict(3).result, BL_GOSSIP_REJECT);
  EXPECT_EQ(host.last(BL_COMMAND_GOSSIP_VERDICT).reason, "invalid_block");
  EXPECT_TRUE(host.head_is(good));
  EXPECT_EQ(host.stats().charges, 2u);
}

// Aggregates count from the next interval 0 or 4 on: at most 3.2 s from now.
TEST(AbiLean, AggregatesThatTheHostVerifiedMoveTheHead) {
  LeanWorld world;
  LeanHost host(world, world.options());
  const Root a = world.chain.add(world.chain.genesis, 1);
  const Root b = world.chain.add(world.chain.genesis, 2);
  const Root lighter = std::max(a, b), heavier = std::min(a, b);
  ASSERT_EQ(host.block(1, world.chain.at(a).bytes), BL_OK);
  ASSERT_EQ(host.block(2, world.chain.at(b).bytes), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 2));
  ASSERT_TRUE(host.head_is(lighter));
  const LeanAttestationData data = world.chain.vote_for(heavier, 20);
  const uint64_t voters[] = {0, 1, 2};
  const std::string proof = "aggregate";
  auto vote = sized<bl_vote>();
  vote.sender = host.peer;
  vote.message = 7;
  vote.slot = data.slot;
  vote.head_root = c_root(data.head.root);
  vote.head_slot = data.head.slot;
  vote.source = c_checkpoint(data.source);
  vote.target = c_checkpoint(data.target);
  vote.validators = voters;
  vote.validator_count = 3;
  vote.aggregate = 1;
  vote.proof = reinterpret_cast<const uint8_t*>(proof.data());
  vote.proof_size = proof.size();
  ASSERT_EQ(bl_push_gossip_vote(host.producer, &vote), BL_OK) << bl_last_error(host.producer);
  ASSERT_TRUE(host.until_said(BL_COMMAND_VERIFY_VOTE, 1));
  const Said asked = host.last(BL_COMMAND_VERIFY_VOTE);
  EXPECT_EQ(asked.bytes, std::vector<uint8_t>(proof.begin(), proof.end()));
  EXPECT_EQ(asked.command.head_slot, data.head.slot);
  EXPECT_EQ(asked.command.aggregate, 1u);
  vote.message = asked.command.id;
  ASSERT_EQ(bl_push_vote_verdict(host.producer, &vote, BL_VERDICT_VALID), BL_OK);
  EXPECT_EQ(host.verdict(7).result, BL_GOSSIP_ACCEPT);
  EXPECT_TRUE(host.head_is(heavier));
}

TEST(AbiLean, ACheckpointsStateAndBlockAreAnAnchor) {
  LeanWorld world;
  Root tip = world.chain.genesis;
  for (Slot slot = 1; slot <= 3; ++slot) tip = world.chain.add(tip, slot);
  const auto& anchor = world.chain.at(tip);
  const std::vector<uint8_t> state = encode(anchor.post);
  bl_core_options options = world.options();
  options.anchor_state = state.data();
  options.anchor_state_size = state.size();
  bl_core* core = nullptr;
  EXPECT_EQ(bl_core_create(&options, &core), BL_OK);  // its body is empty: no block is needed
  bl_core_destroy(core);
  options.anchor_bytes = anchor.bytes.data();
  options.anchor_size = anchor.bytes.size();
  options.anchor_root = c_root(tip);
  options.anchor_slot = 3;
  options.genesis_time_ms = genesis_time() * 1000;
  LeanHost host(world, options);
  const Root next = world.chain.add(tip, 4);
  ASSERT_EQ(host.block(1, world.chain.at(next).bytes), BL_OK);
  EXPECT_TRUE(host.head_is(next));
}

TEST(AbiLean, AnAnchorThatDoesNotDecodeOrAgreeIsRefused) {
  LeanWorld world;
  bl_core* core = nullptr;
  const bl_core_options good = world.options();
  for (size_t size = 0; size < world.state.size(); size += 1 + size / 4) {
    bl_core_options options = good;
    options.anchor_state_size = size;
    EXPECT_EQ(bl_core_create(&options, &core), BL_MALFORMED) << size;
  }
  const Root voted =
      world.chain.add(world.chain.add(world.chain.genesis, 1), 2,
                      {LeanChain::cast(world.chain.vote_for(world.chain.genesis, 1), 4)});
  const auto& other = world.chain.at(voted);
  static std::vector<uint8_t> other_state;
  static SharedBytes other_bytes;
  other_state = encode(other.post);
  other_bytes = other.bytes;
  using Wrong = void (*)(bl_core_options&);
  for (const Wrong wrong : {Wrong([](bl_core_options& o) { o.anchor_root = name('X'); }),
                            Wrong([](bl_core_options& o) { o.anchor_slot = 1; }),
                            Wrong([](bl_core_options& o) { o.genesis_time_ms = 1; }),
                            Wrong([](bl_core_options& o) { o.slot_ms = 12'000; }),
                            Wrong([](bl_core_options& o) { o.chain = BL_CHAIN_BEACON; }),
                            Wrong([](bl_core_options& o) { o.import = BL_IMPORT_ASK; }),
                            Wrong([](bl_core_options& o) { o.import_block = verify; }),
                            Wrong([](bl_core_options& o) { o.verify_block = nullptr; }),
                            Wrong([](bl_core_options& o) { o.anchor_state = nullptr; }),
                            Wrong([](bl_core_options& o) {  // another block's
                              o.anchor_bytes = other_bytes.data();
                              o.anchor_size = other_bytes.size();
                            }),
                            Wrong([](bl_core_options& o) {  // its block has a body
                              o.anchor_state = other_state.data();
                              o.anchor_state_size = other_state.size();
                            })}) {
    bl_core_options options = good;
    wrong(options);
    EXPECT_EQ(bl_core_create(&options, &core), BL_INVALID_ARGUMENT);
  }
  bl_core_options options = good;
  options.anchor_bytes = world.state.data();
  options.anchor_size = world.state.size();
  EXPECT_EQ(bl_core_create(&options, &core), BL_MALFORMED);
  EXPECT_EQ(core, nullptr);
}

}  // namespace
}  // namespace beamline::node::testing
