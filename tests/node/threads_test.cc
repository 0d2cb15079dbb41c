// Whole nodes on their threads and rings, over loopback: what the simulation cannot show.
#include <array>
#include <atomic>
#include <chrono>

#include <gtest/gtest.h>

#include "tests/node/node_threads.h"

namespace beamline::node {
namespace {

class NodeThreads : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, NodeThreads, testing::Bool(), [](const auto& threads) {
  return threads.param ? "NetworkThread" : "OneThread";
});

TEST_P(NodeThreads, TwoNodesFollowOverLoopback) {
  constexpr int kBlocks = 60;
  const std::vector<SharedBytes> blocks = make_chain(10 * kBlocks);
  Counter made, followed;
  Node maker(options(GetParam()), identity(1), made);
  ASSERT_TRUE(maker.start());
  ASSERT_FALSE(maker.listening().empty());
  NodeOptions following = options(GetParam());
  following.network.dial = {Multiaddr::tcp(maker.listening(), maker.peer_id())};
  Node follower(std::move(following), identity(2), followed);
  ASSERT_TRUE(follower.start());
  Counter::wait_for(made.peers, 1);
  Counter::wait_for(followed.peers, 1);
  // One at a time, so that each has its chance to go by gossip; more of them, and slowly, where the
  // follower's subscription is not here yet.
  int published = 0;
  while (published < kBlocks || followed.gossip.load() == 0) {
    ASSERT_LT(static_cast<size_t>(published), blocks.size()) << "none went by gossip";
    ASSERT_TRUE(maker.publish(blocks[static_cast<size_t>(published)]));
    Counter::wait_for(made.imported, ++published);
    if (published >= kBlocks) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  Counter::wait_for(followed.imported, published);
  follower.stop();
  maker.stop();
  EXPECT_EQ(maker.chain_stats().own_blocks, static_cast<uint64_t>(published));
  EXPECT_EQ(follower.chain_stats().imported, static_cast<uint64_t>(published));
  EXPECT_EQ(follower.chain_stats().fetched_twice, 0u);
  EXPECT_GT(followed.gossip.load(), 0);
  EXPECT_EQ(follower.network_stats().violations + maker.network_stats().violations, 0u);
  EXPECT_EQ(follower.network_stats().goodbyes_sent, 1u);
  EXPECT_EQ(maker.network_stats().goodbyes_received, 1u);
}

TEST_P(NodeThreads, ALateNodeCatchesUpOverLoopback) {
  constexpr int kBlocks = 200;
  Counter made, followed;
  Node maker(options(GetParam()), identity(1), made);
  ASSERT_TRUE(maker.start());
  for (const SharedBytes& block : make_chain(kBlocks)) {
    const int before = made.imported.load();
    ASSERT_TRUE(maker.publish(block));
    Counter::wait_for(made.imported, before + 1);
  }
  NodeOptions following = options(GetParam());
  following.network.dial = {Multiaddr::tcp(maker.listening(), maker.peer_id())};
  Node follower(std::move(following), identity(2), followed);
  ASSERT_TRUE(follower.start());
  Counter::wait_for(followed.imported, kBlocks);
  follower.stop();
  maker.stop();
  EXPECT_EQ(follower.chain_stats().fetched_twice, 0u);
  EXPECT_EQ(follower.chain_stats().fetched_bodies, static_cast<uint64_t>(kBlocks));
  EXPECT_EQ(maker.chain_stats().served_chunks, static_cast<uint64_t>(kBlocks));
}

TEST_P(NodeThreads, StartAndStopAtOnceOverAndOver) {
  for (int i = 0; i < 10; ++i) {
    Counter counter;
    Node node(options(GetParam()), identity(1), counter);
    ASSERT_TRUE(node.start());
    if (i % 2 == 0) node.stop();
    EXPECT_EQ(node.publish(SharedBytes()), i % 2 != 0);
  }
}

TEST_P(NodeThreads, APortInUseIsAnErrorOfStart) {
  Counter counter;
  Node first(options(GetParam()), identity(1), counter);
  ASSERT_TRUE(first.start());
  NodeOptions same = options(GetParam());
  same.network.listen = first.listening();
  Node second(std::move(same), identity(2), counter);
  const Status started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::address_in_use);
  EXPECT_FALSE(second.publish(SharedBytes()));
}

}  // namespace
}  // namespace beamline::node
