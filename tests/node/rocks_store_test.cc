// The store on disk: restarts from what it had acknowledged, whenever it is killed, and whatever
// the file system refuses.
#include "node/rocks_store.h"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/chain/blocks.h"
#include "tests/node/failing_env.h"
#include "tests/project/command.h"

namespace beamline::node {
namespace {

using namespace chain::testing;
using chain::Persist;
using chain::StoredBlock;

using Directory = test::TemporaryTree;

// The nth of a series of Persists: one block more, with its state; every tenth a reorg of three
// blocks, every seventh forgets an old one.
struct Series {
  std::vector<chain::BlockInfo> chain{make_genesis()};
  Persist next(uint64_t n) {
    Persist persist;
    persist.id = n;
    if (n % 10 == 0) chain.resize(std::max<size_t>(chain.size() - 3, 1));
    const chain::BlockInfo block =
        make_block(chain.back().root, chain.back().slot + 1, n, 200 + n % 7 * 400);
    chain.push_back(block);
    persist.blocks.push_back({block, {}, {}});
    persist.states.emplace_back(block.root, SharedBytes::copy(block.root.view()));
    persist.canonical = chain::CanonicalChange{block.slot, {{block.slot, block.root}}};
    persist.head = chain::BlockTree::Tip{block.root, block.slot};
    return persist;
  }
};

// What the store must hold after at least `acknowledged` and at most `sent` of the series: the
// state after some n in between, whole. Returns n.
uint64_t check(RocksStore& store, uint64_t acknowledged, uint64_t sent) {
  const auto found = store.open(make_genesis());
  if (!found) {
    ADD_FAILURE() << to_string(found.error());
    return 0;
  }
  std::vector<Root> heads{make_genesis().root};
  Series series;
  std::map<Root, uint64_t> made;
  for (uint64_t n = 1; n <= sent; ++n) {
    const Persist persist = series.next(n);
    made[persist.blocks[0].block.root] = n;
    heads.push_back(persist.head->root);
  }
  const auto at = std::find(heads.begin(), heads.end(), found->head.root);
  const auto n = static_cast<uint64_t>(at - heads.begin());
  EXPECT_LE(n, sent) << "a head that never was";
  EXPECT_GE(n, acknowledged) << "it was acknowledged";
  EXPECT_EQ(found->blocks.size(), n);
  EXPECT_EQ(found->unconnected, 0u);
  for (const StoredBlock& stored : found->blocks) {
    EXPECT_LE(made[stored.block.root], n);
    EXPECT_TRUE(equal(Bytes(stored.block.signed_bytes).first(32), stored.block.root.view()));
    const auto state = store.state(stored.block.root);
    EXPECT_TRUE(state && *state && equal(**state, stored.block.root.view()));
  }
  Series again;
  for (uint64_t i = 1; i <= n; ++i) again.next(i);
  for (size_t i = 1; i < again.chain.size(); ++i) {
    EXPECT_EQ(**store.canonical(again.chain[i].slot), again.chain[i].root);
  }
  EXPECT_FALSE(*store.canonical(again.chain.back().slot + 1));
  return n;
}

TEST(RocksStore, BeginsEmptyAndComesBack) {
  const Directory directory;
  {
    RocksStore store({.path = directory.path()});
    EXPECT_EQ(check(store, 0, 0), 0u);
    Series series;
    for (uint64_t n = 1; n <= 49; ++n) ASSERT_TRUE(store.apply(series.next(n)));
    ASSERT_TRUE(store.sync());
  }
  RocksStore store({.path = directory.path()});
  EXPECT_EQ(check(store, 49, 49), 49u);
  // A chain begins with it.
  auto found = store.open(make_genesis());
  chain::ChainConfig config = make_config();
  config.anchor = found->anchor.block;
  chain::Chain chain(config);
  const Root head = found->head.root;
  ASSERT_TRUE(chain.restore({}, std::move(*found)));
  EXPECT_EQ(chain.head().root, head);
  EXPECT_TRUE(chain.store().get(head));
  // Not with another genesis.
  chain::BlockInfo other = make_genesis();
  other.root = root_of(12);
  EXPECT_EQ(store.open(other).error().code, Code::mismatch);
}

TEST(RocksStore, LoadsNoMoreBodiesThanItMay) {
  const Directory directory;
  RocksStore store({.path = directory.path(), .load_bytes = 4000});
  ASSERT_TRUE(store.open(make_genesis()));
  Series series;
  for (uint64_t n = 1; n <= 9; ++n) ASSERT_TRUE(store.apply(series.next(n)));
  const auto found = store.open(make_genesis());
  ASSERT_TRUE(found);
  uint64_t bytes = 0;
  for (const StoredBlock& stored : found->blocks) bytes += stored.block.signed_bytes.size();
  EXPECT_LE(bytes, 4000u);
  EXPECT_FALSE(found->blocks.back().block.signed_bytes.empty());
  EXPECT_TRUE(found->blocks.front().block.signed_bytes.empty());
}

TEST(RocksStore, APathThatCannotBeIsATypedError) {
  RocksStore store({.path = "/proc/beamline-no-such-place"});
  const auto opened = store.open(make_genesis());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::io_error);
  EXPECT_FALSE(store.apply(Persist{}));
  EXPECT_FALSE(store.sync());
}

// ---- Killed

// The child writes the series, and says through the pipe how far it was acknowledged.
[[noreturn]] void write_until_killed(const std::string& path, int pipe, uint64_t from) {
  RocksStore store({.path = path});
  if (!store.open(make_genesis())) _exit(3);
  Series series;
  for (uint64_t n = 1; n <= from; ++n) series.next(n);
  for (uint64_t n = from + 1;; ++n) {
    if (!store.apply(series.next(n))) _exit(4);
    if (n % 3 != 0) continue;
    if (!store.sync()) _exit(5);
    if (write(pipe, &n, sizeof n) != sizeof n) _exit(6);
  }
}

TEST(RocksStoreCrash, KilledAtAnyPointItHasWhatItAcknowledged) {
  const bool all = std::getenv("BEAMLINE_LONG") != nullptr;
  const Directory directory;
  Rng rng(all ? 77u : 7u);
  uint64_t have = 0, kept_more = 0;
  for (int round = 0; round < (all ? 200 : 20); ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      write_until_killed(directory.path(), ends[1], have);
    }
    close(ends[1]);
    // Some kills come while it opens, most while it writes.
    const uint64_t acks = rng.below(12);
    uint64_t acknowledged = have;
    for (uint64_t i = 0; i < acks; ++i) {
      uint64_t n = 0;
      ASSERT_EQ(read(ends[0], &n, sizeof n), static_cast<ssize_t>(sizeof n)) << "the writer died";
      acknowledged = n;
    }
    usleep(static_cast<useconds_t>(rng.below(3000)));
    kill(child, SIGKILL);
    uint64_t n = 0;
    while (read(ends[0], &n, sizeof n) == static_cast<ssize_t>(sizeof n)) acknowledged = n;
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    RocksStore store({.path = directory.path()});
    have = check(store, acknowledged, acknowledged + 100'000 / 1000);
    kept_more += have - acknowledged;
    ASSERT_FALSE(testing::Test::HasFailure()) << "round " << round;
  }
  std::printf("%lu Persists, %lu of them never acknowledged\n", static_cast<unsigned long>(have),
              static_cast<unsigned long>(kept_more));
}

// ---- A machine that stops: what was not synced to the disk is gone.
TEST(RocksStoreCrash, WhatWasNotSyncedMayGoWhatWasAcknowledgedStays) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    const Directory directory;
    Rng rng(seed);
    FailingEnv env;
    uint64_t acknowledged = 0, sent = 0;
    {
      RocksStore store({.path = directory.path(), .env = env.get()});
      ASSERT_TRUE(store.open(make_genesis()));
      Series series;
      for (sent = 1; sent <= 40 + rng.below(40); ++sent) {
        ASSERT_TRUE(store.apply(series.next(sent)));
        if (!rng.chance(1, 5)) continue;
        ASSERT_TRUE(store.sync());
        acknowledged = sent;
      }
      env.freeze();
    }
    env.lose_unsynced(rng);
    RocksStore store({.path = directory.path()});
    check(store, acknowledged, sent);
  }
}

