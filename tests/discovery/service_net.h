// Services in one process, joined by a network without loss; virtual time.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "discovery/service.h"

namespace beamline::discovery {

class TestService final : public Observer {
 public:
  TestService(uint64_t seed, const Endpoint& where, ServiceConfig config, Now now)
      : rng(seed), key(secp256k1::SecretKey::generate(rng)), endpoint(where) {
    config.listen = where;
    service = std::move(*Service::create(key, config, *this, rng.fork(), now));
  }
  void on_heard(const NodeRecord& node, Now) override { heard.insert(node.id); }
  void on_proven(const NodeRecord& node, Now) override { proven.insert(node.id); }
  void on_talk_response(discv5::CallId, Bytes response, Now) override {
    talks.emplace_back(as_text(response));
  }
  void on_talk_done(discv5::CallId, Status, Now) override { ++talks_done; }
  const NodeId& id() const { return service->record().node_id(); }

  Rng rng;
  secp256k1::SecretKey key;
  Endpoint endpoint;
  std::unique_ptr<Service> service;
  std::set<NodeId> heard, proven;
  std::vector<std::string> talks;
  int talks_done = 0;
};

class ServiceNet {
 public:
  TestService& add(ServiceConfig config = {}) {
    return add_at(Endpoint::v4(0x7f000001, static_cast<uint16_t>(9000 + nodes.size())), config);
  }
  TestService& add_at(const Endpoint& where, ServiceConfig config = {}) {
    nodes.push_back(std::make_unique<TestService>(nodes.size() + 1, where, config, now));
    by_endpoint[to_string(where)] = nodes.back().get();
    return *nodes.back();
  }
  void deliver() {
    for (bool busy = true; busy;) {
      busy = false;
      for (const auto& from : nodes) {
        DatagramQueue& out = from->service->outbox();
        while (!out.empty()) {
          busy = true;
          ++datagrams;
          std::vector<uint8_t> bytes(out.front().bytes.begin(), out.front().bytes.end());
          const auto to = by_endpoint.find(to_string(out.front().to));
          out.pop();
          largest = std::max(largest, bytes.size());
          if (to != by_endpoint.end() && silent.count(to->second) == 0) {
            to->second->service->receive(from->endpoint, bytes, now);
          }
        }
      }
    }
  }
  void run_for(Duration time) {
    const MonoTime end = now.mono + time;
    while (true) {
      MonoTime next = end;
      for (const auto& node : nodes) next = std::min(next, node->service->next_deadline());
      next = std::max(next, now.mono + milliseconds(1));
      if (next > end) break;
      now.wall = now.wall + (next - now.mono);
      now.mono = next;
      ++steps;
      for (const auto& node : nodes) {
        if (node->service->next_deadline() <= now.mono) node->service->handle_timeout(now);
      }
      deliver();
    }
    now.wall = now.wall + (end - now.mono);
    now.mono = end;
  }

  Now now{MonoTime{1'000'000'000}, WallTime::from_unix(1'700'000'000)};
  std::vector<std::unique_ptr<TestService>> nodes;
  std::map<std::string, TestService*> by_endpoint;
  std::set<TestService*> silent;
  size_t datagrams = 0, steps = 0, largest = 0;
};

}  // namespace beamline::discovery
