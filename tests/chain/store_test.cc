// The chain and its store: what was acknowledged survives every crash, and a chain goes on from it.
#include <gtest/gtest.h>

#include "chain/sim_store.h"
#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

ChainConfig persisting(BlockInfo anchor = make_genesis()) {
  ChainConfig config = make_config();
  config.anchor = std::move(anchor);
  config.persist = true;
  return config;
}

// A chain and its store; a storage thread that has the time it wants.
struct Disk {
  Disk() { begin(); }

  // Opens the store and begins with what it holds.
  void begin() {
    auto found = store.open(make_genesis());
    ASSERT_TRUE(found) << to_string(found.error());
    ASSERT_EQ(found->unconnected, 0u);
    bench.emplace(persisting(found->anchor.block));
    const Root head = found->head.root;
    ASSERT_TRUE(bench->chain.restore(bench->now, std::move(*found)));
    bench->turn();
    ASSERT_EQ(bench->chain.head().root, head);
    waiting.clear();
    bench->up(kPeerA);
    for (Slot slot = 0; slot <= bench->chain.head().slot; ++slot) {
      const auto kept = store.canonical(slot);
      const auto range = bench->chain.tree().canonical_range(slot, 1, 1);
      if (range.empty() || range.front() == bench->chain.anchor().root) continue;
      EXPECT_EQ(*kept, range.front());
    }
  }
  void turn() {
    bench->turn();
    for (Persist& persist : bench->chain.take_persists()) waiting.push_back(std::move(persist));
  }
  // Writes up to `many` Persists; with `sync`, acknowledges them.
  void write(size_t many, bool sync) {
    PersistId last = 0;
    for (; many > 0 && applied < waiting.size(); --many, ++applied) {
      ASSERT_TRUE(store.apply(waiting[applied]));
      last = waiting[applied].id;
    }
    if (!sync || applied == 0) return;
    ASSERT_TRUE(store.sync());
    last = waiting[applied - 1].id;
    for (size_t i = 0; i < applied; ++i) {
      for (const StoredBlock& stored : waiting[i].blocks) acknowledged.insert(stored.block.root);
      for (const Root& root : waiting[i].erased) acknowledged.erase(root);
    }
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(applied));
    applied = 0;
    bench->give(Persisted{last});
  }
  void crash(Rng& rng) {
    store.crash(rng);
    applied = 0;
    begin();
  }

  SimStore store;
  std::optional<Bench> bench;
  std::vector<Persist> waiting;
  size_t applied = 0;
  std::set<Root> acknowledged;
};

TEST(Store, ARestartGoesOnWhereTheChainWas) {
  Disk disk;
  const auto blocks = make_chain(make_genesis().root, 1, 40);
  for (const BlockInfo& block : blocks) {
    disk.bench->gossip(kPeerA, block);
    disk.turn();
    disk.write(SIZE_MAX, true);
  }
  EXPECT_EQ(disk.bench->chain.stats().persisted, disk.bench->chain.stats().persists);
  Rng rng(1);
  disk.crash(rng);
  EXPECT_EQ(disk.bench->chain.head().root, blocks.back().root);
  EXPECT_EQ(disk.bench->chain.stats().restored, 40u);
  // It serves what it had, and takes what follows.
  EXPECT_TRUE(disk.bench->chain.store().get(blocks[7].root));
  disk.bench->gossip(kPeerA, make_block(blocks.back().root, 41));
  disk.turn();
  EXPECT_EQ(disk.bench->chain.head().slot, 41u);
}

TEST(Store, ACrashLosesOrTearsOnlyWhatWasNotSynced) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Disk disk;
    std::vector<BlockInfo> known{make_genesis()};
    uint64_t lost = 0;
    for (int step = 0; step < 300; ++step) {
      if (rng.chance(1, 40)) {
        const size_t before = disk.bench->chain.tree().size();
        ASSERT_NO_FATAL_FAILURE(disk.crash(rng));
        for (const Root& root : disk.acknowledged) {
          ASSERT_TRUE(disk.bench->chain.tree().contains(root)) << "it was acknowledged";
        }
        lost += before - disk.bench->chain.tree().size();
        std::erase_if(known, [&](const BlockInfo& block) {
          return !disk.bench->chain.tree().contains(block.root);
        });
        // What was not acknowledged may be there all the same.
        for (const BlockInfo& block : known) disk.acknowledged.insert(block.root);
        disk.acknowledged.erase(make_genesis().root);
      }
      // Forks and reorgs: a block on one of the last few.
      const size_t back = rng.below(std::min<size_t>(known.size(), 4));
      const BlockInfo& parent = known[known.size() - 1 - back];
      const BlockInfo block =
          make_block(parent.root, parent.slot + 1 + rng.below(3),
                     static_cast<uint64_t>(step) + 1000 * seed, 100 + rng.below(1500));
      disk.bench->gossip(kPeerA, block);
      if (rng.chance(2, 3)) disk.turn();
      if (disk.bench->chain.tree().contains(block.root)) known.push_back(block);
      if (rng.chance(1, 2)) {
        ASSERT_NO_FATAL_FAILURE(disk.write(rng.below(4), rng.chance(1, 2)));
      }
    }
    if (seed == 1) {
      EXPECT_GT(lost, 0u) << "no crash had anything to lose";
    }
  }
}

