#include "loop/ring.h"

#include <deque>

#include <sys/socket.h>
#include <unistd.h>

#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

// An operation that notes how it ended.
struct Noted {
  Noted() {
    op.owner = this;
    op.callback = [](Op& o, Completion&& completion) {
      auto& self = *static_cast<Noted*>(o.owner);
      self.results.push_back(completion.result);
      self.ended = self.ended || !completion.more;
      EXPECT_EQ(o.idle(), !completion.more);
    };
  }
  void recv(Socket socket, BufferPool& pool) {
    op.kind = OpKind::recv;
    op.socket = socket;
    op.args.pool = &pool;
  }
  void send(Socket socket, std::string_view bytes) {
    op.kind = OpKind::send;
    op.socket = socket;
    op.args.send = {as_bytes(bytes).data(), static_cast<uint32_t>(bytes.size())};
  }
  Op op;
  std::vector<int32_t> results;
  bool ended = false;
};

class RingOpTest : public RingTest {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override {
    reactor_->shutdown();
    drop();
  }
  void start(const RingOptions& options) {
    drop();
    reset(options);
    pool_ = std::make_unique<BufferPool>(uint16_t{9}, 64, 256);
    ASSERT_TRUE(reactor_->add_pool(*pool_));
  }
  void drop() {
    if (pool_) reactor_->remove_pool(*pool_);
    pool_.reset();
    for (const int fd : fds_) ::close(fd);
    fds_.clear();
  }
  // Two ends of a stream socket.
  std::array<Socket, 2> pair() {
    std::array<int, 2> fds;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    fds_.insert(fds_.end(), fds.begin(), fds.end());
    return {Socket{fds[0]}, Socket{fds[1]}};
  }
  std::unique_ptr<BufferPool> pool_;
  std::vector<int> fds_;
};

TEST_F(RingOpTest, StatesOfAnOperation) {
  const auto [near, far] = pair();
  Noted receive;
  receive.recv(near, *pool_);
  EXPECT_TRUE(receive.op.idle());
  reactor_->submit(receive.op);
  EXPECT_EQ(receive.op.state, OpState::in_kernel);
  EXPECT_EQ(backend().in_flight(), 1u);
  ASSERT_EQ(::send(far.fd, "ab", 2, 0), 2);
  ASSERT_TRUE(turn_until([&] { return receive.results.size() == 1; }));
  EXPECT_FALSE(receive.ended) << "multishot";
  EXPECT_EQ(receive.op.state, OpState::in_kernel);
  reactor_->cancel(receive.op);
  EXPECT_EQ(receive.op.state, OpState::canceling);
  reactor_->cancel(receive.op);  // once more changes nothing
  ASSERT_TRUE(turn_until([&] { return receive.ended; }));
  EXPECT_EQ(receive.results, (std::vector<int32_t>{2, -ECANCELED}));
  EXPECT_EQ(backend().in_flight(), 0u);
  reactor_->cancel(receive.op);  // of one that is idle: nothing
  // The same operation again.
  receive.ended = false;
  reactor_->submit(receive.op);
  ASSERT_EQ(::send(far.fd, "c", 1, 0), 1);
  ASSERT_TRUE(turn_until([&] { return receive.results.size() == 3; }));
  reactor_->cancel(receive.op);
  ASSERT_TRUE(turn_until([&] { return receive.ended; }));
}

using RingOpDeathTest = RingOpTest;
TEST_F(RingOpDeathTest, MisuseOfAnOperationIsCaught) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto [near, far] = pair();
  Noted receive;
  receive.recv(near, *pool_);
  reactor_->submit(receive.op);
  EXPECT_DEATH(reactor_->submit(receive.op), "idle");
  EXPECT_DEATH(receive.op.~Op(), "idle");
  reactor_->cancel(receive.op);
  ASSERT_TRUE(turn_until([&] { return receive.ended; }));
}

