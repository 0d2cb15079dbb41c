// discv4 nodes in one process, as discv5_pair.h has them for discv5; and a bare peer, which signs
// whatever a test tells it to.
#pragma once

#include <map>
#include <set>

#include "discovery/discv4.h"
#include "discovery/node_record.h"
#include "tests/discovery/datagrams.h"

namespace beamline::discv4 {

inline Now start_time() { return {MonoTime{1'000'000'000}, WallTime::from_unix(1'700'000'000)}; }
inline Endpoint at(const char* text) { return *Endpoint::parse(text); }

class TestNode final : public Handler {
 public:
  TestNode(uint64_t seed, const Endpoint& where, const Limits& limits = {})
      : rng(seed),
        endpoint(where),
        key(secp256k1::SecretKey::generate(rng)),
        record(*EnrBuilder().set_endpoint(Enr::Transport::udp, where).sign(key)),
        protocol(key, record, {where, where.port()}, queue, *this, rng.fork(), limits) {}

  void on_bonded(const discovery::NodeRecord& node, std::optional<uint64_t> seq,
                 const Endpoint& claimed, Now) override {
    bonded.push_back(node);
    last_seq = seq;
    last_claimed = claimed;
  }
  void on_seen(const Peer&, Now) override { ++seen; }
  size_t closest(const NodeId& target, const Peer&, std::span<discovery::NodeRecord> out) override {
    last_target = target;
    const size_t count = std::min(out.size(), answers.size());
    std::copy_n(answers.begin(), count, out.begin());
    return count;
  }
  void on_neighbor(CallId, const Peer&, const discovery::NodeRecord& node, Now) override {
    found.push_back(node);
  }
  void on_record(CallId, const Peer&, const Enr& got, Now) override { records.push_back(got); }
  void on_done(CallId call, const Peer&, Status outcome, Now) override {
    done[call] = outcome ? "ok" : name(outcome.error().code);
  }
  discovery::NodeRecord as_target() const {
    discovery::NodeRecord target;
    target.id = record.node_id();
    target.key = raw_key(record.public_key());
    target.udp = endpoint;
    target.tcp_port = endpoint.port();
    return target;
  }
  const Stats& stats() const { return protocol.stats(); }

  Rng rng;
  Endpoint endpoint;
  secp256k1::SecretKey key;
  Enr record;
  discovery::DatagramQueue queue;
  std::vector<discovery::NodeRecord> bonded, found, answers;
  std::vector<Enr> records;
  std::optional<uint64_t> last_seq;
  Endpoint last_claimed;
  NodeId last_target;
  std::map<CallId, std::string> done;
  int seen = 0;
  Discv4 protocol;
};

using discovery::Datagram;

inline std::vector<std::pair<Endpoint, Datagram>> take(TestNode& node) {
  return discovery::take_all(node.queue);
}

inline size_t exchange(std::initializer_list<TestNode*> nodes, Now now) {
  size_t count = 0;
  for (bool busy = true; busy;) {
    busy = false;
    for (TestNode* from : nodes) {
      for (auto& [to, datagram] : take(*from)) {
        busy = true;
        ++count;
        for (TestNode* node : nodes) {
          if (node->endpoint == to) node->protocol.receive(from->endpoint, datagram, now);
        }
      }
    }
  }
  return count;
}

// Signs what a test wants said.
struct BarePeer {
  explicit BarePeer(uint64_t seed) : rng(seed), key(secp256k1::SecretKey::generate(rng)) {}

  template <class What>
  Datagram write(const What& message) {
    std::vector<uint8_t> data;
    append(data, message);
    return write_data(What::kType, data);
  }
  Datagram write_data(uint8_t type, Bytes data) {
    Datagram out(kMaxPacket);
    const Sealed sealed = seal_packet(out, type, data, key);
    out.resize(sealed.size);
    last_hash = sealed.hash;
    return out;
  }
  Rng rng;
  secp256k1::SecretKey key;
  Hash256 last_hash;
};

// What the datagrams are, by type; and one of them read.
inline std::multiset<int> types(const std::vector<std::pair<Endpoint, Datagram>>& all) {
  std::multiset<int> out;
  for (const auto& [to, datagram] : all) out.insert(datagram.at(kHeadSize - 1));
  return out;
}
template <class What>
std::optional<std::pair<What, Hash256>> find(
    const std::vector<std::pair<Endpoint, Datagram>>& all) {
  for (const auto& [to, datagram] : all) {
    const auto packet = read_packet(datagram);
    if (packet && std::holds_alternative<What>(packet->message)) {
      return std::pair{std::get<What>(packet->message), packet->hash};
    }
  }
  return std::nullopt;
}

}  // namespace beamline::discv4
