// Two connections with a wire between them: a virtual clock, and bytes that arrive in pieces of
// random size.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "libp2p/connection.h"

namespace beamline::libp2p {

// The seed of this run: BEAMLINE_SEED, or the test's own.
inline uint64_t test_seed(uint64_t fallback) {
  const char* text = std::getenv("BEAMLINE_SEED");
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

inline std::string test_bytes(size_t size, uint64_t seed) {
  Rng rng(seed);
  std::string bytes(size, '\0');
  rng.fill({reinterpret_cast<uint8_t*>(bytes.data()), size});
  return bytes;
}

struct TestNode {
  explicit TestNode(uint64_t seed, const LocalNodeConfig& config = {})
      : rng(seed), key(secp256k1::SecretKey::generate(rng)) {
    echo = protocols.add("/echo/1.0.0", true);
    sink = protocols.add("/sink/1.0.0", true);
    absent = protocols.add("/absent/1.0.0", false);
    node = std::make_unique<LocalNode>(config, key, protocols, rng.fork());
  }
  Rng rng;
  secp256k1::SecretKey key;
  ProtocolTable protocols;
  ProtocolId echo = 0;
  ProtocolId sink = 0;
  ProtocolId absent = 0;
  std::unique_ptr<LocalNode> node;
};

struct Seen {
  Event::Type type;
  StreamId stream;
  ProtocolId protocol;
  Error error;
};

struct Side {
  std::unique_ptr<Connection> connection;
  std::vector<Seen> events;
  std::map<uint32_t, std::string> data;  // by stream
  std::string agent;                     // of identify
  std::deque<uint8_t> wire;              // sent, not yet received by the other

  size_t count(Event::Type type) const {
    size_t n = 0;
    for (const Seen& seen : events) n += seen.type == type;
    return n;
  }
  const Seen* last(Event::Type type) const {
    for (auto it = events.rbegin(); it != events.rend(); ++it) {
      if (it->type == type) return &*it;
    }
    return nullptr;
  }
  Error closed() const {
    const Seen* seen = last(Event::Type::closed);
    return seen == nullptr ? Error{} : seen->error;
  }
  // Of the stream that the other side opened last.
  StreamId inbound() const {
    const Seen* seen = last(Event::Type::stream_opened);
    return seen == nullptr ? StreamId{} : seen->stream;
  }
};

class Pair {
 public:
  Pair(uint64_t seed, const LocalNodeConfig& a, const LocalNodeConfig& b, bool expect_peer = true)
      : rng_(seed), node_a(seed * 2 + 1, a), node_b(seed * 2 + 2, b) {
    dialler.connection = std::make_unique<Connection>(
        *node_a.node, Role::dialler, now, expect_peer ? node_b.node->peer_id() : PeerId());
    listener.connection = std::make_unique<Connection>(*node_b.node, Role::listener, now);
  }
  explicit Pair(uint64_t seed, const LocalNodeConfig& config = {}) : Pair(seed, config, config) {}

  // Moves bytes both ways until neither has anything left to do.
  void run() {
    while (step()) {
    }
  }
  // One exchange of random size in each direction; false: nothing happened.
  bool step() {
    bool any = transmit(dialler);
    any |= transmit(listener);
    any |= deliver(dialler, listener);
    any |= deliver(listener, dialler);
    return any;
  }
  bool transmit(Side& from) {
    if (!from.connection->wants_transmit()) return false;
    std::vector<uint8_t> out(rng_.chance(1, 4) ? 70'000 + rng_.below(100'000)
                                               : 512 + rng_.below(4'000));
    const size_t size = from.connection->poll_transmit(out);
    from.wire.insert(from.wire.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(size));
    poll(from);
    return size > 0;
  }
  bool deliver(Side& from, Side& to) {
    if (from.wire.empty()) return false;
    const size_t limit = rng_.chance(1, 8) ? 4 : rng_.chance(1, 2) ? 300 : 100'000;
    const size_t size = std::min<size_t>(from.wire.size(), 1 + rng_.below(limit));
    const auto end = from.wire.begin() + static_cast<ptrdiff_t>(size);
    std::vector<uint8_t> bytes(from.wire.begin(), end);
    from.wire.erase(from.wire.begin(), end);
    feed(to, bytes);
    return true;
  }
  // Bytes as if the other side had sent them. They are gone afterwards: a view kept is a bug that
  // the address sanitizer sees.
  void feed(Side& to, std::vector<uint8_t> bytes) {
    if (!to.connection->receive(now, bytes)) return;
    poll(to);
  }
  void poll(Side& side) {
    Event event;
    while (side.connection->poll_event(event)) {
      side.events.push_back({event.type, event.stream, event.protocol, event.error});
      if (event.type == Event::Type::stream_data) {
        side.data[event.stream.value].append(as_text(event.data));
      }
      if (event.type == Event::Type::identified) {
        side.agent = std::string(side.connection->identify().agent_version);
      }
      if (on_event) on_event(side, event);
    }
  }
  void advance(Duration by) {
    now.mono = now.mono + by;
    for (Side* side : {&dialler, &listener}) {
      if (side->connection->poll_timeout() > now.mono) continue;
      side->connection->handle_timeout(now);
      poll(*side);
    }
  }
  StreamId open(Side& side, ProtocolId protocol) {
    const std::array proposals{protocol};
    const Result<StreamId> stream = side.connection->open(now, proposals);
    EXPECT_TRUE(stream.has_value());
    return stream.value_or(StreamId{});
  }
  // Writes all of it, running the pair whenever the stream's queue is full.
  void write_all(Side& side, StreamId stream, std::string_view text) {
    int stuck = 0;
    while (!text.empty() && stuck < 3) {
      const size_t size = side.connection->write(stream, as_bytes(text));
      text.remove_prefix(size);
      stuck = size == 0 ? stuck + 1 : 0;
      run();
    }
    EXPECT_TRUE(text.empty()) << text.size() << " bytes were never taken";
  }

  Rng rng_;
  TestNode node_a;
  TestNode node_b;
  Now now{{1'000'000'000}, {0}};
  Side dialler;
  Side listener;
  std::function<void(Side&, const Event&)> on_event;
};

inline LocalNodeConfig only(MuxerKind muxer, bool early = true) {
  LocalNodeConfig config;
  config.muxers = {muxer};
  config.early_muxer = early;
  return config;
}

}  // namespace beamline::libp2p
