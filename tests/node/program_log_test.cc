// The sink of the program's log: spdlog on stderr, here a pipe that may be full.
#include "node/program_log.h"

#include <regex>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "loop/backends.h"
#include "loop/reactor.h"

namespace beamline {
namespace {

// stderr is a small pipe while this lives. Nobody reads it before read_all() begins to.
class StderrPipe {
 public:
  StderrPipe() : before_(dup(STDERR_FILENO)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    read_ = ends[0];
  }
  ~StderrPipe() {
    restore();
    close(read_);
  }
  // Reads on another thread, until the log has written all.
  void read_all() {
    reader_ = std::thread([this] {
      std::array<char, 4096> part;
      for (ssize_t n; (n = read(read_, part.data(), part.size())) > 0;) {
        text_.append(part.data(), static_cast<size_t>(n));
      }
    });
  }
  // REQUIRES: read_all(), and the log is gone.
  std::vector<std::string> lines() {
    restore();
    reader_.join();
    std::istringstream in(text_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

 private:
  void restore() {
    if (before_ < 0) return;
    dup2(before_, STDERR_FILENO);
    close(std::exchange(before_, -1));
  }
  int before_;
  int read_ = -1;
  std::thread reader_;
  std::string text_;
};

TEST(SpdlogSink, DrainsEachLineWithItsTimeLevelThreadAndText) {
  StderrPipe pipe;
  pipe.read_all();
  {
    const auto sink = make_spdlog_sink();
    Log log(*sink, {.level = LogLevel::debug});
    const LogThread thread("core");
    log_line(LogLevel::debug, "slot %d", 7);
    log_line(LogLevel::info, "%s", "{} %s");  // nothing formats it again
    log_line(LogLevel::warning, "late");
    log_line(LogLevel::error, "%s", "");
  }
  const std::vector<std::string> lines = pipe.lines();
  const std::array<const char*, 4> ends{"debug core: slot 7", "info core: {} %s",
                                        "warning core: late", "error core: "};
  ASSERT_EQ(lines.size(), ends.size());
  const std::regex stamp(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (.*))");
  for (size_t i = 0; i < lines.size(); ++i) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(lines[i], match, stamp)) << lines[i];
    EXPECT_EQ(match[1], ends[i]);
  }
}

// Were the reactor to wait for the sink, this test would not end: nobody reads before it is done.
TEST(SpdlogSink, OneThatBlocksNeverBlocksTheReactorAndWhatItDropsIsCounted) {
  constexpr int kTurns = 2000, kLines = 10;
  class Talker final : public TurnHook {
   public:
    explicit Talker(Reactor& reactor) : reactor_(reactor) {
      again_.callback = [](Ready&) {};
    }
    void end_of_turn(Now) override {
      for (int i = 0; i < kLines; ++i) log_line(LogLevel::info, "line %d", said++);
      if (said == kTurns * kLines) return reactor_.stop();
      reactor_.post(again_);
    }
    int said = 0;

   private:
    Reactor& reactor_;
    Ready again_;
  };
  StderrPipe pipe;
  LogStats stats;
  {
    const auto sink = make_spdlog_sink();
    Log log(*sink, {.lines = 64});
    {
      const LogThread thread("core");
      // No line of the reactor's own, however slow the machine.
      auto reactor = std::move(
          *Reactor::create(std::move(*make_backend(BackendKind::auto_)), {.stall = seconds(60)}));
      Talker talker(*reactor);
      reactor->add_hook(talker);
      reactor->run();
      EXPECT_EQ(talker.said, kTurns * kLines);
      pipe.read_all();
    }
    while ((stats = log.stats()).written + stats.dropped < kTurns * kLines) {
      std::this_thread::yield();
    }
  }
  uint64_t written = 0, dropped = 0;
  int last = -1;
  const std::regex line(R"(.* info core: line (\d+))");
  const std::regex loss(R"(.* warning core: (\d+) lines dropped: the log was too slow)");
  for (const std::string& each : pipe.lines()) {
    std::smatch match;
    if (std::regex_match(each, match, line)) {
      ++written;
      EXPECT_GT(std::stoi(match[1]), last) << "in order";
      last = std::stoi(match[1]);
    } else {
      ASSERT_TRUE(std::regex_match(each, match, loss)) << each;
      dropped += std::stoull(match[1]);
    }
  }
  EXPECT_EQ(written, stats.written);
  EXPECT_EQ(dropped, stats.dropped);
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(written + dropped, uint64_t{kTurns * kLines});
}

}  // namespace
}  // namespace beamline
