// The inbox and its rivals, flat out: producers push as fast as they can into a reactor that sleeps
// when it has nothing to do. The counter `cpu` is the process's time per message, in nanoseconds:
// the producers', the reactor's and the kernel's.
#include <latch>
#include <memory>
#include <optional>
#include <thread>

#include <benchmark/benchmark.h>
#include <sched.h>
#include <time.h>

#include "base/check.h"
#include "bench/inbox_rivals.h"
#include "loop/ring.h"

namespace beamline::bench {
namespace {

constexpr uint32_t kNodes = 1024;  // per producer
constexpr size_t kBurst = 64;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// On one core a woken reactor preempts the producer at its first push, finds one message and sleeps
// again. So it yields once before it sleeps, with either queue: it sleeps when that brought
// nothing.
class YieldFirst final : public TurnHook {
 public:
  YieldFirst(Reactor& reactor, const Receiver& receiver, const InboxSource& source)
      : reactor_(reactor), receiver_(receiver), source_(source) {
    again_.callback = [](Ready&) {};
    reactor_.add_hook(*this);
  }
  ~YieldFirst() override {
    reactor_.unpost(again_);
    reactor_.remove_hook(*this);
  }
  void end_of_turn(Now) override {
    if (receiver_.received() == seen_ || receiver_.done() || source_.has_backlog()) return;
    seen_ = receiver_.received();
    reactor_.post(again_);
    due_ = true;
  }
  // After the turn, which has returned nodes by then.
  void yield_if_due() {
    if (std::exchange(due_, false)) std::this_thread::yield();
  }

