// Networks of the whole service with real signatures, sessions and packets, in virtual time: 32
// nodes in the short tier, 500 with BEAMLINE_LONG.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <queue>
#include <tuple>

#include "discovery/service.h"
#include "nodes.h"

namespace beamline::discovery {
namespace {

class ServiceSim {
 public:
  explicit ServiceSim(size_t count) : rng_(11) {
    for (size_t i = 0; i < count; ++i) {
      keys_.push_back(secp256k1::SecretKey::generate(rng_));
    }
    for (size_t i = 0; i < count; ++i) {
      ServiceConfig config;
      config.listen = address(static_cast<uint32_t>(i));
      config.pool.capacity = 1024;
      services_.push_back(*Service::create(keys_[i], config, observer_, rng_.fork(), at({})));
      for (size_t boot = 0; boot < std::min<size_t>(i, 3); ++boot) {
        EXPECT_TRUE(services_[i]->add_bootnode(services_[boot]->record(), at({})).has_value());
      }
      wake_.push_back(Duration{-1});
      set_timer(i, milliseconds(static_cast<int64_t>(rng_.below(20'000))));
    }
    silent_.resize(count);
  }

  void run_until(Duration end) {
    while (!queue_.empty() && queue_.top().when <= end) {
      Event event = queue_.top();
      queue_.pop();
      clock_ = event.when;
      const size_t i = event.node;
      if (silent_[i]) continue;
      if (event.bytes == nullptr) {
        if (wake_[i] != event.when) continue;
        wake_[i] = Duration{-1};
        services_[i]->handle_timeout(at(clock_));
      } else {
        services_[i]->receive(event.from, *event.bytes, at(clock_));
      }
      send(i);
      set_timer(i, std::max(services_[i]->next_deadline() - at({}).mono, clock_ + milliseconds(1)));
    }
    clock_ = end;
  }
  void fall_silent(size_t i) { silent_[i] = true; }

  // How many of the `count` nearest live nodes stand live in the table of `i`.
  size_t knows_nearest(size_t i, size_t count) {
    std::vector<NodeId> others;
    for (size_t k = 0; k < services_.size(); ++k) {
      if (k != i && !silent_[k]) others.push_back(services_[k]->record().node_id());
    }
    const NodeId self = services_[i]->record().node_id();
    std::sort(others.begin(), others.end(),
              [&](const NodeId& a, const NodeId& b) { return closer(self, a, b); });
    others.resize(count);
    return static_cast<size_t>(std::count_if(others.begin(), others.end(), [&](const NodeId& id) {
      const Contact* contact = services_[i]->contacts().table.find(id);
      return contact != nullptr && contact->live;
    }));
  }
  size_t silent_told(size_t i) {
    size_t told = 0;
    services_[i]->contacts().table.for_each([&](const Contact& contact) {
      const auto network = subnet_of(contact.record.udp) - subnet_of(address(0));
      told += contact.live && !contact.replacement && silent_[network];
    });
    return told;
  }

  size_t size() const { return services_.size(); }
  bool silent(size_t i) const { return silent_[i]; }
  Service& service(size_t i) { return *services_[i]; }
  uint64_t datagrams = 0;
  size_t largest = 0;

 private:
  struct Event {
    Duration when;
    uint64_t order;
    size_t node;
    Endpoint from;
    std::shared_ptr<std::vector<uint8_t>> bytes;  // null: its timer
    bool operator<(const Event& other) const {
      return std::tie(other.when, other.order) < std::tie(when, order);
    }
  };
  void send(size_t i) {
    DatagramQueue& out = services_[i]->outbox();
    for (; !out.empty(); out.pop()) {
      const auto bytes = out.front().bytes;
      const auto to = subnet_of(out.front().to) - subnet_of(address(0));
      ++datagrams;
      largest = std::max(largest, bytes.size());
      if (to >= services_.size()) continue;
      queue_.push({clock_ + milliseconds(rng_.between(10, 60)), ++order_, to,
                   address(static_cast<uint32_t>(i)),
                   std::make_shared<std::vector<uint8_t>>(bytes.begin(), bytes.end())});
    }
  }
  void set_timer(size_t i, Duration when) {
    if (wake_[i].ns >= 0 && wake_[i] <= when) return;
    wake_[i] = when;
    queue_.push({when, ++order_, i, {}, nullptr});
  }

  Rng rng_;
  Observer observer_;
  std::vector<secp256k1::SecretKey> keys_;
  std::vector<std::unique_ptr<Service>> services_;
  std::vector<Duration> wake_;
  std::vector<bool> silent_;
  std::priority_queue<Event> queue_;
  Duration clock_{};
  uint64_t order_ = 0;
};

TEST(ServiceSim, NodesWithRealCryptoFindTheirNeighboursAndForgetSilentOnes) {
  const bool is_long = std::getenv("BEAMLINE_LONG") != nullptr;
  const size_t count = is_long ? 500 : 32;
  ServiceSim sim(count);
  sim.run_until(seconds(120));
  size_t known = 0;
  for (size_t i = 0; i < count; ++i) {
    known += sim.knows_nearest(i, 8);
    sim.service(i).set_wanted(false);
  }
  std::printf("%zu nodes, 120 s: %.2f %% of the nearest 8 known, %llu datagrams, largest %zu\n",
              count, 100.0 * static_cast<double>(known) / static_cast<double>(8 * count),
              static_cast<unsigned long long>(sim.datagrams), sim.largest);
  EXPECT_GE(known * 100, 8 * count * 99);
  EXPECT_LE(sim.largest, 1280u);
  const uint64_t before = sim.datagrams;
  for (size_t i = 3; i < count; i += 5) sim.fall_silent(i);
  const int64_t quiet = is_long ? 3600 : 600;
  sim.run_until(seconds(120 + quiet));
  size_t live = 0;
  size_t told = 0;
  known = 0;
  for (size_t i = 0; i < count; ++i) {
    if (sim.silent(i)) continue;
    ++live;
    known += sim.knows_nearest(i, 8);
    told += sim.silent_told(i);
  }
  const double rate = static_cast<double>(sim.datagrams - before) / static_cast<double>(count) /
                      static_cast<double>(quiet);
  std::printf(
      "a fifth silent, %lld s later: %.2f %% of the nearest 8 known, %zu silent ones still "
      "told by %zu nodes, %.2f datagrams per node and second\n",
      static_cast<long long>(quiet),
      100.0 * static_cast<double>(known) / static_cast<double>(8 * live), told, live, rate);
  EXPECT_GE(known * 100, 8 * live * 95);
  EXPECT_LE(told, live / 2);
  EXPECT_LE(rate, 3.0);
}

}  // namespace
}  // namespace beamline::discovery
