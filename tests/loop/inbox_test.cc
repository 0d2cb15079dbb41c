// The promises of loop/inbox.h, one thread: order, limits, reservations, chains, lanes, sleep and
// close. What needs threads stands in inbox_threads_test.cc.
#include "loop/inbox.h"

#include <cstdlib>
#include <deque>
#include <map>
#include <new>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/loop/inbox_fixture.h"

namespace beamline {
namespace {

using namespace inbox_test;
using Numbers = Inbox<int>;
using Boxes = Inbox<std::unique_ptr<int>>;

constexpr uint8_t kVotes = 0;
constexpr uint8_t kBlocks = 1;

std::vector<int> ascending(int from, int count) {
  std::vector<int> out;
  for (int i = 0; i < count; ++i) out.push_back(from + i);
  return out;
}

class InboxTest : public testing::Test {
 protected:
  ~InboxTest() override {
    if (!inbox.closed()) inbox.close([](int&) {});
  }
  PushResult push(Numbers::Producer& producer, int value, size_t bytes = 0) {
    return producer.try_push(0, std::move(value), bytes);
  }

  std::shared_ptr<CountingWaker> waker = std::make_shared<CountingWaker>();
  Numbers inbox{waker};
};

TEST_F(InboxTest, RunsWhatOneProducerPushedInItsOrder) {
  auto producer = make_producer(inbox, {{.nodes = 10}});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(push(producer, int{i}), PushResult::ok);
  EXPECT_EQ(drain_all(inbox), ascending(0, 10));
}

TEST_F(InboxTest, OrderHoldsAcrossProducersWhenOnePushReturnedBeforeTheOtherBegan) {
  std::vector<Numbers::Producer> producers;
  for (int i = 0; i < 5; ++i) producers.push_back(make_producer(inbox, {{.nodes = 20}}));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(push(producers[static_cast<size_t>(i * 7 % 5)], int{i}), PushResult::ok);
  }
  EXPECT_EQ(drain_all(inbox), ascending(0, 100));
}

TEST_F(InboxTest, OrderHoldsAcrossDrainsWithALimit) {
  auto first = make_producer(inbox, {{.nodes = 64}});
  auto second = make_producer(inbox, {{.nodes = 64}});
  std::vector<int> seen;
  int next = 0;
  for (int turn = 0; turn < 20; ++turn) {
    for (int i = 0; i < 3; ++i, ++next) push(next % 2 == 0 ? first : second, int{next});
    EXPECT_LE(inbox.drain(2, [&](int& value) { seen.push_back(value); }), 2u);
    inbox.return_spent();
  }
  EXPECT_TRUE(inbox.has_backlog());
  EXPECT_FALSE(inbox.prepare_sleep()) << "it must not sleep while a remainder exists";
  inbox.drain(SIZE_MAX, [&](int& value) { seen.push_back(value); });
  EXPECT_EQ(seen, ascending(0, next));
  EXPECT_EQ(inbox.stats().messages, static_cast<uint64_t>(next));
  EXPECT_FALSE(inbox.has_backlog());
}

// ---- Limits

TEST_F(InboxTest, AnswersFullWhenTheNodesAreUsedUpAndCountsIt) {
  auto producer = make_producer(inbox, {{.nodes = 3}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(push(producer, int{i}), PushResult::ok);
  EXPECT_EQ(producer.free_nodes(0), 0u);
  EXPECT_EQ(push(producer, 3), PushResult::full);
  EXPECT_EQ(push(producer, 3), PushResult::full);
  EXPECT_EQ(producer.stats().full_nodes, 2u);
  EXPECT_EQ(producer.stats().full_bytes, 0u);
  EXPECT_EQ(producer.stats().pushed, 3u);

  // Taken is not returned: the nodes come home at the end of the turn, and only then.
  inbox.drain(SIZE_MAX, [](int&) {});
  EXPECT_EQ(push(producer, 3), PushResult::full);
  inbox.return_spent();
  EXPECT_EQ(push(producer, 3), PushResult::ok);
  EXPECT_EQ(drain_all(inbox), ascending(3, 1));
}

TEST_F(InboxTest, AnswersFullWhenTheBytesAreUsedUpAndCountsIt) {
  auto producer = make_producer(inbox, {{.nodes = 10, .bytes = 100}});
  EXPECT_EQ(push(producer, 0, 60), PushResult::ok);
  EXPECT_EQ(push(producer, 1, 41), PushResult::full);
  EXPECT_EQ(push(producer, 1, SIZE_MAX), PushResult::full);
  EXPECT_EQ(push(producer, 1, 40), PushResult::ok);
  EXPECT_EQ(push(producer, 2, 1), PushResult::full);
  EXPECT_EQ(push(producer, 2, 0), PushResult::ok);
  EXPECT_EQ(producer.stats().full_bytes, 3u);
  EXPECT_EQ(producer.stats().full_nodes, 0u);
  drain_all(inbox);
  EXPECT_EQ(push(producer, 3, 100), PushResult::ok) << "all bytes came back";
}

TEST_F(InboxTest, AFullPushLeavesTheMessageWithItsCaller) {
  Boxes boxes(waker);
  auto producer = make_producer(boxes, {{.nodes = 1, .bytes = 10}});
  auto box = std::make_unique<int>(7);
  EXPECT_EQ(producer.try_push(0, std::move(box), 11), PushResult::full);
  ASSERT_NE(box, nullptr);
  EXPECT_EQ(producer.stage(0, std::move(box), 11), PushResult::full);
  ASSERT_NE(box, nullptr);
  EXPECT_EQ(producer.try_push(0, std::move(box), 10), PushResult::ok);
  EXPECT_EQ(box, nullptr);
  boxes.close([](auto& got) { EXPECT_EQ(*got, 7); });
}

TEST_F(InboxTest, AClassThatIsFullDoesNotStarveAnotherClassOfTheSameProducer) {
  auto producer = make_producer(inbox, {{.nodes = 2}, {.nodes = 1}});
  push(producer, 0), push(producer, 1);
  EXPECT_EQ(push(producer, 2), PushResult::full);
  EXPECT_EQ(producer.try_push(1, 2), PushResult::ok);
  EXPECT_EQ(drain_all(inbox), ascending(0, 3));
}

TEST_F(InboxTest, AProducerThatIsFullDoesNotStarveAnother) {
  auto greedy = make_producer(inbox, {{.nodes = 4}});
  auto modest = make_producer(inbox, {{.nodes = 4}});
  int accepted = 0;
  for (int i = 0; i < 1000; ++i) accepted += push(greedy, int{i}) == PushResult::ok;
  EXPECT_EQ(accepted, 4);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(push(modest, 100 + i), PushResult::ok);
  EXPECT_EQ(modest.stats().full_nodes, 0u);
  EXPECT_EQ(greedy.stats().full_nodes, 996u);
}

TEST_F(InboxTest, AClassWithoutNodesIsAlwaysFull) {
  auto producer = make_producer(inbox, {});
  EXPECT_EQ(push(producer, 1), PushResult::full);
  EXPECT_EQ(producer.try_push(kMaxInboxClasses - 1, 1), PushResult::full);
  EXPECT_FALSE(producer.reserve(0).has_value());
}

TEST_F(InboxTest, HandlesAreLimitedAndTheRefusalIsCounted) {
  const auto gate = inbox.gate();
  std::vector<Numbers::Producer> producers;
  for (uint32_t i = 0; i < kMaxInboxProducers; ++i) producers.push_back(make_producer(inbox, {}));
  EXPECT_FALSE(gate.make_producer({}).has_value());
  EXPECT_EQ(inbox.refused_producers(), 1u);
  producers.pop_back();
  EXPECT_FALSE(gate.make_producer({}).has_value()) << "its death was not seen yet";
  drain_all(inbox);
  EXPECT_TRUE(gate.make_producer({}).has_value());
  EXPECT_EQ(inbox.refused_producers(), 2u);
}

// ---- Reservations

TEST_F(InboxTest, AReservationIsNeverFull) {
  auto producer = make_producer(inbox, {{.nodes = 3, .bytes = 30}});
  auto reservation = producer.reserve(0, 20);
  ASSERT_TRUE(reservation && *reservation);
  EXPECT_EQ(push(producer, 0, 10), PushResult::ok);
  EXPECT_EQ(push(producer, 1, 0), PushResult::ok);
  EXPECT_EQ(push(producer, 2, 0), PushResult::full);
  EXPECT_EQ(producer.push(*reservation, 2), PushResult::ok);
  EXPECT_FALSE(*reservation) << "it is used up";
  EXPECT_EQ(drain_all(inbox), ascending(0, 3));
}

TEST_F(InboxTest, ReservationsAreRefusedAtAdmissionWhenTheSlabIsEmpty) {
  auto producer = make_producer(inbox, {{.nodes = 2}});
  auto first = producer.reserve(0), second = producer.reserve(0);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(producer.reserve(0));
  EXPECT_EQ(producer.stats().full_nodes, 1u);
  EXPECT_EQ(push(producer, 1), PushResult::full);
}

TEST_F(InboxTest, AnUnusedReservationGivesNodeAndBytesBack) {
  auto producer = make_producer(inbox, {{.nodes = 1, .bytes = 5}});
  {
    auto reservation = producer.reserve(0, 5);
  }
  EXPECT_EQ(producer.free_nodes(0), 1u);
  auto kept = producer.reserve(0, 5);
  Numbers::Reservation moved = std::move(*kept);
  kept.reset();
  EXPECT_EQ(producer.free_nodes(0), 0u) << "the place moved on with the reservation";
  moved = Numbers::Reservation();
  EXPECT_EQ(push(producer, 1, 5), PushResult::ok);
}

// ---- Chains

TEST_F(InboxTest, AChainIsOneWriteOfTheSharedWordAndKeepsItsOrder) {
  auto producer = make_producer(inbox, {{.nodes = 64}});
  auto other = make_producer(inbox, {{.nodes = 1}});
  drain_all(inbox);
  ASSERT_TRUE(inbox.prepare_sleep());
  push(other, 0);
  const uint64_t wakes = waker->wakes();
  for (int i = 0; i < 64; ++i) EXPECT_EQ(producer.stage(0, 1 + i), PushResult::ok);
  EXPECT_EQ(producer.stats().pushed, 0u) << "staged is not pushed";
  EXPECT_EQ(producer.commit(), PushResult::ok);
  EXPECT_EQ(producer.stats().chains, 1u);
  EXPECT_EQ(producer.stats().pushed, 64u);
  EXPECT_EQ(waker->wakes(), wakes) << "the first push had woken it";
  inbox.awake();
  EXPECT_EQ(drain_all(inbox), ascending(0, 65));
}

TEST_F(InboxTest, StagingStopsAtTheLimitAndWhatWasStagedIsKept) {
  auto producer = make_producer(inbox, {{.nodes = 3}});
  int staged = 0;
  while (producer.stage(0, int{staged}) == PushResult::ok) ++staged;
  EXPECT_EQ(staged, 3);
  EXPECT_TRUE(drain_all(inbox).empty()) << "nothing is visible before commit()";
  EXPECT_EQ(producer.commit(), PushResult::ok);
  EXPECT_EQ(producer.commit(), PushResult::ok) << "an empty chain does nothing";
  EXPECT_EQ(producer.stats().chains, 1u);
  EXPECT_EQ(drain_all(inbox), ascending(0, 3));
}

TEST_F(InboxTest, ABatchIsStagedAsFarAsItFitsAndTheRestStaysWithItsCaller) {
  Boxes boxes(waker);
  auto producer = make_producer(boxes, {{.nodes = 5, .bytes = 30}});
  std::vector<std::unique_ptr<int>> batch;
  for (int i = 0; i < 4; ++i) batch.push_back(std::make_unique<int>(i));
  EXPECT_EQ(producer.stage(0, std::make_unique<int>(-1)), PushResult::ok);
  EXPECT_EQ(producer.stage_all(0, batch, 10), 3u);
  EXPECT_EQ(batch[2], nullptr);
  ASSERT_NE(batch[3], nullptr);
  EXPECT_EQ(producer.stats().full_bytes, 1u);
  EXPECT_EQ(producer.stage(0, std::move(batch[3])), PushResult::ok);
  EXPECT_EQ(producer.commit(), PushResult::ok);
  EXPECT_EQ(producer.stats().chains, 1u);
  std::vector<int> seen;
  boxes.close([&](auto& box) { seen.push_back(*box); });
  EXPECT_EQ(seen, ascending(-1, 5));
}

TEST_F(InboxTest, AHandleThatDiesPushesWhatItHadStaged) {
  {
    auto producer = make_producer(inbox, {{.nodes = 3}});
    producer.stage(0, 0), producer.stage(0, 1);
  }
  EXPECT_EQ(drain_all(inbox), ascending(0, 2));
  EXPECT_EQ(inbox.stats().producers, 0u);
}

// ---- Lanes

TEST_F(InboxTest, VotesCannotStarveBlocks) {
  inbox.set_lane_weights(std::array<uint32_t, 2>{4, 1});
  auto producer = make_producer(inbox, {{.nodes = 1000, .lane = 0}, {.nodes = 10, .lane = 1}});
  for (int i = 0; i < 1000; ++i) producer.try_push(kVotes, int{i});
  for (int i = 0; i < 10; ++i) producer.try_push(kBlocks, 10'000 + i);
  std::vector<int> seen;
  inbox.drain(50, [&](int& value) { seen.push_back(value); });
  std::vector<int> votes, blocks;
  for (int value : seen) (value >= 10'000 ? blocks : votes).push_back(value);
  EXPECT_EQ(votes, ascending(0, 40)) << "four votes, then a block";
  EXPECT_EQ(blocks, ascending(10'000, 10)) << "in order within the lane";
  EXPECT_EQ(inbox.stats().backlog, 960u);
}

TEST_F(InboxTest, WeightsHoldAcrossDrainsOfAnySize) {
  inbox.set_lane_weights(std::array<uint32_t, 3>{3, 2, 1});
  auto producer = make_producer(
      inbox, {{.nodes = 600, .lane = 0}, {.nodes = 600, .lane = 1}, {.nodes = 600, .lane = 2}});
  for (int i = 0; i < 1800; ++i) producer.try_push(static_cast<uint8_t>(i % 3), i % 3);
  std::map<int, int> served;
  for (int turn = 0; turn < 300; ++turn) {
    EXPECT_EQ(inbox.drain(1, [&](int& lane) { ++served[lane]; }), 1u);
  }
  for (int turn = 0; turn < 60; ++turn) inbox.drain(5, [&](int& lane) { ++served[lane]; });
  EXPECT_EQ(served[0], 300);
  EXPECT_EQ(served[1], 200);
  EXPECT_EQ(served[2], 100);
}

TEST_F(InboxTest, AnEmptyLaneCostsTheOthersNothing) {
  inbox.set_lane_weights(std::array<uint32_t, 4>{1, 1, 1, 1});
  auto producer = make_producer(inbox, {{.nodes = 100, .lane = 3}});
  for (int i = 0; i < 100; ++i) push(producer, int{i});
  std::vector<int> seen;
  EXPECT_EQ(inbox.drain(100, [&](int& value) { seen.push_back(value); }), 100u);
  EXPECT_EQ(seen, ascending(0, 100));
}

// ---- Sleep and wake

TEST_F(InboxTest, APushBetweenDrainAndSleepRefusesTheSleep) {
  auto producer = make_producer(inbox, {{.nodes = 4}});
  drain_all(inbox);
  push(producer, 1);
  EXPECT_FALSE(inbox.prepare_sleep());
  EXPECT_EQ(inbox.stats().sleeps_refused, 1u);
  EXPECT_EQ(waker->wakes(), 0u) << "nobody slept";
  EXPECT_EQ(drain_all(inbox), ascending(1, 1));
  EXPECT_TRUE(inbox.prepare_sleep());
  EXPECT_EQ(inbox.stats().sleeps, 1u);
  inbox.awake();
}

TEST_F(InboxTest, OneSleepTakesAtMostOneWake) {
  auto first = make_producer(inbox, {{.nodes = 50}});
  auto second = make_producer(inbox, {{.nodes = 50}});
  drain_all(inbox);
  for (int sleep = 0; sleep < 5; ++sleep) {
    ASSERT_TRUE(inbox.prepare_sleep());
    for (int i = 0; i < 10; ++i) push(first, int{i}), push(second, int{i});
    EXPECT_EQ(waker->wakes(), static_cast<uint64_t>(sleep + 1));
    inbox.awake();
    EXPECT_EQ(drain_all(inbox).size(), 20u);
  }
  EXPECT_EQ(first.stats().wakes + second.stats().wakes, 5u);
}

TEST_F(InboxTest, AfterAWakeOfAnotherCauseAPushDoesNotWake) {
  auto producer = make_producer(inbox, {{.nodes = 4}});
  drain_all(inbox);
  ASSERT_TRUE(inbox.prepare_sleep());
  inbox.awake();  // a timer, say
  push(producer, 1);
  EXPECT_EQ(waker->wakes(), 0u);
  EXPECT_EQ(drain_all(inbox), ascending(1, 1));
}

TEST_F(InboxTest, BirthAndDeathOfAHandleWakeASleeper) {
  ASSERT_TRUE(inbox.prepare_sleep());
  auto producer = make_producer(inbox, {{.nodes = 1}});
  EXPECT_EQ(waker->wakes(), 1u);
  inbox.awake();
  drain_all(inbox);
  EXPECT_EQ(inbox.stats().producers, 1u);
  ASSERT_TRUE(inbox.prepare_sleep());
  {
    auto dying = std::move(producer);
  }
  EXPECT_EQ(waker->wakes(), 2u);
  inbox.awake();
  drain_all(inbox);
  EXPECT_EQ(inbox.stats().producers, 0u);
}

// ---- Close

TEST_F(InboxTest, CloseRunsWhatCameBeforeAndRefusesTheRest) {
  Boxes boxes(waker);
  auto producer = make_producer(boxes, {{.nodes = 8}});
  for (int i = 0; i < 3; ++i) producer.try_push(0, std::make_unique<int>(i));
  auto reservation = producer.reserve(0);
  std::vector<int> seen;
  boxes.drain(1, [&](auto& box) { seen.push_back(*box); });
  boxes.close([&](auto& box) { seen.push_back(*box); });
  EXPECT_EQ(seen, ascending(0, 3));
  EXPECT_TRUE(producer.closed());

  auto box = std::make_unique<int>(9);
  EXPECT_EQ(producer.try_push(0, std::move(box)), PushResult::closed);
  ASSERT_NE(box, nullptr) << "the message stays with its caller";
  EXPECT_EQ(producer.push(*reservation, std::move(box)), PushResult::closed);
  ASSERT_NE(box, nullptr);
  EXPECT_TRUE(*reservation);
  EXPECT_EQ(producer.stage(0, std::move(box)), PushResult::ok);
  EXPECT_EQ(producer.commit(), PushResult::closed);
  EXPECT_EQ(producer.stats().pushed, 3u);
  reservation.reset();
  producer.reclaim();
  EXPECT_EQ(producer.free_nodes(0), 8u) << "every node came home";
  EXPECT_FALSE(boxes.gate().make_producer({}).has_value());
}

TEST_F(InboxTest, ASlabThatIsEmptyAnswersClosedOnceTheInboxIs) {
  auto producer = make_producer(inbox, {{.nodes = 0}});
  EXPECT_EQ(push(producer, 1), PushResult::full);
  inbox.close([](int&) {});
  EXPECT_EQ(push(producer, 1), PushResult::closed);
}

TEST_F(InboxTest, AClosedInboxLetsItsOwnerSleep) {
  auto producer = make_producer(inbox, {{.nodes = 1}});
  inbox.close([](int&) {});
  EXPECT_TRUE(inbox.prepare_sleep()) << "or a reactor that is shutting down would spin";
  EXPECT_EQ(push(producer, 1), PushResult::closed);
  inbox.awake();
  EXPECT_TRUE(inbox.closed());
  EXPECT_EQ(waker->wakes(), 0u);
  EXPECT_EQ(inbox.drain(1, [](int&) {}), 0u);
}

TEST_F(InboxTest, CloseOfASleepingInboxIsClosed) {
  ASSERT_TRUE(inbox.prepare_sleep());
  inbox.close([](int&) { FAIL(); });
  EXPECT_TRUE(inbox.closed());
}

// ---- Ownership of payloads

class InboxLifeTest : public testing::Test {
 protected:
  using Payloads = Inbox<Payload>;
  std::shared_ptr<CountingWaker> waker = std::make_shared<CountingWaker>();
  Census census;
};

TEST_F(InboxLifeTest, APayloadLivesUntilItsProducerTakesItHome) {
  Payloads inbox(waker);
  auto producer = make_producer(inbox, {{.nodes = 2}});
  producer.try_push(0, Payload(census, 1));
  inbox.drain(1, [](Payload& payload) { EXPECT_TRUE(payload.present()); });
  inbox.return_spent();
  EXPECT_EQ(census.live, 1) << "the reactor frees no foreign memory";
  producer.reclaim();
  EXPECT_EQ(census.live, 0);
  inbox.close([](Payload&) {});
}

TEST_F(InboxLifeTest, AHandleMayOutliveTheInbox) {
  std::optional<Payloads> inbox(waker);
  auto producer = make_producer(*inbox, {{.nodes = 4}});
  auto gate = inbox->gate();
  for (int i = 0; i < 2; ++i) producer.try_push(0, Payload(census, i));
  inbox->close([](Payload&) {});
  inbox.reset();
  EXPECT_EQ(census.live, 2);
  EXPECT_EQ(producer.try_push(0, Payload(census, 3)), PushResult::closed);
  EXPECT_EQ(producer.stage(0, Payload(census, 4)), PushResult::ok);
  EXPECT_FALSE(gate.make_producer({}).has_value());
  producer = {};
  EXPECT_EQ(census.live, 0);
}

TEST_F(InboxLifeTest, TheInboxMayOutliveAHandleWhoseBlockGoesWithItsLastNode) {
  Payloads inbox(waker);
  {
    auto producer = make_producer(inbox, {{.nodes = 4}});
    for (int i = 0; i < 4; ++i) producer.try_push(0, Payload(census, i));
  }
  EXPECT_EQ(census.live, 4);
  int expected = 0;
  for (int turn = 0; turn < 4; ++turn) {
    EXPECT_EQ(inbox.stats().producers, turn == 0 ? 0u : 1u);
    inbox.drain(1, [&](Payload& payload) { EXPECT_EQ(payload.number(), expected++); });
    inbox.return_spent();
    EXPECT_EQ(census.live, turn < 3 ? 4 : 0) << turn;
  }
  EXPECT_EQ(inbox.stats().producers, 0u);
  inbox.close([](Payload&) { FAIL(); });
}

TEST_F(InboxLifeTest, CloseFreesTheBlocksOfDeadHandles) {
  Payloads inbox(waker);
  auto survivor = make_producer(inbox, {{.nodes = 4}});
  survivor.try_push(0, Payload(census, 0));
  for (int i = 1; i < 4; ++i) {
    auto producer = make_producer(inbox, {{.nodes = 4}});
    producer.try_push(0, Payload(census, i));
    if (i == 2) inbox.drain(1, [](Payload&) {});
  }
  int ran = 0;
  inbox.close([&](Payload&) { ++ran; });
  EXPECT_EQ(ran, 3);
  EXPECT_EQ(census.live, 1) << "only the survivor's, which is its own to destroy";
  survivor = {};
  EXPECT_EQ(census.live, 0);
}

TEST_F(InboxLifeTest, AHandleThatDiesWhileAnotherOneLivesLeavesItAlone) {
  Payloads inbox(waker);
  auto first = make_producer(inbox, {{.nodes = 2}});
  auto second = make_producer(inbox, {{.nodes = 2}});
  auto third = make_producer(inbox, {{.nodes = 2}});
  for (auto* producer : {&first, &second, &third}) producer->try_push(0, Payload(census, 1));
  second = {};
  inbox.drain(SIZE_MAX, [](Payload&) {});
  inbox.return_spent();
  EXPECT_EQ(inbox.stats().producers, 2u);
  first.reclaim(), third.reclaim();
  EXPECT_EQ(census.live, 0);
  for (auto* producer : {&first, &third}) {
    EXPECT_EQ(producer->try_push(0, Payload(census, 2)), PushResult::ok);
  }
  inbox.close([](Payload&) {});
}

// ---- Any sequence of calls against a plain list

TEST(InboxPropertyTest, AnySequenceOfCallsBehavesLikeAQueue) {
  const char* fixed = std::getenv("BEAMLINE_SEED");
  const uint64_t first = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < first + (fixed != nullptr ? 1 : 200); ++seed) {
    SCOPED_TRACE(testing::Message() << "replay: BEAMLINE_SEED=" << seed);
    Rng rng(seed);
    Census census;
    auto waker = std::make_shared<CountingWaker>();
    Inbox<Payload> inbox(waker);
    std::deque<int> expected;
    std::vector<std::optional<Inbox<Payload>::Producer>> producers(4);
    int next = 0;
    for (int step = 0; step < 300; ++step) {
      auto& producer = producers[rng.below(producers.size())];
      if (!producer) {
        producer = make_producer(inbox, {{.nodes = 5, .bytes = 100}});
        continue;
      }
      switch (rng.below(8)) {
        case 0:
          producer.reset();
          break;
        case 1:
        case 2:
          if (producer->try_push(0, Payload(census, next), rng.below(60)) == PushResult::ok) {
            expected.push_back(next++);
          }
          break;
        case 3:
          for (uint64_t i = rng.below(4); i > 0; --i) {
            if (producer->stage(0, Payload(census, next)) == PushResult::ok) {
              expected.push_back(next++);
            }
          }
          EXPECT_EQ(producer->commit(), PushResult::ok);
          break;
        case 4:
          producer->reclaim();
          break;
        case 5:
          if (auto reservation = producer->reserve(0)) {
            if (rng.chance(1, 2)) {
              EXPECT_EQ(producer->push(*reservation, Payload(census, next)), PushResult::ok);
              expected.push_back(next++);
            }
          }
          break;
        default:
          inbox.drain(rng.below(6), [&](Payload& payload) {
            ASSERT_FALSE(expected.empty());
            EXPECT_EQ(payload.number(), expected.front());
            expected.pop_front();
          });
          if (rng.chance(3, 4)) inbox.return_spent();
      }
      if (HasFatalFailure()) return;
      ASSERT_LE(expected.size(), static_cast<size_t>(next));
    }
    inbox.close([&](Payload& payload) {
      EXPECT_EQ(payload.number(), expected.front());
      expected.pop_front();
    });
    EXPECT_TRUE(expected.empty());
    producers.clear();
    EXPECT_EQ(census.live, 0);
    if (testing::Test::HasFailure()) return;
  }
}

// ---- Misuse dies

using InboxDeathTest = InboxTest;

// A payload whose move looks into the handle again: two uses at once, without a race.
struct Reentrant {
  Inbox<Reentrant>::Producer* producer = nullptr;
  Reentrant() = default;
  Reentrant(Reentrant&& other) noexcept : producer(other.producer) {
    if (producer != nullptr) producer->try_push(0, Reentrant());
  }
  Reentrant& operator=(Reentrant&&) = default;
};

TEST_F(InboxDeathTest, TwoUsesOfOneHandleAtOnce) {
  EXPECT_DEATH(
      {
        Inbox<Reentrant> reentrant(waker);
        auto producer = make_producer(reentrant, {{.nodes = 4}});
        Reentrant message;
        message.producer = &producer;
        producer.try_push(0, std::move(message));
      },
      "flag_");
}

TEST_F(InboxDeathTest, AReservationThatOutlivesItsProducer) {
  EXPECT_DEATH(
      {
        auto producer = make_producer(inbox, {{.nodes = 4}});
        auto reservation = producer.reserve(0);
        producer = {};
      },
      "reserved == 0");
}

TEST_F(InboxDeathTest, AReservationOfAnotherProducer) {
  auto first = make_producer(inbox, {{.nodes = 1}});
  auto second = make_producer(inbox, {{.nodes = 1}});
  auto reservation = first.reserve(0);
  EXPECT_DEATH(second.push(*reservation, 1), "home_ == block_");
}

TEST_F(InboxDeathTest, AnInboxThatWasNotClosed) { EXPECT_DEATH(Numbers{waker}, "closed"); }

TEST_F(InboxDeathTest, APushBeforeTheChainWasCommitted) {
  auto producer = make_producer(inbox, {{.nodes = 2}});
  producer.stage(0, 1);
  EXPECT_DEATH(push(producer, 2), "staged");
}

#ifdef BL_ASAN
// The memory of a message that came home belongs to nobody until the next push.
TEST_F(InboxTest, ASpentNodeIsPoisoned) {
  auto producer = make_producer(inbox, {{.nodes = 4}});
  const int* seen = nullptr;
  EXPECT_EQ(push(producer, 7), PushResult::ok);
  inbox.drain(10, [&](int& message) { seen = &message; });
  ASSERT_NE(seen, nullptr);
  inbox.return_spent();
  producer.reclaim();
  EXPECT_NE(__asan_address_is_poisoned(seen), 0);
}
#endif

}  // namespace
}  // namespace beamline
