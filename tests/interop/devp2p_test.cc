// Beamline's RLPx and eth/68 against @ethereumjs/devp2p, in both roles: Hello, snappy, Status,
// headers and bodies of the 600 blocks that geth wrote (geth-chain), each side asking and serving,
// a second capability beside, and the disconnect reasons that each side sees.
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "codec/enode.h"
#include "codec/hex.h"
#include "codec/rlp.h"
#include "crypto/keccak.h"
#include "rlpx/eth/peer.h"
#include "rlpx/host.h"
#include "tests/interop/process.h"
#include "tests/loop/ring_fixture.h"
#include "tests/vectors/family.h"

namespace beamline::interop {
namespace {

using Json = nlohmann::json;
using secp256k1::SecretKey;

constexpr size_t kSnap = 0, kEth = 1;
constexpr rlpx::Capability kCapabilities[] = {{"snap", 1, 8}, {"eth", 68, 17}, {"eth", 70, 18}};

// geth's chain file: blocks without the genesis.
struct Chain : eth::ChainSource {
  explicit Chain(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
    rlp::Reader blocks(bytes);
    while (!blocks.at_end()) {
      rlp::Reader block = *blocks.list("block");
      headers.push_back(block.next("header")->encoding);
      hashes.push_back(keccak256(headers.back()));
      numbers[hashes.back()] = headers.size();
      std::vector<uint8_t> body;
      rlp::Writer writer(body);
      const auto list = writer.begin_list();
      while (!block.at_end()) writer.raw(block.next("body")->encoding);
      writer.end_list(list);
      bodies.push_back(body);
    }
    genesis = *rlp::parse_list(headers.front(), "header")->hash("parent");
  }
  std::optional<uint64_t> number_of(const Hash256& hash) const override {
    const auto found = numbers.find(hash);
    return found == numbers.end() ? std::nullopt : std::optional(found->second);
  }
  Bytes header(uint64_t number) const override {
    return number == 0 || number > headers.size() ? Bytes() : headers[number - 1];
  }
  Bytes body(uint64_t number) const override {
    return number == 0 || number > bodies.size() ? Bytes() : Bytes(bodies[number - 1]);
  }
  Bytes receipts(uint64_t) const override { return {}; }

  std::vector<uint8_t> bytes;
  std::vector<Bytes> headers;
  std::vector<Hash256> hashes;
  std::vector<std::vector<uint8_t>> bodies;
  std::map<Hash256, uint64_t> numbers;
  Hash256 genesis;
};

// Our side of the connection: asks for everything, serves everything.
struct Node : rlpx::HostHandler, eth::Sink {
  Node(Reactor& of, const Chain& served, const eth::Local& ours)
      : reactor(of), chain(served), local(ours) {}

  Status send(eth::Message message, Bytes payload) override {
    return connection->send(kEth, static_cast<uint8_t>(message), payload);
  }
  void on_ready(rlpx::Connection& made) override {
    connection = &made;
    EXPECT_TRUE(made.session().shares(kEth));
    EXPECT_TRUE(made.session().shares(kSnap));
    client_id = made.session().hello().client_id;
    peer.emplace(eth::kEth68, local, *this, eth::PeerOptions{}, now());
  }
  void on_message(rlpx::Connection& from, size_t capability, uint8_t id, Bytes payload) override {
    if (capability == kSnap) {
      snap.push_back({id, {payload.begin(), payload.end()}});
      return;
    }
    ASSERT_EQ(capability, kEth);
    auto event = peer->receive(id, payload, now());
    if (!event) {
      error = to_string(event.error());
      from.disconnect(eth::disconnect_reason(event.error()));
      return;
    }
    if (event->kind == eth::EthEvent::Kind::ready) {
      for (uint64_t start = 1; start <= 600; start += 200) {
        ASSERT_TRUE(peer->get_headers({.start_number = start, .limit = 200}, now()));
      }
    }
    if (event->kind == eth::EthEvent::Kind::answer) on_answer(*event);
  }
  void on_answer(const eth::EthEvent& event) {
    if (event.request == eth::Message::get_block_headers) {
      std::vector<Hash256> hashes(event.answer.items.size());
      keccak256_many(event.answer.items, hashes);
      for (const Hash256& hash : hashes) headers += chain.numbers.contains(hash) ? 1 : 0;
      asked[*peer->get_bodies(hashes, now())] = hashes;
      return;
    }
    const auto& hashes = asked[event.request_id];
    for (size_t i = 0; i < event.answer.items.size(); ++i) {
      const size_t number = *chain.number_of(hashes[i]);
      bodies += equal(event.answer.items[i], chain.bodies[number - 1]) ? 1 : 0;
    }
  }
  void on_closed(rlpx::Connection&, const rlpx::Closed& how) override {
    closed = how;
    connection = nullptr;
  }
  MonoTime now() const { return reactor.now().mono; }

