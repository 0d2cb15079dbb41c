// eth/69 and eth/70 against go-ethereum's own packages (tests/interop/geth), on loopback, with the
// 600 blocks that geth wrote. One of them has receipts of more than 10 MiB.
#include <algorithm>
#include <filesystem>
#include <sstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "codec/enode.h"
#include "codec/rlp.h"
#include "node/chain_file.h"
#include "node/eth_host.h"
#include "tests/interop/process.h"
#include "tests/loop/ring_fixture.h"
#include "tests/vectors/family.h"

namespace beamline::interop {
namespace {

using Json = nlohmann::json;

class GethInterop : public RingTcpTest {
 protected:
  void SetUp() override {
    RingTcpTest::SetUp();
    const auto paths = vector_files("/chain.rlp");
    if (paths.empty()) {
      GTEST_SKIP() << "no chain.rlp in " << vectors_folder() << " (set BEAMLINE_VECTORS)";
    }
    chain_ = paths.front().string();
    genesis_ = (paths.front().parent_path() / "genesis.json").string();
    std::FILE* pipe = popen(BEAMLINE_SOURCE_DIR "/tests/interop/peers.sh geth", "r");
    for (char buffer[256]; std::fgets(buffer, sizeof buffer, pipe) != nullptr;) peer_ += buffer;
    if (pclose(pipe) != 0) GTEST_SKIP() << "the geth peer could not be built (see above)";
    peer_.pop_back();
    char pattern[] = "/tmp/beamline-geth-XXXXXX";
    scratch_ = mkdtemp(pattern);
  }
  void TearDown() override {
    RingTcpTest::TearDown();
    if (!scratch_.empty()) std::filesystem::remove_all(scratch_);
  }
  std::unique_ptr<Process> geth(std::vector<std::string> more) {
    std::vector<std::string> arguments = {peer_ + "/peer", "--genesis", genesis_, "--chain",
                                          chain_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    // A log of its own: what another one said is not what this one says.
    return std::make_unique<Process>(arguments, file("geth" + std::to_string(++started_)));
  }
  std::unique_ptr<Process> beamline(std::vector<std::string> arguments, const std::string& log) {
    arguments.insert(arguments.begin(), BEAMLINE_PROGRAM);
    return std::make_unique<Process>(arguments, file(log));
  }
  std::string file(const std::string& name) const { return scratch_ + "/" + name; }
  // The first line of that event; null after a minute.
  static Json event(Process& process, const std::string& name) {
    for (int i = 0; i < 1200; ++i) {
      std::istringstream lines(process.text());
      for (std::string line; std::getline(lines, line);) {
        Json json = Json::parse(line, nullptr, false);
        if (json.is_object() && json.value("ev", "") == name) return json;
      }
      if (!process.running()) break;
      usleep(50'000);
    }
    ADD_FAILURE() << "no " << name << "\n" << process.text();
    return Json::object();
  }

  std::string chain_, genesis_, peer_, scratch_;
  int started_ = 0;
};

TEST_F(GethInterop, HeadersAreSyncedFromGethThatIsFoundByItsOwnDiscovery) {
  for (const std::string version : {"69", "70"}) {
    const auto peer = geth({"--discover", "--max", version});
    const Json here = event(*peer, "listening");
    const auto headers =
        beamline({"headers", "--genesis", genesis_, "--data", file("data" + version), "--bootnode",
                  here.value("enode", ""), "--head", here.value("head", ""), "--full-sync-below",
                  "0", "--for", "60"},
                 "headers" + version + ".txt");
    EXPECT_EQ(headers->wait(70'000), 0) << headers->text();
    EXPECT_NE(headers->text().find("Synced: 600 headers"), std::string::npos) << headers->text();
    EXPECT_EQ(std::to_string(event(*peer, "peer").value("version", 0)), version);
  }
}

// Its client checks headers by hash, and receipts, in parts over eth/70, by the headers' roots.
TEST_F(GethInterop, GethTakesHeadersBodiesAndReceiptsFromUsInEth69AndEth70) {
  {
    const auto writer = geth({"--receipts", file("receipts.rlp")});
    event(*writer, "listening");
  }
  const auto server = beamline({"serve-chain", chain_, "--genesis", genesis_, "--receipts",
                                file("receipts.rlp"), "--listen", "127.0.0.1:0"},
                               "serve.txt");
  for (int i = 0; i < 400 && server->text().find("blocks, head") == std::string::npos; ++i) {
    usleep(50'000);
  }
  const std::string enode = server->text().substr(0, server->text().find('\n'));
  for (const std::string version : {"69", "70"}) {
    const auto peer = geth({"--dial", enode, "--ask", "--max", version});
    const Json done = event(*peer, "done");
    EXPECT_EQ(std::to_string(event(*peer, "peer").value("version", 0)), version);
    EXPECT_EQ(done.value("headers", 0), 600);
    EXPECT_EQ(done.value("bodies", 0), 600);
    // Over eth/69 an answer ends before the block that no message holds.
    const int receipts = done.value("receipts", 0);
    if (version == "70") {
      EXPECT_EQ(receipts, 600);
    } else {
      EXPECT_TRUE(receipts >= 500 && receipts < 600) << receipts;
    }
  }
}

// Asks for all receipts, a part at a time.
struct Asker final : node::EthHandler {
  explicit Asker(const node::ChainFile& file) : chain(file), have(file.head() + 1) {}
  void on_peer(node::EthConnection& connection) override {
    peer = &connection;
    ask();
  }
  void on_event(node::EthConnection&, const eth::EthEvent& event) override {
    if (event.kind != eth::EthEvent::Kind::answer) return;
    ++answers;
    parts += event.answer.last_block_incomplete;
    empty |= event.answer.items.empty();
    for (const Bytes& item : event.answer.items) {
      auto list = *rlp::parse_list(item, "receipts");
      for (; !list.at_end(); ++first) {
        const Bytes one = list.next("receipt")->encoding;
        have[next].insert(have[next].end(), one.begin(), one.end());
      }
      if (&item == &event.answer.items.back() && event.answer.last_block_incomplete) break;
      ++next;
      first = 0;
    }
    if (next <= chain.head() && !empty) ask();
  }
  void on_gone(node::EthConnection&, const rlpx::Closed&) override { gone = true; }
  void on_dial_failed(const rlpx::Connection&, const rlpx::Closed&) override { gone = true; }
  void ask() {
    std::vector<Hash256> hashes;
    for (uint64_t n = next; n <= chain.head() && hashes.size() < 256; ++n) {
      hashes.push_back(chain.hash(n));
    }
    EXPECT_TRUE(peer->peer().get_receipts(hashes, first, MonoTime{INT64_MAX / 2}));
  }
  bool over() const { return gone || empty || next > chain.head(); }

  const node::ChainFile& chain;
  node::EthConnection* peer = nullptr;
  std::vector<std::vector<uint8_t>> have;  // slim receipts of each block, without the list
  uint64_t next = 1, first = 0;
  int answers = 0, parts = 0;
  bool empty = false, gone = false;
};

TEST_F(GethInterop, WeTakeAllReceiptsFromGethInPartsOverEth70) {
  const auto peer = geth({"--receipts", file("receipts.rlp")});
  const auto enode = Enode::parse(event(*peer, "listening").value("enode", ""));
  ASSERT_TRUE(enode);
  const auto genesis = node::read_execution_genesis(genesis_);
  const node::ChainFile chain(genesis, chain_, file("receipts.rlp"));
  const eth::ForkFilter forks = genesis.fork_filter();
  eth::Local local;
  local.forks = &forks;
  local.head = {chain.head(), chain.tip().timestamp};
  local.status.network_id = genesis.chain_id;
  local.status.genesis = genesis.hash;
  local.status.fork_id = forks.at(local.head);
  local.status.range = {0, chain.head(), chain.hash(chain.head())};
  Rng rng = Rng::from_system();
  const auto key = secp256k1::SecretKey::generate(rng);
  node::EthHostOptions options;
  options.rlpx.session.key = &key;
  Asker asker(chain);
  node::EthHost host(*reactor_, *tcp_, options, local, asker, rng);
  const Closer closer(*this);
  ASSERT_TRUE(host.dial(enode->tcp, enode->key));
  for (int i = 0; i < 2 && !asker.over(); ++i) {
    static_cast<void>(turn_until([&] { return asker.over(); }));
  }
  ASSERT_FALSE(asker.gone || asker.empty) << peer->text();
  EXPECT_EQ(asker.peer->peer().version(), eth::kEth70);
  EXPECT_GE(asker.parts, 1);
  for (uint64_t n = 1; n <= chain.head(); ++n) {
    std::vector<uint8_t> slim, consensus;
    rlp::Writer(slim).list_header(asker.have[n].size());
    slim.insert(slim.end(), asker.have[n].begin(), asker.have[n].end());
    ASSERT_TRUE(eth::to_consensus_receipts(slim, consensus)) << n;
    ASSERT_TRUE(std::ranges::equal(consensus, chain.receipts(n))) << n;
  }
}

}  // namespace
}  // namespace beamline::interop
