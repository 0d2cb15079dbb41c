// Many routers in virtual time on links with latency: what one publishes reaches all, while peers
// are lost, come back, or lie.
#include <algorithm>
#include <map>

#include "router_fixture.h"

namespace beamline::gossip {
namespace {

class Network {
 public:
  Network(uint64_t seed, size_t nodes, const Params& params = {}) : rng_(seed), seed_(seed) {
    now_.mono = MonoTime{1'000'000'000};
    for (size_t i = 0; i < nodes; ++i) {
      nodes_.push_back({std::make_unique<Router>(params, rng_, now_), {}, true});
      TopicConfig config;
      config.id_rule = MessageIdRule::phase0;
      EXPECT_TRUE(nodes_[i].router->register_topic(kBlocks, config).has_value());
      nodes_[i].router->subscribe(0, now_);
    }
  }

  void link(PeerIndex a, PeerIndex b) {
    const PeerInfo dialled{Version::v1_2, true, b + 1u};
    const PeerInfo accepted{Version::v1_2, false, a + 1u};
    if (a == b || !nodes_[a].router->peer_connected(b, dialled, now_)) return;
    EXPECT_TRUE(nodes_[b].router->peer_connected(a, accepted, now_).has_value());
  }
  void unlink(PeerIndex a, PeerIndex b) {
    nodes_[a].router->peer_disconnected(b, now_);
    nodes_[b].router->peer_disconnected(a, now_);
    ++epoch_[{std::min(a, b), std::max(a, b)}];  // what is in flight is lost
  }
  // Each node dials `degree` others.
  void link_randomly(size_t degree) {
    for (PeerIndex a = 0; a < nodes_.size(); ++a) {
      for (size_t i = 0; i < degree; ++i)
        link(a, static_cast<PeerIndex>(rng_.below(nodes_.size())));
    }
  }
  void kill(PeerIndex node) {
    nodes_[node].alive = false;
    for (PeerIndex other = 0; other < nodes_.size(); ++other) unlink(node, other);
  }

  void run(Duration time) {
    const MonoTime end = now_.mono + time;
    pump();
    for (;;) {
      MonoTime next = wire_.empty() ? MonoTime::never() : wire_.begin()->first.first;
      for (const Node& node : nodes_) {
        if (node.alive) next = std::min(next, node.router->poll_timeout());
      }
      if (next > end) break;
      now_.mono = next;
      deliver();
      for (Node& node : nodes_) {
        if (node.alive) node.router->handle_timeout(now_);
      }
      pump();
    }
    now_.mono = end;
  }

  void publish(PeerIndex node, const std::string& payload) {
    EXPECT_TRUE(nodes_[node].router->publish(0, as_bytes(payload), now_).has_value());
    ++nodes_[node].got[payload];
    pump();
  }
  // Living nodes that have the payload; each got it once.
  size_t reached(const std::string& payload) const {
    size_t count = 0;
    for (const Node& node : nodes_) {
      const auto it = node.got.find(payload);
      if (it == node.got.end()) continue;
      EXPECT_EQ(it->second, 1u) << "seed " << seed_;
      count += node.alive;
    }
    return count;
  }
  Router& router(PeerIndex node) { return *nodes_[node].router; }
  Rng& rng() { return rng_; }
  Now now() const { return now_; }
  uint64_t trace() const { return trace_; }
  void lie(PeerIndex node) { nodes_[node].silent = true; }

 private:
  struct Node {
    std::unique_ptr<Router> router;
    std::map<std::string, size_t> got;
    bool alive = true;
    bool silent = false;  // takes messages, judges them all "ignore": forwards nothing
  };
  struct Packet {
    PeerIndex from, to;
    uint64_t epoch;
    SharedBytes bytes;
  };

  // Takes what every router has for its peers, and what it has for the application.
  void pump() {
    for (PeerIndex i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      if (!node.alive) continue;
      Message message;
      while (node.router->poll_message(message)) {
        ++node.got[std::string(as_text(message.data))];
        node.router->verdict(message.handle, node.silent ? Verdict::ignore : Verdict::accept, now_);
      }
      PeerIndex peer = kNoPeer;
      while (node.router->poll_ready(peer)) {
        for (SharedBytes frame = node.router->poll_transmit(peer); !frame.empty();
             frame = node.router->poll_transmit(peer)) {
          const uint64_t epoch = epoch_[{std::min(i, peer), std::max(i, peer)}];
          // One latency for each pair: streams keep their order.
          const Duration latency = milliseconds(5 + (i * 7 + peer * 13) % 40);
          trace_ = trace_ * 31 + frame.size() + i * 1000003 + peer;
          wire_.emplace(std::pair{now_.mono + latency, sequence_++}, Packet{i, peer, epoch, frame});
        }
      }
    }
  }
  void deliver() {
    while (!wire_.empty() && wire_.begin()->first.first <= now_.mono) {
      const Packet packet = wire_.begin()->second;
      wire_.erase(wire_.begin());
      const auto pair =
          std::pair{std::min(packet.from, packet.to), std::max(packet.from, packet.to)};
      if (epoch_[pair] != packet.epoch || !nodes_[packet.to].alive) continue;
      const Status ok = nodes_[packet.to].router->receive(packet.from, packet.bytes, now_);
      EXPECT_TRUE(ok.has_value()) << to_string(ok.error());
    }
  }

  Rng rng_;
  uint64_t seed_;
  Now now_{};
  std::vector<Node> nodes_;
  std::map<std::pair<MonoTime, uint64_t>, Packet> wire_;
  std::map<std::pair<PeerIndex, PeerIndex>, uint64_t> epoch_;
  uint64_t sequence_ = 0;
  uint64_t trace_ = 0;
};

TEST(GossipNetwork, MeshesFormWithinTheirBounds) {
  Network net(1, 40);
  net.link_randomly(10);
  net.run(seconds(10));
  for (PeerIndex i = 0; i < 40; ++i) {
    const size_t size = net.router(i).mesh(0).size();
    EXPECT_GE(size, net.router(i).params().d_low) << i;
    EXPECT_LE(size, net.router(i).params().d_high) << i;
    for (PeerIndex peer : net.router(i).mesh(0)) {
      const auto& other = net.router(peer).mesh(0);
      EXPECT_EQ(std::ranges::count(other, i), 1)
          << "a mesh link has two ends: " << i << " " << peer;
    }
  }
}

TEST(GossipNetwork, EveryMessageReachesEveryNodeOnce) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Network net(seed, 50);
    net.link_randomly(6);
    net.run(seconds(5));
    for (int i = 0; i < 20; ++i) {
      const auto publisher = static_cast<PeerIndex>(net.rng().below(50));
      net.publish(publisher, "block " + std::to_string(i));
      net.run(milliseconds(500));
    }
    net.run(seconds(3));
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(net.reached("block " + std::to_string(i)), 50u)
          << "seed " << seed << " block " << i;
    }
    for (PeerIndex i = 0; i < 50; ++i) {
      EXPECT_EQ(net.router(i).stats().bad_rpcs, 0u);
      EXPECT_EQ(net.router(i).stats().grafts_in_backoff, 0u) << "seed " << seed << " node " << i;
      EXPECT_EQ(net.router(i).stats().broken_promises, 0u);
    }
  }
}

