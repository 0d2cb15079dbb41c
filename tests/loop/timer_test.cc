#include "loop/timer.h"

#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace beamline {
namespace {

struct Log {
  std::vector<int> fired;
};

// A timer that notes its number when it fires.
struct Numbered {
  Numbered(Log& l, int n) : log(l), number(n) {}
  Log& log;
  int number;
  Timer timer{[](Timer& t) {
                auto& self = *static_cast<Numbered*>(t.owner);
                self.log.fired.push_back(self.number);
              },
              this};
};

TEST(TimerWheelTest, FireInOrderOfDeadlineThenOfArming) {
  TimerWheel wheel(MonoTime{1000});
  Log log;
  std::vector<std::unique_ptr<Numbered>> timers;
  for (int i = 0; i < 5; ++i) timers.push_back(std::make_unique<Numbered>(log, i));
  wheel.arm(timers[0]->timer, MonoTime{5'000'000});
  wheel.arm(timers[1]->timer, MonoTime{4'999'999});
  wheel.arm(timers[2]->timer, MonoTime{5'000'000});
  wheel.arm(timers[3]->timer, MonoTime{90'000'000'000});
  wheel.arm(timers[4]->timer, MonoTime{1});  // passed
  EXPECT_EQ(wheel.fire(MonoTime{5'000'000}), 4u);
  EXPECT_EQ(log.fired, (std::vector<int>{4, 1, 0, 2}));
  EXPECT_EQ(wheel.fire(MonoTime{89'999'999'999}), 0u);
  EXPECT_EQ(wheel.fire(MonoTime{90'000'000'000}), 1u);
}

TEST(TimerWheelTest, NoTimerFiresANanosecondEarlyFromNanosecondsToYears) {
  constexpr int64_t kStart = 123'456'789'012;
  for (int64_t delay = 1; delay < 140LL * 365 * 86'400 * 1'000'000'000 / 5; delay = delay * 5 + 3) {
    TimerWheel wheel(MonoTime{kStart});
    Log log;
    Numbered one(log, 1);
    const MonoTime deadline{kStart + delay};
    wheel.arm(one.timer, deadline);
    EXPECT_EQ(wheel.next_deadline(), deadline);
    EXPECT_EQ(wheel.fire(MonoTime{deadline.ns - 1}), 0u) << delay;
    EXPECT_EQ(wheel.next_deadline(), deadline) << "after a spurious wake";
    EXPECT_EQ(wheel.fire(deadline), 1u) << delay;
    EXPECT_EQ(wheel.next_deadline(), MonoTime::never());
  }
}

TEST(TimerWheelTest, NeverAndDisarmedDoNotFire) {
  TimerWheel wheel(MonoTime{0});
  Log log;
  Numbered a(log, 1), b(log, 2);
  wheel.arm(a.timer, MonoTime::never());
  EXPECT_FALSE(a.timer.armed());
  wheel.arm(b.timer, MonoTime{10});
  wheel.disarm(b.timer);
  wheel.disarm(b.timer);
  EXPECT_EQ(wheel.next_deadline(), MonoTime::never());
  EXPECT_EQ(wheel.fire(MonoTime{INT64_MAX - 1}), 0u);
}

// A callback arms itself for now, disarms one that is due, and moves one that is due.
TEST(TimerWheelTest, CallbacksMayArmAndDisarmAnyOther) {
  TimerWheel wheel(MonoTime{0});
  struct Context {
    TimerWheel& wheel;
    int again = 0, disarmed = 0, moved = 0;
    Timer self{}, victim{}, later{};
  } context{wheel};
  context.self.owner = context.victim.owner = context.later.owner = &context;
  context.self.callback = [](Timer& t) {
    auto& c = *static_cast<Context*>(t.owner);
    if (++c.again == 1) c.wheel.arm(c.self, MonoTime{5});
    c.wheel.disarm(c.victim);
    c.wheel.arm(c.later, MonoTime{20'000'000});
  };
  context.victim.callback = [](Timer& t) { ++static_cast<Context*>(t.owner)->disarmed; };
  context.later.callback = [](Timer& t) { ++static_cast<Context*>(t.owner)->moved; };
  wheel.arm(context.self, MonoTime{10});
  wheel.arm(context.victim, MonoTime{10});
  wheel.arm(context.later, MonoTime{10});
  EXPECT_EQ(wheel.fire(MonoTime{10}), 1u) << "what is armed for now fires in the next call";
  EXPECT_EQ(wheel.fire(MonoTime{10}), 1u);
  EXPECT_EQ(wheel.fire(MonoTime{20'000'000}), 1u);
  EXPECT_EQ(context.again, 2);
  EXPECT_EQ(context.disarmed, 0);
  EXPECT_EQ(context.moved, 1);
}

// After next_deadline() has passed and fire() ran, the next one is later: a reactor that sleeps
// until then does not spin. (Disarmed timers leave early bounds behind; each costs one wake.)
TEST(TimerWheelTest, AWakeAtTheNextDeadlineMovesItOn) {
  TimerWheel wheel(MonoTime{0});
  Log log;
  Numbered early(log, 1), late(log, 2);
  wheel.arm(early.timer, MonoTime{7'000'000'000});
  wheel.arm(late.timer, MonoTime{7'000'500'000});
  wheel.disarm(early.timer);
  int wakes = 0;
  for (MonoTime at = wheel.next_deadline(); at != MonoTime::never(); at = wheel.next_deadline()) {
    wheel.fire(at);
    ASSERT_LT(++wakes, 5);
    const MonoTime next = wheel.next_deadline();
    ASSERT_GT(next, at);
  }
  EXPECT_EQ(log.fired, (std::vector<int>{2}));
}

// Random operations against a sorted map.
class TimerModel {
 public:
  explicit TimerModel(uint64_t seed) : rng_(seed), now_{rng_.between(0, 1LL << 50)}, wheel_(now_) {
    for (int i = 0; i < 40; ++i) timers_.push_back(std::make_unique<Numbered>(log_, i));
  }
  ~TimerModel() {
    for (auto& timer : timers_) wheel_.disarm(timer->timer);
  }

  void step() {
    const auto i = static_cast<int>(rng_.below(timers_.size()));
    const uint64_t what = rng_.below(10);
    if (what < 5) {
      arm(i);
    } else if (what < 7) {
      wheel_.disarm(timers_[static_cast<size_t>(i)]->timer);
      expected_.erase(key_[i]);
      key_.erase(i);
    } else {
      advance();
    }
    check();
  }

 private:
  using Key = std::pair<int64_t, uint64_t>;

  int64_t delay() { return rng_.between(0, (int64_t{1} << rng_.below(56)) - 1) - 2; }
  void arm(int i) {
    const MonoTime deadline{now_.ns + delay()};
    if (const auto old = key_.find(i); old != key_.end()) expected_.erase(old->second);
    key_[i] = {deadline.ns, order_++};
    expected_[key_[i]] = i;
    wheel_.arm(timers_[static_cast<size_t>(i)]->timer, deadline);
  }
  void advance() {
    // Often to the next deadline exactly, or just before it.
    const MonoTime next = wheel_.next_deadline();
    const uint64_t how = rng_.below(4);
    if (how < 2 && next != MonoTime::never()) {
      now_.ns = std::max(now_.ns, next.ns - static_cast<int64_t>(how));
    } else {
      now_.ns += rng_.between(0, (int64_t{1} << rng_.below(52)) - 1);
    }
    std::vector<int> due;
    while (!expected_.empty() && expected_.begin()->first.first <= now_.ns) {
      due.push_back(expected_.begin()->second);
      key_.erase(expected_.begin()->second);
      expected_.erase(expected_.begin());
    }
    log_.fired.clear();
    EXPECT_EQ(wheel_.fire(now_), due.size());
    EXPECT_EQ(log_.fired, due);
    if (wheel_.next_deadline() != MonoTime::never()) {
      EXPECT_GT(wheel_.next_deadline(), now_) << "a reactor would spin";
    }
  }
  void check() {
    EXPECT_EQ(wheel_.armed(), expected_.size());
    const MonoTime next = wheel_.next_deadline();
    if (expected_.empty()) {
      EXPECT_EQ(next, MonoTime::never());
    } else {
      EXPECT_LE(next.ns, expected_.begin()->first.first) << "a timer would be late";
    }
  }

  Rng rng_;
  MonoTime now_;
  TimerWheel wheel_;
  Log log_;
  std::vector<std::unique_ptr<Numbered>> timers_;
  std::map<Key, int> expected_;
  std::map<int, Key> key_;
  uint64_t order_ = 0;
};

TEST(TimerWheelTest, RandomOperationsAgainstASortedMap) {
  for (uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TimerModel model(seed);
    for (int i = 0; i < 2000 && !testing::Test::HasFailure(); ++i) model.step();
  }
}

}  // namespace
}  // namespace beamline