// Far more operations in one turn than the submission queue holds.
TEST_F(RingOpTest, TinySubmissionQueueLosesNothing) {
  for (const uint32_t entries : {1u, 2u, 4u}) {
    SCOPED_TRACE(entries);
    start({.sq_entries = entries, .cq_entries = 64, .max_ops = 256});
    constexpr size_t kPairs = 50;
    std::deque<Noted> receives(kPairs), sends(kPairs);
    for (size_t i = 0; i < kPairs; ++i) {
      const auto [near, far] = pair();
      receives[i].recv(near, *pool_);
      sends[i].send(far, "hello");
      reactor_->submit(receives[i].op);
      reactor_->submit(sends[i].op);
    }
    ASSERT_TRUE(turn_until([&] {
      return std::ranges::all_of(receives, [](const Noted& n) { return n.results.size() == 1; }) &&
             std::ranges::all_of(sends, [](const Noted& n) { return n.ended; });
    }));
    for (const Noted& sent : sends) EXPECT_EQ(sent.results, std::vector<int32_t>{5});
    for (const Noted& received : receives) EXPECT_EQ(received.results[0], 5);
    EXPECT_GT(backend().stats().sq_full, 0u);
    for (Noted& received : receives) reactor_->cancel(received.op);
    ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
    for (Noted& received : receives) EXPECT_EQ(received.results.back(), -ECANCELED);
  }
}

// The kernel has room for four completions when hundreds come: it keeps the others, and gives them
// once there is room.
TEST_F(RingOpTest, CompletionQueueThatOverflowsLosesNothing) {
  start({.sq_entries = 4, .cq_entries = 4, .max_ops = 1024});
  constexpr size_t kSends = 300;
  std::deque<Noted> sends(kSends);
  std::vector<std::array<Socket, 2>> pairs;
  for (size_t i = 0; i < kSends; ++i) {
    pairs.push_back(pair());
    sends[i].send(pairs[i][0], "x");
    reactor_->submit(sends[i].op);
  }
  ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
  for (const Noted& sent : sends) EXPECT_EQ(sent.results, std::vector<int32_t>{1});
}

TEST_F(RingOpTest, MultishotsThatLoseTheirRoomEndOrGoOnButNeverVanish) {
  start({.sq_entries = 4, .cq_entries = 4, .max_ops = 64});
  constexpr size_t kPairs = 20;
  std::deque<Noted> receives(kPairs);
  std::vector<std::array<Socket, 2>> pairs;
  for (size_t i = 0; i < kPairs; ++i) {
    pairs.push_back(pair());
    receives[i].recv(pairs[i][0], *pool_);
    reactor_->submit(receives[i].op);
  }
  const Tick tick(*reactor_);
  reactor_->turn();
  for (size_t round = 0; round < 5; ++round) {
    for (size_t i = 0; i < kPairs; ++i) ASSERT_EQ(::send(pairs[i][1].fd, "y", 1, 0), 1);
    // A multishot that ended, with or without a result, is armed again: as a driver does it.
    ASSERT_TRUE(turn_until([&] {
      size_t whole = 0;
      for (Noted& each : receives) {
        if (each.op.idle()) reactor_->submit(each.op);
        int64_t bytes = 0;
        for (const int32_t result : each.results) bytes += std::max(result, 0);
        whole += bytes == static_cast<int64_t>(round + 1);
      }
      return whole == kPairs;
    }));
  }
  for (Noted& each : receives) reactor_->cancel(each.op);
  ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
}

