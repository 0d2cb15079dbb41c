// RLPx over loopback sockets: two hosts on one reactor.
#include "rlpx/host.h"

#include "tests/loop/ring_fixture.h"

namespace beamline::rlpx {
namespace {

using secp256k1::SecretKey;

constexpr Capability kEth[] = {{"eth", 68, 17}};

struct Recorder : HostHandler {
  void on_ready(Connection& connection) override {
    ++ready;
    last = &connection;
  }
  void on_message(Connection& connection, size_t, uint8_t id, Bytes payload) override {
    received += payload.size();
    ++messages;
    if (!echo) return;
    EXPECT_TRUE(connection.send(0, id, payload));
  }
  void on_writable(Connection&) override { ++writable; }
  void on_closed(Connection& connection, const Closed& how) override {
    closed.push_back(how);
    if (last == &connection) last = nullptr;
  }
  int ready = 0;
  int messages = 0;
  int writable = 0;
  size_t received = 0;
  bool echo = false;
  Connection* last = nullptr;
  std::vector<Closed> closed;
};

class RlpxHost : public RingTcpTest {
 protected:
  HostOptions options(const SecretKey& key) {
    HostOptions made;
    made.session.key = &key;
    made.session.capabilities = kEth;
    made.max_connections = 8;
    made.max_inbound = 4;
    return made;
  }

