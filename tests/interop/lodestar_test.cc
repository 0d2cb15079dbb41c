// Beamline against two real Lodestar 1.5.1 beacon nodes (tests/interop/README.md), phase0
// throughout, slots of two seconds. One scenario, because the nodes take their time to start:
//
//   slot 0    two Lodestars make a chain
//   slot 30   Beamline joins late: A (two threads) dials the first through a proxy and listens;
//             B (one thread) dials the second
//   then      60 s: every block by gossip, head equal to Lodestar's at each slot, no bad score
//   then      a third Lodestar, which knows nothing, syncs from A alone
//   then      the proxy cuts A off for some slots: what it missed comes by root
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tests/interop/http.h"
#include "tests/interop/process.h"
#include "tests/interop/proxy.h"

namespace beamline::interop {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int kSlotSeconds = 2;

std::string run_and_read(const std::string& command, int* status) {
  std::string text;
  std::FILE* pipe = popen(command.c_str(), "r");
  for (char buffer[256]; std::fgets(buffer, sizeof buffer, pipe) != nullptr;) text += buffer;
  *status = pclose(pipe);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// Looks again until it holds. The events are another program's, so looking is all there is.
template <class Predicate>
bool eventually(std::chrono::milliseconds limit, Predicate holds) {
  const auto end = Clock::now() + limit;
  while (!holds()) {
    if (Clock::now() > end) return false;
    usleep(50'000);
  }
  return true;
}

struct Block {
  uint64_t slot = 0;
  std::string root, parent, how, by;
  uint32_t batch = 0;
};

// What `beamline follow` printed.
std::vector<Block> blocks(const std::string& text) {
  std::vector<Block> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    Block block;
    words >> word;
    if (word != "slot") continue;
    words >> block.slot >> word >> block.root >> word >> block.parent >> word >> block.how >> word;
    if (block.how == "fetch") words >> block.by >> word;
    words >> block.batch;
    found.push_back(block);
  }
  return found;
}

uint64_t summary_number(const std::string& text, const std::string& before_words) {
  const size_t at = text.rfind(before_words);
  if (at == std::string::npos) return UINT64_MAX;
  size_t from = at;
  while (from > 0 && (std::isdigit(static_cast<unsigned char>(text[from - 1])) != 0)) --from;
  return std::strtoull(text.substr(from, at - from).c_str(), nullptr, 10);
}

class Lodestar : public testing::Test {
 protected:
  void SetUp() override {
    int status = 0;
    folder_ = run_and_read(BEAMLINE_SOURCE_DIR "/tests/interop/peers.sh lodestar15", &status);
    if (status != 0) GTEST_SKIP() << "the Lodestar peer could not be installed (see above)";
    char pattern[] = "/tmp/beamline-interop-XXXXXX";
    scratch_ = mkdtemp(pattern);
    // Runs beside others of its kind do not meet.
    base_port_ = static_cast<uint16_t>(20'000 + getpid() % 400 * 25);
  }
  void TearDown() override {
    if (HasFailure()) {
      std::printf("logs are kept in %s\n", scratch_.c_str());
    } else if (!scratch_.empty()) {
      std::filesystem::remove_all(scratch_);
    }
  }

  std::unique_ptr<Process> lodestars(const std::string& name, uint16_t port,
                                     std::vector<std::string> more) {
    std::vector<std::string> arguments = {folder_ + "/node", folder_ + "/run-lodestar.mjs",
                                          "--slot",          std::to_string(kSlotSeconds),
                                          "--altair",        "99999",
                                          "--p2p",           std::to_string(port),
                                          "--rest",          std::to_string(port + 5),
                                          "--seconds",       "300"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<Process>(arguments, scratch_ + "/" + name + ".log");
  }
  std::unique_ptr<Process> follow(const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> arguments = {BEAMLINE_PROGRAM, "follow", "--genesis", genesis_dir()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<Process>(arguments, scratch_ + "/" + name + ".log");
  }
  std::string genesis_dir() const { return scratch_ + "/genesis"; }

  void start_chain() {
    chain_ = lodestars("chain", base_port_, {"--nodes", "2", "--export", genesis_dir()});
    ASSERT_TRUE(eventually(90s, [&] {
      return chain_->text().find("exported to") != std::string::npos || !chain_->running();
    })) << chain_->text();
    network_ = Json::parse(read_file(genesis_dir() + "/network.json"), nullptr, false);
    ASSERT_TRUE(network_.is_object()) << chain_->text();
  }
  std::string multiaddr(size_t node) const { return network_["peers"][node]["multiaddr"]; }
  uint16_t rest(size_t node) const { return static_cast<uint16_t>(base_port_ + 5 + node); }

  struct Head {
    uint64_t slot = 0;
    std::string root;
  };
  std::optional<Head> head_at(uint16_t port) const {
    const Json json = get_json(port, "/eth/v1/beacon/headers/head");
    if (!json.is_object() || !json.contains("data")) return std::nullopt;
    const Json& data = json["data"];
    return Head{std::stoull(data["header"]["message"]["slot"].get<std::string>()), data["root"]};
  }
  static std::string head_line(const Head& head) {
    return "head slot " + std::to_string(head.slot) + " root " + head.root;
  }
  bool wait_for_slot(uint64_t slot) {
    return eventually(200s, [&] {
      const auto head = head_at(rest(0));
      return head && head->slot >= slot;
    });
  }
  // Both of the scores that Lodestar computes of a peer; nothing while it has none.
  void expect_no_bad_score(const std::string& peer_id) {
    const Json stats = get_json(rest(0), "/eth/v1/lodestar/lodestar-peer-score-stats");
    for (const Json& peer : stats.value("data", Json::array())) {
      if (peer.value("peer_id", "") != peer_id && peer.value("peerId", "") != peer_id) continue;
      ++scores_seen_;
      for (const auto& [key, value] : peer.items()) {
        if (key.find("score") == std::string::npos || !value.is_number()) continue;
        EXPECT_GE(value.get<double>(), 0.0) << key;
      }
    }
    const Json gossip = get_json(rest(0), "/eth/v1/lodestar/gossip-peer-score-stats");
    for (const Json& peer : gossip.value("data", Json::array())) {
      if (peer.value("peer_id", "") != peer_id) continue;
      ++scores_seen_;
      EXPECT_EQ(peer["behaviour_penalty"], 0);
      for (const auto& [topic, counters] : peer["topics"].items()) {
        EXPECT_EQ(counters["mesh_failure_penalty"], 0) << topic;
        EXPECT_EQ(counters["invalid_message_deliveries"], 0) << topic;
      }
    }
  }
  std::string word_after(const std::string& text, const std::string& start) {
    const size_t at = text.find(start);
    if (at == std::string::npos) return {};
    const size_t end = text.find('\n', at);
    return text.substr(at + start.size(), end - at - start.size());
  }

  bool caught_up(Process& process) {
    return eventually(20s, [&] {
      const auto head = head_at(rest(0));
      return head && process.text().find(head_line(*head)) != std::string::npos;
    });
  }

  void join_late() {
    proxy_ = std::make_unique<Proxy>(base_port_);
    std::string dialled = multiaddr(0);
    const std::string port_part = "/tcp/" + std::to_string(base_port_);
    dialled.replace(dialled.find(port_part), port_part.size(),
                    "/tcp/" + std::to_string(proxy_->port()));
    a_ = follow("a", {"--peer", dialled, "--listen", "127.0.0.1:0"});
    b_ = follow("b", {"--peer", multiaddr(1), "--network-threads", "0"});
    ASSERT_TRUE(caught_up(*a_)) << a_->text();
    ASSERT_TRUE(caught_up(*b_)) << b_->text();
    peer_id_ = word_after(a_->text(), "peer id ");
    address_ = word_after(a_->text(), "listening ");
    ASSERT_FALSE(peer_id_.empty() || address_.empty()) << a_->text();
  }

  // Blocks that Lodestar made in (from, to]: one a slot, but that a slow machine misses some.
  uint64_t blocks_made(uint64_t from, uint64_t to) const {
    uint64_t made = 0;
    for (uint64_t slot = from + 1; slot <= to; ++slot) {
      const Json json = get_json(rest(0), "/eth/v1/beacon/headers/" + std::to_string(slot));
      made += json.is_object() && json.contains("data") ? 1 : 0;
    }
    return made;
  }

  // Every block by gossip, our head Lodestar's at each slot, never a bad score.
  void follow_a_minute() {
    const uint64_t from = head_at(rest(0))->slot;
    const uint64_t to = from + 60 / kSlotSeconds;
    for (uint64_t slot = from + 1; slot <= to; ++slot) {
      ASSERT_TRUE(wait_for_slot(slot)) << "Lodestar stopped at slot " << slot;
      const auto head = head_at(rest(0));
      ASSERT_TRUE(head);
      // (It stands there for good, so that a slow machine may take its time.)
      EXPECT_TRUE(eventually(10s, [&] {
        return a_->text().find(head_line(*head)) != std::string::npos &&
               b_->text().find(head_line(*head)) != std::string::npos;
      })) << head_line(*head);
      expect_no_bad_score(peer_id_);
    }
    EXPECT_GT(scores_seen_, 0) << "Lodestar told no score of us";
    const uint64_t made = blocks_made(from, to);
    EXPECT_GE(made, (to - from) * 2 / 3);
    const uint64_t before = blocks_made(0, 29);
    EXPECT_GE(before, 20u);
    for (Process* process : {a_.get(), b_.get()}) {
      uint64_t fetched = 0, by_gossip = 0;
      for (const Block& block : blocks(process->text())) {
        if (block.slot <= from) fetched += block.how == "fetch" ? 1 : 0;
        if (block.slot <= from || block.slot > to) continue;
        ++by_gossip;
        EXPECT_EQ(block.how, "gossip") << "slot " << block.slot;
      }
      EXPECT_GE(fetched, before);  // we joined after slot 30
      EXPECT_EQ(by_gossip, made);
      EXPECT_EQ(process->text().find("peer 0 down"), std::string::npos);
    }
  }

  // A Lodestar that knows nothing syncs from us alone.
  void serve_a_lodestar() {
    const auto late =
        lodestars("late", static_cast<uint16_t>(base_port_ + 10),
                  {"--nodes", "0", "--late", "0", "--late-dial", address_, "--genesis",
                   network_["genesis_time"].get<std::string>(), "--keep", "1"});
    const auto late_rest = static_cast<uint16_t>(base_port_ + 15);
    EXPECT_TRUE(eventually(60s, [&] {
      const auto theirs = head_at(late_rest), head = head_at(rest(0));
      return theirs && head && theirs->root == head->root;
    })) << late->text();
    const std::string line = word_after(late->text(), "\"log\":\"");
    const std::string log = line.substr(0, line.find('"'));
    EXPECT_EQ(read_file(log).find("Req  error"), std::string::npos) << log;
    late->stop(8'000);
    std::filesystem::remove_all(std::filesystem::path(log).parent_path());
  }

  // Cut off for some slots: what was missed comes by root, and gossip goes on.
  void lose_some_slots() {
    const uint64_t cut_at = head_at(rest(0))->slot;
    proxy_->cut(true);
    ASSERT_TRUE(wait_for_slot(cut_at + 2));
    proxy_->cut(false);
    ASSERT_TRUE(wait_for_slot(cut_at + 5));
    EXPECT_TRUE(caught_up(*a_)) << a_->text();
    EXPECT_TRUE(eventually(10s, [&] {
      return std::ranges::any_of(blocks(a_->text()), [&](const Block& block) {
        return block.slot > cut_at && block.how == "fetch" && block.by == "root";
      });
    })) << a_->text();
  }

  std::string folder_, scratch_, peer_id_, address_;
  uint16_t base_port_ = 0;
  std::unique_ptr<Process> chain_, a_, b_;
  std::unique_ptr<Proxy> proxy_;
  Json network_;
  int scores_seen_ = 0;
};

TEST_F(Lodestar, LateJoinFollowsServesAndRecovers) {
  start_chain();
  ASSERT_TRUE(wait_for_slot(30)) << chain_->text();
  ASSERT_NO_FATAL_FAILURE(join_late());
  ASSERT_NO_FATAL_FAILURE(follow_a_minute());
  ASSERT_NO_FATAL_FAILURE(serve_a_lodestar());
  ASSERT_NO_FATAL_FAILURE(lose_some_slots());
  EXPECT_EQ(a_->stop(8'000), 0);
  EXPECT_EQ(b_->stop(8'000), 0);
  const std::string summary = a_->text();
  EXPECT_EQ(summary_number(summary, " goodbyes received"), 0u) << summary;
  EXPECT_EQ(summary_number(summary, " violations"), 0u) << summary;
  EXPECT_EQ(summary_number(summary, " of them twice"), 0u) << summary;
  EXPECT_GE(summary_number(summary, " blocks to "), 60u) << summary;
}

// Told no address but a record's: the fork digest says that it is one of ours.
TEST_F(Lodestar, FollowWithABootnodeFindsAndDialsALodestarByItsForkDigest) {
  ASSERT_NO_FATAL_FAILURE(start_chain());
  const std::string enr = network_["peers"][0]["enr"];
  a_ = follow("found", {"--bootnode", enr, "--listen", "127.0.0.1:0"});
  // A record of another fork leads to nobody.
  const std::string stranger_config = scratch_ + "/other";
  std::filesystem::copy(genesis_dir(), stranger_config);
  Json other = network_;
  other["genesis_fork_version"] = "0x0000ff01";
  std::ofstream(stranger_config + "/network.json") << other.dump();
  b_ = std::make_unique<Process>(
      std::vector<std::string>{BEAMLINE_PROGRAM, "follow", "--genesis", stranger_config,
                               "--bootnode", enr, "--listen", "127.0.0.1:0"},
      scratch_ + "/stranger.log");
  ASSERT_TRUE(wait_for_slot(3)) << chain_->text();
  EXPECT_TRUE(caught_up(*a_)) << a_->text();
  EXPECT_EQ(a_->stop(8'000), 0);
  EXPECT_GE(summary_number(a_->text(), " connections"), 1u) << a_->text();
  EXPECT_EQ(b_->stop(8'000), 0);
  EXPECT_EQ(summary_number(b_->text(), " connections"), 0u) << b_->text();
}

}  // namespace
}  // namespace beamline::interop
