#include "loop/reactor.h"

#include <thread>

#include "loop/inbox_port.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

using Steps = std::vector<std::string>;

class ReactorTest : public RingTest {};

struct Step {
  Step(Steps& s, std::string n) : steps(s), name(std::move(n)) {}
  Steps& steps;
  std::string name;
  Ready ready{[](Ready& r) {
                auto& self = *static_cast<Step*>(r.owner);
                self.steps.push_back(self.name);
              },
              this};
  Timer timer{[](Timer& t) {
                auto& self = *static_cast<Step*>(t.owner);
                self.steps.push_back(self.name);
              },
              this};
};

class Hook final : public TurnHook {
 public:
  Hook(Steps& steps, std::string name) : steps_(steps), name_(std::move(name)) {}
  void end_of_turn(Now) override { steps_.push_back(name_); }

 private:
  Steps& steps_;
  std::string name_;
};

class Receiver final : public InboxReceiver<int> {
 public:
  explicit Receiver(Steps& steps) : steps_(steps) {}
  void on_message(int& message) override { steps_.push_back("message " + std::to_string(message)); }

 private:
  Steps& steps_;
};

TEST_F(ReactorTest, TurnRunsReadyThenInboxThenTimersThenHooks) {
  Steps steps;
  Step ready(steps, "ready"), timer(steps, "timer");
  Hook first(steps, "hook 1"), second(steps, "hook 2");
  Receiver receiver(steps);
  InboxPort<int> port(*reactor_, receiver);
  auto producer = port.gate().make_producer(std::array{InboxClass{.nodes = 8}});
  reactor_->add_hook(first);
  reactor_->add_hook(second);
  producer->try_push(0, 1);
  producer->try_push(0, 2);
  reactor_->arm_in(timer.timer, Duration{});
  reactor_->post(ready.ready);
  const Tick tick(*reactor_);
  reactor_->turn();
  EXPECT_EQ(steps, (Steps{"ready", "message 1", "message 2", "timer", "hook 1", "hook 2"}));
  reactor_->remove_hook(first);
  reactor_->remove_hook(second);
}

TEST_F(ReactorTest, WhatIsPostedWhilePostedRunRunsInTheNextTurn) {
  struct Chain {
    Reactor& reactor;
    int runs = 0;
    Ready ready{[](Ready& r) {
                  auto& self = *static_cast<Chain*>(r.owner);
                  if (++self.runs < 3) self.reactor.post(self.ready);
                },
                this};
  } chain{*reactor_};
  reactor_->post(chain.ready);
  reactor_->post(chain.ready);  // posting what is posted changes nothing
  const Tick tick(*reactor_);
  for (int turn = 1; turn <= 3; ++turn) {
    reactor_->turn();
    EXPECT_EQ(chain.runs, turn);
  }
  reactor_->turn();
  EXPECT_EQ(chain.runs, 3);
}

TEST_F(ReactorTest, PostedRunInOrderAndUnpostedDoNotRun) {
  Steps steps;
  Step a(steps, "a"), b(steps, "b"), c(steps, "c");
  reactor_->post(a.ready);
  reactor_->post(b.ready);
  reactor_->post(c.ready);
  reactor_->unpost(b.ready);
  reactor_->unpost(b.ready);
  const Tick tick(*reactor_);
  reactor_->turn();
  EXPECT_EQ(steps, (Steps{"a", "c"}));
}

TEST_F(ReactorTest, InboxKeepsToItsBudgetAndTheTurnDoesNotSleepOnTheRest) {
  reset({}, {.inbox_messages = 100, .inbox_time = seconds(10)});
  Steps steps;
  Receiver receiver(steps);
  InboxPort<int> port(*reactor_, receiver);
  auto producer = port.gate().make_producer(std::array{InboxClass{.nodes = 1000}});
  for (int i = 0; i < 250; ++i) ASSERT_EQ(producer->try_push(0, int{i}), PushResult::ok);
  reactor_->turn();  // without a tick: it would hang if it slept
  EXPECT_EQ(steps.size(), 100u);
  reactor_->turn();
  EXPECT_EQ(steps.size(), 200u);
  const Tick tick(*reactor_);
  reactor_->turn();
  EXPECT_EQ(steps.size(), 250u);
  EXPECT_EQ(reactor_->stats().inbox_budget_hit, 2u);
}

TEST_F(ReactorTest, InboxKeepsToItsTime) {
  class Slow final : public InboxReceiver<int> {
   public:
    explicit Slow(Backend& backend) : backend_(backend) {}
    void on_message(int&) override {
      ++runs;
      const MonoTime end = backend_.now().mono + microseconds(100);
      while (backend_.now().mono < end) {
      }
    }
    int runs = 0;

   private:
    Backend& backend_;
  } slow(backend());
  InboxPort<int> port(*reactor_, slow);
  auto producer = port.gate().make_producer(std::array{InboxClass{.nodes = 200}});
  for (int i = 0; i < 200; ++i) ASSERT_EQ(producer->try_push(0, int{i}), PushResult::ok);
  reactor_->turn();
  EXPECT_EQ(slow.runs, 64);  // looked at every 64 messages
}

