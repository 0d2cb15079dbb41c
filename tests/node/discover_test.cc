// `beamline discover`, the program: what it prints, what it keeps, what it refuses.
#include <chrono>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "codec/enode.h"
#include "codec/enr.h"
#include "tests/interop/process.h"

namespace beamline {
namespace {

using interop::Process;

class DiscoverTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/beamline-discover-XXXXXX";
    scratch_ = mkdtemp(pattern);
  }
  void TearDown() override { std::filesystem::remove_all(scratch_); }

  std::unique_ptr<Process> start(const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> arguments = {BEAMLINE_PROGRAM, "discover"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<Process>(arguments, scratch_ + "/" + name);
  }
  // The output once it has what is looked for; what there is after 40 seconds.
  static std::string wait_for(Process& process, const std::string& wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (process.text().find(wanted) == std::string::npos &&
           std::chrono::steady_clock::now() < end && process.running()) {
      usleep(20'000);
    }
    return process.text();
  }
  static std::string line(const std::string& text, size_t number) {
    size_t at = 0;
    for (; number > 0; --number) at = text.find('\n', at) + 1;
    return text.substr(at, text.find('\n', at) - at);
  }
  static constexpr int kPatience = 30'000;  // ms, for a program that ends
  std::string scratch_;
};

TEST_F(DiscoverTest, FirstLinesAreEnodeAndEnrWithTheListenAddressFlushedIntoAFile) {
  const auto process = start("a", {"--listen", "127.0.0.1:0", "--identity", scratch_ + "/key"});
  const std::string text = wait_for(*process, "\nenr:");
  const auto enode = Enode::parse(line(text, 0));
  ASSERT_TRUE(enode) << text;
  wait_for(*process, "\nlive");
  const auto enr = Enr::parse_text(line(process->text(), 1));
  ASSERT_TRUE(enr) << process->text();
  EXPECT_TRUE(enode->tcp.is_loopback());
  EXPECT_NE(enode->udp_port, 0);
  const auto udp = enr->endpoint(Enr::Transport::udp, Enr::Family::ip4);
  ASSERT_TRUE(udp);
  EXPECT_EQ(udp->port(), enode->udp_port);
  EXPECT_EQ(enr->public_key(), enode->key);
  EXPECT_EQ(process->stop(kPatience), 0);

  // The identity is kept: a second run is the same node.
  const auto again = start("b", {"--listen", "127.0.0.1:0", "--identity", scratch_ + "/key"});
  const auto second = Enode::parse(line(wait_for(*again, "\nenr:"), 0));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->key, enode->key);
}

TEST_F(DiscoverTest, TwoNodesFindEachOtherWithALiveCountATableAndAnSvgPicture) {
  const std::string both = "live 1 main 1 ";
  const auto first = start("first", {"--listen", "127.0.0.1:0"});
  const std::string enode = line(wait_for(*first, "\nenr:"), 0);
  std::string text;
  // Once more where it was stopped between its finding the other by v4 and by v5.
  for (int runs = 0; runs < 3 && text.find("v4+v5") == std::string::npos; ++runs) {
    const auto second = start(
        "second", {"--listen", "127.0.0.1:0", "--bootnode", enode, "--svg", scratch_ + "/svg"});
    EXPECT_NE(wait_for(*first, "live 1 ").find("live 1 "), std::string::npos) << first->text();
    EXPECT_NE(wait_for(*second, both).find(both), std::string::npos) << second->text();
    EXPECT_EQ(second->stop(kPatience), 0);
    text = second->text();
  }
  EXPECT_NE(text.find("table: 1 live, 1 in main"), std::string::npos) << text;
  EXPECT_NE(text.find("v4+v5"), std::string::npos) << text;
  const std::string svg = interop::read_file(scratch_ + "/svg");
  EXPECT_TRUE(svg.starts_with("<svg ")) << svg.substr(0, 80);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("<rect class=\"contact\""), std::string::npos);
}