  Reactor& reactor;
  const Chain& chain;
  const eth::Local& local;
  rlpx::Connection* connection = nullptr;
  std::optional<eth::Peer> peer;
  std::optional<rlpx::Closed> closed;
  std::map<uint64_t, std::vector<Hash256>> asked;
  std::vector<std::pair<uint8_t, std::vector<uint8_t>>> snap;
  std::string client_id, error;
  size_t headers = 0, bodies = 0;
};

class RlpxDevp2p : public RingTcpTest {
 protected:
  void SetUp() override {
    const auto paths = vector_files("/chain.rlp");
    if (paths.empty()) {
      GTEST_SKIP() << "no chain.rlp in " << vectors_folder() << " (set BEAMLINE_VECTORS)";
    }
    folder_ = paths.front().parent_path();
    if (std::FILE* pipe = popen(BEAMLINE_SOURCE_DIR "/tests/interop/peers.sh devp2p", "r")) {
      for (char buffer[256]; std::fgets(buffer, sizeof buffer, pipe) != nullptr;) peers_ += buffer;
      if (pclose(pipe) != 0) GTEST_SKIP() << "the devp2p peer could not be installed (see above)";
    }
    while (peers_.ends_with('\n')) peers_.pop_back();
    log_ = "/tmp/beamline-devp2p-" + std::to_string(getpid());
    reset_tcp({});
    chain_.emplace(paths.front());
    ASSERT_EQ(chain_->headers.size(), 600u);
    // Forks by time at 60 and 120; the others are at genesis.
    forks_ = *eth::ForkFilter::make(chain_->genesis, 0, {}, std::vector<uint64_t>{60, 120});
    local_.forks = &*forks_;
    local_.chain = &*chain_;
    local_.head = {600, 6000};
    local_.status.network_id = 3503995874084926;
    local_.status.genesis = chain_->genesis;
    local_.status.fork_id = forks_->at(local_.head);
    local_.status.range.latest_hash = chain_->hashes.back();
    local_.status.total_difficulty = {1};
    options_.session.key = &key_;
    options_.session.capabilities = kCapabilities;
  }
  void TearDown() override {
    RingTcpTest::TearDown();
    std::remove(log_.c_str());
  }
  std::vector<std::string> command(std::vector<std::string> more) {
    std::vector<std::string> all = {peers_ + "/node", peers_ + "/eth-peer.mjs"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // Another program's time.
  template <class Predicate>
  bool eventually(Predicate done) {
    for (int i = 0; i < 2; ++i) {
      if (turn_until(done)) return true;
    }
    return false;
  }
  static Json line_with(const std::string& text, const char* key) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const Json json = Json::parse(line, nullptr, false);
      if (json.is_object() && json.contains(key)) return json;
    }
    return {};
  }
  void expect_all_exchanged(const Node& node, const std::string& text) {
    EXPECT_EQ(node.headers, 600u);
    EXPECT_EQ(node.bodies, 600u);
    EXPECT_EQ(node.error, "");
    EXPECT_NE(node.client_id.find("ethereumjs"), std::string::npos) << node.client_id;
    // Their side: our headers hash to geth's, our bodies are the file's, the head is geth's.
    EXPECT_EQ(line_with(text, "done").at("done").at("headers"), 600);
    EXPECT_EQ(line_with(text, "done").at("done").at("bodies"), 600);
    EXPECT_EQ(line_with(text, "head").at("head"), true);
    EXPECT_TRUE(line_with(text, "wrong").is_null());
    // The fork id that they compute from the genesis file (EIP-6122) is ours.
    EXPECT_EQ(line_with(text, "status").at("status"), to_hex0x(local_.status.fork_id.hash));
    // What they sent to snap arrived under snap.
    ASSERT_EQ(node.snap.size(), 1u);
    EXPECT_EQ(node.snap[0].first, 0);  // GetAccountRange
    auto request = rlp::parse_list(node.snap[0].second, "snap");
    ASSERT_TRUE(request);
    EXPECT_EQ(*request->uint("request_id"), 7u);
    EXPECT_EQ(*request->hash("root"), chain_->genesis);
  }

