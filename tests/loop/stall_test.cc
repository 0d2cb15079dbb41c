// Turns that take too long: counted, named, caught in the act, and kept in the flight recorder.
#include <fcntl.h>
#include <unistd.h>

#include "loop/flight_recorder.h"
#include "loop/log.h"
#include "loop/watchdog.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

class Keep final : public LogSink {
 public:
  void write(const LogLine& line) override { text += std::string(line.text) + "\n"; }
  void dropped(std::string_view, uint64_t) override {}
  std::string text;  // to be read when the log has died
};

MonoTime clock_now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return {now.tv_sec * 1'000'000'000 + now.tv_nsec};
}

[[gnu::noinline]] void be_busy(Duration d) {
  const MonoTime end = clock_now() + d;
  while (clock_now() < end) {
  }
}

class Stall : public RingTest {};

TEST_F(Stall, ALongTurnIsCountedAndLoggedWithItsLongestCallback) {
  Keep sink;
  {
    Log log(sink);
    const LogThread thread("core");
    // However long the quick one is held up, the slow one takes 20 ms more.
    Duration took;
    Timer quick(
        [](Timer& timer) {
          const MonoTime start = clock_now();
          be_busy(milliseconds(1));
          *static_cast<Duration*>(timer.owner) = clock_now() - start;
        },
        &took);
    Timer slow(
        [](Timer& timer) { be_busy(milliseconds(20) + *static_cast<Duration*>(timer.owner)); },
        &took);
    quick.name = "quick tick";
    slow.name = "slow tick";
    reactor_->arm_in(quick, Duration{});
    reactor_->arm_in(slow, Duration{});
    ASSERT_TRUE(turn_until([&] { return reactor_->stats().timers >= 2; }));
  }
  EXPECT_EQ(reactor_->stats().stalls, 1u);
  EXPECT_GE(reactor_->stats().longest_stall, milliseconds(20));
  EXPECT_NE(sink.text.find("in one callback: slow tick"), std::string::npos) << sink.text;
}

TEST_F(Stall, TheBoundIsAnOption) {
  reset({}, {.stall = milliseconds(1)});
  Ready busy([](Ready&) { be_busy(milliseconds(2)); }, nullptr);
  reactor_->post(busy);
  ASSERT_TRUE(turn_until([&] { return reactor_->stats().posted == 1; }));
  EXPECT_EQ(reactor_->stats().stalls, 1u);
  auto refused = Reactor::create(std::move(*make_test_backend()), {.stall = Duration{}});
  ASSERT_FALSE(refused);
  EXPECT_STREQ(refused.error().field, "stall");
}

TEST_F(Stall, QuickTurnsAreNotCounted) {
  reset({}, {.stall = seconds(30)});
  Ready ready([](Ready&) { be_busy(milliseconds(2)); }, nullptr);
  for (uint64_t i = 1; i <= 5; ++i) {
    reactor_->post(ready);
    ASSERT_TRUE(turn_until([&] { return reactor_->stats().posted == i; }));
  }
  EXPECT_EQ(reactor_->stats().stalls, 0u);
}

TEST_F(Stall, AWatchdogCapturesTheStackOfATurnThatIsStuck) {
  Keep sink;
  {
    Log log(sink);
    auto watchdog = Watchdog::start({.limit = milliseconds(30), .interval = milliseconds(5)});
    ASSERT_TRUE(watchdog) << to_string(watchdog.error());
    const Watchdog::Watch watch(**watchdog, *reactor_);
    struct Stuck {
      Watchdog& watchdog;
      static void run(Ready& ready) {
        const Watchdog& dog = static_cast<Stuck*>(ready.owner)->watchdog;
        const MonoTime end = clock_now() + seconds(20);
        while (dog.stuck() == 0 && clock_now() < end) {
        }
      }
    } stuck{**watchdog};
    Ready ready(Stuck::run, &stuck);
    reactor_->post(ready);
    ASSERT_TRUE(turn_until([&] { return reactor_->stats().posted == 1; }));
    EXPECT_EQ((*watchdog)->stuck(), 1u);  // once for one turn
  }
  EXPECT_NE(sink.text.find("a turn has been running for"), std::string::npos) << sink.text;
  EXPECT_NE(sink.text.find("#3 "), std::string::npos) << sink.text;
}

