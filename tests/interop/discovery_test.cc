// Discovery against real peers (tests/interop/README.md): @chainsafe/discv5 and the DPT of
// @ethereumjs/devp2p, on loopback, each in both roles.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <sstream>

#include <arpa/inet.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/hex.h"
#include "discovery/service.h"
#include "tests/interop/process.h"
#include "tests/vectors/family.h"

namespace beamline::interop {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

Now clock_now() {
  using std::chrono::nanoseconds;
  const auto mono = std::chrono::duration_cast<nanoseconds>(Clock::now().time_since_epoch());
  const auto wall =
      std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch());
  return {MonoTime{mono.count()}, WallTime{wall.count()}};
}

// A Service on a socket of its own, turned by the test.
class Live final : public discovery::Observer {
 public:
  explicit Live(uint16_t port)
      : rng_(Rng::from_system()), key_(secp256k1::SecretKey::generate(rng_)) {
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    const Endpoint here = Endpoint::loopback(port);
    EXPECT_EQ(bind(fd_, here.data(), here.size()), 0) << port;
    discovery::ServiceConfig config;
    config.listen = here;
    service = std::move(*discovery::Service::create(key_, config, *this, rng_.fork(), clock_now()));
  }
  ~Live() override { close(fd_); }

  void turn() {
    pollfd wait{fd_, POLLIN, 0};
    poll(&wait, 1, 20);
    for (;;) {
      std::array<uint8_t, 2048> bytes;
      sockaddr_in6 from{};
      socklen_t size = sizeof(from);
      const ssize_t got =
          recvfrom(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) break;
      service->receive(Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&from)),
                       MutableBytes(bytes).first(static_cast<size_t>(got)), clock_now());
      flush();
    }
    service->handle_timeout(clock_now());
    flush();
  }
  void on_talk_response(discv5::CallId, Bytes response, Now) override {
    talks.push_back(to_hex(response));
  }

  std::unique_ptr<discovery::Service> service;
  std::vector<std::string> talks;

 private:
  void flush() {
    for (auto& out = service->outbox(); !out.empty(); out.pop()) {
      const auto datagram = out.front();
      sendto(fd_, datagram.bytes.data(), datagram.bytes.size(), 0, datagram.to.data(),
             datagram.to.size());
    }
  }
  Rng rng_;
  secp256k1::SecretKey key_;
  int fd_ = -1;
};

