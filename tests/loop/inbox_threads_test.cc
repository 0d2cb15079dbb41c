// The promises of loop/inbox.h that need threads: order and completeness under load, who destroys
// what, and close racing pushes. Model checking, which proves what these only try, stands in
// inbox_model_test.cc.
#include <barrier>
#include <chrono>
#include <latch>

#include <gtest/gtest.h>

#include "loop/inbox.h"
#include "tests/loop/inbox_fixture.h"
#include "tests/threads.h"

namespace beamline {
namespace {

using namespace inbox_test;

struct Numbered {
  uint32_t producer = 0;
  uint32_t number = 0;
};

// Runs an inbox as a reactor would: drain within a budget, return, sleep.
template <class Msg, class Run>
void run_until(Inbox<Msg>& inbox, BlockingWaker& waker, Run&& run, const bool& done) {
  while (!done) {
    const size_t ran = inbox.drain(100, run);
    inbox.return_spent();
    if (ran != 0 || done || !inbox.prepare_sleep()) continue;
    waker.sleep();
    inbox.awake();
  }
}

class InboxThreadsTest : public testing::TestWithParam<uint32_t> {};

// Each producer mixes single pushes, chains and reservations in a small slab, so that it is full
// again and again, and pauses, so that the owner sleeps.
void produce(Inbox<Numbered>::Producer producer, uint32_t id, uint32_t count) {
  uint32_t number = 0;
  while (number < count) {
    const uint32_t round = number % 97;
    if (round < 40) {
      while (producer.stage(0, Numbered{id, number}) == PushResult::ok) {
        if (++number % 13 == 0 || number == count) break;
      }
      EXPECT_EQ(producer.commit(), PushResult::ok);
    } else if (round < 50) {
      auto reservation = producer.reserve(0);
      if (reservation && producer.push(*reservation, Numbered{id, number}) == PushResult::ok) {
        ++number;
      }
    } else if (producer.try_push(0, Numbered{id, number}) == PushResult::ok) {
      ++number;
    }
    if (producer.free_nodes(0) == 0) rest();
    if (number % 4096 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

TEST_P(InboxThreadsTest, EverythingArrivesInOrder) {
  constexpr uint32_t kEach = kTsan ? 10'000 : 40'000;
  auto waker = std::make_shared<BlockingWaker>();
  Inbox<Numbered> inbox(waker);
  ASSERT_TRUE(inbox.prepare_sleep());  // the first push wakes it
  std::vector<uint32_t> next(GetParam(), 0);
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < GetParam(); ++id) {
    threads.emplace_back(produce, make_producer(inbox, {{.nodes = 64}}), id, kEach);
  }
  uint64_t left = uint64_t{kEach} * GetParam();
  uint64_t out_of_order = 0;
  bool done = false;
  waker->sleep();
  inbox.awake();
  run_until(
      inbox, *waker,
      [&](Numbered& message) {
        if (message.number != next[message.producer]++) ++out_of_order;
        done = --left == 0;
      },
      done);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(out_of_order, 0u);
  inbox.close([](Numbered&) { FAIL() << "one too many"; });
  EXPECT_EQ(inbox.stats().messages, uint64_t{kEach} * GetParam());
  EXPECT_GT(inbox.stats().sleeps, 0u);
}
INSTANTIATE_TEST_SUITE_P(Producers, InboxThreadsTest, testing::Values(1, 2, 4));

TEST(InboxThreads, APushThatReturnedBeforeAnotherBeganRunsFirst) {
  // Two threads take turns: each pushes only after the other's push has returned.
  constexpr int kTurns = 500;  // each is a switch of threads
  auto waker = std::make_shared<BlockingWaker>();
  Inbox<int> inbox(waker);
  std::atomic<int> turn{0};
  std::vector<std::thread> threads;
  for (int id = 0; id < 2; ++id) {
    threads.emplace_back(
        [&turn, id, producer = make_producer(inbox, {{.nodes = kTurns}})]() mutable {
          for (int i = id; i < kTurns; i += 2) {
            // (Relaxed: only the inbox's own word may order the two.)
            for (int now; (now = turn.load(std::memory_order_relaxed)) != i;) {
              turn.wait(now, std::memory_order_relaxed);
            }
            EXPECT_EQ(producer.try_push(0, int{i}), PushResult::ok);
            turn.store(i + 1, std::memory_order_relaxed);
            turn.notify_one();
          }
        });
  }
  int next = 0, wrong = 0;
  bool done = false;
  run_until(
      inbox, *waker,
      [&](int& value) {
        wrong += value != next++;
        done = next == kTurns;
      },
      done);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  inbox.close([](int&) {});
}

TEST(InboxThreads, EveryPayloadIsDestroyedByTheThreadThatMadeIt) {
  constexpr int kEach = 3000;
  Census census;
  auto waker = std::make_shared<BlockingWaker>();
  Inbox<Payload> inbox(waker);
  std::barrier drained(3);
  std::vector<std::thread> threads;
  for (int id = 0; id < 2; ++id) {
    threads.emplace_back([&, producer = make_producer(inbox, {{.nodes = 32}})]() mutable {
      for (int i = 0; i < kEach;) {
        if (producer.try_push(0, Payload(census, i)) == PushResult::ok) {
          ++i;
        } else {
          rest();
        }
      }
      drained.arrive_and_wait();
      producer = {};
    });
  }
  int left = 2 * kEach;
  bool done = false;
  run_until(inbox, *waker, [&](Payload&) { done = --left == 0; }, done);
  drained.arrive_and_wait();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(census.live, 0);
  EXPECT_EQ(census.died_abroad, 0);
  EXPECT_GE(census.died_at_home, 2 * kEach);
  inbox.close([](Payload&) {});
}

// Handles are born and die, also with messages under way, while the inbox closes.
TEST(InboxThreads, CloseRacesPushesBirthsAndDeaths) {
  for (int round = 0; round < (kTsan ? 20 : 60); ++round) {
    Census census;
    auto waker = std::make_shared<BlockingWaker>();
    auto inbox = std::make_unique<Inbox<Payload>>(waker);
    std::atomic<int> accepted{0};
    int ran = 0;
    std::atomic<bool> closed{false};
    std::latch start(4);
    std::vector<std::thread> threads;
    for (int id = 0; id < 3; ++id) {
      threads.emplace_back([&, gate = inbox->gate()] {
        const std::array<InboxClass, 1> classes{{{.nodes = 8}}};
        start.arrive_and_wait();
        for (;;) {
          auto producer = gate.make_producer(classes);
          if (!producer && closed.load(std::memory_order_relaxed)) return;
          for (int i = 0; producer && i < 20; ++i) {
            if (producer->try_push(0, Payload(census, i)) == PushResult::ok) ++accepted;
          }
          rest();
        }
      });
    }
    start.arrive_and_wait();
    for (int turn = 0; turn < 5 * round; ++turn) {
      inbox->drain(10, [&](Payload&) { ++ran; });
      inbox->return_spent();
    }
    inbox->close([&](Payload&) { ++ran; });
    inbox.reset();
    closed = true;
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(ran, accepted) << "what was accepted ran, once";
    EXPECT_EQ(census.live, 0);
  }
}

TEST(InboxThreads, OneSleepNeverGetsTwoWakes) {
  constexpr int kEach = kTsan ? 500 : 2000;
  auto waker = std::make_shared<BlockingWaker>();
  Inbox<int> inbox(waker);
  std::vector<std::thread> threads;
  for (int id = 0; id < 2; ++id) {
    threads.emplace_back([producer = make_producer(inbox, {{.nodes = 4}})]() mutable {
      for (int i = 0; i < kEach;) {
        if (producer.try_push(0, int{i}) == PushResult::ok) {
          ++i;
        } else {
          rest();
        }
      }
    });
  }
  int left = 2 * kEach;
  uint64_t extra = 0;
  while (left > 0) {
    inbox.drain(SIZE_MAX, [&](int&) { --left; });
    inbox.return_spent();
    if (left == 0 || !inbox.prepare_sleep()) continue;
    waker->sleep();
    inbox.awake();
    extra += waker->unconsumed();
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(extra, 0u);
  inbox.close([](int&) {});
}

}  // namespace
}  // namespace beamline
