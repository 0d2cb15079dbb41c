// No allocation after start: a push, a drain and all between live on what the handle was made with.
#include <gtest/gtest.h>

#include "loop/inbox.h"
#include "tests/loop/allocations.h"
#include "tests/loop/inbox_fixture.h"

namespace beamline {
namespace {

using namespace inbox_test;

TEST(InboxAllocTest, NothingIsAllocatedAfterTheHandleWasMade) {
  auto waker = std::make_shared<CountingWaker>();
  Inbox<uint64_t> inbox(waker);
  auto producer = make_producer(inbox, {{.nodes = 64}, {.nodes = 8, .lane = 1}});
  const uint64_t before = allocations_of_this_thread();
  for (uint32_t turn = 0; turn < 100; ++turn) {
    for (uint32_t i = 0; i < 70; ++i) producer.try_push(0, uint64_t{i});  // some are full
    auto reservation = producer.reserve(1);
    producer.push(*reservation, uint64_t{turn});
    for (uint32_t i = 0; i < 4; ++i) producer.stage(1, uint64_t{i});
    producer.commit();
    inbox.drain(50, [](uint64_t&) {});
    inbox.drain(50, [](uint64_t&) {});
    inbox.return_spent();
    if (inbox.prepare_sleep()) inbox.awake();
    producer.reclaim();
  }
  EXPECT_EQ(allocations_of_this_thread(), before);
  EXPECT_GT(producer.stats().full_nodes, 0u);
  inbox.close([](uint64_t&) {});
}

}  // namespace
}  // namespace beamline