  Rng rng_{uint64_t{1}};
  const SecretKey key_a_ = SecretKey::generate(rng_);
  const SecretKey key_b_ = SecretKey::generate(rng_);
};

TEST_F(RlpxHost, ConnectsCarriesLargeMessagesAndSaysGoodbye) {
  Recorder at_a, at_b;
  at_b.echo = true;
  Host a(*tcp_, options(key_a_), at_a, rng_);
  Host b(*tcp_, options(key_b_), at_b, rng_);
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  const auto dialled = a.dial((*listener)->local(), key_b_.public_key());
  ASSERT_TRUE(dialled);
  ASSERT_TRUE(turn_until([&] { return at_a.ready == 1 && at_b.ready == 1; }));
  EXPECT_EQ(*at_b.last->session().remote(), key_a_.public_key());
  size_t sent = 0;
  for (const size_t size : std::initializer_list<size_t>{10, 70'000, 5u << 20}) {
    std::vector<uint8_t> payload(size);
    rng_.fill(payload);
    ASSERT_TRUE((*dialled)->send(0, 3, payload));
    sent += size;
  }
  ASSERT_TRUE(turn_until([&] { return at_a.messages == 3; }));
  EXPECT_EQ(at_a.received, sent);
  EXPECT_EQ(at_b.received, sent);
  EXPECT_GT(at_a.writable, 0);
  (*dialled)->disconnect(DisconnectReason::quitting);
  ASSERT_TRUE(turn_until([&] { return a.connections() == 0 && b.connections() == 0; }));
  ASSERT_EQ(at_a.closed.size(), 1u);
  ASSERT_EQ(at_b.closed.size(), 1u);
  EXPECT_TRUE(at_b.closed[0].by_peer);
  EXPECT_EQ(at_b.closed[0].reason, DisconnectReason::quitting);
  EXPECT_EQ(at_a.closed[0].why.code, Code::cancelled);
}

TEST_F(RlpxHost, AWrongKeyAndADeafPortEndTheDial) {
  Recorder at_a, at_b;
  Host a(*tcp_, options(key_a_), at_a, rng_);
  Host b(*tcp_, options(key_b_), at_b, rng_);
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  const SecretKey other = SecretKey::generate(rng_);
  ASSERT_TRUE(a.dial((*listener)->local(), other.public_key()));
  ASSERT_TRUE(turn_until([&] { return at_a.closed.size() == 1; }));
  EXPECT_EQ(at_b.closed.size(), 0u);  // it was never anyone
  const Endpoint gone = (*listener)->local();
  (*listener)->close();
  int turns = 0;
  ASSERT_TRUE(turn_until([&] { return ++turns > 3; }));
  ASSERT_TRUE(a.dial(gone, key_b_.public_key()));
  ASSERT_TRUE(turn_until([&] { return at_a.closed.size() == 2; }));
  EXPECT_EQ(a.stats().ready, 0u);
  ASSERT_TRUE(turn_until([&] { return a.connections() == 0 && b.connections() == 0; }));
}

// A peer that does the handshake and then reads nothing.
struct Deaf : StreamHandler {
  void on_connected(TcpStream& stream) override { flush(stream); }
  void on_data(TcpStream& stream, Lease lease) override {
    MutableBytes input = lease.bytes();
    while (!input.empty()) session->receive(input, MonoTime{1});
    flush(stream);
    if (session->ready()) stream.pause();
  }
  void on_end(TcpStream& stream) override { stream.close(); }
  void on_closed(TcpStream&, const Error&) override { closed = true; }
  void flush(TcpStream& stream) {
    const size_t size = session->output().size();
    EXPECT_EQ(stream.write(session->output()), WriteResult::ok);
    session->wrote(size, MonoTime{1});
  }
  std::optional<Session> session;
  bool closed = false;
};

TEST_F(RlpxHost, APeerThatReadsNothingDoesNotKeepItsSlot) {
  Recorder at_b;
  HostOptions made = options(key_b_);
  made.disconnect_timeout = milliseconds(50);
  Host b(*tcp_, made, at_b, rng_);
  const SessionOptions of_a = options(key_a_).session;
  Deaf deaf;
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  deaf.session.emplace(Session::initiator(of_a, key_b_.public_key(), rng_, MonoTime{1}));
  const auto stream = tcp_->connect((*listener)->local(), deaf, seconds(5));
  ASSERT_TRUE(stream);
  ASSERT_TRUE(turn_until([&] { return at_b.ready == 1 && (*stream)->paused(); }));
  std::vector<uint8_t> payload(9u << 20);
  rng_.fill(payload);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(at_b.last->send(0, 1, payload));
  EXPECT_EQ(at_b.last->send(0, 1, payload).error().code, Code::full);
  at_b.last->disconnect(DisconnectReason::useless_peer);
  ASSERT_TRUE(turn_until([&] { return b.connections() == 0; }));
  EXPECT_EQ(b.stats().cut_off, 1u);
  ASSERT_EQ(at_b.closed.size(), 1u);
  EXPECT_EQ(at_b.closed[0].reason, DisconnectReason::useless_peer);
  (*stream)->close();
  ASSERT_TRUE(turn_until([&] { return deaf.closed; }));
}

// Both send more than sockets and queues hold, at once, and neither waits for the other.
TEST_F(RlpxHost, LargeMessagesCrossWithoutADeadlock) {
  Recorder at_a, at_b;
  Host a(*tcp_, options(key_a_), at_a, rng_);
  Host b(*tcp_, options(key_b_), at_b, rng_);
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  ASSERT_TRUE(a.dial((*listener)->local(), key_b_.public_key()));
  ASSERT_TRUE(turn_until([&] { return at_a.ready == 1 && at_b.ready == 1; }));
  std::vector<uint8_t> payload(9u << 20);
  rng_.fill(payload);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(at_a.last->send(0, 1, payload));
    ASSERT_TRUE(at_b.last->send(0, 1, payload));
  }
  ASSERT_TRUE(turn_until([&] { return at_a.messages == 2 && at_b.messages == 2; }));
}

TEST_F(RlpxHost, SlotsAreLimitedAndComeBack) {
  Recorder at_a, at_b;
  HostOptions few = options(key_b_);
  few.max_inbound = 2;
  Host a(*tcp_, options(key_a_), at_a, rng_);
  Host b(*tcp_, few, at_b, rng_);
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(a.dial((*listener)->local(), key_b_.public_key()));
  ASSERT_TRUE(turn_until([&] { return at_a.ready == 2 && at_a.closed.size() == 1; }));
  EXPECT_EQ(b.stats().refused_full, 1u);
  at_b.last->disconnect(DisconnectReason::too_many_peers);
  ASSERT_TRUE(turn_until([&] { return at_a.closed.size() == 2 && b.connections() == 1; }));
  EXPECT_EQ(at_a.closed[1].reason, DisconnectReason::too_many_peers);
  ASSERT_TRUE(a.dial((*listener)->local(), key_b_.public_key()));
  ASSERT_TRUE(turn_until([&] { return at_a.ready == 3; }));
}

}  // namespace
}  // namespace beamline::rlpx
