// UdpSocket, the object file that ships, on the simulated backend.
#include <memory>

#include <gtest/gtest.h>

#include "loop/sim/reactor.h"
#include "loop/udp.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

class Count final : public UdpHandler {
 public:
  void on_datagram(UdpSocket& socket, const Endpoint& from, Lease payload) override {
    got.emplace_back(as_text(payload.bytes()));
    if (echo) static_cast<void>(socket.send(from, payload.bytes()));
  }
  std::vector<std::string> got;
  bool echo = false;
};

// A sends numbered datagrams, B sends them back.
struct UdpWorld {
  UdpWorld(uint64_t seed, const Options& options, const UdpOptions& udp)
      : world(seed, traced(options)),
        a_host(world, world.add_host(0x0a000001)),
        b_host(world, world.add_host(0x0a000002)),
        a(*UdpSocket::open(*a_host, a_host.endpoint(7000), a_got, udp)),
        b(*UdpSocket::open(*b_host, b_host.endpoint(9000), b_got, udp)) {
    b_got.echo = true;
  }
  void send(int count) {
    for (int i = 0; i < count; ++i) {
      if (a->send(b->local(), as_bytes(std::to_string(sent))) == SendResult::ok) ++sent;
      a_host.wake();
      if (i % 7 == 0) world.run_for(microseconds(300));
    }
  }
  void shutdown() {
    for (SimReactor* host : {&a_host, &b_host}) {
      (*host)->shutdown();
      EXPECT_EQ(host->backend().in_flight(), 0u);
      EXPECT_EQ(host->backend().open_sockets(), 0u);
    }
    EXPECT_EQ(a->buffers().leased() + b->buffers().leased(), 0u);
  }
  Count a_got, b_got;
  World world;
  SimReactor a_host, b_host;
  std::unique_ptr<UdpSocket> a, b;
  int sent = 0;
};

TEST(SimUdpSocket, EveryDatagramComesBackOverAGoodLink) {
  UdpWorld udp(1, {}, {.buffer_count = 4});
  udp.send(500);
  udp.world.run_for(seconds(1));
  EXPECT_EQ(udp.b_got.got.size(), static_cast<size_t>(udp.sent));
  EXPECT_EQ(udp.a_got.got.size(), static_cast<size_t>(udp.sent));
  udp.shutdown();
}

TEST(SimUdpSocket, Swarm) {
  for_each_seed(150, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    UdpWorld udp(seed, options,
                 {.max_datagram = 64, .buffer_count = 1u << (seed % 4), .send_slots = 8});
    udp.send(200);
    udp.world.run_for(seconds(5));
    udp.world.calm();
    // Calm again, nobody is deaf and nobody is stuck.
    const size_t before = udp.a_got.got.size();
    EXPECT_EQ(udp.a->send(udp.b->local(), as_bytes("calm")), SendResult::ok);
    udp.a_host.wake();
    EXPECT_TRUE(udp.world.run_until([&] { return udp.a_got.got.size() > before; }, seconds(20)));
    EXPECT_EQ(udp.a_got.got.back(), "calm");
    udp.shutdown();
  });
}

TEST(SimUdpSocket, AShutdownAtAnyMomentEndsAtZeroInFlight) {
  for_each_seed(100, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    UdpWorld udp(seed, options, {.buffer_count = 2, .send_slots = 4});
    udp.send(static_cast<int>(Rng(seed).between(0, 50)));
    udp.shutdown();
  });
}

}  // namespace
}  // namespace beamline::sim
