// A ring whose kernel takes no submission for a while: nothing is lost and nobody sleeps over it.
#include <cerrno>
#include <deque>

#include <sys/socket.h>
#include <unistd.h>

#include "tests/loop/faulty_kernel.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

struct Receive {
  Receive(Socket socket, BufferPool& pool) {
    op.owner = this;
    op.kind = OpKind::recv;
    op.socket = socket;
    op.args.pool = &pool;
    op.callback = [](Op& o, Completion&& completion) {
      auto& self = *static_cast<Receive*>(o.owner);
      self.results.push_back(completion.result);
      if (self.waker != nullptr) self.waker->wake();  // the turn shall not wait for more
    };
  }
  Op op;
  std::shared_ptr<Waker> waker;
  std::vector<int32_t> results;
};

class RingFaultTest : public RingTest {
 protected:
  static constexpr uint32_t kSubmissions = 4;
  static constexpr size_t kReceives = 20;

  void SetUp() override {
    reset({.sq_entries = kSubmissions, .cq_entries = 64, .max_ops = 64});
    pool_ = std::make_unique<BufferPool>(uint16_t{9}, 32, 256);
    ASSERT_TRUE(reactor_->add_pool(*pool_));
    for (size_t i = 0; i < kReceives; ++i) {
      std::array<int, 2> fds;
      ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
      fds_.push_back(fds);
      receives_.emplace_back(Socket{fds[0]}, *pool_);
    }
  }
  void TearDown() override {
    reactor_->shutdown();
    reactor_->remove_pool(*pool_);
    for (const auto& fds : fds_) {
      ::close(fds[0]);
      ::close(fds[1]);
    }
  }
  void submit_all() {
    for (Receive& each : receives_) reactor_->submit(each.op);
    reactor_->backend().waker()->wake();
    reactor_->turn();
  }
  // Refuses while `refuse` is set, and counts.
  struct Refusal {
    int error = EAGAIN;
    uint64_t refused = 0;
    uint64_t left = UINT64_MAX;
    FaultyKernel kernel{[](void* context, EnterCall& call) {
                          auto& self = *static_cast<Refusal*>(context);
                          if (self.left == 0 || call.to_submit == 0) return 0;
                          --self.left;
                          ++self.refused;
                          return -self.error;
                        },
                        this};
  };

  std::unique_ptr<BufferPool> pool_;
  std::vector<std::array<int, 2>> fds_;
  std::deque<Receive> receives_;
};

TEST_F(RingFaultTest, CancelIsTriedAgainWhenTheKernelTookNoSubmission) {
  submit_all();
  {
    Refusal refusal;
    for (Receive& each : receives_) reactor_->cancel(each.op);
    EXPECT_GT(backend().stats().sq_full, 0u);
    EXPECT_GT(backend().stats().deferred, 0u);
    const Tick tick(*reactor_);
    for (int i = 0; i < 5; ++i) reactor_->turn();
    EXPECT_GT(refusal.refused, 0u);
    EXPECT_EQ(backend().in_flight(), kReceives) << "the kernel knows of no cancellation yet";
  }
  ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
  for (const Receive& each : receives_) {
    EXPECT_EQ(each.results, std::vector<int32_t>{-ECANCELED});
  }
}

TEST_F(RingFaultTest, CancelThatWaitsIsForgottenWhenItsOperationEnds) {
  submit_all();
  Refusal refusal;
  for (Receive& each : receives_) reactor_->cancel(each.op);
  for (const auto& fds : fds_) ::shutdown(fds[1], SHUT_WR);
  const Tick tick(*reactor_);
  refusal.left = 30;  // the ends of the streams come first
  ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
  for (const Receive& each : receives_) ASSERT_EQ(each.results.size(), 1u);
  // The slots are free for others, whom no late cancellation hits.
  refusal.left = 0;
  for (Receive& each : receives_) {
    each.results.clear();
    each.op.kind = OpKind::send;
    each.op.args.send = {as_bytes("x").data(), 1};
    reactor_->submit(each.op);
  }
  ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
  for (const Receive& each : receives_) EXPECT_EQ(each.results, std::vector<int32_t>{1});
}

TEST_F(RingFaultTest, NobodySleepsOverASubmissionThatTheKernelRefused) {
  for (const int error : {EAGAIN, EBUSY, EINTR}) {
    for (const uint64_t times : {1u, 2u, 3u, 7u}) {
      Refusal refusal{.error = error, .left = times};
      for (Receive& each : receives_) reactor_->submit(each.op);
      // Only the one that was submitted last has something to receive.
      Receive& last = receives_.back();
      last.waker = backend().waker();
      ASSERT_EQ(::send(fds_.back()[1], "y", 1, 0), 1);
      // No tick: a turn that slept before all was handed over would not end.
      while (last.results.empty()) reactor_->turn();
      EXPECT_EQ(refusal.refused, times);
      for (Receive& each : receives_) reactor_->cancel(each.op);
      ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
      EXPECT_EQ(last.results, (std::vector<int32_t>{1, -ECANCELED}));
      for (Receive& each : receives_) {
        EXPECT_EQ(each.results.back(), -ECANCELED);
        each.results.clear();
      }
    }
  }
}

TEST_F(RingFaultTest, AKernelThatTakesOneAtATimeGetsAll) {
  FaultyKernel kernel(
      [](void*, EnterCall& call) {
        call.to_submit = std::min(call.to_submit, 1u);
        return 0;
      },
      nullptr);
  for (Receive& each : receives_) reactor_->submit(each.op);
  for (const auto& fds : fds_) ASSERT_EQ(::send(fds[1], "y", 1, 0), 1);
  ASSERT_TRUE(turn_until([&] {
    return std::ranges::none_of(receives_, [](const Receive& r) { return r.results.empty(); });
  }));
  for (Receive& each : receives_) reactor_->cancel(each.op);
  ASSERT_TRUE(turn_until([&] { return backend().in_flight() == 0; }));
}

}  // namespace
}  // namespace beamline
