// Owned values of one message in one arena, and what a decode allocates.

#include "codec/arena.h"

#include "base/rng.h"
#include "codec/lean_state.h"
#include "codec/lean_types.h"
#include "tests/loop/allocations.h"

namespace beamline {
namespace {

template <class Run>
uint64_t allocations_of(Run run) {
  const uint64_t before = allocations_of_this_thread();
  run();
  return allocations_of_this_thread() - before;
}

LeanState random_state(Rng& rng, size_t most) {
  LeanState state;
  state.slot = rng.next();
  state.historical_block_hashes.resize(1 + rng.below(most));
  for (Root& root : state.historical_block_hashes) rng.fill(root.bytes);
  state.justified_slots = ssz::Bitlist::of_length(1 + rng.below(most));
  state.justified_slots.set(rng.below(state.justified_slots.length), true);
  state.validators.resize(1 + rng.below(8));
  state.justifications_roots.resize(1 + rng.below(most));
  for (Root& root : state.justifications_roots) rng.fill(root.bytes);
  state.justifications_validators = ssz::Bitlist::of_length(1 + rng.below(most));
  return state;
}

std::vector<uint8_t> encoded(const LeanTypes& types, const LeanState& state) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(ssz::encode_value(types.state(), &state, bytes));
  return bytes;
}

TEST(SszArena, AStateIsDecodedWithOneAllocationAndTheNextWithNone) {
  const LeanTypes types(LeanPreset::test());
  const uint64_t seed = 71;
  Rng rng(seed);
  Arena arena(1 << 20);
  const LeanState large = random_state(rng, 200);
  const std::vector<uint8_t> first = encoded(types, large);
  {
    LeanState state(&arena);
    Status status;
    EXPECT_EQ(
        allocations_of([&] { status = ssz::decode_value(types.state(), first, &state, arena); }),
        1u);
    ASSERT_TRUE(status) << to_string(status.error());
    EXPECT_EQ(state, large);
    EXPECT_EQ(arena.alive(), 5u);
    EXPECT_EQ(arena.used(), arena.capacity());  // sized exactly
  }
  EXPECT_EQ(arena.alive(), 0u);
  for (int i = 0; i < 100; ++i) {
    const LeanState small = random_state(rng, 1 + rng.below(20));
    const std::vector<uint8_t> bytes = encoded(types, small);
    const uint64_t blocks = arena.stats().blocks;
    LeanState state(&arena);
    Status status;
    const uint64_t allocated =
        allocations_of([&] { status = ssz::decode_value(types.state(), bytes, &state, arena); });
    ASSERT_TRUE(status);
    ASSERT_EQ(allocated, arena.stats().blocks - blocks) << "seed " << seed;
    ASSERT_EQ(state, small) << "seed " << seed;
  }
  EXPECT_EQ(arena.stats().messages, 101u);
  EXPECT_EQ(arena.stats().heap, 0u);
  EXPECT_EQ(arena.stats().blocks, 1u);
}

TEST(SszArena, AMessageOverTheLimitIsRefusedBeforeAnythingIsAllocated) {
  const LeanTypes types(LeanPreset::test());
  Rng rng(72);
  const LeanState large = random_state(rng, 200);
  const std::vector<uint8_t> bytes = encoded(types, large);
  const size_t need = ssz::owned_memory(*ssz::View::parse(types.state(), bytes));
  for (const size_t limit : {size_t{0}, need - 1, need}) {
    Arena arena(limit);
    LeanState state(&arena);
    Status status;
    const uint64_t allocated =
        allocations_of([&] { status = ssz::decode_value(types.state(), bytes, &state, arena); });
    EXPECT_EQ(status.has_value(), limit == need);
    EXPECT_EQ(allocated, limit == need ? 1u : 0u);
    EXPECT_EQ(arena.stats().refused, limit == need ? 0u : 1u);
    if (!status) {
      EXPECT_EQ(status.error().code, Code::too_long);
      EXPECT_STREQ(status.error().field, "state");
      EXPECT_EQ(state, LeanState());
    }
  }
}

TEST(SszArena, BytesThatAreNoStateTakeNothing) {
  const LeanTypes types(LeanPreset::test());
  Rng rng(73);
  const std::vector<uint8_t> bytes = encoded(types, random_state(rng, 20));
  Arena arena(1 << 20);
  for (size_t size = 0; size < bytes.size(); ++size) {
    LeanState state(&arena);
    if (ssz::decode_value(types.state(), Bytes(bytes).first(size), &state, arena)) continue;
    ASSERT_EQ(state, LeanState());
    ASSERT_EQ(arena.alive(), 0u);
  }
}

TEST(SszArena, ACopyAndWhatGrowsLieOnTheHeap) {
  const LeanTypes types(LeanPreset::test());
  Rng rng(74);
  const LeanState original = random_state(rng, 20);
  const std::vector<uint8_t> bytes = encoded(types, original);
  LeanState copy;
  {
    Arena arena(1 << 20);
    LeanState state(&arena);
    ASSERT_TRUE(ssz::decode_value(types.state(), bytes, &state, arena));
    copy = state;
    LeanState another = state;
    EXPECT_EQ(another, original);
    state.validators.push_back({});
    EXPECT_EQ(arena.stats().heap, 1u);
  }
  EXPECT_EQ(copy, original);
}

TEST(SszArena, AMessageBeforeTheLastOneIsGoneIsOurMistake) {
  Arena arena(1024);
  ASSERT_TRUE(arena.begin(64, "test"));
  void* const run = arena.allocate(10);
  EXPECT_DEATH((void)arena.begin(64, "test"), "check failed");
  arena.deallocate(run, 10);
  EXPECT_TRUE(arena.begin(64, "test"));
}

}  // namespace
}  // namespace beamline
