// Each choice is one pass without allocation: of a full table, of a pool that goes through its
// cycles, of a peer for a request.
#include <array>

#include "discovery/peer_choice.h"
#include "discovery/pool.h"
#include "discovery/table.h"
#include "nodes.h"
#include "tests/loop/allocations.h"

namespace beamline::discovery {
namespace {

TEST(ChoiceAllocations, ClosestTellAndPickOfATableDoNotAllocate) {
  Rng rng(uint64_t{1});
  Table table(random_id(rng), TableConfig{}, rng, at({}));
  for (uint32_t i = 0; i < 4000; ++i) {
    const unsigned bucket = 255 - i % 200;
    table.contact_proven(node(random_id_in_bucket(table.self(), bucket, rng), address(i)), at({}));
  }
  const auto any = [](const Contact&) { return true; };
  std::array<const Contact*, 16> out;
  const uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 1000; ++i) {
    const NodeId target = random_id(rng);
    table.closest(target, Reach::all, out);
    table.tell(target, Reach::live, out, any);
    table.at_distance(250, Reach::live, out);
    table.pick(Reach::all, rng, any);
  }
  EXPECT_EQ(allocations_of_this_thread(), before);
}

TEST(ChoiceAllocations, AProbeOfThePoolDoesNotAllocateAlsoWhenAllAreTried) {
  Rng rng(uint64_t{2});
  Pool pool(PoolConfig{}, rng);
  for (uint32_t i = 0; i < 1000; ++i) pool.insert(node(random_id(rng), address(i)));
  const uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 5000; ++i) {
    const NodeRecord* const picked = pool.pick(at(seconds(i)), rng);
    if (i % 3 != 0 || picked == nullptr) continue;
    pool.hold(picked->id);
    pool.failed(picked->id, at(seconds(i)));
  }
  EXPECT_EQ(allocations_of_this_thread(), before);
  EXPECT_GT(pool.stats().cycles, 1u);
}

TEST(ChoiceAllocations, ThePeerChoiceForARequestDoesNotAllocate) {
  Rng rng(uint64_t{3});
  PeerChoice peers(PeerChoice::Config{.max_peers = 64, .in_flight_cap = 4}, rng);
  for (int i = 0; i < 50; ++i) peers.add(random_id(rng), 3);
  const uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 1000; ++i) {
    const auto chosen = peers.choose(2, rng);
    ASSERT_TRUE(chosen);
    peers.answered(*chosen, milliseconds(1));
  }
  EXPECT_EQ(allocations_of_this_thread(), before);
}

}  // namespace
}  // namespace beamline::discovery
