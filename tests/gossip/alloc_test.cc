// What a message costs in allocations, counted under every other limit: two for its bytes (the
// frame that all receivers share, and the payload), none for anything that is done with them.
#include "router_fixture.h"
#include "tests/loop/allocations.h"

namespace beamline::gossip {
namespace {

class AllocTest : public RouterTest {
 protected:
  // Receives frames [from, to), judges them, and empties every queue.
  void pass(const std::vector<SharedBytes>& frames, size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) {
      ASSERT_TRUE(router_->receive(static_cast<PeerIndex>(i % 8), frames[i], now_).has_value());
      Message message;
      while (router_->poll_message(message)) {
        router_->verdict(message.handle, Verdict::accept, now_);
      }
      PeerIndex peer = kNoPeer;
      while (router_->poll_ready(peer)) {
        while (!router_->poll_transmit(peer).empty()) {
        }
      }
      if (i % 64 == 0) beat();
    }
  }
};

TEST_F(AllocTest, AMessageIsTwoAllocationsHoweverManyReceiveIt) {
  for (PeerIndex p = 0; p < 8; ++p) {
    join(p);
    give(p, graft(kBlocks));
    drain(p);
  }
  ASSERT_EQ(router_->mesh(blocks_).size(), 8u);
  constexpr size_t kWarm = 10'000;
  constexpr size_t kCounted = 2'000;
  std::vector<SharedBytes> frames;
  std::string payload(500, 0);
  for (size_t i = 0; i < kWarm + kCounted; ++i) {
    rng_.fill(MutableBytes(reinterpret_cast<uint8_t*>(payload.data()), payload.size()));
    frames.push_back(block_frame(payload));
  }
  pass(frames, 0, kWarm);
  const size_t before = allocations_of_this_thread();
  pass(frames, kWarm, kWarm + kCounted);
  const size_t counted = allocations_of_this_thread() - before;
  EXPECT_EQ(stats().forwarded, 7 * (kWarm + kCounted));
  // And a few where a table grows.
  EXPECT_LE(counted, 2 * kCounted + 8);
  // Duplicates cost none at all.
  const size_t again = allocations_of_this_thread();
  for (size_t i = kWarm + kCounted - 100; i < kWarm + kCounted; ++i) {
    ASSERT_TRUE(router_->receive(3, frames[i], now_).has_value());
  }
  EXPECT_EQ(allocations_of_this_thread(), again);
}

TEST_F(AllocTest, AnIdlePeerIsSmall) {
  connect(1);
  drain(1);
  const size_t before = allocations_of_this_thread();
  connect(2);  // its state, and the frame of our subscriptions with the queue's places for it
  EXPECT_LE(allocations_of_this_thread() - before, 8u);
  EXPECT_LE(sizeof(PeerState), 640u);
}

}  // namespace
}  // namespace beamline::gossip