// Three nodes that know each other through a bootnode; one of them starts again without it.
TEST_F(DiscoverTest, ARestartWithItsNodeDatabaseAndNoBootnodeFindsItsPeersAgain) {
  auto boot = start("boot", {"--listen", "127.0.0.1:0"});
  const std::string enr = line(wait_for(*boot, "\nlive"), 1);
  const auto other = start("other", {"--listen", "127.0.0.1:0", "--bootnode", enr});
  const std::vector<std::string> own = {"--listen",        "127.0.0.1:0", "--identity",
                                        scratch_ + "/key", "--nodes",     scratch_ + "/nodes"};
  std::vector<std::string> arguments = own;
  arguments.insert(arguments.end(), {"--bootnode", enr});
  const auto first = start("before", arguments);
  const std::string both = "live 2 main 2 ";
  EXPECT_NE(wait_for(*first, both).find(both), std::string::npos) << first->text();
  EXPECT_EQ(first->stop(kPatience), 0);
  EXPECT_TRUE(interop::read_file(scratch_ + "/nodes").starts_with("BLND"));

  // Nobody hears of the second run but through what it kept.
  const auto again = start("after", own);
  EXPECT_NE(wait_for(*again, both).find(both), std::string::npos) << again->text();
  EXPECT_EQ(again->stop(kPatience), 0);
  EXPECT_NE(again->text().find("table: 2 live, 2 in main"), std::string::npos) << again->text();
}

TEST_F(DiscoverTest, ANodeDatabaseThatIsDamagedIsSaidAndAnotherFileIsNotWrittenOver) {
  const std::string path = scratch_ + "/nodes";
  for (const std::string& content : {std::string("notes\n"), std::string(100, 'x')}) {
    std::ofstream(path) << content;
    const auto process = start("bad", {"--listen", "127.0.0.1:0", "--nodes", path});
    EXPECT_EQ(process->wait(kPatience), 1);
    EXPECT_NE(process->text().find("/nodes is not a node database"), std::string::npos);
    EXPECT_EQ(interop::read_file(path), content);
  }
  std::ofstream(path) << "BLND" << std::string("\x01\0\0\0", 4) << std::string(40, 'x');
  const auto process = start("torn", {"--listen", "127.0.0.1:0", "--nodes", path});
  EXPECT_NE(wait_for(*process, "starting without").find("/nodes: "), std::string::npos);
  EXPECT_EQ(process->stop(kPatience), 0);
  EXPECT_EQ(interop::read_file(path).size(), 16u) << "an empty one takes its place";
}

TEST_F(DiscoverTest, BadOptionsAreRefusedWithWhatWouldBeRight) {
  const auto refused = [&](std::vector<std::string> more) {
    const auto process = start("bad", std::move(more));
    EXPECT_EQ(process->wait(kPatience), 2) << process->text();
    return process->text();
  };
  EXPECT_NE(refused({"--listen", "nowhere"}).find("must be like 127.0.0.1:9000"),
            std::string::npos);
  EXPECT_NE(refused({"--bootnode", "foo"}).find("must be enode://KEY@IP:PORT or enr:..."),
            std::string::npos);
  EXPECT_NE(refused({"--bootnode", "enr:AAAA"}).find("is not a good record"), std::string::npos);
  EXPECT_NE(refused({"--bootnode", "enode://00@1.2.3.4:1"}).find("is not a good enode"),
            std::string::npos);
  EXPECT_NE(refused({"--what"}).find("unknown option '--what'"), std::string::npos);
  EXPECT_NE(refused({"--for", "x"}).find("--for is 'x'"), std::string::npos);
  EXPECT_NE(refused({"--backend", "magic"}).find("--backend is 'magic'"), std::string::npos);
}

TEST_F(DiscoverTest, AnIdentityThatIsNoneIsAnErrorThatNamesTheFile) {
  std::ofstream(scratch_ + "/key") << "not a key\n";
  const auto process = start("bad", {"--listen", "127.0.0.1:0", "--identity", scratch_ + "/key"});
  EXPECT_EQ(process->wait(kPatience), 1);
  EXPECT_NE(process->text().find("/key: an identity is 64 hex digits"), std::string::npos);
}

}  // namespace
}  // namespace beamline