TEST(Store, AStoreThatIsBehindHoldsImportsAndLosesNothing) {
  ChainConfig config = persisting();
  config.limits.persists_in_flight = 4;
  Bench bench(config);
  bench.up(kPeerA);
  std::vector<Persist> waiting;
  for (const BlockInfo& block : make_chain(make_genesis().root, 1, 20)) {
    bench.gossip(kPeerA, block);
    bench.turn();
    for (Persist& persist : bench.chain.take_persists()) waiting.push_back(std::move(persist));
  }
  EXPECT_EQ(waiting.size(), 4u);
  EXPECT_EQ(bench.chain.head().slot, 4u);
  EXPECT_EQ(bench.chain.cache().size(), 16u);
  EXPECT_GT(bench.chain.stats().persist_pauses, 0u);
  bench.give(PersistFailed{Error{"store write", 28, Code::io_error, Fault::local}});
  EXPECT_EQ(bench.chain.stats().persist_failures, 1u);
  bench.give(Persisted{4});
  bench.turn();
  EXPECT_EQ(bench.chain.head().slot, 20u);
  ASSERT_EQ(bench.chain.take_persists().size(), 1u);  // a turn is one Persist
  // An acknowledgement of what was never said, or again, changes nothing.
  bench.give(Persisted{99});
  bench.give(Persisted{2});
  EXPECT_EQ(bench.chain.stats().persisted, 4u);
}

TEST(Store, PrunedBlocksGoAndTheAnchorRises) {
  Disk disk;
  ChainConfig config = persisting();
  config.limits.tree_blocks = 16;
  config.limits.archive_slots = 20;
  disk.bench.emplace(config);
  disk.bench->up(kPeerA);
  const auto blocks = make_chain(make_genesis().root, 1, 100, 3000);
  for (const BlockInfo& block : blocks) {
    disk.bench->gossip(kPeerA, block);
    disk.turn();
    disk.write(SIZE_MAX, true);
  }
  EXPECT_LT(disk.store.bytes(), 100u * 3000);
  EXPECT_GT(disk.store.compactions(), 0u);
  Rng rng(3);
  disk.crash(rng);
  EXPECT_EQ(disk.bench->chain.head().root, blocks.back().root);
  EXPECT_EQ(disk.bench->chain.anchor().root, blocks[84].root);
  // What the tree has no room for is kept a little longer.
  EXPECT_GE(disk.store.archived(), 4u);
  EXPECT_LE(disk.store.archived(), 8u);
  EXPECT_TRUE(*disk.store.block(blocks[80].root));
  EXPECT_FALSE(*disk.store.block(blocks[70].root));
}

TEST(Store, ANewChainInAnOldStoreIsRefused) {
  SimStore store;
  ASSERT_TRUE(store.open(make_genesis()));
  BlockInfo other = make_genesis();
  other.root = root_of(5);
  EXPECT_EQ(store.open(other).error().code, Code::mismatch);
  EXPECT_TRUE(store.open(make_genesis()));
}

TEST(Store, FailedWritesAreTypedAndLoseNothing) {
  for (uint64_t nth = 0; nth < 24; ++nth) {
    Disk disk;
    const auto blocks = make_chain(make_genesis().root, 1, 10);
    disk.store.fail_from(nth, nth % 2 == 0 ? 28 : 5);
    for (const BlockInfo& block : blocks) {
      disk.bench->gossip(kPeerA, block);
      disk.turn();
      for (int attempt = 0; attempt < 2; ++attempt) {
        Status done;
        for (const Persist& persist : disk.waiting) {
          if (done) done = disk.store.apply(persist);
        }
        if (done) done = disk.store.sync();
        if (done) break;
        EXPECT_EQ(done.error().code, Code::io_error);
        EXPECT_EQ(done.error().offset, nth % 2 == 0 ? 28u : 5u);
        disk.store.heal();
        ASSERT_TRUE(disk.store.open(make_genesis()));  // and then the same again
      }
      disk.bench->give(Persisted{disk.waiting.back().id});
      disk.waiting.clear();
    }
    Rng rng(nth);
    disk.crash(rng);
    EXPECT_EQ(disk.bench->chain.head().root, blocks.back().root);
  }
}

TEST(Store, RecordsComeBackAsTheyWereAndGarbageDoesNot) {
  Persist persist;
  persist.id = 7;
  persist.blocks.push_back({make_block(root_of(1), 5, 2, 300), {}, {}});
  persist.blocks.back().post.justified = {3, root_of(4)};
  persist.states.emplace_back(root_of(9), SharedBytes::copy(as_bytes("state")));
  persist.erased.push_back(root_of(8));
  persist.canonical = CanonicalChange{4, {{5, root_of(6)}}};
  persist.head = BlockTree::Tip{root_of(6), 5};
  persist.finalized = Checkpoint{1, root_of(2)};
  persist.archived.push_back(root_of(10));
  persist.archive_from = 3;
  persist.dropped_states.push_back(root_of(11));
  persist.records.push_back({77, SharedBytes::copy(as_bytes("vote"))});
  const std::vector<uint8_t> bytes = encode(persist);
  const auto again = decode_persist(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(encode(*again), bytes);
  EXPECT_EQ(again->blocks[0].post.justified, (Checkpoint{3, root_of(4)}));
  EXPECT_FALSE(again->justified);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_persist(Bytes(bytes).first(size))) << size;
  }
  Rng rng(11);
  for (int i = 0; i < 2000; ++i) {
    std::vector<uint8_t> garbage = bytes;
    for (int flips = 0; flips < 4; ++flips) {
      garbage[rng.below(garbage.size())] = static_cast<uint8_t>(rng.next());
    }
    if (const auto decoded = decode_persist(garbage)) {
      EXPECT_LE(encode(*decoded).size(), bytes.size());
    }
  }
}

}  // namespace
}  // namespace beamline::chain
