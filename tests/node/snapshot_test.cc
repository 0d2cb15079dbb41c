// Snapshots of a core that works: readers on other threads see one state, whole, and never hold the
// core up.
#include "chain/snapshot.h"

#include <gtest/gtest.h>

#include "tests/node/core_thread.h"
#include "tests/threads.h"

namespace beamline::node {
namespace {

using namespace chain::testing;
using chain::Snapshot;

constexpr uint32_t kPeers = 8;

// What holds within one state of the chain, and would not between two.
void expect_one_state(const Snapshot& seen) {
  ASSERT_EQ(seen.tree_blocks, seen.stats.imported + 1);
  ASSERT_EQ(seen.tree.size(), std::min<uint64_t>(seen.tree_blocks, 1024));
  ASSERT_EQ(seen.tree.back().root, seen.head.root);
  ASSERT_EQ(seen.tree.back().slot, seen.head.slot);
  for (size_t i = 1; i < seen.tree.size(); ++i) {
    if (seen.tree[i].parent_root != seen.tree[i - 1].root) FAIL() << "torn";
  }
  uint64_t verdicts = 0, charges = 0;
  for (const uint64_t count : seen.stats.verdicts) verdicts += count;
  ASSERT_EQ(verdicts, seen.stats.gossip_blocks);
  for (const auto& peer : seen.peers) {
    uint64_t changes = 0;
    for (const uint32_t count : peer.conducts) changes += count;
    charges += changes - peer.conducts[0];
    ASSERT_EQ(peer.last_reason.has_value(), changes > 0);
  }
  ASSERT_EQ(charges, seen.stats.charges);
  ASSERT_EQ(seen.queues.cached_blocks, seen.queues.orphans + seen.queues.connected +
                                           seen.queues.ready + seen.queues.importing +
                                           seen.queues.delayed + seen.queues.data);
}

TEST(Snapshot, FourReadersUnderAFloodOneOfThemSlowSeeOneStateEach) {
  constexpr size_t kBlocks = kTsan ? 1500 : 3000;
  CoreThread core({.snapshot_interval = {}});
  ASSERT_TRUE(core.start());
  std::atomic<bool> over{false};
  std::atomic<uint64_t> reads{0};
  std::vector<std::thread> readers;
  for (int id = 0; id < 4; ++id) {
    readers.emplace_back([&, id, reader = core.snapshots()] {
      uint64_t last = 0;
      std::vector<Snapshots::Ref> kept;
      while (!over.load() && !testing::Test::HasFatalFailure()) {
        auto seen = reader.acquire();
        if (!seen) {
          rest();
          continue;
        }
        expect_one_state(*seen);
        ASSERT_GE(seen->sequence, last);
        last = seen->sequence;
        ++reads;
        if (id == 0) kept.push_back(std::move(seen));
        rest();
        if (kept.size() < 12) continue;
        for (const auto& old : kept) expect_one_state(*old);
        kept.clear();
      }
    });
  }
  std::vector<chain::Event> events;
  for (uint32_t i = 0; i < kPeers; ++i) events.push_back(chain::PeerUp{{i, 1}});
  const auto blocks = make_chain(make_genesis().root, 1, kBlocks);
  chain::VerdictId verdict = 0;
  for (size_t i = 0; i < kBlocks; ++i) {
    const chain::PeerHandle peer{static_cast<uint32_t>(i % kPeers), 1};
    events.push_back(chain::GossipBlock{peer, ++verdict, blocks[i]});
    events.push_back(chain::GossipBlock{peer, ++verdict, blocks[i / 2]});  // known
    if (i % 500 == 0) {  // does not come after its parent: rejected, and charged
      events.push_back(chain::GossipBlock{peer, ++verdict, make_block(blocks[i].root, 1, i)});
    }
  }
  core.push_all(std::move(events));
  core.wait_imported(kBlocks);
  core.wait_for([&] { return reads >= 100; });
  over = true;
  for (std::thread& reader : readers) reader.join();
  const auto reader = core.snapshots();
  const uint64_t refused = reader.acquire()->stats.cache_refused;
  core.stop();
  EXPECT_EQ(refused, 0u);
  EXPECT_GT(core.core_stats.snapshots, 1u);
  // A reader may outlive the core.
  expect_one_state(*reader.acquire());
}

TEST(Snapshot, TellsHeadPeersAndQueues) {
  CoreThread core({.snapshot_interval = {}});
  ASSERT_TRUE(core.start());
  const auto blocks = make_chain(make_genesis().root, 1, 3);
  const chain::BlockInfo orphan = make_block(root_of(77), 50);
  core.push_all({chain::PeerUp{{4, 1}}, chain::PeerUp{{5, 2}},
                 chain::GossipBlock{{4, 1}, 1, blocks[0]}, chain::GossipBlock{{4, 1}, 2, blocks[1]},
                 chain::GossipBlock{{5, 2}, 3, make_block(blocks[1].root, 1)},
                 chain::GossipBlock{{5, 2}, 4, orphan},
                 chain::PeerStatus{{5, 2}, {}, 0, root_of(99), 60}});
  core.wait_imported(2);
  const auto reader = core.snapshots();
  auto seen = reader.acquire();
  core.wait_for([&] {
    seen = reader.acquire();
    return seen && seen->peers.size() == 2 && seen->peers[1].has_status;
  });
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->head.root, blocks[1].root);
  EXPECT_EQ(seen->finalized.root, make_genesis().root);
  EXPECT_EQ(seen->peers[0].peer, (chain::PeerHandle{4, 1}));
  EXPECT_EQ(seen->peers[0].score, 100);
  EXPECT_FALSE(seen->peers[0].last_reason);
  EXPECT_EQ(seen->peers[1].score, 80);
  EXPECT_EQ(seen->peers[1].penalties, -20);
  EXPECT_EQ(seen->peers[1].last_reason, chain::Conduct::invalid_gossip);
  EXPECT_EQ(seen->peers[1].conducts[static_cast<size_t>(chain::Conduct::invalid_gossip)], 1u);
  EXPECT_EQ(seen->peers[1].head.slot, 60u);
  EXPECT_EQ(seen->queues.orphans, 1u);
  EXPECT_EQ(seen->queues.pending_roots, 2u);
  core.stop();
}

}  // namespace
}  // namespace beamline::node
