// `beamline serve-chain`, `headers` and `sync-report`, one program against the other, and the files
// they read.
#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "codec/hex.h"
#include "node/chain_file.h"
#include "node/posix_files.h"
#include "node/sync_phases.h"
#include "tests/chain/headers/sync_world.h"
#include "tests/interop/process.h"
#include "tests/own_loopback.h"
#include "tests/project/command.h"
#include "tests/vectors/family.h"

namespace beamline::node {
namespace {

using interop::Process;
using test::run;
using test::TemporaryTree;

constexpr const char* kGenesis = R"({
  "config": {"chainId": 77, "londonBlock": 0, "terminalTotalDifficulty": 0, "shanghaiTime": 0,
             "cancunTime": 0, "pragueTime": 0,
             "blobSchedule": {"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477},
                              "prague": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5007716}}},
  "timestamp": "0x3e8", "gasLimit": "0x1c9c380", "baseFeePerGas": "0x3b9aca00",
  "alloc": {"0c2c51a0990aee1d73c1228de158688341557508": {"balance": "0xde0b6b3a7640000"}}})";

std::vector<uint8_t> block_of(const std::vector<uint8_t>& header) {
  std::vector<uint8_t> out;
  rlp::Writer writer(out);
  const auto mark = writer.begin_list();
  writer.raw(header);
  for (int i = 0; i < 3; ++i) writer.list_header(0);
  writer.end_list(mark);
  return out;
}

