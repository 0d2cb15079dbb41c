// The worker pool: the client's callbacks never run on the core's thread, a full pool re-queues,
// and nothing is lost.
#include <gtest/gtest.h>

#include "tests/node/core_thread.h"

namespace beamline::node {
namespace {

using namespace chain::testing;
using chain::Verdict;

// Answers `valid`, unless told otherwise; keeps who called it.
class Client final : public BlockClient {
 public:
  Verdict verify(const chain::BlockInfo& block, chain::Origin) override {
    note();
    if (hold.load()) hold.wait(true);
    if (throws.load() && throws.fetch_sub(1) > 0) throw std::runtime_error("a bug of the client");
    return block.proposer == 666 ? Verdict::invalid_block : Verdict::valid;
  }
  chain::ImportVerdict import(const chain::BlockInfo&, chain::Origin) override {
    note();
    ++imports;
    chain::ImportVerdict result;
    result.import = 12345;  // is not ours to say
    return result;
  }
  void release() {
    hold = false;
    hold.notify_all();
  }

  std::atomic<bool> hold{false};
  std::atomic<int> throws{0};
  std::atomic<uint64_t> calls{0}, imports{0}, on_core{0};
  std::atomic<std::thread::id> core;

 private:
  void note() {
    ++calls;
    if (std::this_thread::get_id() == core.load()) ++on_core;
  }
};

// Children of the genesis: all of them can be imported at once, in any order.
std::vector<chain::BlockInfo> siblings(uint64_t count) {
  std::vector<chain::BlockInfo> blocks;
  for (uint64_t i = 0; i < count; ++i) {
    blocks.push_back(make_block(make_genesis().root, 1 + i, 1000 + i));
  }
  return blocks;
}

TEST(WorkerPool, NoClientCallbackRunsOnTheCoresThread) {
  Client client;
  CoreThread core({}, &client, {.workers = 2, .jobs = 16});
  ASSERT_TRUE(core.start());
  client.core = core.core_thread;
  core.push_all(gossip_of(make_chain(make_genesis().root, 1, 300)));
  core.wait_imported(300);
  core.stop();
  EXPECT_EQ(client.on_core, 0u);
  EXPECT_EQ(client.calls, 600u);
  EXPECT_EQ(core.worker_stats.submitted, 300u);
  EXPECT_EQ(core.worker_stats.finished, 300u);
}

TEST(WorkerPool, AFullPoolRequeuesAndTheCoreGoesOn) {
  Client client;
  client.hold = true;
  CoreThread core({}, &client, {.workers = 1, .jobs = 2});
  ASSERT_TRUE(core.start());
  core.push_all(gossip_of(siblings(50)));
  core.wait_for([&] { return client.calls > 0; });
  // The client does not answer. The core does: events run, and jobs wait in it.
  const uint64_t before = core.peers;
  for (uint32_t i = 1; i <= 100; ++i) core.push_all({chain::PeerUp{{i, 1}}});
  core.wait_for([&] { return core.peers >= before + 100; });
  EXPECT_EQ(client.calls, 1u);
  EXPECT_EQ(core.imported, 0u);
  client.release();
  core.wait_imported(50);
  core.stop();
  EXPECT_GT(core.core_stats.jobs_requeued, 0u);
  EXPECT_GT(core.worker_stats.refused, 0u);
  EXPECT_EQ(core.worker_stats.submitted, 50u);
  EXPECT_EQ(client.imports, 50u);
}

TEST(WorkerPool, AThrowingCallbackIsTriedAgain) {
  Client client;
  client.throws = 3;
  CoreThread core({}, &client);
  ASSERT_TRUE(core.start());
  core.push_all(gossip_of(siblings(5)));
  core.wait_imported(5);
  core.stop();
  EXPECT_EQ(core.worker_stats.threw, 3u);
  EXPECT_EQ(core.worker_stats.submitted, 8u);
}

TEST(WorkerPool, AnInvalidBlockIsRejectedWithItsSender) {
  Client client;
  CoreThread core({.snapshot_interval = {}}, &client);
  ASSERT_TRUE(core.start());
  std::vector<chain::BlockInfo> blocks = siblings(3);
  blocks.push_back(make_block(make_genesis().root, 9, 666));
  core.push_all(gossip_of(blocks));
  core.wait_imported(3);
  // What a worker found is nothing before the core has heard of it.
  const auto reason = static_cast<size_t>(chain::GossipReason::invalid_block);
  core.wait_for([&] {
    const auto seen = core.snapshots().acquire();
    return seen && seen->stats.verdicts[reason] == 1;
  });
  core.stop();
  EXPECT_EQ(client.calls, 7u);
  EXPECT_EQ(core.chain_stats.verdicts[reason], 1u);
  EXPECT_EQ(client.imports, 3u);
}

TEST(WorkerPool, StopsWithJobsThatRunAndJobsThatWait) {
  for (int round = 0; round < 20; ++round) {
    Client client;
    client.hold = round % 2 == 0;
    CoreThread core({}, &client, {.workers = 3, .jobs = 8});
    ASSERT_TRUE(core.start());
    core.push_all(gossip_of(siblings(30)));
    core.wait_for([&] { return client.calls > 0; });
    std::thread stopper([&] { core.stop(); });
    client.release();
    stopper.join();
    EXPECT_LE(client.imports, 30u);
  }
}

TEST(WorkerPool, RefusesWhatMakesNoSense) {
  Client client;
  EXPECT_EQ(CoreThread({}, &client, {.workers = 0}).start().error().code, Code::invalid_argument);
  EXPECT_EQ(CoreThread({}, &client, {.jobs = 0}).start().error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace beamline::node
