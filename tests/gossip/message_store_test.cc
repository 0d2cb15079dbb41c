#include "gossip/message_store.h"

#include <map>

#include "gossip/flat_table.h"
#include "gossip/send_queue.h"
#include "router_fixture.h"

namespace beamline::gossip {
namespace {

TEST(FlatTable, PropertyBehavesAsAMap) {
  const uint64_t seed = 5;
  Rng rng(seed);
  FlatTable<MessageId> table{KeyedHash(rng)};
  std::map<MessageId, uint32_t> model;
  for (uint32_t i = 0; i < 100'000; ++i) {
    const MessageId id = numbered_id(rng.below(500));
    if (rng.chance(1, 2)) {
      table.put(id, i);
      model[id] = i;
    } else {
      ASSERT_EQ(table.erase(id), model.erase(id) != 0) << "seed " << seed << " step " << i;
    }
    const MessageId other = numbered_id(rng.below(500));
    const auto it = model.find(other);
    ASSERT_EQ(table.find(other), it == model.end() ? table.kNone : it->second)
        << "seed " << seed << " step " << i;
    ASSERT_EQ(table.size(), model.size());
  }
}

TEST(SeenCache, ForgetsByTimeAndByCount) {
  Rng rng(uint64_t{1});
  SeenCache seen(KeyedHash(rng), seconds(10), 3);
  uint64_t evicted = 0;
  for (uint64_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(
        seen.insert(numbered_id(i), Outcome::accepted, MonoTime{} + seconds(int64_t(i)), evicted));
  }
  EXPECT_EQ(evicted, 1u);
  EXPECT_FALSE(seen.contains(numbered_id(0)));
  EXPECT_TRUE(seen.contains(numbered_id(1)));
  EXPECT_FALSE(seen.insert(numbered_id(1), Outcome::accepted, {}, evicted));
  seen.expire(MonoTime{} + seconds(12));
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_TRUE(seen.contains(numbered_id(3)));
}

struct StoreTest : ::testing::Test {
  uint32_t add(uint64_t n, size_t size = 100) {
    const std::string payload(size, static_cast<char>('a' + n));
    const MessageFrame frame = encode_message(as_bytes("t"), as_bytes(payload));
    uint64_t key = 0;
    EXPECT_EQ(store.find_bytes(0, as_bytes(payload), key), store.kNone);
    return store.add(numbered_id(n), key, frame, {}, evicted);
  }
  Rng rng{uint64_t{1}};
  MessageStore store{KeyedHash(rng), 4, 2000};
  uint64_t evicted = 0;
};

TEST_F(StoreTest, FindsByIdAndByExactBytes) {
  const uint32_t slot = add(1);
  EXPECT_EQ(store.find(numbered_id(1)), slot);
  uint64_t key = 0;
  const std::string same(100, 'b');
  EXPECT_EQ(store.find_bytes(0, as_bytes(same), key), slot);
  EXPECT_EQ(store.find_bytes(1, as_bytes(same), key), store.kNone);  // another topic
  // Equal at all places that the key samples, different elsewhere: not the same message.
  std::string other = same;
  other[30] = 'x';
  EXPECT_EQ(store.find_bytes(0, as_bytes(other), key), store.kNone);
}

TEST_F(StoreTest, MakesRoomFromTheOldestDecidedNeverFromThoseInValidation) {
  const uint32_t waiting = add(0);
  for (uint64_t i = 1; i < 4; ++i) store.decide(add(i), Outcome::accepted, 0, {});
  EXPECT_NE(add(4), store.kNone);
  EXPECT_EQ(evicted, 1u);
  EXPECT_EQ(store.find(numbered_id(1)), store.kNone);
  EXPECT_EQ(store.find(numbered_id(0)), waiting);
  EXPECT_EQ(add(5, 3000), store.kNone);  // over the bound of bytes
}

TEST_F(StoreTest, ExpiryFollowsTheHeartbeats) {
  store.decide(add(1), Outcome::accepted, 0, {});
  store.decide(add(2), Outcome::accepted, 1, {});
  store.expire(1);
  EXPECT_EQ(store.find(numbered_id(1)), store.kNone);
  EXPECT_NE(store.find(numbered_id(2)), store.kNone);
  store.expire(2);
  EXPECT_EQ(store.size(), 0u);
  EXPECT_EQ(store.bytes(), 0u);
}

TEST_F(StoreTest, AHandleDoesNotOutliveItsMessage) {
  const uint32_t slot = add(1);
  const MessageHandle handle{slot, store.at(slot).generation};
  EXPECT_EQ(store.find(handle), slot);
  store.remove(slot);
  EXPECT_EQ(store.find(handle), store.kNone);
  EXPECT_EQ(add(2), slot);  // the slot is used again
  EXPECT_EQ(store.find(handle), store.kNone);
}

SharedBytes frame_of(size_t size) {
  return SharedBytes::build(size, [](MutableBytes out) { std::memset(out.data(), 0, out.size()); });
}

TEST(SendQueue, ControlFirstThenOurOwnThenForwards) {
  SendQueue queue;
  Stats stats;
  const SendQueue::Bounds bounds{1000, 1000};
  queue.push(Lane::forward, frame_of(1), bounds, stats);
  queue.push(Lane::publish, frame_of(2), bounds, stats);
  queue.push(Lane::control, frame_of(3), bounds, stats);
  EXPECT_EQ(queue.pop().size(), 3u);
  EXPECT_EQ(queue.pop().size(), 2u);
  EXPECT_EQ(queue.pop().size(), 1u);
  EXPECT_TRUE(queue.pop().empty());
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(SendQueue, ForwardsGiveWayToOurOwn) {
  SendQueue queue;
  Stats stats;
  const SendQueue::Bounds bounds{1000, 1000};
  for (int i = 0; i < 12; ++i) queue.push(Lane::forward, frame_of(100), bounds, stats);
  EXPECT_EQ(stats.dropped_forwards, 2u);
  EXPECT_TRUE(queue.push(Lane::publish, frame_of(500), bounds, stats));
  EXPECT_EQ(stats.dropped_forwards, 7u);
  EXPECT_TRUE(queue.push(Lane::publish, frame_of(500), bounds, stats));
  EXPECT_FALSE(queue.push(Lane::publish, frame_of(1), bounds, stats));
  EXPECT_EQ(stats.dropped_publishes, 1u);
  EXPECT_LE(queue.bytes(), 1000u);
}

TEST(SendQueue, GossipLeavesRoomForGraftAndPrune) {
  SendQueue queue;
  Stats stats;
  const SendQueue::Bounds bounds{1000, 1000};
  for (int i = 0; i < 8; ++i) queue.push(Lane::gossip, frame_of(100), bounds, stats);
  EXPECT_EQ(stats.dropped_control, 3u);
  EXPECT_TRUE(queue.push(Lane::control, frame_of(100), bounds, stats));
}

}  // namespace
}  // namespace beamline::gossip
