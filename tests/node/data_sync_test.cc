// Blocks whose data is missing, over our own network: the sidecars are fetched from peers, by
// data_column_sidecars_by_root or blob_sidecars_by_root, and the block is imported. Who answers
// wrongly is charged, and the data asked of others.
#include <set>

#include "reqresp/chunk.h"
#include "tests/node/hostile.h"
#include "tests/sim/replay.h"

namespace beamline::node {
namespace {

using chain::Conduct;
using chain::Verdict;
using reqresp::Protocol;
using Layer = Hostile::Layer;

std::vector<uint8_t> copy(const SharedBytes& shared) {
  return {shared.data(), shared.data() + shared.size()};
}

// A column or blob of a block, with its header; whether its proof holds is the last byte.
SharedBytes sidecar_of(SidecarKind kind, const chain::BlockInfo& block, uint64_t index,
                       bool valid = true) {
  static const BeaconTypes types(Preset::minimal());
  static ssz::Hasher hasher;
  const auto view = SignedBlockView::trust(types, Fork::phase0, block.signed_bytes);
  const BeaconBlockHeader header{.slot = block.slot,
                                 .proposer_index = block.proposer,
                                 .parent_root = block.parent_root,
                                 .state_root = view.state_root(),
                                 .body_root = view.body_root(hasher)};
  const auto encoded = ssz::encode_fixed(header);
  const bool blob = kind == SidecarKind::blobs;
  std::vector<uint8_t> bytes(blob ? 131'928 : 356);
  bytes[0] = static_cast<uint8_t>(index);
  if (!blob) {
    for (const size_t offset : {8u, 12u, 16u}) {
      bytes[offset] = 356 % 256;
      bytes[offset + 1] = 356 / 256;
    }
  }
  const size_t at = blob ? 8 + 131'072 + 96 : 20;
  std::copy(encoded.begin(), encoded.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
  bytes.back() = valid ? 1 : 0;
  const auto named = name_sidecar(types, kind, bytes, hasher);
  BL_CHECK(named && named->block_root == block.root && named->index == index);
  return SharedBytes::copy(bytes);
}

// A client whose blocks need three sidecars each. It answers when it is told to.
class DataClient final : public WorkPort {
 public:
  static constexpr uint64_t kNeeded = 3;
  PushResult submit(Work&& job) override {
    jobs_.push_back(std::move(job));
    return PushResult::ok;
  }
  void answer(SimNode& node) {
    while (!jobs_.empty()) {
      const Work job = std::move(jobs_.front());
      jobs_.pop_front();
      chain::Event event = std::visit([&](const auto& what) { return judge(what); }, job);
      node.core().on_message(event);
      node.core_reactor().wake();
    }
  }
  std::set<std::pair<Root, uint64_t>> have;

 private:
  chain::Event judge(const chain::ImportBlock& job) {
    chain::ImportVerdict verdict{.import = job.import, .verdict = Verdict::valid};
    for (uint64_t i = 0; i < kNeeded; ++i) {
      if (!have.contains({job.block.root, i})) verdict.missing.push_back(i);
    }
    if (!verdict.missing.empty()) verdict.verdict = Verdict::data_missing;
    return verdict;
  }
  chain::Event judge(const chain::ImportData& job) {
    if (job.bytes.data()[job.bytes.size() - 1] == 0) {
      return chain::DataVerdict{.id = job.id, .verdict = Verdict::invalid_bytes};
    }
    have.insert({job.block_root, job.index});
    return chain::DataVerdict{.id = job.id, .verdict = Verdict::valid, .bytes = job.bytes};
  }
  std::deque<Work> jobs_;
};

struct DataNode {
  DataNode(sim::World& world, Joined joined, SidecarKind kind) : node(world, joined) {
    node.options().work = &client;
    node.options().network.sidecars = kind;
  }
  // It has this block's data: imports it, and serves the sidecars in `served`.
  void has(SidecarKind kind, const chain::BlockInfo& block,
           const std::vector<uint64_t>& served = {0, 1, 2}) {
    for (uint64_t i = 0; i < DataClient::kNeeded; ++i) client.have.insert({block.root, i});
    for (const uint64_t i : served) {
      node.network().keep_sidecar(block.root, i, sidecar_of(kind, block, i));
    }
  }
  DataClient client;
  SimNode node;
};

class NodeData : public testing::TestWithParam<std::tuple<Joined, SidecarKind>> {
 protected:
  NodeData() : a(world, joined(), kind()), b(world, joined(), kind()) { b.node.dial(a.node); }
  static Joined joined() { return std::get<0>(GetParam()); }
  static SidecarKind kind() { return std::get<1>(GetParam()); }
  template <class Done>
  bool until(Done&& done, Duration limit = seconds(30)) {
    return world.run_until(
        [&] {
          for (DataNode* one : all) one->client.answer(one->node);
          return done();
        },
        limit);
  }
  // Its core may have slept since long before: it learns the time in a turn.
  void publish(DataNode& one, const chain::BlockInfo& block) {
    one.node.core_reactor().wake();
    pass(milliseconds(1));
    one.node.publish(block);
  }
  bool pass(Duration time) {
    return !until([] { return false; }, time);
  }
  void start() {
    for (DataNode* one : all) one->node.start();
    ASSERT_TRUE(until([&] { return b.node.peers_up() == 1; }));
    pass(kSlot);
  }
  std::string failure() { return describe(a.node) + "\n" + describe(b.node); }

  sim::World world{1, sim::traced({})};
  DataNode a, b;
  std::vector<DataNode*> all{&a, &b};
};

INSTANTIATE_TEST_SUITE_P(, NodeData,
                         testing::Combine(testing::Values(Joined::directly, Joined::by_inboxes),
                                          testing::Values(SidecarKind::columns,
                                                          SidecarKind::blobs)),
                         [](const auto& param) {
                           const bool one = std::get<0>(param.param) == Joined::directly;
                           const bool columns = std::get<1>(param.param) == SidecarKind::columns;
                           return std::string(one ? "OneReactor" : "TwoReactors") +
                                  (columns ? "Columns" : "Blobs");
                         });

TEST_P(NodeData, ABlockWithMissingDataGetsItsSidecarsFromThePeerAndIsImported) {
  DataNode c(world, joined(), kind());
  c.node.dial(b.node);
  start();
  const chain::BlockInfo block = make_block(a.node.head().root, 1);
  a.has(kind(), block);
  publish(a, block);
  ASSERT_TRUE(until([&] { return b.node.head().root == block.root; })) << failure();
  const chain::Stats& stats = b.node.chain_stats();
  EXPECT_EQ(stats.blocks_without_data, 1u);
  EXPECT_EQ(stats.requests_data, 1u);
  EXPECT_EQ(stats.data_received, 3u);
  EXPECT_EQ(stats.data_verified, 3u);
  EXPECT_EQ(stats.charges, 0u);
  EXPECT_EQ(b.node.network_stats().sidecars, 3u);
  EXPECT_EQ(a.node.network().sidecars().stats().served, 3u);
  EXPECT_TRUE(b.node.chain().idle());
  // What it verified it serves: a third node, which knows only it.
  c.node.start();
  all.push_back(&c);
  ASSERT_TRUE(until([&] { return c.node.head().root == block.root; })) << failure() << "\n"
                                                                       << describe(c.node);
  EXPECT_EQ(b.node.network().sidecars().stats().served, 3u);
  EXPECT_EQ(a.node.network().sidecars().stats().served, 3u);
}

// A late node: a whole chain by range, whose blocks all wait for their data.
TEST_P(NodeData, ALateNodeGetsTheDataOfAChainOfBlocks) {
  a.node.start();
  all.pop_back();
  chain::BlockInfo tip{};
  Root parent = a.node.head().root;
  pass(kSlot * 13);
  for (Slot slot = 1; slot <= 12; ++slot) {
    tip = make_block(parent, slot);
    parent = tip.root;
    a.has(kind(), tip);
    publish(a, tip);
  }
  ASSERT_TRUE(until([&] { return a.node.head().root == tip.root; }));
  all.push_back(&b);
  b.node.start();
  ASSERT_TRUE(until([&] { return b.node.head().root == tip.root; })) << failure();
  EXPECT_EQ(b.node.chain_stats().data_received, 36u);
  EXPECT_EQ(b.node.chain_stats().fetched_twice, 0u);
  EXPECT_EQ(b.node.chain_stats().charges, 0u);
}

// ---- Peers that answer wrongly. The hostile one has the block, and is asked for its data first; A
// has the data.

class NodeDataHostile : public NodeData {
 protected:
  std::vector<uint8_t> chunk(Bytes ssz) const {
    const SharedBytes made = reqresp::encode_chunk(reqresp::info(sidecar_protocol(kind())),
                                                   sim_spec(world).digest(), ssz);
    return copy(made);
  }
  std::vector<uint8_t> sidecars(const std::vector<uint64_t>& indices, bool valid = true) const {
    std::vector<uint8_t> wire;
    for (const uint64_t index : indices) {
      const auto one = chunk(sidecar_of(kind(), block, index, valid));
      wire.insert(wire.end(), one.begin(), one.end());
    }
    return wire;
  }
  // A peer with this head, which serves the block and gives this answer to a request for its data.
  std::unique_ptr<Hostile> add(std::vector<uint8_t> answer, bool has_block) {
    auto hostile = std::make_unique<Hostile>(world, Layer::connection);
    hostile->connect(b.node);
    EXPECT_TRUE(until([&] { return hostile->connected(); }));
    if (has_block) {
      hostile->answer(Protocol::blocks_by_root_v1, [this](Bytes) {
        const SharedBytes made =
            reqresp::encode_chunk(reqresp::info(Protocol::blocks_by_root_v1),
                                  sim_spec(world).digest(), block.signed_bytes);
        return copy(made);
      });
    }
    hostile->answer(sidecar_protocol(kind()), [answer](Bytes) { return answer; });
    StatusV1 status;
    status.fork_digest = sim_spec(world).digest();
    status.head_root = has_block ? block.root : b.node.head().root;
    status.head_slot = has_block ? block.slot : 0;
    hostile->say_status(status);
    return hostile;
  }
  // How often the peers of B were charged for this, by index of the peer.
  std::map<uint32_t, uint32_t> charged(Conduct conduct) {
    std::map<uint32_t, uint32_t> found;
    for (const auto& [index, peer] : b.node.chain().peers().all()) {
      const uint32_t times = peer.conducts[static_cast<size_t>(conduct)];
      if (times > 0) found[index] = times;
    }
    return found;
  }
  // The hostile peer is the second of B's, behind A.
  void expect(std::vector<uint8_t> answer, std::optional<Conduct> conduct, uint64_t served) {
    start();
    block = make_block(b.node.head().root, 1);
    a.has(kind(), block);
    const auto hostile = add(std::move(answer), true);
    ASSERT_TRUE(until([&] { return b.node.head().root == block.root; })) << failure();
    EXPECT_GE(b.node.chain_stats().requests_data, 2u);
    EXPECT_EQ(a.node.network().sidecars().stats().served, served);
    EXPECT_EQ(b.node.chain_stats().charges, conduct ? 1u : 0u) << failure();
    if (conduct) {
      EXPECT_EQ(charged(*conduct), (std::map<uint32_t, uint32_t>{{1, 1}}));
    }
    EXPECT_TRUE(b.node.chain().idle());
    hostile->stop();
  }
  chain::BlockInfo block;
};

INSTANTIATE_TEST_SUITE_P(, NodeDataHostile,
                         testing::Combine(testing::Values(Joined::directly, Joined::by_inboxes),
                                          testing::Values(SidecarKind::columns)),
                         [](const auto& param) {
                           return std::get<0>(param.param) == Joined::directly ? "OneReactor"
                                                                               : "TwoReactors";
                         });

TEST_P(NodeDataHostile, aPeerWithoutTheSidecarsOfItsOwnBlockIsChargedAndTheyAreAskedElsewhere) {
  expect({}, Conduct::withheld, 3);
}

TEST_P(NodeDataHostile, aPeerWithSomeOfTheSidecarsIsNotChargedAndTheRestIsAskedElsewhere) {
  start();
  block = make_block(b.node.head().root, 1);
  // (Its answer is made of the block.)
  a.has(kind(), block);
  const auto hostile = add(sidecars({0, 2}), true);
  ASSERT_TRUE(until([&] { return b.node.head().root == block.root; })) << failure();
  EXPECT_EQ(a.node.network().sidecars().stats().served, 1u);
  EXPECT_EQ(b.node.chain_stats().charges, 0u);
  EXPECT_EQ(b.node.chain_stats().data_received, 3u);
  hostile->stop();
}

TEST_P(NodeDataHostile, aSidecarOfAnotherBlockIsCharged) {
  const chain::BlockInfo other = make_block(sim_spec(world).genesis_block_root, 1, 99);
  expect(chunk(sidecar_of(kind(), other, 0)), Conduct::unrequested_root, 3);
}

TEST_P(NodeDataHostile, aSidecarThatWasNotAskedForIsCharged) {
  block = make_block(sim_spec(world).genesis_block_root, 1);
  expect(sidecars({77}), Conduct::duplicate_chunk, 3);
}

TEST_P(NodeDataHostile, theSameSidecarTwiceIsChargedAndNotTransferredAgain) {
  block = make_block(sim_spec(world).genesis_block_root, 1);
  expect(sidecars({1, 1}), Conduct::duplicate_chunk, 2);
}

TEST_P(NodeDataHostile, bytesThatAreNoSidecarAreCharged) {
  std::vector<uint8_t> garbage(400, 0xff);
  expect(chunk(garbage), Conduct::undecodable, 3);
}

TEST_P(NodeDataHostile, anErrorCodeIsNoFaultAndTheSidecarsAreAskedElsewhere) {
  const SharedBytes error = reqresp::encode_error(3, "not here");
  expect(copy(error), std::nullopt, 3);
}

TEST_P(NodeDataHostile, anInvalidSidecarIsChargedToItsSenderAndAskedElsewhere) {
  block = make_block(sim_spec(world).genesis_block_root, 1);
  expect(sidecars({0}, false), Conduct::invalid_data, 3);
  EXPECT_EQ(b.node.chain_stats().data_invalid, 1u);
}

// A sends the block and two of its sidecars; who sends the third, invalid, is another.
TEST_P(NodeDataHostile, theVerdictNamesTheSenderOfAnInvalidSidecarNotOfTheBlock) {
  start();
  block = make_block(b.node.head().root, 1);
  const auto liar = add(sidecars({2}, false), false);
  const auto honest = add(sidecars({2}), false);
  ASSERT_TRUE(until([&] { return b.node.peers_up() == 3; }));
  a.has(kind(), block, {0, 1});
  publish(a, block);
  ASSERT_TRUE(until([&] { return b.node.head().root == block.root; })) << failure();
  EXPECT_EQ(charged(Conduct::invalid_data), (std::map<uint32_t, uint32_t>{{1, 1}}));
  EXPECT_EQ(b.node.chain_stats().charges, 1u);
  EXPECT_EQ(b.node.chain_stats().data_invalid, 1u);
  liar->stop();
  honest->stop();
}

TEST_P(NodeDataHostile, aRequestForSidecarsThatDoesNotDecodeIsRefused) {
  start();
  const auto hostile = add({}, false);
  for (const size_t size : {1u, 4u, 40u, 300u}) {
    hostile->request(sidecar_protocol(kind()), std::vector<uint8_t>(size, 0xee));
  }
  pass(seconds(2));
  EXPECT_EQ(b.node.network().server().stats().errors_sent, 4u);
  EXPECT_EQ(b.node.network_stats().violations, 4u);
  hostile->stop();
}

// ---- Without a network

TEST(NodeSidecarCache, IsBoundedByBytesAndForgetsTheOldest) {
  SidecarCache cache(100);
  const auto bytes = [](size_t size) { return SharedBytes::copy(std::vector<uint8_t>(size)); };
  Root root;
  for (uint64_t i = 0; i < 10; ++i) cache.put(root, i, bytes(30));
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_EQ(cache.bytes(), 90u);
  EXPECT_EQ(cache.stats().evicted, 7u);
  EXPECT_EQ(cache.find(root, 6), nullptr);
  EXPECT_NE(cache.find(root, 7), nullptr);
  cache.put(root, 9, bytes(10));  // what came first stays
  EXPECT_EQ(cache.find(root, 9)->size(), 30u);
  cache.put(root, 11, bytes(101));
  EXPECT_EQ(cache.stats().refused, 1u);
  EXPECT_EQ(cache.size(), 3u);
}

// More than a peer puts up with would be refused before it left, again and again.
TEST(NodeSidecarLimits, TheChainAsksForNoMoreAtOnceThanARequestMayHave) {
  sim::World world{1, {}};
  DataNode one(world, Joined::directly, SidecarKind::columns);
  one.node.start();
  const chain::Limits& limits = one.node.chain().limits();
  const auto most = [](Protocol protocol) { return request_limit(reqresp::info(protocol)); };
  EXPECT_LE(limits.roots_per_request, most(Protocol::blocks_by_root_v1));
  EXPECT_LE(limits.range_slots, most(Protocol::blocks_by_range_v1));
  EXPECT_LE(limits.data_per_request, most(Protocol::data_column_sidecars_by_root_v1));
}

}  // namespace
}  // namespace beamline::node
