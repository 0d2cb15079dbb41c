// A node with the beacon policy and its store on disk, killed at any point: it begins with the
// head, the checkpoints and the votes of a node that never crashed and was told what the disk has.
#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/rocks_store.h"
#include "tests/chain/restart_world.h"
#include "tests/project/command.h"

namespace beamline::node {
namespace {

using chain::PersistId;
using chain::testing::RestartNode;
using chain::testing::RestartWorld;

// One run, the same each time: a slot a step, and every third step what was said is acknowledged.
struct NodeRun {
  explicit NodeRun(uint64_t seed) : world(seed), node(world, now, std::nullopt) {}
  // What is to be written; the last of it is acknowledged if `synced()`.
  std::deque<chain::Persist> step() {
    ++slot;
    now = {MonoTime{1'000'000'000} + seconds(static_cast<int64_t>(slot)),
           WallTime::from_unix(static_cast<int64_t>(slot)) + milliseconds(500)};
    for (chain::Event& event : world.step(slot)) node.give(now, std::move(event));
    node.turn(now);
    auto said = std::exchange(node.persists, {});
    if (!said.empty()) last = said.back().id;
    return said;
  }
  bool acknowledges() const { return slot % 3 == 0; }
  void acknowledge() {
    if (acknowledges() && last > 0) node.give(now, chain::Persisted{last});
  }

  RestartWorld world;
  Now now{MonoTime{1'000'000'000}, WallTime::from_unix(1)};
  RestartNode node;
  Slot slot = 1;
  PersistId last = 0;
};

[[noreturn]] void run_until_killed(const std::string& path, uint64_t seed, int pipe) {
  RocksStore store({.path = path});
  NodeRun run(seed);
  if (!store.open(run.world.genesis())) _exit(3);
  for (;;) {
    for (const chain::Persist& persist : run.step()) {
      if (!store.apply(persist)) _exit(4);
    }
    if (!run.acknowledges()) continue;
    if (!store.sync()) _exit(5);
    run.acknowledge();
    if (write(pipe, &run.last, sizeof run.last) != sizeof run.last) _exit(6);
  }
}

TEST(RocksRestartCrash, KilledAtAnyPointTheNodeHasTheHeadOfOneThatNeverCrashed) {
  const uint64_t rounds = std::getenv("BEAMLINE_LONG") != nullptr ? 100 : 8;
  uint64_t unacknowledged = 0, epochs_final = 0, votes = 0;
  for (uint64_t seed = 1; seed <= rounds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const test::TemporaryTree directory;
    Rng rng(seed);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      run_until_killed(directory.path(), seed, ends[1]);
    }
    close(ends[1]);
    PersistId acknowledged = 0;
    for (uint64_t acks = 1 + rng.below(25); acks > 0; --acks) {
      ASSERT_EQ(read(ends[0], &acknowledged, sizeof acknowledged),
                static_cast<ssize_t>(sizeof acknowledged))
          << "the node died";
    }
    usleep(static_cast<useconds_t>(rng.below(2000)));
    kill(child, SIGKILL);
    PersistId more = 0;
    while (read(ends[0], &more, sizeof more) == static_cast<ssize_t>(sizeof more)) {
      acknowledged = more;
    }
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);

    RocksStore store({.path = directory.path()});
    NodeRun run(seed);
    auto found = store.open(run.world.genesis());
    ASSERT_TRUE(found) << to_string(found.error());
    const PersistId last = found->last;
    ASSERT_GE(last, acknowledged);
    unacknowledged += last - acknowledged;
    votes += found->records.size();
    while (run.last < last) {
      run.step();
      run.acknowledge();
    }
    const Now now{run.now.mono + seconds(2), run.now.wall + seconds(2)};
    RestartNode restarted(run.world, now, std::move(*found));
    RestartNode never_crashed(run.world, run.node.calls, last, now);
    expect_same(restarted, never_crashed);
    epochs_final += restarted.policy->finalized().number;
    if (HasFailure()) return;
  }
  std::printf(
      "%lu kills, %lu Persists there that were not acknowledged, %lu votes, %lu epochs final\n",
      static_cast<unsigned long>(rounds), static_cast<unsigned long>(unacknowledged),
      static_cast<unsigned long>(votes), static_cast<unsigned long>(epochs_final));
  EXPECT_GT(votes, 0u);
  EXPECT_GT(epochs_final, 0u);
}

}  // namespace
}  // namespace beamline::node
