// The echo pair of the program: the same object file on the ring and in the simulation.
#include "loop/sim/reactor.h"
#include "node/echo_pair.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

constexpr uint32_t kConnections = 20;
constexpr uint32_t kSize = 3000;

class EchoTest : public RingTcpTest {};

TEST_F(EchoTest, OnTheRing) {
  reset_tcp(echo_tcp_options(2 * kConnections, kSize));
  EchoServer server;
  EchoClients clients(kConnections, kSize);
  const Closer closer(*this);
  TcpListener* listener = *tcp_->listen(Endpoint::loopback(0), server);
  ASSERT_TRUE(clients.start(*tcp_, listener->local()));
  ASSERT_TRUE(turn_until([&] { return clients.latencies().read().total() >= 2000; }));
  EXPECT_FALSE(clients.failed());
}

TEST(EchoSimTest, InTheSimulation) {
  sim::Options options;
  options.short_read = options.short_write = 300'000;
  sim::World world(7, options);
  sim::SimReactor server_host(world, world.add_host(0x0a000001));
  sim::SimReactor client_host(world, world.add_host(0x0a000002));
  EchoServer server;
  EchoClients clients(kConnections, kSize);
  auto server_tcp = std::move(*Tcp::create(*server_host, echo_tcp_options(kConnections, kSize)));
  auto client_tcp = std::move(*Tcp::create(*client_host, echo_tcp_options(kConnections, kSize)));
  ASSERT_TRUE(server_tcp->listen(server_host.endpoint(9000), server));
  ASSERT_TRUE(clients.start(*client_tcp, server_host.endpoint(9000)));
  client_host.wake();
  ASSERT_TRUE(
      world.run_until([&] { return clients.latencies().read().total() >= 2000; }, seconds(60)));
  EXPECT_FALSE(clients.failed());
  // A round trip takes two latencies of the link, at least.
  EXPECT_GE(clients.latencies().read().percentile(10'000), microseconds(400));
  client_host->shutdown();
  server_host->shutdown();
}

TEST_F(EchoTest, LossOfTheServerIsReported) {
  reset_tcp(echo_tcp_options(8, 100));
  EchoServer server;
  EchoClients clients(4, 100);
  const Closer closer(*this);
  const Socket silent = *backend().listen_tcp(Endpoint::loopback(0), 16);
  ASSERT_TRUE(clients.start(*tcp_, backend().local_endpoint(silent)));
  ASSERT_TRUE(turn_until([&] { return tcp_->stats().connected == 4; }));
  EXPECT_FALSE(clients.failed());
  backend().close(silent);  // resets what nobody accepted
  ASSERT_TRUE(turn_until([&] { return clients.failed(); }));
  EXPECT_EQ(clients.error().code, Code::reset);
}

}  // namespace
}  // namespace beamline
