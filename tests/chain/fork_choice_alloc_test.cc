// get_head and the application of votes allocate nothing, once their validators have been seen.
#include <gtest/gtest.h>

#include "chain/beacon_fork_choice.h"
#include "crypto/sha256.h"
#include "tests/loop/allocations.h"

namespace beamline::chain {
namespace {

TEST(ForkChoiceAlloc, VotesTicksBoostEquivocationAndHeadAllocateNothing) {
  const auto root_of = [](uint64_t number) {
    return sha256(Bytes(reinterpret_cast<const uint8_t*>(&number), sizeof(number)));
  };
  constexpr uint64_t kBlocks = 200;
  constexpr uint64_t kValidators = 1'000;
  BeaconConfig config;
  config.slot_duration = seconds(1);
  const Checkpoint genesis{0, root_of(0)};
  BeaconForkChoice choice(config, {genesis.root, 0, 0, Execution::valid, {}});
  const auto at = [](Slot slot) { return WallTime{} + seconds(static_cast<int64_t>(slot)); };
  ASSERT_TRUE(
      choice.on_justified_balances(genesis, std::vector<uint64_t>(kValidators, 32), 32'000));
  for (uint64_t i = 1; i < kBlocks; ++i) {
    choice.on_tick(at(i));
    ForkChoice::Block block;
    block.root = root_of(i);
    block.parent_root = root_of(i - 1 - (i > 10 && i % 7 == 0));
    block.slot = i;
    block.arrived = at(i);
    block.post.justified = block.post.finalized = genesis;
    block.post.unrealized_justified = block.post.unrealized_finalized = genesis;
    ASSERT_TRUE(choice.on_block(block));
  }
  Vote vote;
  vote.validators.resize(100);
  const std::vector<ValidatorIndex> slashed{1, 2, 3};
  const std::vector<uint64_t> balances(kValidators, 31);
  Epoch epoch = kBlocks / 32 + 1;
  uint64_t applied = 0;
  const size_t before = allocations_of_this_thread();
  for (int round = 0; round < 100; ++round, ++epoch) {
    choice.on_tick(at(epoch * 32 + 1));
    vote.slot = epoch * 32;
    vote.head_root = root_of(kBlocks - 1 - static_cast<uint64_t>(round) % 20);
    vote.target = {epoch, vote.head_root};
    for (size_t i = 0; i < vote.validators.size(); ++i) {
      vote.validators[i] = (static_cast<uint64_t>(round) * 37 + i) % kValidators;
    }
    applied += choice.check_vote(vote) == VoteResult::applied;
    applied += choice.on_vote(vote, false) == VoteResult::applied;
    choice.on_equivocation(slashed);
    if (round == 50) applied += choice.on_justified_balances(genesis, balances, 31'000).has_value();
    applied += !choice.head().root.is_zero();
  }
  EXPECT_EQ(allocations_of_this_thread(), before);
  EXPECT_EQ(applied, 301u);
}

}  // namespace
}  // namespace beamline::chain
