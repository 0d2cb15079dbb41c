// No allocation per connection or message once the sockets are set up.
#include "node/echo_pair.h"
#include "tests/loop/allocations.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

// Asks `rounds` times, then closes and is replaced by a new connection.
class Client final : public StreamHandler {
 public:
  void start(Tcp& tcp, const Endpoint& to) {
    to_ = to;
    ASSERT_TRUE(tcp.connect(to, *this, seconds(5)));
  }
  void on_connected(TcpStream& stream) override { ask(stream); }
  void on_data(TcpStream& stream, Lease lease) override {
    received_ += lease.size();
    if (received_ < kSize) return;
    received_ = 0;
    ++trips;
    if (++asked_ < 20) return ask(stream);
    stream.close_after_flush();
  }
  void on_end(TcpStream& stream) override { stream.close(); }
  void on_closed(TcpStream& stream, const Error&) override {
    asked_ = 0;
    ++connections;
    if (!stream.tcp().reactor().stopping()) start(stream.tcp(), to_);
  }
  int trips = 0;
  int connections = 0;

 private:
  static constexpr size_t kSize = 100;
  void ask(TcpStream& stream) {
    static constexpr std::array<uint8_t, kSize> kMessage{};
    ASSERT_EQ(stream.write(Bytes(kMessage)), WriteResult::ok);
  }
  Endpoint to_;
  size_t received_ = 0;
  int asked_ = 0;
};

class TcpAllocTest : public RingTcpTest {};

TEST_F(TcpAllocTest, NoAllocationIn10000RoundTripsWithConnectionsThatComeAndGo) {
  EchoServer server;
  std::array<Client, 8> clients;
  const Closer closer(*this);
  const Endpoint to = (*tcp_->listen(Endpoint::loopback(0), server))->local();
  for (Client& client : clients) client.start(*tcp_, to);
  const auto sum = [&](int Client::* count) {
    int total = 0;
    for (const Client& client : clients) total += client.*count;
    return total;
  };
  ASSERT_TRUE(turn_until([&] { return sum(&Client::connections) >= 16; }));
  const int trips = sum(&Client::trips), connections = sum(&Client::connections);
  const uint64_t before = allocations_of_this_thread();
  const Tick tick(*reactor_);
  while (sum(&Client::trips) < trips + 10'000) reactor_->turn();
  EXPECT_EQ(allocations_of_this_thread(), before);
  EXPECT_GT(sum(&Client::connections), connections + 100);
}

}  // namespace
}  // namespace beamline
