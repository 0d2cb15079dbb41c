// What the tests of the inbox share: wakers that count or that block, and payloads that say where
// they were destroyed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "loop/inbox.h"

namespace beamline::inbox_test {

class CountingWaker : public Waker {
 public:
  void wake() override { wakes_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t wakes() const { return wakes_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> wakes_{0};
};

// A reactor's sleep without a reactor. It orders nothing beyond itself (relaxed on purpose), so
// that under TSan only the inbox's own word can make a message visible.
class BlockingWaker : public Waker {
 public:
  void wake() override {
    signals_.fetch_add(1, std::memory_order_relaxed);
    signals_.notify_one();
  }
  // Consumes exactly one signal per call.
  void sleep() {
    while (signals_.load(std::memory_order_relaxed) == consumed_) {
      signals_.wait(consumed_, std::memory_order_relaxed);
    }
    ++consumed_;
  }
  uint32_t unconsumed() const { return signals_.load(std::memory_order_relaxed) - consumed_; }

 private:
  std::atomic<uint32_t> signals_{0};
  uint32_t consumed_ = 0;
};

// Where payloads died, by thread, and how many live.
struct Census {
  std::atomic<int> live{0};
  std::atomic<int> died_at_home{0};
  std::atomic<int> died_abroad{0};
};

// Counts as one life however often it moves; remembers the thread that made it.
class Payload {
 public:
  Payload() = default;
  Payload(Census& census, int number) : census_(&census), number_(number) { ++census.live; }
  Payload(Payload&& other) noexcept
      : census_(std::exchange(other.census_, nullptr)),
        born_(other.born_),
        number_(other.number_) {}
  Payload& operator=(Payload&& other) noexcept {
    std::swap(census_, other.census_);
    std::swap(born_, other.born_);
    std::swap(number_, other.number_);
    return *this;
  }
  ~Payload() {
    if (census_ == nullptr) return;
    ++(born_ == std::this_thread::get_id() ? census_->died_at_home : census_->died_abroad);
    --census_->live;
  }
  int number() const { return number_; }
  bool present() const { return census_ != nullptr; }

 private:
  Census* census_ = nullptr;
  std::thread::id born_ = std::this_thread::get_id();
  int number_ = -1;
};

template <class Msg>
typename Inbox<Msg>::Producer make_producer(const Inbox<Msg>& inbox,
                                            std::initializer_list<InboxClass> classes) {
  auto producer = inbox.gate().make_producer(std::span(classes.begin(), classes.size()));
  EXPECT_TRUE(producer.has_value());
  return std::move(*producer);
}

// Drains everything into a list.
template <class Msg>
std::vector<Msg> drain_all(Inbox<Msg>& inbox) {
  std::vector<Msg> out;
  inbox.drain(SIZE_MAX, [&](Msg& message) { out.push_back(std::move(message)); });
  inbox.return_spent();
  return out;
}

}  // namespace beamline::inbox_test