TEST_F(ReactorTest, APushWakesASleepingReactor) {
  class Stopper final : public InboxReceiver<int> {
   public:
    explicit Stopper(Reactor& reactor) : reactor_(reactor) {}
    void on_message(int& message) override {
      got = message;
      reactor_.stop();
    }
    int got = 0;

   private:
    Reactor& reactor_;
  } stopper(*reactor_);
  InboxPort<int> port(*reactor_, stopper);
  auto producer = port.gate().make_producer(std::array{InboxClass{.nodes = 8}});
  std::thread pusher([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    producer->try_push(0, 7);
  });
  reactor_->run();  // no timer is armed: only the push can wake it
  pusher.join();
  EXPECT_EQ(stopper.got, 7);
}

TEST_F(ReactorTest, StopClosesTheInboxAfterRunningIt) {
  Steps steps;
  Receiver receiver(steps);
  InboxPort<int> port(*reactor_, receiver);
  auto producer = port.gate().make_producer(std::array{InboxClass{.nodes = 8}});
  producer->try_push(0, 1);
  reactor_->shutdown();
  EXPECT_EQ(steps, (Steps{"message 1"}));
  EXPECT_EQ(producer->try_push(0, 2), PushResult::closed);
}

TEST_F(ReactorTest, BadOptionsAreNamed) {
  const auto field = [](const ReactorOptions& options) {
    const auto reactor = Reactor::create(std::move(*make_ring()), options);
    EXPECT_FALSE(reactor);
    EXPECT_EQ(reactor.error().code, Code::invalid_argument);
    return std::string(reactor.error().field);
  };
  EXPECT_EQ(field({.inbox_messages = 0}), "inbox_messages");
  EXPECT_EQ(field({.inbox_time = {}}), "inbox_time");
  EXPECT_EQ(field({.events = 0}), "events");
}

TEST_F(ReactorTest, BadTcpOptionsAreNamed) {
  const auto field = [&](const TcpOptions& options) {
    const auto tcp = Tcp::create(*reactor_, options);
    EXPECT_FALSE(tcp);
    return std::string(tcp.error().field);
  };
  EXPECT_EQ(field({.max_streams = 0}), "max_streams");
  EXPECT_EQ(field({.max_listeners = 2000}), "max_listeners");
  EXPECT_EQ(field({.buffer_count = 3}), "buffer_count");
  EXPECT_EQ(field({.buffer_count = 0}), "buffer_count");
  EXPECT_EQ(field({.buffer_count = 65'536}), "buffer_count");
  EXPECT_EQ(field({.buffer_size = 1}), "buffer_size");
  EXPECT_EQ(field({.write_chunks = 0}), "write_chunks");
  EXPECT_EQ(field({.write_chunk_size = 1}), "write_chunk_size");
  EXPECT_EQ(field({.write_chunks = 9, .write_nodes = 8}), "write_nodes");
  EXPECT_EQ(field({.write_chunk_size = 64, .stream_queue_bytes = 63}), "stream_queue_bytes");
  EXPECT_EQ(field({.flush_timeout = {}}), "flush_timeout");
}

// A timer late by microseconds, not by the kernel's default slack of 50 us or a tick. The bound is
// loose, for a machine that does other work, and one quiet fifth of a second is enough: the best of
// many is what the loop can do.
TEST_F(ReactorTest, ATickIsLateByMicroseconds) {
  struct Ticker {
    Reactor& reactor;
    std::vector<int64_t> late{};
    Timer timer{[](Timer& t) {
                  auto& self = *static_cast<Ticker*>(t.owner);
                  self.late.push_back((self.reactor.backend().now().mono - t.deadline()).ns);
                  self.reactor.arm_in(self.timer, milliseconds(1));
                },
                this};
  } ticker{*reactor_};
  reactor_->arm_in(ticker.timer, milliseconds(1));
  for (int round = 0; round < 50; ++round) {
    ticker.late.clear();
    while (ticker.late.size() < 200) reactor_->turn();
    std::ranges::sort(ticker.late);
    ASSERT_GE(ticker.late.front(), 0);
    if (ticker.late[20] < 300'000) break;
  }
  reactor_->disarm(ticker.timer);
  EXPECT_LT(ticker.late[20], 300'000);
  RecordProperty("late_ns_p10", std::to_string(ticker.late[20]));
  RecordProperty("late_ns_median", std::to_string(ticker.late[100]));
}

}  // namespace
}  // namespace beamline