TEST(GossipNetwork, LossOfPeersDoesNotLoseMessages) {
  for (uint64_t seed = 10; seed < 14; ++seed) {
    Network net(seed, 50);
    net.link_randomly(8);
    net.run(seconds(5));
    size_t alive = 50;
    for (PeerIndex i = 0; i < 15; ++i) {
      net.kill(i * 3);
      --alive;
      const auto publisher = static_cast<PeerIndex>(1 + 3 * net.rng().below(16));
      net.publish(publisher, "block " + std::to_string(i));
      net.run(seconds(1));
    }
    net.run(seconds(5));
    for (int i = 0; i < 15; ++i) {
      EXPECT_GE(net.reached("block " + std::to_string(i)), alive)
          << "seed " << seed << " block " << i;
    }
  }
}

TEST(GossipNetwork, LinksThatComeAndGo) {
  const uint64_t seed = 77;
  Network net(seed, 30);
  net.link_randomly(6);
  net.run(seconds(3));
  for (int i = 0; i < 30; ++i) {
    for (int k = 0; k < 5; ++k) {
      const auto a = static_cast<PeerIndex>(net.rng().below(30));
      const auto b = static_cast<PeerIndex>(net.rng().below(30));
      if (a != b && net.router(a).connected(b)) {
        net.unlink(a, b);
      } else {
        net.link(a, b);
      }
    }
    net.publish(static_cast<PeerIndex>(i), "block " + std::to_string(i));
    net.run(seconds(1));
  }
  net.run(seconds(4));
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(net.reached("block " + std::to_string(i)), 30u) << "seed " << seed << " block " << i;
  }
}

// A third of the nodes takes everything and forwards nothing: gossip goes around them.
TEST(GossipNetwork, SilentNodesDoNotStopTheRest) {
  const uint64_t seed = 5;
  Params params;
  params.flood_publish = false;
  Network net(seed, 45, params);
  net.link_randomly(6);
  for (PeerIndex i = 0; i < 45; i += 3) net.lie(i);
  net.run(seconds(5));
  for (int i = 0; i < 10; ++i) {
    net.publish(1, "block " + std::to_string(i));
    net.run(seconds(1));
  }
  net.run(seconds(4));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(net.reached("block " + std::to_string(i)), 45u) << "seed " << seed << " block " << i;
  }
}

TEST(GossipNetwork, ASeedReplaysTheRun) {
  auto run = [](uint64_t seed) {
    Network net(seed, 20);
    net.link_randomly(5);
    net.run(seconds(3));
    for (int i = 0; i < 10; ++i) {
      net.publish(static_cast<PeerIndex>(i), "block " + std::to_string(i));
      net.run(seconds(1));
    }
    return net.trace();
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

}  // namespace
}  // namespace beamline::gossip
