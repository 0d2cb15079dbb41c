// The inbox against moodycamel's queue, with tokens and bulk on both ends, where nobody sleeps: 4
// producers push chains of 64, the consumer polls. The counter `cpu` is the process's time per
// message in nanoseconds.
#include <latch>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <time.h>

// Theirs, and inlined into this file.
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#include <concurrentqueue/concurrentqueue.h>

#include "base/check.h"
#include "loop/inbox.h"

namespace beamline::bench {
namespace {

constexpr uint32_t kProducers = 4;
constexpr uint32_t kEach = 100'000;
constexpr uint32_t kNodes = 1024;
constexpr size_t kBurst = 64;

struct Message {
  uint32_t producer = 0;
  uint32_t number = 0;
  uint64_t words[3] = {};
};

struct NoWaker : Waker {
  void wake() override {}
};

class OurQueue {
 public:
  class Producer {
   public:
    explicit Producer(OurQueue& queue) {
      const InboxClass classes[] = {{.nodes = kNodes}};
      handle_ = std::move(*queue.inbox_.gate().make_producer(classes));
    }
    size_t push(Message* messages, size_t count) {
      const size_t staged = handle_.stage_all(0, {messages, count});
      handle_.commit();
      return staged;
    }

   private:
    Inbox<Message>::Producer handle_;
  };

  ~OurQueue() {
    inbox_.close([](Message&) {});
  }
  template <class Take>
  size_t drain(Take take) {
    const size_t done = inbox_.drain(SIZE_MAX, take);
    inbox_.return_spent();
    return done;
  }

 private:
  Inbox<Message> inbox_{std::make_shared<NoWaker>()};
};

// Bounded like ours, which keeps its blocks in the cache and saves it the allocations.
class MoodyQueue {
  using Queue = moodycamel::ConcurrentQueue<Message>;

 public:
  class Producer {
   public:
    explicit Producer(MoodyQueue& queue) : queue_(queue), token_(queue.queue_) {}
    size_t push(const Message* messages, size_t count) {
      if (queue_.queue_.size_approx() + count > size_t{kNodes} * kProducers) return 0;
      return queue_.queue_.enqueue_bulk(token_, messages, count) ? count : 0;
    }

   private:
    MoodyQueue& queue_;
    moodycamel::ProducerToken token_;
  };

  template <class Take>
  size_t drain(Take take) {
    Message out[256];
    size_t done = 0;
    for (;;) {
      const size_t got = queue_.try_dequeue_bulk(token_, out, 256);
      for (size_t i = 0; i < got; ++i) take(out[i]);
      done += got;
      if (got == 0) return done;
    }
  }

 private:
  Queue queue_{2 * kProducers * kNodes, kProducers, 0};
  moodycamel::ConsumerToken token_{queue_};
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <class Producer>
void produce(Producer& producer, uint32_t id) {
  Message burst[kBurst];
  for (uint32_t number = 0; number < kEach;) {
    const size_t count = std::min<size_t>(kBurst, kEach - number);
    for (size_t i = 0; i < count; ++i) {
      burst[i] = {.producer = id, .number = number++, .words = {number, 2, 3}};
    }
    for (size_t done = 0; done < count;) {
      const size_t more = producer.push(burst + done, count - done);
      if (more == 0) std::this_thread::yield();
      done += more;
    }
  }
}

template <class Queue>
double measure() {
  Queue queue;
  std::latch ready(kProducers + 1);
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < kProducers; ++id) {
    threads.emplace_back([&, id] {
      typename Queue::Producer producer(queue);
      ready.arrive_and_wait();
      produce(producer, id);
    });
  }
  ready.arrive_and_wait();
  uint32_t next[kProducers] = {};
  uint64_t wrong = 0;
  const double start = cpu_seconds();
  for (uint64_t left = uint64_t{kProducers} * kEach; left > 0;) {
    const size_t done =
        queue.drain([&](Message& message) { wrong += message.number != next[message.producer]++; });
    left -= done;
    std::this_thread::yield();
  }
  const double spent = cpu_seconds() - start;
  for (auto& thread : threads) thread.join();
  BL_CHECK(wrong == 0);
  return spent * 1e9 / (double{1} * kProducers * kEach);
}

template <class Queue>
void polled(benchmark::State& state) {
  double cpu = 0, rounds = 0;
  measure<Queue>();
  for (auto _ : state) {
    cpu += measure<Queue>();
    rounds += 1;
  }
  state.counters["cpu"] = cpu / rounds;
}

void BM_PolledOurs(benchmark::State& state) { polled<OurQueue>(state); }
BENCHMARK(BM_PolledOurs)->UseRealTime();
void BM_PolledMoodycamel(benchmark::State& state) { polled<MoodyQueue>(state); }
BENCHMARK(BM_PolledMoodycamel)->UseRealTime();

}  // namespace
}  // namespace beamline::bench