 private:
  Reactor& reactor_;
  const Receiver& receiver_;
  const InboxSource& source_;
  Ready again_;
  uint64_t seen_ = 0;
  bool due_ = false;
};

struct Run {
  uint32_t producers;
  uint32_t each;
  bool chains;
  Duration gap{};    // between bursts
  Duration full{};   // how long a producer sleeps when it is refused; 0: it yields
  bool pin = false;  // the reactor to one core; producers run on any
};

void sleep(Duration time) { std::this_thread::sleep_for(std::chrono::nanoseconds(time.ns)); }

// Keeps this thread on the first core that it may use, while it lives.
class Pin {
 public:
  Pin() {
    BL_CHECK(sched_getaffinity(0, sizeof before_, &before_) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t core = 0; core < CPU_SETSIZE; ++core) {
      if (!CPU_ISSET(core, &before_)) continue;
      CPU_SET(core, &one);
      break;
    }
    BL_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
  }
  ~Pin() { sched_setaffinity(0, sizeof before_, &before_); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  cpu_set_t before_;
};

template <class Producer>
void produce(Producer& producer, uint32_t id, const Run& run) {
  Message burst[kBurst];
  for (uint32_t number = 0; number < run.each;) {
    const size_t count = std::min<size_t>(kBurst, run.each - number);
    for (size_t i = 0; i < count; ++i) {
      burst[i] = {.producer = id, .number = number++, .words = {number, 2, 3}};
    }
    for (size_t done = 0; done < count;) {
      const size_t more = run.chains ? producer.push_burst({burst + done, count - done})
                                     : size_t{producer.push(burst[done])};
      if (more == 0) run.full > Duration{} ? sleep(run.full) : std::this_thread::yield();
      done += more;
    }
    if (run.gap > Duration{}) sleep(run.gap);
  }
}

struct Result {
  double cpu_per_message;
  double wakes_per_message;
};

template <class Queue>
Result measure(Reactor& reactor, const Run& run) {
  const uint64_t total = uint64_t{run.producers} * run.each;
  Receiver receiver(reactor, total);
  uint64_t wakes = 0;
  double start = 0;
  {
    Queue queue(reactor, receiver, kNodes, run.producers);
    YieldFirst yield_first(reactor, receiver, queue.source());
    std::latch ready(run.producers + 1);
    std::latch stop(run.producers + 1);
    std::vector<std::thread> threads;
    std::vector<uint64_t> wakes_of(run.producers);
    for (uint32_t id = 0; id < run.producers; ++id) {
      threads.emplace_back([&, id, producer = queue.make_producer()]() mutable {
        ready.arrive_and_wait();
        produce(producer, id, run);
        wakes_of[id] = producer.wakes();
        stop.arrive_and_wait();
      });
    }
    std::optional<Pin> pin;
    if (run.pin) pin.emplace();  // after the producers were made, which would inherit it
    ready.arrive_and_wait();
    start = cpu_seconds();
    while (!receiver.done()) {
      reactor.turn();
      yield_first.yield_if_due();
    }
    start = cpu_seconds() - start;
    stop.arrive_and_wait();
    for (auto& thread : threads) thread.join();
    for (const uint64_t some : wakes_of) wakes += some;
    BL_CHECK(receiver.in_order());
  }
  const double messages = static_cast<double>(total);
  return {start * 1e9 / messages, static_cast<double>(wakes) / messages};
}

template <class Queue>
void flat_out(benchmark::State& state, const Run& run) {
  auto reactor = Reactor::create(*make_ring({.max_ops = 64}));
  Run warm = run;
  warm.each /= 4;
  measure<Queue>(**reactor, warm);
  double cpu = 0, wakes = 0, rounds = 0;
  for (auto _ : state) {
    const Result result = measure<Queue>(**reactor, run);
    cpu += result.cpu_per_message;
    wakes += result.wakes_per_message;
    rounds += 1;
  }
  state.counters["cpu"] = cpu / rounds;
  state.counters["wakes"] = wakes / rounds;
  (*reactor)->shutdown();
}

constexpr Run kSingles4{.producers = 4, .each = 100'000, .chains = false};
constexpr Run kNaive4{.producers = 4, .each = 10'000, .chains = false};
constexpr Run kChains1{.producers = 1, .each = 400'000, .chains = true};
constexpr Run kChains4{.producers = 4, .each = 100'000, .chains = true};
// Where producers and the reactor really meet: it has a core, they run on both.
constexpr Run kSingles4Free{
    .producers = 4, .each = 100'000, .chains = false, .full = microseconds(50), .pin = true};
constexpr Run kChains4Free{
    .producers = 4, .each = 100'000, .chains = true, .full = microseconds(50), .pin = true};
constexpr Run kBursts{.producers = 1, .each = 64 * 200, .chains = true, .gap = microseconds(40)};
constexpr Run kBurstsSingle{
    .producers = 1, .each = 64 * 200, .chains = false, .gap = microseconds(40)};

#define BEAMLINE_FLAT_OUT(name, Queue, run)                           \
  void name(benchmark::State& state) { flat_out<Queue>(state, run); } \
  BENCHMARK(name)->MeasureProcessCPUTime()->UseRealTime()

BEAMLINE_FLAT_OUT(BM_Singles4Ours, OurQueue, kSingles4);
BEAMLINE_FLAT_OUT(BM_Singles4GoodMutex, GoodMutexQueue, kSingles4);
BEAMLINE_FLAT_OUT(BM_Singles4Naive, NaiveQueue, kNaive4);
BEAMLINE_FLAT_OUT(BM_Chains1Ours, OurQueue, kChains1);
BEAMLINE_FLAT_OUT(BM_Chains1GoodMutex, GoodMutexQueue, kChains1);
BEAMLINE_FLAT_OUT(BM_Chains4Ours, OurQueue, kChains4);
BEAMLINE_FLAT_OUT(BM_Chains4GoodMutex, GoodMutexQueue, kChains4);
BEAMLINE_FLAT_OUT(BM_Singles4FreeOurs, OurQueue, kSingles4Free);
BEAMLINE_FLAT_OUT(BM_Singles4FreeGoodMutex, GoodMutexQueue, kSingles4Free);
BEAMLINE_FLAT_OUT(BM_Chains4FreeOurs, OurQueue, kChains4Free);
BEAMLINE_FLAT_OUT(BM_Chains4FreeGoodMutex, GoodMutexQueue, kChains4Free);
BEAMLINE_FLAT_OUT(BM_BurstsOurs, OurQueue, kBursts);
BEAMLINE_FLAT_OUT(BM_BurstsSingleOurs, OurQueue, kBurstsSingle);

}  // namespace
}  // namespace beamline::bench