// ---- A file system that refuses
void refuse(int err) {
  // Every write of a run of 30, one after the other: those of opening, too.
  FailingEnv counting;
  uint64_t writes = 0;
  {
    const Directory directory;
    RocksStore store({.path = directory.path(), .env = counting.get()});
    ASSERT_TRUE(store.open(make_genesis()));
    Series series;
    for (uint64_t n = 1; n <= 30; ++n) {
      ASSERT_TRUE(store.apply(series.next(n)));
      if (n % 4 == 0) {
        ASSERT_TRUE(store.sync());
      }
    }
    writes = counting.writes();
  }
  ASSERT_GT(writes, 30u);
  uint64_t failures = 0;
  const uint64_t stride = std::getenv("BEAMLINE_LONG") != nullptr ? 1 : 8;
  for (uint64_t nth = err == ENOSPC ? 0 : stride / 2; nth < writes; nth += stride) {
    SCOPED_TRACE("write " + std::to_string(nth));
    const Directory directory;
    FailingEnv env;
    env.fail_at(nth, err);
    uint64_t acknowledged = 0;
    {
      RocksStore store({.path = directory.path(), .env = env.get()});
      const auto failed = [&](const Error& error) {
        ++failures;
        EXPECT_EQ(error.code, Code::io_error);
        EXPECT_EQ(error.offset, static_cast<uint32_t>(err));
        EXPECT_EQ(error.fault, Fault::local);
        env.heal();
        EXPECT_TRUE(store.open(make_genesis()));
      };
      if (const auto opened = store.open(make_genesis()); !opened) failed(opened.error());
      Series series;
      std::vector<Persist> unsynced;
      for (uint64_t n = 1; n <= 30; ++n) {
        unsynced.push_back(series.next(n));
        Status done = store.apply(unsynced.back());
        if (done && n % 4 == 0) done = store.sync();
        if (!done) {
          failed(done.error());
          // As the storage thread does it: the same again, in order.
          for (const Persist& persist : unsynced) ASSERT_TRUE(store.apply(persist));
          if (n % 4 == 0) {
            ASSERT_TRUE(store.sync());
          }
        }
        if (n % 4 != 0) continue;
        unsynced.clear();
        acknowledged = n;
      }
      env.freeze();
    }
    Rng rng(nth);
    env.lose_unsynced(rng);
    RocksStore store({.path = directory.path()});
    check(store, acknowledged, 30);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GE(failures, writes / stride);
  std::printf("%lu writes, every %lu refused, %lu reported\n", static_cast<unsigned long>(writes),
              static_cast<unsigned long>(stride), static_cast<unsigned long>(failures));
}

TEST(RocksStoreCrash, NoSpaceAtEachWriteIsATypedErrorAndLosesNothing) { refuse(ENOSPC); }
TEST(RocksStoreCrash, AnIoErrorAtEachWriteIsATypedErrorAndLosesNothing) { refuse(EIO); }

}  // namespace
}  // namespace beamline::node
