#include "loop/log.h"

#include <condition_variable>
#include <mutex>
#include <vector>

#include <gtest/gtest.h>

namespace beamline {
namespace {

// Keeps what it is told; can be made to wait, as a slow disk does.
class Keep final : public LogSink {
 public:
  void write(const LogLine& line) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !held_; });
    lines.emplace_back(std::string(line.thread) + " " + name(line.level) + " " +
                       std::string(line.text));
    last = line.time;
    changed_.notify_all();
  }
  void dropped(std::string_view, uint64_t count) override {
    const std::lock_guard lock(mutex_);
    lost += count;
  }
  void hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  void wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return lines.size() >= count; });
  }
  std::vector<std::string> lines;
  WallTime last;
  uint64_t lost = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

TEST(Log, LinesComeOutInOrderWithTheirThreadAndLevel) {
  Keep sink;
  {
    Log log(sink);
    const LogThread thread("core");
    log_line(LogLevel::info, "slot %d", 7);
    log_line(LogLevel::debug, "not asked for");
    log_line(LogLevel::error, "%s", std::string(1000, 'x').c_str());
  }
  ASSERT_EQ(sink.lines.size(), 2u);
  EXPECT_EQ(sink.lines[0], "core info slot 7");
  EXPECT_EQ(sink.lines[1], "core error " + std::string(Log::kMaxText - 1, 'x'));
  EXPECT_GT(sink.last, WallTime::from_unix(1'600'000'000));
}

TEST(Log, ASleepingLogThreadIsWoken) {
  Keep sink;
  Log log(sink);
  const LogThread thread("core");
  for (size_t i = 1; i <= 100; ++i) {
    log_line(LogLevel::info, "%zu", i);
    sink.wait_for(i);  // hangs if the wake is lost
  }
}

TEST(Log, AFullRingDropsAndCountsAndNeverWaits) {
  Keep sink;
  sink.hold(true);
  {
    Log log(sink, {.lines = 4});
    const LogThread thread("core");
    for (int i = 0; i < 100; ++i) log_line(LogLevel::info, "%d", i);
    sink.hold(false);
    sink.wait_for(4);
  }
  // One more than the ring may have left for the sink before it held.
  EXPECT_EQ(sink.lines.size() + sink.lost, 100u);
  EXPECT_LE(sink.lines.size(), 5u);
  EXPECT_EQ(sink.lines[0], "core info 0");
}

TEST(Log, ManyThreadsLoseNothingThatFits) {
  constexpr int kThreads = 4, kLines = 500;
  Keep sink;
  {
    Log log(sink, {.lines = 512});
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([t] {
        const LogThread thread("t" + std::to_string(t));
        for (int i = 0; i < kLines; ++i) log_line(LogLevel::info, "%d", i);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(sink.lines.size(), size_t{kThreads * kLines});
  EXPECT_EQ(sink.lost, 0u);
  std::array<int, kThreads> next{};
  for (const std::string& line : sink.lines) {
    const auto t = static_cast<size_t>(line[1] - '0');
    EXPECT_EQ(line, "t" + std::to_string(t) + " info " + std::to_string(next[t]++));
  }
}

TEST(Log, WithoutALogOrAPlaceLinesGoNowhere) {
  log_line(LogLevel::error, "nobody listens");
  const LogThread before("early");
  Keep sink;
  Log log(sink);
  log_line(LogLevel::error, "not attached");
  EXPECT_EQ(log.stats().written, 0u);
  std::vector<std::thread> threads;
  std::atomic<uint32_t> attached{0};
  std::atomic<bool> end{false};
  for (uint32_t i = 0; i <= Log::kMaxThreads; ++i) {
    threads.emplace_back([&] {
      const LogThread thread("many");
      attached.fetch_add(1);
      attached.notify_all();
      end.wait(false);
    });
    for (uint32_t n = 0; (n = attached.load()) <= i;) attached.wait(n);
  }
  EXPECT_EQ(log.stats().refused_threads, 1u);
  end = true;
  end.notify_all();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace beamline
