// Nodes that keep their chain on disk: after a restart they serve all of it, from there.
#include <chrono>

#include <unistd.h>

#include "codec/hex.h"
#include "node/rocks_store.h"
#include "tests/interop/process.h"
#include "tests/node/node_threads.h"
#include "tests/project/command.h"

namespace beamline::node {
namespace {

using interop::Process;

constexpr int kBlocks = 120;

// A node that has the whole chain and nothing on disk.
struct Maker {
  Maker() : node(options(true), identity(1), seen) {
    EXPECT_TRUE(node.start());
    for (const SharedBytes& block : make_chain(kBlocks)) {
      while (!node.publish(block)) usleep(100);
    }
    Counter::wait_for(seen.imported, kBlocks);
  }
  Counter seen;
  Node node;
};

// A node that begins empty, dials, and has the whole chain in the end.
void expect_to_sync_from(const Multiaddr& address) {
  Counter seen;
  NodeOptions late = options(true);
  late.network.dial = {address};
  Node node(std::move(late), identity(3), seen);
  ASSERT_TRUE(node.start());
  Counter::wait_for(seen.imported, kBlocks);
  node.stop();
  EXPECT_EQ(node.chain_stats().imported, static_cast<uint64_t>(kBlocks));
  EXPECT_EQ(node.chain_stats().fetched_twice, 0u);
}

TEST(FollowStore, ANodeWithRocksDbServesItsChainFromDiskAfterARestart) {
  const test::TemporaryTree directory;
  {
    Maker maker;
    RocksStore store({.path = directory.path()});
    Counter seen;
    NodeOptions following = options(true);
    following.store = &store;
    following.network.dial = {Multiaddr::tcp(maker.node.listening(), maker.node.peer_id())};
    Node node(std::move(following), identity(2), seen);
    ASSERT_TRUE(node.start());
    Counter::wait_for(seen.imported, kBlocks);
    node.stop();
    EXPECT_GT(node.chain_stats().persists, 0u);
  }
  // No body is loaded; the tree has room for a part of the chain only.
  RocksStore store({.path = directory.path(), .load_bytes = 0});
  Counter seen;
  NodeOptions restarted = options(true);
  restarted.store = &store;
  restarted.limits.tree_blocks = 50;
  Node node(std::move(restarted), identity(2), seen);
  ASSERT_TRUE(node.start());
  // Peers hear of the head that the store had.
  expect_to_sync_from(Multiaddr::tcp(node.listening(), node.peer_id()));
  node.stop();
  EXPECT_EQ(node.chain_stats().restored, static_cast<uint64_t>(kBlocks));
  EXPECT_EQ(node.chain_stats().served_from_disk, static_cast<uint64_t>(kBlocks));
  EXPECT_EQ(node.chain_stats().reads_failed, 0u);
}

class FollowProgram : public testing::Test {
 protected:
  void SetUp() override {
    const std::string zeros(64, '0');
    tree_.write("config.yaml", "PRESET_BASE: minimal\nSECONDS_PER_SLOT: 12\n");
    tree_.write("network.json",
                R"({"genesis_time": "1600000000", "genesis_fork_version": "0x00000000",
      "genesis_validators_root": "0x)" +
                    zeros + R"(", "genesis_block_root": ")" + to_hex0x(spec().genesis_block_root) +
                    "\"}");
  }
  std::unique_ptr<Process> follow(const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> arguments = {
        BEAMLINE_PROGRAM,        "follow",     "--genesis",          tree_.path(), "--store",
        tree_.path() + "/store", "--identity", tree_.path() + "/key"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<Process>(arguments, tree_.path() + "/" + name);
  }
  static std::string wait_for(Process& process, const std::string& wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (process.text().find(wanted) == std::string::npos &&
           std::chrono::steady_clock::now() < end && process.running()) {
      usleep(20'000);
    }
    return process.text();
  }
  const test::TemporaryTree tree_;
};

TEST_F(FollowProgram, KeepsTheChainInItsStoreAndServesItAfterARestart) {
  const std::string last = "slot " + std::to_string(kBlocks) + " root";
  {
    Maker maker;
    const Multiaddr address = Multiaddr::tcp(maker.node.listening(), maker.node.peer_id());
    const auto first = follow("first", {"--peer", address.to_text()});
    const std::string text = wait_for(*first, "head " + last);
    EXPECT_NE(text.find("head " + last), std::string::npos) << text;
    EXPECT_EQ(first->stop(30'000), 0) << first->text();
  }
  const auto second = follow("second", {"--listen", "127.0.0.1:0"});
  std::string text = wait_for(*second, "head " + last);
  ASSERT_NE(text.find("head " + last), std::string::npos) << text;
  const size_t at = text.find("listening ") + 10;
  const auto address = Multiaddr::parse_text(text.substr(at, text.find('\n', at) - at));
  ASSERT_TRUE(address) << text;
  expect_to_sync_from(*address);
  EXPECT_EQ(second->stop(30'000), 0);
  text = second->text();
  EXPECT_NE(text.find("store: 120 blocks restored"), std::string::npos) << text;
  EXPECT_NE(text.find("served 120 blocks"), std::string::npos) << text;
  // The store of one chain is not another's.
  const std::string other(64, 'b');
  tree_.write("network.json",
              R"({"genesis_time": "1600000000", "genesis_fork_version": "0x00000000",
      "genesis_validators_root": "0x)" +
                  std::string(64, '0') + R"(", "genesis_block_root": "0x)" + other + "\"}");
  const auto third = follow("third", {"--listen", "127.0.0.1:0"});
  EXPECT_EQ(third->wait(30'000), 1);
  EXPECT_NE(third->text().find("store anchor"), std::string::npos) << third->text();
}

}  // namespace
}  // namespace beamline::node
