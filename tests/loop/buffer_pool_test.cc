#include "loop/buffer_pool.h"

#include <thread>

#include <sys/socket.h>

#include "base/poison.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

TEST(BufferPoolTest, ALeaseGoesBackOnceHoweverItMoves) {
  BufferPool pool(1, 4, 64);
  EXPECT_EQ(pool.returned().size(), 4u);
  pool.clear_returned();
  {
    Lease a = pool.lease(2, 0, 10);
    EXPECT_EQ(pool.leased(), 1u);
    Lease b = std::move(a);
    EXPECT_FALSE(a);
    Lease c;
    c = std::move(b);
    EXPECT_EQ(c.size(), 10u);
    c.drop_front(4);
    EXPECT_EQ(c.size(), 6u);
    EXPECT_EQ(c.bytes().data(), pool.address(2) + 4);
    EXPECT_EQ(pool.leased(), 1u);
  }
  EXPECT_EQ(pool.leased(), 0u);
  ASSERT_EQ(pool.returned().size(), 1u);
  EXPECT_EQ(pool.returned()[0], 2);
}

#ifdef BL_ASAN
// Who reads a buffer that was given back is caught in the act.
TEST(BufferPoolTest, AReturnedBufferIsPoisoned) {
  BufferPool pool(1, 2, 64);
  pool.clear_returned();
  const uint8_t* bytes = pool.address(1);
  EXPECT_NE(__asan_address_is_poisoned(bytes), 0);
  Lease lease = pool.lease(1, 0, 64);
  EXPECT_EQ(__asan_address_is_poisoned(bytes + 63), 0);
  lease.reset();
  EXPECT_NE(__asan_address_is_poisoned(bytes), 0);
}
#endif

TEST(BufferPoolTest, AnEmptyDatagramHoldsItsBuffer) {
  BufferPool pool(1, 1, 64);
  pool.clear_returned();
  Lease lease = pool.lease(0, 0, 0);
  EXPECT_TRUE(lease);
  EXPECT_TRUE(lease.empty());
  lease.reset();
  EXPECT_EQ(pool.returned().size(), 1u);
}

// Keeps what it receives until it is told to let go.
class Keeper final : public ListenerHandler, public StreamHandler {
 public:
  StreamHandler* on_accept(TcpStream& stream) override {
    streams.push_back(&stream);
    received.emplace_back();
    stream.user = reinterpret_cast<void*>(received.size() - 1);
    return this;
  }
  void on_data(TcpStream& stream, Lease lease) override {
    received[reinterpret_cast<size_t>(stream.user)] += as_text(lease.bytes());
    if (keep) kept.push_back(std::move(lease));
  }
  void on_end(TcpStream& stream) override { stream.close(); }
  void on_closed(TcpStream&, const Error&) override { ++closed; }

  bool keep = false;
  std::vector<Lease> kept;
  std::vector<TcpStream*> streams;
  std::vector<std::string> received;
  int closed = 0;
};

class StarvedTest : public RingTcpTest {
 protected:
  int connect(const Endpoint& to) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(fd, to.data(), to.size()), 0);
    return fd;
  }
};

TEST_F(StarvedTest, WithoutBuffersNothingIsLostAndALeaseThatReturnsArmsAgain) {
  reset_tcp({.buffer_count = 2, .buffer_size = 64});
  Keeper keeper;
  const Closer closer(*this);
  const int peer = connect((*tcp_->listen(Endpoint::loopback(0), keeper))->local());
  ASSERT_TRUE(turn_until([&] { return keeper.streams.size() == 1; }));
  keeper.keep = true;
  std::string sent;
  for (int i = 0; i < 300; ++i) sent += static_cast<char>('a' + i % 23);
  ASSERT_EQ(::send(peer, sent.data(), sent.size(), 0), static_cast<ssize_t>(sent.size()));
  ASSERT_TRUE(turn_until([&] { return tcp_->stats().starved > 0; }));
  EXPECT_EQ(keeper.received[0], sent.substr(0, 128));
  // It waits, and does not try again and again.
  const uint64_t starved = tcp_->stats().starved;
  const Tick tick(*reactor_);
  for (int i = 0; i < 5; ++i) reactor_->turn();
  EXPECT_EQ(tcp_->stats().starved, starved);
  keeper.kept.pop_back();
  ASSERT_TRUE(turn_until([&] { return keeper.received[0].size() >= 192; }));
  keeper.keep = false;
  keeper.kept.clear();
  ASSERT_TRUE(turn_until([&] { return keeper.received[0] == sent; }));
  EXPECT_GT(reactor_->stats().rearmed, 0u);
  EXPECT_GT(backend().stats().out_of_buffers, 0u);
  ::close(peer);
  ASSERT_TRUE(turn_until([&] { return keeper.closed == 1; }));
}

TEST_F(StarvedTest, EightSocketsShareTwoBuffersFairly) {
  // Once every second one got nothing: of two that were armed the first took both buffers, always.
  reset_tcp({.buffer_count = 2, .buffer_size = 64});
  Keeper keeper;
  const Closer closer(*this);
  const Endpoint to = (*tcp_->listen(Endpoint::loopback(0), keeper))->local();
  constexpr size_t kPeers = 8, kBytes = 100'000;
  std::array<int, kPeers> peers;
  for (int& peer : peers) peer = connect(to);
  ASSERT_TRUE(turn_until([&] { return keeper.streams.size() == kPeers; }));
  const std::string sent(kBytes, 'f');
  for (const int peer : peers) {
    ASSERT_EQ(::send(peer, sent.data(), sent.size(), MSG_DONTWAIT), static_cast<ssize_t>(kBytes));
  }
  const auto received = [&](size_t i) { return keeper.received[i].size(); };
  // When the first has half of its bytes, the last has at least an eighth.
  ASSERT_TRUE(turn_until([&] {
    for (size_t i = 0; i < kPeers; ++i) {
      if (received(i) >= kBytes / 2) return true;
    }
    return false;
  }));
  for (size_t i = 0; i < kPeers; ++i) EXPECT_GE(received(i), kBytes / 8) << i;
  ASSERT_TRUE(turn_until([&] {
    size_t whole = 0;
    for (size_t i = 0; i < kPeers; ++i) whole += received(i) == kBytes;
    return whole == kPeers;
  }));
  for (const int peer : peers) ::close(peer);
}

TEST_F(StarvedTest, CloseWhileItWaitsForABuffer) {
  reset_tcp({.buffer_count = 1, .buffer_size = 64});
  Keeper keeper;
  const Closer closer(*this);
  const int peer = connect((*tcp_->listen(Endpoint::loopback(0), keeper))->local());
  ASSERT_TRUE(turn_until([&] { return keeper.streams.size() == 1; }));
  keeper.keep = true;
  const std::string sent(200, 'x');
  ASSERT_EQ(::send(peer, sent.data(), sent.size(), 0), 200);
  ASSERT_TRUE(turn_until([&] { return tcp_->stats().starved > 0; }));
  keeper.streams[0]->close();
  ASSERT_TRUE(turn_until([&] { return keeper.closed == 1; }));
  keeper.kept.clear();
  EXPECT_EQ(tcp_->streams(), 0u);
  ::close(peer);
}

}  // namespace
}  // namespace beamline