TEST_F(Stall, AWatchdogLeavesReactorsThatSleepAlone) {
  constexpr Duration kLimit = milliseconds(100);
  reset({}, {.stall = milliseconds(1)});
  auto watchdog = Watchdog::start({.limit = kLimit, .interval = milliseconds(1)});
  ASSERT_TRUE(watchdog);
  const Watchdog::Watch watch(**watchdog, *reactor_);
  Ready last([](Ready&) {}, nullptr);
  struct Again {
    Reactor& reactor;
    Ready& ready;
  } again{*reactor_, last};
  // One sleep, much longer than the limit.
  Timer timer(
      [](Timer& t) {
        const auto& a = *static_cast<Again*>(t.owner);
        a.reactor.post(a.ready);
      },
      &again);
  reactor_->arm_in(timer, 3 * kLimit);
  while (timer.armed()) reactor_->turn();
  reactor_->unpost(last);
  // On a machine that holds a turn up, the reactor says the same of it.
  EXPECT_LE((*watchdog)->stuck(), reactor_->stats().stalls);
  EXPECT_LE(reactor_->stats().turns, 10u) << "it did not sleep";
}

TEST_F(Stall, WrongWatchdogOptionsAreNamed) {
  EXPECT_STREQ(Watchdog::start({.limit = Duration{}}).error().field, "limit");
  EXPECT_STREQ(Watchdog::start({.interval = Duration{}}).error().field, "interval");
  EXPECT_STREQ(Watchdog::start({.signal = 9}).error().field, "signal");
}

std::string dump(const FlightRecorder& recorder) {
  char path[] = "/tmp/beamline-flight-XXXXXX";
  const int fd = mkstemp(path);
  recorder.dump(fd);
  std::string text(static_cast<size_t>(lseek(fd, 0, SEEK_END)), '\0');
  EXPECT_EQ(pread(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  close(fd);
  unlink(path);
  return text;
}

TEST(FlightRecorder, KeepsTheLastTurnsAndWhatTheyDid) {
  FlightRecorder recorder(MonoTime{0});
  TurnTotals totals;
  for (uint64_t turn = 0; turn < 3000; ++turn) {
    recorder.begin_turn(MonoTime{static_cast<int64_t>(turn) * 1'000'000});
    recorder.ran("recv");
    totals.completions += turn;
    recorder.end_turn(totals);
  }
  EXPECT_EQ(recorder.turns(), 3000u);
  EXPECT_EQ(recorder.past(0).start.ns, 2'999'000'000);
  EXPECT_EQ(recorder.past(1000).totals.completions, 1999u * 2000 / 2);
  const std::string text = dump(recorder);
  EXPECT_EQ(std::ranges::count(text, '\n'), 1024);  // a heading, 1,022 turns, the open one
  EXPECT_NE(text.find("\nturn 2999 at -0 us"), std::string::npos);
  EXPECT_NE(text.find("2998 completions, 0 posted, 0 messages, 0 timers; longest recv"),
            std::string::npos);
}

TEST(FlightRecorder, AnEmptyOneCanBeWritten) {
  const FlightRecorder recorder(MonoTime{5});
  EXPECT_EQ(dump(recorder),
            "flight recorder: the last 0 of 0 turns\nturn 0 is not over; longest so far: none\n");
}

void fail_in_the_second_turn() {
  dump_flight_on_check();
  // Made here: a ring stays with the process that made it.
  const auto reactor = std::move(*Reactor::create(std::move(*make_test_backend())));
  Ready bad([](Ready&) { check_failed("the sky is up", __FILE__, __LINE__); }, nullptr);
  // What it posts runs in the next turn, so that no turn waits.
  struct Then {
    Reactor& reactor;
    Ready& next;
  } second{*reactor, bad};
  Ready good(
      [](Ready& ready) {
        auto& then = *static_cast<Then*>(ready.owner);
        then.reactor.post(then.next);
      },
      &second);
  good.name = "good one";
  reactor->post(good);
  reactor->turn();
  reactor->turn();
}

TEST(StallDeathTest, AFailedCheckWritesTheFlightRecorder) {
  testing::FLAGS_gtest_death_test_style = "fast";
  EXPECT_DEATH(fail_in_the_second_turn(),
               "the sky is up(.|\n)*flight recorder: the last 1 of 1 turns(.|\n)*1 posted(.|\n)*"
               "turn 1 is not over");
}

}  // namespace
}  // namespace beamline
