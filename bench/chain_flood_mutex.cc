// The rivals: the same chain, called from every thread under one mutex.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "bench/chain_flood.h"

namespace beamline::bench {
namespace {

// Hands itself over in the order of the asking, so nobody is passed by.
class FairMutex {
 public:
  void lock() {
    std::unique_lock guard(mutex_);
    const uint64_t ticket = next_++;
    turn_.wait(guard, [&] { return serving_ == ticket; });
  }
  void unlock() {
    {
      const std::lock_guard guard(mutex_);
      ++serving_;
    }
    turn_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable turn_;
  uint64_t next_ = 0;
  uint64_t serving_ = 0;
};

// What the threads of a flood share beside the chain.
template <class Mutex>
struct Shared {
  Shared(const Flood& flood, uint32_t peers) : chain(Flood::config()) {
    prepare(chain, flood);
    for (uint32_t peer = 0; peer < peers; ++peer) give(ask_all({peer, 1}, 1));
  }
  // REQUIRES: the lock is held.
  void give(chain::Event event) {
    BL_CHECK(chain.handle(clock_now(), std::move(event)).has_value());
  }

  Mutex mutex;
  chain::Chain chain;
  std::atomic<bool> stop{false};
};

// Follows up a command. True: the event that answers it was set.
bool carry_out(const chain::Command& command, chain::Event& answer) {
  if (const auto* import = std::get_if<chain::ImportBlock>(&command)) {
    verify();
    answer = chain::ImportVerdict{import->import, chain::Verdict::valid};
    return true;
  }
  if (const auto* chunk = std::get_if<chain::RespondChunk>(&command)) {
    encode(chunk->signed_bytes);
    answer = chain::ResponseWritten{chunk->peer, chunk->serve, 1};
    return true;
  }
  if (const auto* end = std::get_if<chain::RespondEnd>(&command)) {
    answer = ask_all(end->peer, end->serve + 1);
    return true;
  }
  return false;
}

void count(const chain::Command& command, FloodResult& result) {
  if (std::holds_alternative<chain::BlockImported>(command)) ++result.imported;
  if (std::holds_alternative<chain::RespondChunk>(command)) ++result.served;
}

// Runs `tick` each period, and takes the time at which it was done.
template <class Tick>
void run_ticks(std::atomic<bool>& stop, FloodResult& result, Tick tick) {
  MonoTime due = mono_now();
  while (!stop.load(std::memory_order_relaxed)) {
    due = due + kTickPeriod;
    const timespec at{.tv_sec = due.ns / 1'000'000'000, .tv_nsec = due.ns % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
    tick(due);
    // A tick that comes after the next one was due stands for both.
    while (due + kTickPeriod < mono_now()) {
      due = due + kTickPeriod;
      result.late_ns.push_back((mono_now() - due).ns);
    }
  }
}

template <class Body, class Tick>
FloodResult run_threads(FloodResult& result, std::atomic<bool>& stop, Body body, Tick tick) {
  std::vector<std::vector<int64_t>> pushes(kProducers);
  std::vector<std::thread> threads;
  const MonoTime start = mono_now();
  for (uint32_t id = 0; id < kProducers; ++id) {
    threads.emplace_back([&, id] {
      while (!stop.load(std::memory_order_relaxed)) body(id, pushes[id]);
    });
  }
  threads.emplace_back([&] { run_ticks(stop, result, tick); });
  std::this_thread::sleep_for(std::chrono::nanoseconds(kFloodTime.ns));
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  result.seconds = to_seconds(mono_now() - start);
  for (const auto& some : pushes) {
    result.push_ns.insert(result.push_ns.end(), some.begin(), some.end());
  }
  return std::move(result);
}

template <class Mutex>
FloodResult wide(Flood& flood, uint32_t peers) {
  FloodResult result;
  Shared<Mutex> shared(flood, peers);
  const auto settle = [&] {
    shared.chain.end_of_turn(clock_now());
    while (auto command = shared.chain.poll_command()) {
      count(*command, result);
      chain::Event answer;
      if (carry_out(*command, answer)) {
        shared.give(std::move(answer));
        shared.chain.end_of_turn(clock_now());
      }
    }
  };
  return run_threads(
      result, shared.stop,
      [&](uint32_t id, std::vector<int64_t>& pushes) {
        const MonoTime start = mono_now();
        const std::lock_guard guard(shared.mutex);
        // Here, so that a thread that the mutex keeps out holds no block that others build on.
        const chain::BlockInfo* block = flood.next();
        BL_CHECK(block != nullptr);
        shared.give(chain::GossipBlock{{id, 1}, 1, flood.decode(*block)});
        settle();
        pushes.push_back((mono_now() - start).ns);
      },
      [&](MonoTime due) {
        const std::lock_guard guard(shared.mutex);
        shared.give(chain::Tick{});
        shared.chain.end_of_turn(clock_now());
        result.late_ns.push_back((mono_now() - due).ns);
        settle();
      });
}

}  // namespace

FloodResult flood_wide(Flood& flood, uint32_t peers, Lock lock) {
  return lock == Lock::fair ? wide<FairMutex>(flood, peers) : wide<std::mutex>(flood, peers);
}

FloodResult flood_narrow(Flood& flood, uint32_t peers) {
  FloodResult result;
  Shared<std::mutex> shared(flood, peers);
  std::deque<chain::Command> work;  // under the mutex, as the chain
  const auto collect = [&] {
    shared.chain.end_of_turn(clock_now());
    while (auto command = shared.chain.poll_command()) {
      count(*command, result);
      work.push_back(std::move(*command));
    }
  };
  const auto apply = [&](chain::Event event, std::vector<int64_t>* pushes) {
    const MonoTime start = mono_now();
    const std::lock_guard guard(shared.mutex);
    shared.give(std::move(event));
    collect();
    if (pushes != nullptr) pushes->push_back((mono_now() - start).ns);
  };
  const auto take_work = [&](chain::Command& command) {
    const std::lock_guard guard(shared.mutex);
    if (work.empty()) return false;
    command = std::move(work.front());
    work.pop_front();
    return true;
  };
  return run_threads(
      result, shared.stop,
      [&](uint32_t id, std::vector<int64_t>& pushes) {
        chain::Command command;
        while (!shared.stop.load(std::memory_order_relaxed) && take_work(command)) {
          chain::Event answer;
          if (carry_out(command, answer)) apply(std::move(answer), nullptr);
        }
        const chain::BlockInfo* block = flood.next();
        BL_CHECK(block != nullptr);
        apply(chain::GossipBlock{{id, 1}, 1, flood.decode(*block)}, &pushes);
      },
      [&](MonoTime due) {
        const std::lock_guard guard(shared.mutex);
        shared.give(chain::Tick{});
        shared.chain.end_of_turn(clock_now());
        result.late_ns.push_back((mono_now() - due).ns);
        collect();
      });
}

}  // namespace beamline::bench