class Headers : public ::testing::Test {
 protected:
  void SetUp() override {
    genesis_file_ = tree_.write("genesis.json", kGenesis);
    genesis_ = read_execution_genesis(genesis_file_);
    chain_.grow(genesis_.forks, genesis_.header, 3000, 5);
    write_chain(0, chain_.encodings.size());
  }
  void write_chain(size_t begin, size_t end) {
    std::string text;
    for (size_t i = begin; i < end; ++i) {
      const auto block = block_of(chain_.encodings[i]);
      text.append(block.begin(), block.end());
    }
    chain_file_ = tree_.write("chain.rlp", text);
  }
  // Starts a server, always the same node, and waits for its enode.
  std::string serve(const std::string& listen = "127.0.0.1:0", const std::string& bootnode = "") {
    std::vector<std::string> arguments = {
        BEAMLINE_PROGRAM, "serve-chain", chain_file_,  "--genesis",           genesis_file_,
        "--listen",       listen,        "--identity", tree_.path() + "/key",
    };
    if (!bootnode.empty()) arguments.insert(arguments.end(), {"--bootnode", bootnode});
    server_.emplace(arguments, tree_.path() + "/serve.txt");
    return first_line(*server_, "blocks, head");
  }
  // A node that answers discovery and nothing else.
  std::string discover() {
    bootnode_.emplace(
        std::vector<std::string>{BEAMLINE_PROGRAM, "discover", "--listen", "127.0.0.1:0"},
        tree_.path() + "/discover.txt");
    return first_line(*bootnode_, "\nenr:");
  }
  // Once it has said `wanted`.
  static std::string first_line(Process& process, const std::string& wanted) {
    for (int i = 0; i < 1000; ++i) {
      const std::string text = process.text();
      if (text.find(wanted) != text.npos) return text.substr(0, text.find('\n'));
      if (!process.running()) break;
      run("sleep 0.02");
    }
    ADD_FAILURE() << process.text();
    return "";
  }
  std::string headers(const std::string& more) const {
    return std::string(BEAMLINE_PROGRAM) + " headers --genesis " + genesis_file_ + " --data " +
           data() + " " + more;
  }
  std::string data() const { return tree_.path() + "/data"; }
  std::string head() const { return to_hex0x(chain_.hashes.back()); }
  std::string refused() const {
    try {
      const ChainFile file(genesis_, chain_file_, "");
      return "";
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  TemporaryTree tree_;
  std::string genesis_file_, chain_file_;
  ExecutionGenesis genesis_;
  chain::testing::HeaderChain chain_;
  std::optional<Process> server_, bootnode_;
};

TEST_F(Headers, ServedByOneAreSyncedByTheOther) {
  const std::string peer = serve();
  const auto synced =
      run(headers("--peer " + peer + " --head " + head() + " --full-sync-below 0 --for 60"));
  EXPECT_EQ(synced.status, 0) << synced.output;
  EXPECT_NE(synced.output.find("\nSynced: 3000 headers"), std::string::npos) << synced.output;
  const auto verified = run(headers("--verify"));
  EXPECT_EQ(verified.status, 0);
  EXPECT_NE(verified.output.find("verified 3000 headers, the last is " + head()), std::string::npos)
      << verified.output;
  const std::string file = tree_.path() + "/export.rlp";
  EXPECT_EQ(run(headers("--export " + file)).status, 0);
  std::string expected;
  for (const auto& header : chain_.encodings) expected.append(header.begin(), header.end());
  EXPECT_EQ(interop::read_file(file), expected);
  const auto report = run(std::string(BEAMLINE_PROGRAM) + " sync-report --data " + data());
  EXPECT_EQ(report.status, 0);
  EXPECT_NE(report.output.find("headers"), std::string::npos);
  EXPECT_NE(report.output.find("3000"), std::string::npos) << report.output;
  EXPECT_NE(report.output.find("outcome: synced"), std::string::npos) << report.output;
}

TEST_F(Headers, WithoutATrustedHeadTheOutputSaysSo) {
  const auto synced = run(headers("--peer " + serve() + " --full-sync-below 0 --for 60"));
  EXPECT_EQ(synced.status, 0) << synced.output;
  EXPECT_NE(synced.output.find("UNTRUSTED Synced: 3000"), std::string::npos) << synced.output;
}

TEST_F(Headers, TheBufferIsAnOption) {
  const auto peak = [](const std::string& output) {
    const auto at = output.find("at most ");
    return at == output.npos ? 0 : std::stoul(output.substr(at + 8));
  };
  const std::string sync = "--peer " + serve() + " --head " + head() + " --full-sync-below 0 ";
  const auto narrow = run(headers(sync + "--buffer 1024 --walk-backs 0 --for 60"));
  EXPECT_EQ(narrow.status, 0) << narrow.output;
  EXPECT_GT(peak(narrow.output), 0u) << narrow.output;
  EXPECT_LE(peak(narrow.output), 1024u) << narrow.output;
  EXPECT_EQ(run(headers(sync + "--buffer 1023")).status, 2);
  EXPECT_EQ(run(headers(sync + "--walk-backs 1001")).status, 2);
}

TEST_F(Headers, AHeadThatNobodyHasIsNotSynced) {
  const std::string wrong(64, '1');
  const auto failed = run(headers("--peer " + serve() + " --head 0x" + wrong + " --for 2"));
  EXPECT_EQ(failed.status, 1) << failed.output;
  EXPECT_EQ(failed.output.find("Synced:"), std::string::npos) << failed.output;
}

TEST_F(Headers, AShortWayIsLeftToFullSync) {
  const auto switched = run(headers("--peer " + serve() + " --head " + head() + " --for 60"));
  EXPECT_EQ(switched.status, 0) << switched.output;
  EXPECT_NE(switched.output.find("SwitchToFullSync from block 1\n"), std::string::npos)
      << switched.output;
}

TEST_F(Headers, AKilledRunStillReportsAndIsGoneOnWith) {
  const std::string wrong(64, '1');
  const std::string peer = serve();
  Process killed({BEAMLINE_PROGRAM, "headers", "--genesis", genesis_file_, "--data", data(),
                  "--peer", peer, "--head", "0x" + wrong},
                 tree_.path() + "/killed.txt");
  for (int i = 0; i < 500 && killed.text().find("peers 1") == std::string::npos; ++i) {
    run("sleep 0.02");
  }
  killed.stop(0);
  const auto report = run(std::string(BEAMLINE_PROGRAM) + " sync-report --data " + data());
  EXPECT_NE(report.output.find("unfinished"), std::string::npos) << report.output;
  const auto synced =
      run(headers("--peer " + peer + " --head " + head() + " --full-sync-below 0 --for 60"));
  EXPECT_EQ(synced.status, 0) << synced.output;
}

TEST_F(Headers, APeerWhoseDialFailedIsDialledAgain) {
  const std::string enode = serve(to_string(own_loopback()));
  server_->stop(30'000);
  server_.reset();
  Process waiting({BEAMLINE_PROGRAM, "headers", "--genesis", genesis_file_, "--data", data(),
                   "--peer", enode, "--head", head(), "--full-sync-below", "0", "--for", "60"},
                  tree_.path() + "/waiting.txt");
  // The second line of progress comes a second after the dial was refused.
  const auto lines = [&] { return std::ranges::count(waiting.text(), '\n'); };
  for (int i = 0; i < 1000 && lines() < 2 && waiting.running(); ++i) run("sleep 0.02");
  EXPECT_NE(waiting.text().find("headers 0/?"), std::string::npos) << waiting.text();
  EXPECT_EQ(serve(enode.substr(enode.rfind('@') + 1)), enode);
  EXPECT_EQ(waiting.wait(60'000), 0) << waiting.text();
  EXPECT_NE(waiting.text().find("\nSynced: 3000 headers"), std::string::npos) << waiting.text();
}

// ---- Found, not named

TEST_F(Headers, PeersAreFoundThroughABootnodeThatServesNoChain) {
  const std::string bootnode = discover();
  serve("127.0.0.1:0", bootnode);
  const auto synced = run(
      headers("--bootnode " + bootnode + " --head " + head() + " --full-sync-below 0 --for 60"));
  EXPECT_EQ(synced.status, 0) << synced.output;
  EXPECT_NE(synced.output.find("\nSynced: 3000 headers"), std::string::npos) << synced.output;
}

TEST_F(Headers, AServerOfAChainIsABootnodeAndAPeerToo) {
  const auto synced =
      run(headers("--bootnode " + serve() + " --head " + head() + " --full-sync-below 0 --for 60"));
  EXPECT_EQ(synced.status, 0) << synced.output;
  EXPECT_NE(synced.output.find("\nSynced: 3000 headers"), std::string::npos) << synced.output;
}

// The 600 blocks that geth wrote.
TEST_F(Headers, GethChainIsSyncedFromAPeerThatDiscoveryFound) {
  const auto paths = vector_files("/chain.rlp");
  if (paths.empty()) {
    GTEST_SKIP() << "no chain.rlp in " << vectors_folder() << " (set BEAMLINE_VECTORS)";
  }
  genesis_file_ = (paths.front().parent_path() / "genesis.json").string();
  chain_file_ = paths.front().string();
  const ChainFile file(read_execution_genesis(genesis_file_), chain_file_, "");
  const std::string wanted = to_hex0x(file.hash(600));
  const std::string bootnode = discover();
  serve("127.0.0.1:0", bootnode);
  const auto synced = run(
      headers("--bootnode " + bootnode + " --head " + wanted + " --full-sync-below 0 --for 60"));
  EXPECT_EQ(synced.status, 0) << synced.output;
  EXPECT_NE(synced.output.find("\nSynced: 600 headers"), std::string::npos) << synced.output;
  const auto verified = run(headers("--verify"));
  EXPECT_NE(verified.output.find("verified 600 headers, the last is " + wanted), std::string::npos)
      << verified.output;
}

// ---- Files

TEST_F(Headers, AChainFileThatIsCutReorderedOrOfAnotherGenesisIsRefused) {
  EXPECT_EQ(refused(), "");
  std::string whole = interop::read_file(chain_file_);
  tree_.write("chain.rlp", whole.substr(0, whole.size() - 5));
  EXPECT_NE(refused().find("block 3000"), std::string::npos) << refused();
  write_chain(0, 10);
  whole = interop::read_file(chain_file_);
  const size_t size = block_of(chain_.encodings[0]).size();
  tree_.write("chain.rlp", whole.substr(size) + whole.substr(0, size));
  EXPECT_NE(refused().find("block 1"), std::string::npos) << refused();
  write_chain(0, 10);
  std::string other = kGenesis;
  other.replace(other.find("0xde0b6b3a7640000"), 17, "0xde0b6b3a7640001");
  genesis_ = read_execution_genesis(tree_.write("other.json", other));
  EXPECT_NE(refused().find("of another genesis"), std::string::npos) << refused();
}

TEST_F(Headers, WrongFilesAndOptionsSayWhatToChange) {
  const std::string program = BEAMLINE_PROGRAM;
  EXPECT_EQ(run(program + " headers --data x").status, 2);
  EXPECT_EQ(run(program + " serve-chain --genesis x").status, 2);
  EXPECT_EQ(run(headers("--peer nonsense")).status, 2);
  const auto bad = run(headers("--bootnode nonsense"));
  EXPECT_EQ(bad.status, 2);
  EXPECT_NE(bad.output.find("must be enode://KEY@IP:PORT or enr:..."), std::string::npos);
  const auto none = run(headers(""));
  EXPECT_EQ(none.status, 2);
  EXPECT_NE(none.output.find("--peer ENODE or --bootnode ENODE"), std::string::npos) << none.output;
  EXPECT_EQ(run(headers("--peer " + serve() + " --head 0x12")).status, 2);
  const auto absent = run(program + " serve-chain /nowhere.rlp --genesis " + genesis_file_);
  EXPECT_EQ(absent.status, 1);
  EXPECT_NE(absent.output.find("/nowhere.rlp"), std::string::npos);
  for (const char* text : {"{}", "[]", "{\"config\": {}}", "{\"config\": {\"cancunTime\": 0}}"}) {
    EXPECT_THROW(read_execution_genesis(tree_.write("bad.json", text)), std::runtime_error);
  }
}

TEST(ExecutionGenesisTest, GethsGenesisHashesToTheParentOfItsFirstBlock) {
  const auto paths = vector_files("/chain.rlp");
  if (paths.empty()) {
    GTEST_SKIP() << "no chain.rlp in " << vectors_folder() << " (set BEAMLINE_VECTORS)";
  }
  VectorFamily family("geth-chain/genesis");
  const auto folder = paths.front().parent_path();
  const auto genesis = read_execution_genesis((folder / "genesis.json").string());
  const ChainFile file(genesis, paths.front().string(), "");
  family.count(file.head() == 600);
  EXPECT_EQ(file.head(), 600u);
}

// More pieces than the system takes at once, empty ones among them; and a disk that takes a part.
TEST(HeaderFilesTest, PiecesOfABatchAreAppendedInARowAndWhereADiskIsFullTheErrorSaysSo) {
  const TemporaryTree tree;
  const auto directory = open_directory(tree.path());
  ASSERT_TRUE(directory.has_value());
  std::vector<std::vector<uint8_t>> pieces;
  std::vector<uint8_t> all;
  for (size_t i = 0; i < 200; ++i) {
    pieces.emplace_back(i % 7 * 100, static_cast<uint8_t>(i));
    all.insert(all.end(), pieces.back().begin(), pieces.back().end());
  }
  const std::vector<Bytes> views(pieces.begin(), pieces.end());
  const auto file = *(*directory)->open("pieces");
  ASSERT_TRUE(file->append_pieces(views).has_value());
  ASSERT_TRUE(file->append_pieces(views).has_value());
  const std::vector<uint8_t> once = all;
  all.insert(all.end(), once.begin(), once.end());
  std::vector<uint8_t> read(all.size() + 1);
  EXPECT_EQ(*file->read(0, read), all.size());
  read.pop_back();
  EXPECT_EQ(read, all);

  // A limit in the middle of the third write: the system takes what is below it.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = before;
  limit.rlim_cur = all.size() + 1234;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Status refused = file->append_pieces(views);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::io_error);
  EXPECT_EQ(file->size(), all.size() + 1234);
}

TEST(SyncPhasesTest, PhasesEndOrAreNamedAsUnfinished) {
  const TemporaryTree tree;
  const auto directory = open_directory(tree.path());
  ASSERT_TRUE(directory.has_value());
  {
    auto phases = SyncPhases::open(**directory, true);
    ASSERT_TRUE(phases->begin("headers", 1000).has_value());
    ASSERT_TRUE(phases->begin("account ranges", 1500).has_value());
    ASSERT_TRUE(phases->end("headers", 42, 3500).has_value());
  }
  const auto phases = SyncPhases::open(**directory, false);
  ASSERT_EQ(phases->phases().size(), 2u);
  EXPECT_EQ(phases->phases()[0].duration_ms, 2500u);
  EXPECT_EQ(phases->phases()[0].count, 42u);
  EXPECT_FALSE(phases->phases()[1].duration_ms.has_value());
  const std::string report = report_text(*phases, 10'000);
  EXPECT_NE(report.find("account ranges            -     +0.500 s      unfinished"),
            std::string::npos)
      << report;
  EXPECT_NE(report.find("none: it was killed"), std::string::npos) << report;
}

}  // namespace
}  // namespace beamline::node
