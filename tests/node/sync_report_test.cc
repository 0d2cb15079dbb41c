// What `beamline sync-report` tells of a sync whose state download has phases of its own, also
// when it was killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/posix_files.h"
#include "node/sync_phases.h"
#include "tests/chain/headers/sync_world.h"
#include "tests/project/command.h"

namespace beamline::node {
namespace {

using chain::testing::HeaderManner;
using chain::testing::SimDisk;
using chain::testing::StateDouble;
using chain::testing::SyncWorld;

uint64_t milliseconds_of(MonoTime time) { return static_cast<uint64_t>(time.ns / 1'000'000); }

// A header sync beside a state download; each of their phases is written as it begins and ends.
class ReportedSync {
 public:
  ReportedSync(chain::StoreDirectory& directory, Duration state, uint64_t headers = 8000)
      : world(7, headers, config()), phases_(std::move(*SyncPhases::open(directory, true))) {
    for (int i = 0; i < 3; ++i) world.add_peer(HeaderManner::honest, milliseconds(80));
    world.state.emplace(
        state, [this](MonoTime at, std::string_view name, std::optional<uint64_t> count) {
          const Status written = count ? phases_.end(name, *count, milliseconds_of(at))
                                       : phases_.begin(name, milliseconds_of(at));
          EXPECT_TRUE(written.has_value());
        });
  }
  // Until it ends, or `done` after a turn. True: it ended.
  bool run(const std::function<bool()>& done) {
    EXPECT_TRUE(phases_.begin("headers", milliseconds_of(world.now.mono)).has_value());
    world.start();
    const bool ended = world.run(seconds(600), [&] {
      if (!headers_ended && world.sync->durable_next() > world.chain.head()) {
        headers_ended = true;
        EXPECT_TRUE(phases_.end("headers", world.chain.head(), milliseconds_of(world.now.mono))
                        .has_value());
      }
      return done();
    });
    if (ended) {
      EXPECT_TRUE(phases_.outcome(chain::name(world.finished->end)).has_value());
    }
    return ended;
  }
  SyncWorld world;
  bool headers_ended = false;

 private:
  static chain::HeaderSyncConfig config() {
    chain::HeaderSyncConfig config;
    config.limits.full_sync_below = 0;
    config.limits.request_first = config.limits.request_max = 128;
    config.limits.requests_per_peer = 2;  // slow enough for phases that are not finished
    return config;
  }
  SyncPhases phases_;
};

std::string report_of(chain::StoreDirectory& directory) {
  const auto phases = SyncPhases::open(directory, false);
  EXPECT_TRUE(phases.has_value());
  return report_text(*phases, 1'000'000);
}

// The line of a phase, or nothing.
std::string row(const std::string& report, std::string_view name) {
  for (size_t at = 0; at < report.size();) {
    const size_t end = std::min(report.find('\n', at), report.size());
    const std::string line = report.substr(at, end - at);
    at = end + 1;
    if (line.starts_with(std::string(name) + "  ")) return line;
  }
  return "";
}

TEST(SyncReport, HeadersRangesInsertionHealingAndBytecodesAreRows) {
  SimDisk disk(1);
  ReportedSync sync(disk, seconds(6));
  ASSERT_TRUE(sync.run([] { return false; }));
  const std::string report = report_of(disk);
  for (const std::string_view name : kSyncPhases) {
    const std::string line = row(report, name);
    EXPECT_NE(line, "") << name << '\n' << report;
    EXPECT_EQ(line.find("unfinished"), std::string::npos) << line;
  }
  EXPECT_NE(row(report, "headers").find("8000"), std::string::npos) << report;
  EXPECT_NE(row(report, "account ranges").find("2400"), std::string::npos) << report;
  EXPECT_NE(row(report, "account ranges").find("2.400 s"), std::string::npos) << report;
  EXPECT_NE(report.find("outcome: synced"), std::string::npos) << report;
  std::printf("%s", report.c_str());
}

// A crash at any turn: what ended is a row, what had begun is named as unfinished, and what had not
// is not there.
TEST(SyncReport, AKilledRunNamesItsUnfinishedPhasesAtEveryStep) {
  uint64_t unfinished = 0;
  for (const int64_t whole : {1, 6}) {
    for (uint64_t step = 1;; step += 3) {
      SCOPED_TRACE(std::to_string(whole) + " s, turn " + std::to_string(step));
      SimDisk disk(step);
      ReportedSync sync(disk, seconds(whole), 3000);
      if (sync.run([&] { return sync.world.turns >= step; })) break;
      disk.crash();
      const std::string report = report_of(disk);
      EXPECT_EQ(row(report, "headers").find("unfinished") == std::string::npos, sync.headers_ended);
      for (const StateDouble::Phase& phase : sync.world.state->phases) {
        const std::string line = row(report, phase.name);
        ASSERT_EQ(line != "", phase.begun.has_value()) << phase.name << '\n' << report;
        const bool open = phase.begun && !phase.ended;
        ASSERT_EQ(line.find("unfinished") != std::string::npos, open) << report;
        unfinished += open ? 1 : 0;
      }
      ASSERT_NE(report.find("outcome: none: it was killed"), std::string::npos) << report;
    }
  }
  EXPECT_GT(unfinished, 15u);
}

// The same with a process, its files, and the program.
TEST(SyncReport, TheProgramTellsOfAKilledProcess) {
  const test::TemporaryTree tree;
  const std::string data = tree.path() + "/data";
  const auto directory = open_directory(data);
  ASSERT_TRUE(directory.has_value());
  const pid_t child = ::fork();
  if (child == 0) {
    ReportedSync sync(**directory, seconds(6));
    sync.run([&] {
      if (sync.world.state->phase("state healing").begun) ::kill(::getpid(), SIGKILL);
      return false;
    });
    ::_exit(1);  // not reached
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const auto report = test::run(std::string(BEAMLINE_PROGRAM) + " sync-report --data " + data);
  EXPECT_EQ(report.status, 0);
  EXPECT_NE(row(report.output, "headers").find("8000"), std::string::npos) << report.output;
  EXPECT_NE(row(report.output, "bytecodes").find("1.620 s"), std::string::npos) << report.output;
  EXPECT_NE(row(report.output, "state healing").find("unfinished"), std::string::npos)
      << report.output;
  EXPECT_EQ(row(report.output, "storage healing"), "") << report.output;
  EXPECT_NE(report.output.find("outcome: none: it was killed"), std::string::npos);
}

}  // namespace
}  // namespace beamline::node
