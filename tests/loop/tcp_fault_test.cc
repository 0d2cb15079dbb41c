// Streams and listeners against peers that are slow, rude or many.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rng.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

// A blocking socket of the test.
class Peer {
 public:
  explicit Peer(const Endpoint& to) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(::connect(fd_, to.data(), to.size()), 0);
  }
  Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Peer() { close(); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger hard{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  int fd() const { return fd_; }
  void send(std::string_view bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  // What has arrived; sets `ended` at the end of the stream.
  std::string take() {
    std::string bytes;
    std::array<char, 65'536> part;
    for (;;) {
      const ssize_t n = ::recv(fd_, part.data(), part.size(), MSG_DONTWAIT);
      if (n == 0) ended = true;
      if (n <= 0) return bytes;
      bytes.append(part.data(), static_cast<size_t>(n));
    }
  }
  bool ended = false;

 private:
  int fd_;
};

class Session final : public ListenerHandler, public StreamHandler {
 public:
  StreamHandler* on_accept(TcpStream& s) override {
    stream = &s;
    ++accepted;
    return this;
  }
  void on_data(TcpStream&, Lease lease) override { received += as_text(lease.bytes()); }
  void on_end(TcpStream&) override { ended = true; }
  void on_writable(TcpStream&) override { ++writable; }
  void on_closed(TcpStream&, const Error& error) override {
    why = error;
    ++closed;
    stream = nullptr;
  }
  TcpStream* stream = nullptr;
  std::string received;
  std::optional<Error> why;
  bool ended = false;
  int writable = 0, accepted = 0, closed = 0;
};

class TcpFaultTest : public RingTcpTest {
 protected:
  Peer meet(Session& session) {
    const int before = session.accepted;
    TcpListener* listener = *tcp_->listen(Endpoint::loopback(0), session);
    Peer peer(listener->local());
    EXPECT_TRUE(turn_until([&] { return session.accepted > before; }));
    return peer;
  }
};

TEST_F(TcpFaultTest, PeerThatStopsSendingMayStillBeWrittenTo) {
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  peer.send("question");
  ::shutdown(peer.fd(), SHUT_WR);
  ASSERT_TRUE(turn_until([&] { return session.ended; }));
  EXPECT_EQ(session.received, "question");
  EXPECT_EQ(session.stream->write(as_bytes("answer")), WriteResult::ok);
  session.stream->close_after_flush();
  std::string answer;
  ASSERT_TRUE(turn_until([&] {
    answer += peer.take();
    return peer.ended && session.closed == 1;
  }));
  EXPECT_EQ(answer, "answer");
  EXPECT_EQ(session.why->code, Code::closed);
}

TEST_F(TcpFaultTest, AfterShutdownWriteThePeerSeesTheEndAndWeStillReceive) {
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  EXPECT_EQ(session.stream->write(as_bytes("all")), WriteResult::ok);
  session.stream->shutdown_write();
  EXPECT_EQ(session.stream->write(as_bytes("late")), WriteResult::closed);
  EXPECT_TRUE(session.stream->write_space(1).empty());
  std::string got;
  ASSERT_TRUE(turn_until([&] {
    got += peer.take();
    return peer.ended;
  }));
  EXPECT_EQ(got, "all");
  peer.send("still here");
  ASSERT_TRUE(turn_until([&] { return session.received == "still here"; }));
}

TEST_F(TcpFaultTest, ResetByThePeerIsToldAsOne) {
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  peer.reset();
  ASSERT_TRUE(turn_until([&] { return session.closed == 1; }));
  EXPECT_EQ(session.why->code, Code::reset);
  EXPECT_EQ(session.why->fault, Fault::network);
}

TEST_F(TcpFaultTest, ResetWhileMuchIsQueuedReleasesIt) {
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  const std::string block(100'000, 'b');
  while (session.stream->write(as_bytes(block)) == WriteResult::ok) {
  }
  const Tick tick(*reactor_);
  for (int i = 0; i < 5; ++i) reactor_->turn();
  peer.reset();
  ASSERT_TRUE(turn_until([&] { return session.closed == 1; }));
  // All chunks are free again: another stream may queue as much.
  Session next;
  Peer other = meet(next);
  size_t taken = 0;
  while (next.stream->write(as_bytes(block)) == WriteResult::ok) taken += block.size();
  EXPECT_GT(taken, 4'000'000u);
  reactor_->shutdown();
}

TEST_F(TcpFaultTest, WriteSpaceIsFilledInPlaceAndAlsoWhileASendIsUnderWay) {
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  std::string sent, got;
  Rng rng(1);
  const Tick tick(*reactor_);
  for (int i = 0; i < 3000; ++i) {
    const size_t wanted = 1 + rng.below(300);
    const MutableBytes space = session.stream->write_space(wanted);
    ASSERT_GE(space.size(), wanted);
    const size_t used = rng.below(wanted + 1);  // nothing, at times
    for (size_t k = 0; k < used; ++k) {
      space[k] = static_cast<uint8_t>('a' + (sent.size() + k) % 26);
    }
    for (size_t k = 0; k < used; ++k) sent += static_cast<char>(space[k]);
    session.stream->commit(used);
    if (rng.chance(1, 5)) reactor_->turn();
    got += peer.take();
  }
  ASSERT_TRUE(turn_until([&] {
    got += peer.take();
    return got.size() == sent.size() && session.stream->queued() == 0;
  }));
  EXPECT_EQ(got, sent);
}

TEST_F(TcpFaultTest, GatheredPiecesKeepTheirOrder) {
  reset_tcp({.send_batches = 1});
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  std::string sent, got;
  Rng rng(2);
  const Tick tick(*reactor_);
  for (int i = 0; i < 500; ++i) {
    for (uint64_t k = rng.below(40); k > 0; --k) {
      std::string piece = std::to_string(sent.size()) + ";";
      piece.resize(piece.size() + rng.below(200), '.');
      const WriteResult result = rng.chance(1, 2)
                                     ? session.stream->write(SharedBytes::copy(as_bytes(piece)))
                                     : session.stream->write(as_bytes(piece));
      ASSERT_EQ(result, WriteResult::ok);
      sent += piece;
    }
    reactor_->turn();
    got += peer.take();
  }
  ASSERT_TRUE(turn_until([&] {
    got += peer.take();
    return got.size() == sent.size();
  }));
  EXPECT_EQ(got, sent);
  EXPECT_GT(tcp_->stats().gathered, 100u);
}

TEST_F(TcpFaultTest, SlowReaderGetsAllAndTheQueueStaysBounded) {
  reset_tcp({.stream_queue_bytes = 200'000});
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  constexpr size_t kTotal = 8'000'000;
  const std::string block(10'000, 's');
  size_t sent = 0, got = 0;
  ASSERT_TRUE(turn_until([&] {
    while (sent < kTotal && session.stream->write(as_bytes(block)) == WriteResult::ok) {
      sent += block.size();
    }
    EXPECT_LE(session.stream->queued(), 200'000u);
    std::array<char, 50'000> some;  // it reads a little each time
    const ssize_t n = ::recv(peer.fd(), some.data(), some.size(), MSG_DONTWAIT);
    if (n > 0) got += static_cast<size_t>(n);
    return got == kTotal;
  }));
  EXPECT_GT(session.writable, 0);
  EXPECT_GT(tcp_->stats().writes_full, 0u);
}

TEST_F(TcpFaultTest, MemoryOfAllIsSharedRefusedCountedAndOfferedAgain) {
  reset_tcp({.write_chunks = 4, .write_chunk_size = 4096, .write_nodes = 4});
  Session hog, starved;
  const Closer closer(*this);
  Peer hogs_peer = meet(hog), peer = meet(starved);
  const std::string block(4096, 'h');
  const Tick tick(*reactor_);
  for (int idle = 0; idle < 50; ++idle) {
    while (hog.stream->write(as_bytes(block)) == WriteResult::ok) idle = 0;
    reactor_->turn();
  }
  EXPECT_EQ(starved.stream->write(as_bytes("x")), WriteResult::full);
  EXPECT_TRUE(starved.stream->write_space(1).empty());
  EXPECT_EQ(starved.stream->write(SharedBytes::copy(as_bytes("x"))), WriteResult::full);
  EXPECT_GE(tcp_->stats().writes_no_memory, 3u);
  EXPECT_EQ(starved.writable, 0);
  ASSERT_TRUE(turn_until([&] {
    hogs_peer.take();
    return starved.writable > 0;
  }));
  EXPECT_EQ(starved.stream->write(as_bytes("x")), WriteResult::ok);
  ASSERT_TRUE(turn_until([&] { return peer.take() == "x"; }));
}

TEST_F(TcpFaultTest, PausedStreamReceivesNothingAndResumedAll) {
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  session.stream->pause();
  const Tick tick(*reactor_);
  for (int i = 0; i < 5; ++i) reactor_->turn();
  peer.send("while paused");
  for (int i = 0; i < 5; ++i) reactor_->turn();
  EXPECT_EQ(session.received, "");
  // On and off in one turn, over a receive that is being cancelled.
  for (int i = 0; i < 3; ++i) {
    session.stream->resume();
    session.stream->pause();
  }
  session.stream->resume();
  ASSERT_TRUE(turn_until([&] { return session.received == "while paused"; }));
}

// Gives back what a test takes away.
class FileLimit {
 public:
  FileLimit() { getrlimit(RLIMIT_NOFILE, &before_); }
  ~FileLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  void lower(rlim_t to) {
    const rlimit lowered{to, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
  }

 private:
  rlimit before_{};
};

// A listener whose first connection finds no file descriptor.
class TcpDescriptorTest : public TcpFaultTest {
 protected:
  void exhaust() {
    tick_.emplace(*reactor_);
    // UBSan looks at each class once, and needs a descriptor for that.
    reactor_->turn();
    EXPECT_EQ(session_.accepted, 0);
    listener_ = *tcp_->listen(Endpoint::loopback(0), session_);
    peer_.emplace(listener_->local());
    // The next number that is free is the first one that is refused. An accept keeps to the limit
    // of the time when it was handed over, which the first turn does.
    const int next = ::dup(0);
    ::close(next);
    next_ = static_cast<rlim_t>(next);
    limit_.lower(next_);
    ASSERT_TRUE(turn_until([&] { return tcp_->stats().accept_errors > 0; }));
  }
  void TearDown() override {
    reactor_->shutdown();
    tick_.reset();
    TcpFaultTest::TearDown();
  }

  Session session_;
  FileLimit limit_;
  rlim_t next_ = 0;
  TcpListener* listener_ = nullptr;
  std::optional<Tick> tick_;
  std::optional<Peer> peer_;
};

TEST_F(TcpDescriptorTest, OutOfThemIsCountedAndTheListenerRecovers) {
  exhaust();
  // It tries again at times, not at once.
  const uint64_t turns = reactor_->stats().turns;
  const MonoTime start = backend().now().mono;
  while (backend().now().mono - start < milliseconds(50)) reactor_->turn();
  EXPECT_LE(tcp_->stats().accept_errors, 3u);
  EXPECT_LT(reactor_->stats().turns - turns, 1000u);
  EXPECT_EQ(session_.accepted, 0);
  limit_.lower(next_ + 10);
  EXPECT_TRUE(turn_until([&] { return session_.accepted == 1; }));
}

TEST_F(TcpDescriptorTest, ListenerThatWaitsToAcceptAgainCanBeClosed) {
  exhaust();
  listener_->close();
  EXPECT_TRUE(turn_until([&] { return tcp_->quiet(); }));
}

TEST_F(TcpFaultTest, RefusedByTheUserIsClosedWithoutAnotherCall) {
  class Refuser final : public ListenerHandler {
   public:
    StreamHandler* on_accept(TcpStream&) override { return nullptr; }
  } refuser;
  const Closer closer(*this);
  Peer peer((*tcp_->listen(Endpoint::loopback(0), refuser))->local());
  ASSERT_TRUE(turn_until([&] {
    peer.take();
    return peer.ended;
  }));
  EXPECT_EQ(tcp_->stats().refused_user, 1u);
  EXPECT_TRUE(turn_until([&] { return tcp_->streams() == 0; }));
}

TEST_F(TcpFaultTest, FlushToAPeerThatDoesNotReadEndsInTime) {
  reset_tcp({.flush_timeout = milliseconds(30)});
  Session session;
  const Closer closer(*this);
  Peer peer = meet(session);
  const std::string block(100'000, 'f');
  while (session.stream->write(as_bytes(block)) == WriteResult::ok) {
  }
  session.stream->close_after_flush();
  ASSERT_TRUE(turn_until([&] { return session.closed == 1; }));
  EXPECT_EQ(session.why->code, Code::timed_out);
}

}  // namespace
}  // namespace beamline
