// discv5 nodes in one process: each with a Handler that writes down what it hears. Datagrams are
// handed over by the test, which may hold, change and repeat them.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "discovery/discv5.h"
#include "tests/discovery/datagrams.h"

namespace beamline::discv5 {

inline Now start_time() { return {MonoTime{1'000'000'000}, WallTime::from_unix(1'700'000'000)}; }

inline Enr make_record(const secp256k1::SecretKey& key, const Endpoint& at, uint64_t seq = 1) {
  EnrBuilder builder;
  if (!at.empty()) builder.set_endpoint(Enr::Transport::udp, at);
  return *builder.set_seq(seq).sign(key);
}

class TestNode final : public Handler {
 public:
  // The key is the seed's; what is drawn later, the life's.
  TestNode(uint64_t seed, const Endpoint& where, const Limits& limits = {}, uint64_t life = 0)
      : rng(seed),
        endpoint(where),
        key(secp256k1::SecretKey::generate(rng)),
        record(make_record(key, where)),
        protocol(key, record, queue, *this, Rng(rng.next() + life), limits) {}

  std::optional<KnownRecord> known_record(const NodeId& id) override {
    const auto known = records.find(id);
    if (known == records.end()) return std::nullopt;
    return KnownRecord{known->second.seq(), discovery::key_of(known->second.public_key()),
                       known->second.bytes()};
  }
  void on_session(const Peer& peer, const Enr* sent, Now) override {
    ++sessions;
    last_peer = peer;
    if (sent != nullptr) {
      records.insert_or_assign(sent->node_id(), *sent);
      ++records_received;
    }
  }
  void on_seen(const Peer&, Now) override { ++seen; }
  void on_ping(const Peer&, uint64_t seq, Now) override { last_ping_seq = seq; }
  size_t records_at(const Peer&, std::span<const uint16_t> distances,
                    std::span<Bytes> out) override {
    asked.assign(distances.begin(), distances.end());
    const size_t count = std::min(out.size(), answers.size());
    for (size_t i = 0; i < count; ++i) out[i] = answers[i].bytes();
    return count;
  }
  std::optional<size_t> on_talk(const Peer&, Bytes protocol_name, Bytes request, MutableBytes out,
                                Now) override {
    if (as_text(protocol_name) != "echo") return std::nullopt;
    std::copy(request.begin(), request.end(), out.begin());
    return request.size();
  }
  void on_pong(CallId, const Peer&, const Pong& pong, Now) override { pongs.push_back(pong); }
  void on_record(CallId, const Peer&, const Enr& found_record, Now) override {
    found.push_back(found_record);
  }
  void on_talk_response(CallId, const Peer&, Bytes response, Now) override {
    talks.emplace_back(as_text(response));
  }
  void on_done(CallId call, const Peer&, Status outcome, Now) override {
    done[call] = outcome ? "ok" : name(outcome.error().code);
    ++ended;
  }

  discovery::NodeRecord as_target() const {
    discovery::NodeRecord target = discovery::record_of(record);
    target.udp = endpoint;
    return target;
  }
  const Stats& stats() const { return protocol.stats(); }
  Peer as_peer() const { return {record.node_id(), endpoint}; }

  Rng rng;
  Endpoint endpoint;
  secp256k1::SecretKey key;
  Enr record;
  discovery::DatagramQueue queue;
  std::map<NodeId, Enr> records;
  std::vector<Enr> answers;
  std::vector<uint16_t> asked;
  std::vector<Pong> pongs;
  std::vector<Enr> found;
  std::vector<std::string> talks;
  std::map<CallId, std::string> done;
  size_t ended = 0;
  Peer last_peer;
  uint64_t last_ping_seq = 0;
  int sessions = 0, records_received = 0, seen = 0;
  Discv5 protocol;
};

using discovery::Datagram;

// What a node has to send, taken out.
inline std::vector<std::pair<Endpoint, Datagram>> take(TestNode& node) {
  return discovery::take_all(node.queue);
}
// The one datagram that it has to send.
inline Datagram take_one(TestNode& node) {
  auto all = take(node);
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? Datagram{} : all.front().second;
}
inline void give(TestNode& node, const Endpoint& from, Datagram datagram, Now now) {
  node.protocol.receive(from, datagram, now);
}

// Hands everything over until nobody has anything to say. Gives how many datagrams that were.
inline size_t exchange(std::initializer_list<TestNode*> nodes, Now now) {
  size_t count = 0;
  for (bool busy = true; busy;) {
    busy = false;
    for (TestNode* from : nodes) {
      for (auto& [to, datagram] : take(*from)) {
        busy = true;
        ++count;
        for (TestNode* node : nodes) {
          if (node->endpoint == to) give(*node, from->endpoint, datagram, now);
        }
      }
    }
  }
  return count;
}

}  // namespace beamline::discv5
