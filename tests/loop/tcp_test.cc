#include "loop/tcp.h"

#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

// Sends back what it gets.
class Echo final : public ListenerHandler, public StreamHandler {
 public:
  StreamHandler* on_accept(TcpStream&) override { return this; }
  void on_data(TcpStream& stream, Lease lease) override {
    EXPECT_EQ(stream.write(lease.bytes()), WriteResult::ok);
  }
  void on_end(TcpStream& stream) override { stream.close_after_flush(); }
  void on_closed(TcpStream&, const Error& why) override { closed.push_back(why); }
  std::vector<Error> closed;
};

class Client final : public StreamHandler {
 public:
  void on_connected(TcpStream&) override { connected = true; }
  void on_data(TcpStream&, Lease lease) override { received += as_text(lease.bytes()); }
  void on_end(TcpStream& stream) override {
    ended = true;
    stream.close();
  }
  void on_writable(TcpStream&) override { ++writable; }
  void on_closed(TcpStream&, const Error& error) override { why = error; }
  std::string received;
  std::optional<Error> why;
  bool connected = false, ended = false;
  int writable = 0;
};

class TcpStreamTest : public RingTcpTest {
 protected:
  void reset(const TcpOptions& options) { reset_tcp(options); }
  template <class Predicate>
  void turn_until(Predicate done) {
    ASSERT_TRUE(RingTcpTest::turn_until(done));
  }
};
using TcpListenerTest = TcpStreamTest;

TEST_F(TcpStreamTest, EchoComesBackWholeAndInOrder) {
  Echo echo;
  Client client;
  const Closer closer(*this);
  TcpListener* listener = *tcp_->listen(Endpoint::loopback(0), echo);
  TcpStream* stream = *tcp_->connect(listener->local(), client, seconds(5));
  std::string sent;
  for (int i = 0; i < 1000; ++i) sent += std::to_string(i) + ",";
  EXPECT_EQ(stream->write(as_bytes(sent)), WriteResult::ok);
  EXPECT_EQ(stream->write(SharedBytes::copy(as_bytes("shared"))), WriteResult::ok);
  stream->shutdown_write();
  turn_until([&] { return client.why.has_value(); });
  EXPECT_EQ(client.received, sent + "shared");
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(client.why->code, Code::closed);
}

TEST_F(TcpStreamTest, ConnectingToNobodyIsRefused) {
  Client client;
  Echo echo;
  const Closer closer(*this);
  TcpListener* listener = *tcp_->listen(own_loopback(), echo);
  const Endpoint nobody = listener->local();
  listener->close();
  turn_until([&] { return reactor_->backend().in_flight() == 0; });
  ASSERT_TRUE(tcp_->connect(nobody, client, seconds(5)));
  turn_until([&] { return client.why.has_value(); });
  EXPECT_EQ(client.why->code, Code::refused);
  EXPECT_EQ(client.why->fault, Fault::network);
}

TEST_F(TcpListenerTest, PortInUseNamesThePort) {
  Echo echo;
  const Closer closer(*this);
  TcpListener* listener = *tcp_->listen(Endpoint::loopback(0), echo);
  const auto second = tcp_->listen(listener->local(), echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::address_in_use);
  EXPECT_EQ(second.error().offset, listener->local().port());
}

TEST_F(TcpStreamTest, ShutdownLeavesNothingInFlightAndFreesThePort) {
  for (int round = 0; round < 20; ++round) {
    Echo echo;
    Client client;
    static Endpoint local = own_loopback();
    const auto listener = tcp_->listen(local, echo);
    ASSERT_TRUE(listener) << to_string(listener.error());
    local = (*listener)->local();
    TcpStream* stream = *tcp_->connect(local, client, seconds(5));
    EXPECT_EQ(stream->write(as_bytes("x")), WriteResult::ok);
    turn_until([&] { return client.received == "x"; });
    reactor_->shutdown();
    EXPECT_EQ(reactor_->backend().in_flight(), 0u);
    reset({});
  }
}

TEST_F(TcpStreamTest, FullQueueRefusesWholeWritesAndTheLowWatermarkOffersRoom) {
  reset({.stream_queue_bytes = 65'536});
  class Deaf final : public ListenerHandler, public StreamHandler {
   public:
    StreamHandler* on_accept(TcpStream& s) override {
      stream = &s;
      s.pause();
      return this;
    }
    void on_data(TcpStream&, Lease lease) override { received += lease.size(); }
    void on_end(TcpStream& s) override { s.close(); }
    void on_closed(TcpStream&, const Error&) override {}
    TcpStream* stream = nullptr;
    size_t received = 0;
  } deaf;
  Client client;
  const Closer closer(*this);
  TcpListener* listener = *tcp_->listen(Endpoint::loopback(0), deaf);
  TcpStream* stream = *tcp_->connect(listener->local(), client, seconds(5));
  turn_until([&] { return client.connected && deaf.stream != nullptr; });
  const std::string piece(10'000, 'p');
  size_t taken = 0;
  for (int i = 0; i < 10'000; ++i) {
    const WriteResult result = stream->write(as_bytes(piece));
    if (result == WriteResult::full && i > 0) break;
    if (result == WriteResult::ok) taken += piece.size();
    ASSERT_LE(stream->queued(), 65'536u);
  }
  EXPECT_GT(tcp_->stats().writes_full, 0u);
  EXPECT_EQ(stream->write(as_bytes(piece)), WriteResult::full);
  const int before = client.writable;
  deaf.stream->resume();
  turn_until([&] { return client.writable > before && deaf.received == taken; });
}

TEST_F(TcpListenerTest, SlotsAreBoundedAndRefusalsCounted) {
  reset({.max_streams = 3});
  Echo echo;
  Client a, b, c;
  const Closer closer(*this);
  TcpListener* listener = *tcp_->listen(Endpoint::loopback(0), echo);
  ASSERT_TRUE(tcp_->connect(listener->local(), a, seconds(5)));
  ASSERT_TRUE(tcp_->connect(listener->local(), b, seconds(5)));
  ASSERT_TRUE(tcp_->connect(listener->local(), c, seconds(5)));
  const auto fourth = tcp_->connect(listener->local(), c, seconds(5));
  ASSERT_FALSE(fourth);
  EXPECT_EQ(fourth.error().code, Code::full);
  turn_until([&] { return tcp_->stats().refused_slots == 3; });
}

TEST_F(TcpStreamTest, ConnectThatNobodyAnswersEndsAtItsDeadline) {
  // A listener that never accepts: when its queue is full, it answers no more.
  Backend& backend = reactor_->backend();
  const Socket silent = *backend.listen_tcp(Endpoint::loopback(0), 0);
  Client clients[4];
  const Closer closer(*this);
  for (Client& client : clients) {
    ASSERT_TRUE(tcp_->connect(backend.local_endpoint(silent), client, milliseconds(30)));
  }
  turn_until([&] { return clients[3].why.has_value(); });
  EXPECT_FALSE(clients[3].connected);
  EXPECT_EQ(clients[3].why->code, Code::timed_out);
  backend.close(silent);
}

}  // namespace
}  // namespace beamline
