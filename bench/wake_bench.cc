// One sleep and one wake: a thread signals, the sleeper answers, and the thread yields until it
// has. Ours goes through the inbox and a whole turn of a reactor; the other is a bare futex.
#include <atomic>
#include <latch>
#include <thread>

#include <benchmark/benchmark.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

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