  Rng rng_ = Rng::from_system();
  const SecretKey key_ = SecretKey::generate(rng_);
  rlpx::HostOptions options_;
  eth::Local local_;
  std::optional<Chain> chain_;
  std::optional<eth::ForkFilter> forks_;
  std::filesystem::path folder_;
  std::string peers_, log_;
};

TEST_F(RlpxDevp2p, WeDialAndEndWithQuittingGethChain) {
  Node node(*reactor_, *chain_, local_);
  rlpx::Host host(*tcp_, options_, node, rng_);
  const Closer closer(*this);
  const auto port = static_cast<uint16_t>(21'000 + getpid() % 4000);
  Process process(command({"listen", folder_, std::to_string(port)}), log_);
  ASSERT_TRUE(eventually([&] { return !line_with(process.text(), "id").is_null(); }))
      << process.text();
  const std::string id = line_with(process.text(), "id").at("id");
  const auto enode = Enode::parse("enode://" + id.substr(2) + "@127.0.0.1:" + std::to_string(port));
  ASSERT_TRUE(enode) << to_string(enode.error());
  ASSERT_TRUE(host.dial(enode->tcp, enode->key));
  ASSERT_TRUE(eventually([&] {
    return node.bodies == 600 && !line_with(process.text(), "done").is_null();
  })) << node.error
      << process.text();
  expect_all_exchanged(node, process.text());
  node.connection->disconnect(rlpx::DisconnectReason::quitting);
  ASSERT_TRUE(eventually([&] { return !process.running(); })) << process.text();
  EXPECT_EQ(line_with(process.text(), "removed").at("removed"), 8);
  EXPECT_EQ(line_with(process.text(), "removed").at("we"), false);
  EXPECT_EQ(node.closed->why.code, Code::cancelled);
}

TEST_F(RlpxDevp2p, TheyDialAndEndWithTooManyPeersGethChain) {
  Node node(*reactor_, *chain_, local_);
  rlpx::Host host(*tcp_, options_, node, rng_);
  const Closer closer(*this);
  const auto listener = host.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  Process process(command({"dial", folder_, std::to_string((*listener)->local().port()),
                           to_hex0x(rlpx::node_id(key_.public_key())).substr(2)}),
                  log_);
  ASSERT_TRUE(eventually([&] { return node.closed.has_value(); })) << node.error << process.text();
  expect_all_exchanged(node, process.text());
  EXPECT_TRUE(node.closed->by_peer);
  EXPECT_EQ(node.closed->reason, rlpx::DisconnectReason::too_many_peers);
  ASSERT_TRUE(eventually([&] { return !process.running(); }));
  EXPECT_EQ(line_with(process.text(), "removed").at("we"), true);
}

}  // namespace
}  // namespace beamline::interop