class DiscoveryInterop : public testing::Test {
 protected:
  void TearDown() override {
    if (HasFailure()) {
      std::printf("logs are kept in %s\n", scratch_.c_str());
    } else if (!scratch_.empty()) {
      std::filesystem::remove_all(scratch_);
    }
  }
  // False: it could not be installed, and the test is skipped.
  bool install(const std::string& peer) {
    const std::string command = BEAMLINE_SOURCE_DIR "/tests/interop/peers.sh " + peer;
    std::FILE* pipe = popen(command.c_str(), "r");
    folder_.clear();
    for (char buffer[256]; std::fgets(buffer, sizeof buffer, pipe) != nullptr;) folder_ += buffer;
    const int status = pclose(pipe);
    while (folder_.ends_with('\n')) folder_.pop_back();
    char pattern[] = "/tmp/beamline-interop-XXXXXX";
    scratch_ = mkdtemp(pattern);
    // Below the ports that the kernel gives to others.
    base_port_ = static_cast<uint16_t>(30'000 + getpid() % 130 * 20);
    return status == 0;
  }
  uint16_t port(int number) const { return static_cast<uint16_t>(base_port_ + number); }

  std::unique_ptr<Process> run(const std::string& name, std::vector<std::string> arguments) {
    return std::make_unique<Process>(std::move(arguments), scratch_ + "/" + name + ".log");
  }
  std::unique_ptr<Process> script(const std::string& name, const std::string& file, int number,
                                  std::vector<std::string> more) {
    std::vector<std::string> arguments = {folder_ + "/node", folder_ + "/" + file, "--port",
                                          std::to_string(port(number))};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(name, std::move(arguments));
  }
  std::unique_ptr<Process> discover(const std::string& name, int number,
                                    std::vector<std::string> more) {
    std::vector<std::string> arguments = {BEAMLINE_PROGRAM, "discover", "--listen",
                                          "127.0.0.1:" + std::to_string(port(number))};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(name, std::move(arguments));
  }
  // Looks again until it holds, turning `live` where there is one.
  bool eventually(std::chrono::seconds limit, const std::function<bool()>& holds,
                  Live* live = nullptr) {
    const auto end = Clock::now() + limit;
    while (!holds()) {
      if (Clock::now() > end) return false;
      if (live != nullptr) {
        live->turn();
      } else {
        usleep(50'000);
      }
    }
    return true;
  }
  // The JSON lines of a script that tell of `event`.
  static std::vector<Json> events(const Process& process, const std::string& event) {
    std::vector<Json> found;
    std::istringstream lines(process.text());
    for (std::string line; std::getline(lines, line);) {
      Json json = Json::parse(line, nullptr, false);
      if (json.is_object() && json.value("ev", "") == event) found.push_back(std::move(json));
    }
    return found;
  }
  Json first(Process& process, const std::string& event, Live* live = nullptr) {
    EXPECT_TRUE(eventually(
        60s, [&] { return !events(process, event).empty(); }, live))
        << process.text();
    const auto found = events(process, event);
    return found.empty() ? Json::object() : found.front();
  }
  // Everyone whom a script's table holds now.
  static std::set<std::string> known(const Process& process) {
    const auto all = events(process, "known");
    std::set<std::string> ids;
    if (all.empty()) return ids;
    for (const Json& id : all.back()["ids"]) ids.insert(id.get<std::string>());
    return ids;
  }
  std::string line(Process& process, const std::string& start) {
    std::string text;
    eventually(60s, [&] {
      std::istringstream lines(process.text());
      for (std::string one; std::getline(lines, one);) {
        if (one.starts_with(start) && !lines.eof()) text = one;
      }
      return !text.empty();
    });
    EXPECT_FALSE(text.empty()) << start << "\n" << process.text();
    return text;
  }
  bool counts(Process& process, size_t live) {
    return eventually(90s, [&] {
      return process.text().find("live " + std::to_string(live) + " ") != std::string::npos;
    });
  }
  static std::string id_of(const std::string& enr) {
    const auto record = Enr::parse_text(enr);
    EXPECT_TRUE(record) << enr;
    return record ? to_hex(record->node_id().view()) : "";
  }

  std::string folder_, scratch_;
  uint16_t base_port_ = 0;
};

TEST_F(DiscoveryInterop, Discv5TwoBeamlinesAndThreePeersThatKnowOneBootnodeFindEachOther) {
  if (!install("discv5")) GTEST_SKIP() << "the chainsafe peer could not be installed (see above)";
  const auto boot = discover("boot", 0, {});
  const std::string enr = line(*boot, "enr:");
  const auto second = discover("second", 1, {"--bootnode", enr});
  std::vector<std::unique_ptr<Process>> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(script("peer" + std::to_string(i), "discv5-peer.mjs", 2 + i, {"--boot", enr}));
  }
  std::set<std::string> all = {id_of(enr), id_of(line(*second, "enr:"))};
  for (const auto& peer : peers) all.insert(first(*peer, "enr")["id"].get<std::string>());
  ASSERT_EQ(all.size(), 5u);
  for (const auto& peer : peers) {
    std::set<std::string> others = all;
    others.erase(first(*peer, "enr")["id"].get<std::string>());
    EXPECT_TRUE(eventually(90s, [&] { return known(*peer) == others; })) << peer->text();
  }
  EXPECT_TRUE(counts(*boot, 4)) << boot->text();
  EXPECT_TRUE(counts(*second, 4)) << second->text();
}

size_t echo(void*, const discv5::Peer&, Bytes request, MutableBytes out, Now) {
  std::copy(request.begin(), request.end(), out.begin());
  return request.size();
}

TEST_F(DiscoveryInterop, Discv5PeerMakesASessionWithUsPingsAndTalks) {
  if (!install("discv5")) GTEST_SKIP() << "the chainsafe peer could not be installed (see above)";
  Live live(port(0));
  ASSERT_TRUE(live.service->serve_talk("echo", echo, nullptr));
  const std::string enr = live.service->record().to_text();
  const auto peer = script("peer", "discv5-peer.mjs", 1, {"--ping", enr, "--talk", enr});
  EXPECT_EQ(first(*peer, "pong", &live).value("seq", 0), 1);
  ASSERT_TRUE(eventually(
      60s, [&] { return events(*peer, "talkresp").size() == 2; }, &live))
      << peer->text();
  EXPECT_EQ(events(*peer, "talkresp")[0].value("response", "none"), "010203");
  EXPECT_EQ(events(*peer, "talkresp")[1].value("response", "none"), "");  // protocol "unknown"
  EXPECT_EQ(live.service->v5().stats().handshakes_accepted, 1u);
  EXPECT_EQ(live.service->v5().stats().talk_unknown, 1u);
}

TEST_F(DiscoveryInterop, Discv5WeMakeASessionWithAPeerTalkAndSeeItsRecordUpdate) {
  if (!install("discv5")) GTEST_SKIP() << "the chainsafe peer could not be installed (see above)";
  const auto peer = script("peer", "discv5-peer.mjs", 1, {"--update", "3"});
  const Json told = first(*peer, "enr");
  const auto record = Enr::parse_text(told["enr"].get<std::string>());
  ASSERT_TRUE(record);
  Live live(port(0));
  ASSERT_TRUE(live.service->add_bootnode(*record, clock_now()));
  const auto contact = [&] { return live.service->contacts().table.find(record->node_id()); };
  EXPECT_TRUE(eventually(60s, [&] { return contact() != nullptr && contact()->live; }, &live));
  const std::array<uint8_t, 3> request = {7, 8, 9};
  const auto to = discovery::record_of(*record);
  ASSERT_TRUE(live.service->talk(to, "echo", request, clock_now()));
  ASSERT_TRUE(live.service->talk(to, "nothing", request, clock_now()));
  EXPECT_TRUE(eventually(60s, [&] { return live.talks.size() == 2; }, &live));
  EXPECT_EQ(live.talks, (std::vector<std::string>{"070809", ""}));
  EXPECT_GE(live.service->v5().stats().whoareyou_accepted, 1u);
  // Its record changes; our next ping sees that, and asks for it.
  EXPECT_TRUE(eventually(
      60s, [&] { return contact() != nullptr && contact()->record.fork == 0x09090909; }, &live))
      << peer->text();
  EXPECT_GT(contact()->record.seq, record->seq());
}

// The node of a real deneb to fulu chain, with all the keys that a beacon node's record has. We
// bond with one that is our bootnode; another, whose bootnode we are, bonds with us and finds the
// first.
TEST_F(DiscoveryInterop, Discv5FuluNodesBondInBothRolesAndFindEachOtherThroughUs) {
  if (!install("fuluchain")) GTEST_SKIP() << "the fulu chain's node could not be installed";
  const auto fulu = [&](const std::string& name, int number, std::vector<std::string> more) {
    const std::string udp = std::to_string(port(number));
    std::vector<std::string> arguments = {folder_ + "/node",
                                          "--import",
                                          folder_ + "/poly.mjs",
                                          folder_ + "/fulu-node.mjs",
                                          "--port",
                                          udp,
                                          "--udp",
                                          udp,
                                          "--history",
                                          "2",
                                          "--validators",
                                          "8",
                                          "--blobs",
                                          "0",
                                          "--seconds",
                                          "200"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(name, std::move(arguments));
  };
  const auto node = fulu("node", 1, {});
  ASSERT_TRUE(eventually(120s, [&] { return !events(*node, "enr").empty(); })) << node->text();
  const std::string enr = events(*node, "enr").front()["enr"];
  const auto record = Enr::parse_text(enr);
  ASSERT_TRUE(record);
  Live live(port(0));
  ASSERT_TRUE(live.service->add_bootnode(*record, clock_now()));
  const auto contact = [&] { return live.service->contacts().table.find(record->node_id()); };
  ASSERT_TRUE(eventually(30s, [&] { return contact() != nullptr && contact()->live; }, &live));
  EXPECT_NE(contact()->record.fork, 0u);  // of its `eth2` key
  const auto other = fulu("other", 2, {"--boot", live.service->record().to_text()});
  const std::string wanted = id_of(enr);
  const auto found = [&] {
    for (const char* event : {"discovered", "enrAdded"}) {
      for (const Json& one : events(*other, event)) {
        if (id_of(one["enr"].get<std::string>()) == wanted) return true;
      }
    }
    return false;
  };
  EXPECT_TRUE(eventually(120s, found, &live)) << other->text();
  EXPECT_GE(live.service->v5().stats().handshakes_accepted, 1u);  // it came to us
  EXPECT_GE(live.service->v5().stats().whoareyou_accepted, 1u);   // and we went to the first
}

TEST_F(DiscoveryInterop, Discv4TablesBondAndFindEachOtherThroughUs) {
  if (!install("devp2p")) GTEST_SKIP() << "the devp2p peer could not be installed (see above)";
  const auto boot = discover("boot", 0, {});
  line(*boot, "enr:");
  std::vector<std::unique_ptr<Process>> peers;
  for (int i = 0; i < 2; ++i) {
    peers.push_back(script("peer" + std::to_string(i), "dpt-peer.mjs", 1 + i,
                           {"--boot", std::to_string(port(0))}));
  }
  for (int i = 0; i < 2; ++i) {
    const std::string other = first(*peers[static_cast<size_t>(1 - i)], "listening")["id"];
    EXPECT_TRUE(eventually(90s, [&] {
      return known(*peers[static_cast<size_t>(i)]).contains(other);
    })) << peers[static_cast<size_t>(i)]->text();
    EXPECT_FALSE(events(*peers[static_cast<size_t>(i)], "bonded").empty());
  }
  EXPECT_TRUE(counts(*boot, 2)) << boot->text();
}

TEST_F(DiscoveryInterop, Discv4WeBondWithATableAndFindThroughItWhomItKnows) {
  if (!install("devp2p")) GTEST_SKIP() << "the devp2p peer could not be installed (see above)";
  const auto first_peer = script("first", "dpt-peer.mjs", 1, {});
  const std::string enode = first(*first_peer, "listening")["enode"];
  const auto friend_peer = script("friend", "dpt-peer.mjs", 2, {"--boot", std::to_string(port(1))});
  first(*friend_peer, "bonded");
  const auto us = discover("us", 0, {"--bootnode", enode});
  EXPECT_TRUE(counts(*us, 2)) << us->text();
  us->stop(8'000);
  EXPECT_NE(us->text().find("127.0.0.1:" + std::to_string(port(2))), std::string::npos)
      << us->text();
}

// The table serves no chain; through it `beamline headers` finds who has the 600 blocks of geth.
TEST_F(DiscoveryInterop, Discv4HeadersFindThroughATableAPeerThatServesGethChain) {
  const auto chains = vector_files("/chain.rlp");
  if (chains.empty()) {
    GTEST_SKIP() << "no chain.rlp in " << vectors_folder() << " (set BEAMLINE_VECTORS)";
  }
  if (!install("devp2p")) GTEST_SKIP() << "the devp2p peer could not be installed (see above)";
  const auto table = script("table", "dpt-peer.mjs", 1, {});
  const std::string enode = first(*table, "listening")["enode"];
  const std::string genesis = (chains.front().parent_path() / "genesis.json").string();
  const auto server =
      run("server", {BEAMLINE_PROGRAM, "serve-chain", chains.front().string(), "--genesis", genesis,
                     "--listen", "127.0.0.1:" + std::to_string(port(2)), "--bootnode", enode});
  const std::string head = line(*server, "600 blocks, head ").substr(17);
  const auto headers = run(
      "headers", {BEAMLINE_PROGRAM, "headers", "--genesis", genesis, "--data", scratch_ + "/data",
                  "--bootnode", enode, "--head", head, "--full-sync-below", "0", "--for", "100"});
  EXPECT_EQ(headers->wait(110'000), 0) << headers->text();
  EXPECT_NE(headers->text().find("Synced: 600 headers"), std::string::npos) << headers->text();
}

}  // namespace
}  // namespace beamline::interop
