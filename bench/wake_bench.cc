// One sleep and one wake: a thread signals, the sleeper answers, and the thread yields until it
// has. Ours goes through the inbox and a whole turn of a reactor; the others are a bare futex, and
// the least that io_uring can do: a poll of an eventfd that is never read, without queue or turn.
#include <atomic>
#include <latch>
#include <thread>

#include <benchmark/benchmark.h>
#include <liburing.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "loop/inbox_port.h"
#include "loop/ring.h"

namespace beamline::bench {
namespace {

class Answers final : public InboxReceiver<int> {
 public:
  explicit Answers(std::atomic<uint64_t>& answered) : answered_(answered) {}
  void on_message(int& message) override {
    answered_.fetch_add(1, std::memory_order_release);
    last_ = message == 0;
  }
  bool last() const { return last_; }

 private:
  std::atomic<uint64_t>& answered_;
  bool last_ = false;
};

void BM_WakeInbox(benchmark::State& state) {
  std::atomic<uint64_t> answered{0};
  std::optional<Inbox<int>::Producer> producer;
  std::latch ready(2);
  std::thread sleeper([&] {
    auto reactor = Reactor::create(*make_ring({.max_ops = 64}));
    {
      Answers answers(answered);
      InboxPort<int, Answers> port(**reactor, answers);
      const InboxClass classes[] = {{.nodes = 64}};
      producer = port.gate().make_producer(classes);
      ready.arrive_and_wait();
      // The last message is followed by one more push, so that no turn waits for ever.
      while (!answers.last()) (*reactor)->turn();
    }
    (*reactor)->shutdown();
  });
  ready.arrive_and_wait();
  uint64_t sent = 0;
  for (auto _ : state) {
    while (producer->try_push(0, 1) != PushResult::ok) std::this_thread::yield();
    ++sent;
    while (answered.load(std::memory_order_acquire) != sent) std::this_thread::yield();
  }
  while (producer->try_push(0, 0) != PushResult::ok) std::this_thread::yield();
  while (answered.load(std::memory_order_acquire) != sent + 1) std::this_thread::yield();
  std::this_thread::yield();
  producer.reset();  // its death wakes the reactor once more
  sleeper.join();
}
BENCHMARK(BM_WakeInbox)->MeasureProcessCPUTime()->UseRealTime();

void BM_WakeRaw(benchmark::State& state) {
  const int event = eventfd(0, EFD_NONBLOCK);
  std::atomic<uint64_t> sent{0}, answered{0};
  std::latch ready(2);
  std::thread sleeper([&] {
    io_uring ring;
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_COOP_TASKRUN;
    BL_CHECK(io_uring_queue_init_params(8, &ring, &params) == 0);
    io_uring_register_ring_fd(&ring);
    io_uring_prep_poll_multishot(io_uring_get_sqe(&ring), event, POLLIN);
    io_uring_submit(&ring);
    ready.arrive_and_wait();
    while (answered.load(std::memory_order_relaxed) != UINT64_MAX) {
      // 1 << 7: IORING_ENTER_NO_IOWAIT, as ours has it.
      const unsigned no_iowait = (params.features & 1u << 17) != 0 ? 1u << 7 : 0;
      io_uring_enter2(static_cast<unsigned>(ring.enter_ring_fd), 0, 1,
                      IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING | no_iowait, nullptr,
                      0);
      io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
      answered.store(sent.load(std::memory_order_acquire), std::memory_order_release);
    }
    io_uring_queue_exit(&ring);
  });
  ready.arrive_and_wait();
  const auto wake = [&](uint64_t number) {
    sent.store(number, std::memory_order_release);
    const uint64_t one = 1;
    BL_CHECK(syscall(SYS_write, event, &one, sizeof one) == sizeof one);
    while (answered.load(std::memory_order_acquire) != number) std::this_thread::yield();
  };
  uint64_t number = 0;
  for (auto _ : state) wake(++number);
  wake(UINT64_MAX);
  sleeper.join();
  close(event);
}
BENCHMARK(BM_WakeRaw)->MeasureProcessCPUTime()->UseRealTime();

void BM_WakeFutex(benchmark::State& state) {
  std::atomic<uint32_t> word{0};
  std::atomic<uint64_t> answered{0};
  std::atomic<bool> stop{false};
  const auto futex = [&word](int operation, uint32_t value) {
    syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
  };
  std::thread sleeper([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      if (word.load() == 0) futex(FUTEX_WAIT_PRIVATE, 0);
      if (word.exchange(0) != 0) answered.fetch_add(1, std::memory_order_release);
    }
  });
  const auto wake = [&] {
    word.store(1);
    futex(FUTEX_WAKE_PRIVATE, 1);
  };
  uint64_t sent = 0;
  for (auto _ : state) {
    wake();
    ++sent;
    while (answered.load(std::memory_order_acquire) != sent) std::this_thread::yield();
  }
  stop = true;
  wake();
  sleeper.join();
}
BENCHMARK(BM_WakeFutex)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace beamline::bench
