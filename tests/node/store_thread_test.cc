// The storage thread: it acknowledges what is on the disk, tries again what was refused, and a core
// begins where the last one was.
#include <cerrno>

#include <gtest/gtest.h>

#include "chain/sim_store.h"
#include "tests/node/core_thread.h"

namespace beamline::node {
namespace {

using namespace chain::testing;

// Refuses the next so many writes. What else it does is SimStore's, on the storage thread alone.
class RefusingStore final : public chain::Store {
 public:
  Result<chain::Recovered> open(const chain::StoreAnchor& anchor) override {
    ++opened;
    auto found = disk.open(anchor);
    if (found && strip) {
      for (chain::StoredBlock& stored : found->blocks) stored.block.signed_bytes = {};
    }
    return found;
  }
  Status apply(const chain::Persist& persist) override {
    on_core = on_core || std::this_thread::get_id() == core.load();
    if (refusals.load() > 0 && refusals.fetch_sub(1) > 0) {
      ++refused;
      return local_error(Code::io_error, "store write", ENOSPC);
    }
    return disk.apply(persist);
  }
  Status sync() override { return disk.sync(); }
  Result<std::optional<SharedBytes>> state(const Root& block) override { return disk.state(block); }
  Result<std::optional<Root>> canonical(Slot slot) override { return disk.canonical(slot); }
  Result<std::optional<chain::ReadBlock>> block(const Root& root) override {
    on_core = on_core || std::this_thread::get_id() == core.load();
    return disk.block(root);
  }
  Result<std::vector<std::pair<Slot, Root>>> canonical_range(Slot from, Slot end,
                                                             size_t max) override {
    return disk.canonical_range(from, end, max);
  }

  chain::SimStore disk;
  bool strip = false;  // bodies stay on the disk
  std::atomic<int> refusals{0}, refused{0}, opened{0};
  std::atomic<bool> on_core{false};
  std::atomic<std::thread::id> core;
};

// Everything that was said to the store was acknowledged to the chain.
bool all_acknowledged(const Snapshots::Reader& reader, Slot head) {
  const auto seen = reader.acquire();
  return seen && seen->head.slot == head && seen->stats.persists > 0 &&
         seen->stats.persisted == seen->stats.persists;
}

TEST(StoreThread, AcknowledgesAndTheNextCoreBeginsThere) {
  RefusingStore store;
  const auto blocks = make_chain(make_genesis().root, 1, 200);
  {
    CoreThread core({.snapshot_interval = {}}, nullptr, {}, &store);
    ASSERT_TRUE(core.start());
    store.core = core.core_thread;
    core.push_all(gossip_of(blocks));
    core.wait_for([&] { return all_acknowledged(core.snapshots(), 200); });
    core.stop();
    EXPECT_EQ(core.chain_stats.persisted, core.store_stats.acknowledged);
    EXPECT_LE(core.store_stats.syncs, core.store_stats.applied);
  }
  EXPECT_FALSE(store.on_core);
  Rng rng(4);
  store.disk.crash(rng);
  CoreThread core({.snapshot_interval = {}}, nullptr, {}, &store);
  ASSERT_TRUE(core.start());
  core.wait_for([&] {
    const auto seen = core.snapshots().acquire();
    return seen && seen->head.root == blocks.back().root;
  });
  core.push_all(
      {chain::PeerUp{kPeer}, chain::GossipBlock{kPeer, 1, make_block(blocks.back().root, 201)}});
  core.wait_for([&] { return all_acknowledged(core.snapshots(), 201); });
  core.stop();
  EXPECT_EQ(core.chain_stats.restored, 200u);
}

TEST(StoreThread, AStoreThatRefusesIsToldAndTriedAgainInOrder) {
  RefusingStore store;
  const auto blocks = make_chain(make_genesis().root, 1, 50);
  {
    CoreThread core({.snapshot_interval = {}}, nullptr, {}, &store);
    ASSERT_TRUE(core.start());
    store.refusals = 5;
    core.push_all(gossip_of(blocks));
    core.wait_for([&] { return all_acknowledged(core.snapshots(), 50); });
    core.stop();
    EXPECT_EQ(store.refused, 5);
    EXPECT_EQ(core.store_stats.failures, 5u);
    EXPECT_EQ(core.chain_stats.persist_failures, 5u);
    EXPECT_EQ(store.opened, 6);
  }
  const auto found = store.open(make_genesis());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->head.root, blocks.back().root);
  EXPECT_EQ(found->blocks.size(), 50u);
}

TEST(StoreThread, StopsWhileTheStoreRefusesAndKeepsWhatWasAcknowledged) {
  RefusingStore store;
  const auto blocks = make_chain(make_genesis().root, 1, 20);
  uint64_t acknowledged = 0;
  {
    CoreThread core({.snapshot_interval = {}}, nullptr, {}, &store);
    ASSERT_TRUE(core.start());
    core.push_all(gossip_of({blocks.begin(), blocks.begin() + 10}));
    core.wait_for([&] { return all_acknowledged(core.snapshots(), 10); });
    store.refusals = 1'000'000;
    core.push_all(gossip_of({blocks.begin() + 10, blocks.end()}));
    core.wait_for([&] { return store.refused > 2; });
    core.stop();
    acknowledged = core.store_stats.acknowledged;
    EXPECT_GT(core.chain_stats.persists, acknowledged);
  }
  store.refusals = 0;
  Rng rng(5);
  store.disk.crash(rng);
  const auto found = store.open(make_genesis());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->head.root, blocks[9].root);
}

TEST(StoreThread, ReadsWhatPeersAskForAndFailsTheReadsWhileTheStoreRefuses) {
  RefusingStore store;
  const auto blocks = make_chain(make_genesis().root, 1, 40);
  {
    CoreThread core({.snapshot_interval = {}}, nullptr, {}, &store);
    ASSERT_TRUE(core.start());
    core.push_all(gossip_of(blocks));
    core.wait_for([&] { return all_acknowledged(core.snapshots(), 40); });
    core.stop();
  }
  store.strip = true;
  CoreThread core({.snapshot_interval = {}}, nullptr, {}, &store);
  ASSERT_TRUE(core.start());
  store.core = core.core_thread;
  const auto stat = [&](uint64_t chain::Stats::* which) {
    const auto seen = core.snapshots().acquire();
    return seen ? seen->stats.*which : 0;
  };
  const auto ask = [&](chain::ServeId serve) {
    std::vector<Root> roots;
    for (size_t i = 0; i < 10; ++i) roots.push_back(blocks[i].root);
    core.push_all({chain::IncomingByRoot{kPeer, serve, std::move(roots)}});
  };
  core.push_all({chain::PeerUp{kPeer}});
  ask(1);
  core.wait_for([&] { return stat(&chain::Stats::served_from_disk) == 10; });
  store.refusals = 1'000'000;
  core.push_all({chain::GossipBlock{kPeer, 1, make_block(blocks.back().root, 41)}});
  core.wait_for([&] { return store.refused > 1; });
  ask(2);
  core.wait_for([&] { return stat(&chain::Stats::reads_failed) == 1; });
  store.refusals = 0;
  core.wait_for([&] { return all_acknowledged(core.snapshots(), 41); });
  ask(3);
  core.wait_for([&] { return stat(&chain::Stats::served_from_disk) == 20; });
  core.stop();
  EXPECT_EQ(core.store_stats.reads, 2u);
  EXPECT_FALSE(store.on_core);
}

}  // namespace
}  // namespace beamline::node