// The kernel is given a few buffers of a large pool at first; all of it when all is wanted.
TEST_F(RingOpTest, ABurstThatWantsMoreBuffersThanAreWarmGetsThem) {
  BufferPool large(uint16_t{10}, 64, 65'536);
  ASSERT_TRUE(reactor_->add_pool(large));
  std::deque<Noted> receives(50);
  std::vector<std::array<Socket, 2>> pairs;
  const auto bytes = [](const Noted& each) {
    int64_t sum = 0;
    for (const int32_t result : each.results) sum += std::max(result, 0);
    return sum;
  };
  for (Noted& each : receives) {
    pairs.push_back(pair());
    each.recv(pairs.back()[0], large);
  }
  for (int64_t round = 1; round <= 3; ++round) {
    for (const auto& each : pairs) ASSERT_EQ(::send(each[1].fd, "z", 1, 0), 1);
    // As a driver does that is out of luck, without a word to the reactor.
    ASSERT_TRUE(turn_until([&] {
      for (Noted& each : receives) {
        if (each.op.idle()) reactor_->submit(each.op);
      }
      return std::ranges::all_of(receives, [&](const Noted& n) { return bytes(n) == round; });
    }));
  }
  EXPECT_GT(backend().stats().out_of_buffers, 0u);
  EXPECT_LT(backend().stats().out_of_buffers, 50u);
  for (Noted& each : receives) reactor_->cancel(each.op);
  ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
  reactor_->remove_pool(large);
}

TEST_F(RingOpTest, OperationsUpToTheLimitAndAgainAfterIt) {
  start({.sq_entries = 8, .cq_entries = 64, .max_ops = 16});
  for (int round = 0; round < 3; ++round) {
    std::deque<Noted> receives(16);
    for (Noted& each : receives) {
      each.recv(pair()[0], *pool_);
      reactor_->submit(each.op);
    }
    EXPECT_EQ(backend().in_flight(), 16u);
    Noted one_more;
    one_more.recv(pair()[0], *pool_);
    if (round == 0) {
      testing::GTEST_FLAG(death_test_style) = "threadsafe";
      EXPECT_DEATH(reactor_->submit(one_more.op), "first_free_");
    }
    for (Noted& each : receives) reactor_->cancel(each.op);
    ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
  }
}

// What is written last goes out before the number is closed and someone else owns it.
TEST_F(RingOpTest, CloseFlushesWhatTheKernelHasNotSeen) {
  const auto [near, far] = pair();
  const Socket doomed{::dup(near.fd)};
  Noted sent;
  sent.send(doomed, "last words");
  reactor_->submit(sent.op);
  backend().close(doomed);
  EXPECT_EQ(pair()[0], doomed) << "takes the number";
  ASSERT_TRUE(turn_until([&] { return sent.ended; }));
  std::array<char, 16> bytes{};
  EXPECT_EQ(::recv(far.fd, bytes.data(), bytes.size(), MSG_DONTWAIT), 10);
}

TEST_F(RingOpTest, EnterMakesNoCallWhenThereIsNothingToDoOrWaitFor) {
  backend().enter(MonoTime{0});
  const uint64_t before = backend().stats().enters;
  for (int i = 0; i < 100; ++i) backend().enter(MonoTime{0});
  EXPECT_EQ(backend().stats().enters, before);
}

TEST_F(RingOpTest, WakeEndsAWaitAndManyWakesCostNothing) {
  const auto waker = backend().waker();
  for (int i = 0; i < 100; ++i) waker->wake();
  reactor_->turn();  // would hang without the wake
  // The eventfd is never read: a wake counts once, and later waits are not cut short by it.
  const MonoTime start = backend().now().mono;
  const uint64_t turns = reactor_->stats().turns;
  ASSERT_TRUE(turn_until([&] { return backend().now().mono - start > milliseconds(50); }));
  EXPECT_LE(reactor_->stats().turns - turns, 60u);
  EXPECT_LT(backend().stats().wakes, 10u);
}

TEST(RingOptionsTest, BadOnesAreNamed) {
  const auto field = [](const RingOptions& options) {
    const auto ring = make_ring(options);
    EXPECT_FALSE(ring);
    EXPECT_EQ(ring.error().code, Code::invalid_argument);
    return std::string(ring.error().field);
  };
  EXPECT_EQ(field({.sq_entries = 0}), "sq_entries");
  EXPECT_EQ(field({.sq_entries = 3}), "sq_entries");
  EXPECT_EQ(field({.sq_entries = 65'536}), "sq_entries");
  EXPECT_EQ(field({.cq_entries = 5000}), "cq_entries");
  EXPECT_EQ(field({.sq_entries = 256, .cq_entries = 128}), "cq_entries");
  EXPECT_EQ(field({.max_ops = 0}), "max_ops");
  EXPECT_EQ(field({.max_ops = UINT32_MAX}), "max_ops");
}

}  // namespace
}  // namespace beamline
