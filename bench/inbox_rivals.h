// What the inbox is measured against, each a source of a reactor as the inbox is one, so that both
// sides sleep, wake and turn alike. Bounded like ours: it keeps a rival's queue in the cache.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "loop/inbox_port.h"

namespace beamline::bench {

// An event's size in the small: who, what number, and a few words of it.
struct Message {
  uint32_t producer = 0;
  uint32_t number = 0;
  uint64_t words[3] = {};
};

// The one who receives: counts, and sees that nothing is lost or out of order.
class Receiver final : public InboxReceiver<Message> {
 public:
  // Keeps the reactor from sleeping once all `total` messages are here.
  Receiver(Reactor& reactor, uint64_t total) : reactor_(reactor), total_(total) {
    done_.callback = [](Ready&) {};
  }
  ~Receiver() override { reactor_.unpost(done_); }
  uint64_t received() const { return received_; }
  bool done() const { return received_ == total_; }
  void on_message(Message& message) override { take(message); }
  void take(const Message& message) {
    if (message.number != next_[message.producer]++) [[unlikely]]
      wrong_ = true;
    sum_ ^= message.words[0];
    if (++received_ == total_) [[unlikely]]
      reactor_.post(done_);
  }
  bool in_order() const { return !wrong_; }

 private:
  Reactor& reactor_;
  const uint64_t total_;
  Ready done_;
  uint32_t next_[16] = {};
  uint64_t received_ = 0;
  uint64_t sum_ = 0;
  bool wrong_ = false;
};

// Ours, behind the interface of this benchmark.
class OurQueue {
 public:
  class Producer {
   public:
    explicit Producer(Inbox<Message>::Producer handle) : handle_(std::move(handle)) {}
    bool push(Message& message) {
      return handle_.try_push(0, std::move(message)) == PushResult::ok;
    }
    // As many as fit; returns how many.
    size_t push_burst(std::span<Message> messages) {
      const size_t staged = handle_.stage_all(0, messages);
      handle_.commit();
      return staged;
    }
    uint64_t wakes() const { return handle_.stats().wakes; }

   private:
    Inbox<Message>::Producer handle_;
  };

  OurQueue(Reactor& reactor, Receiver& receiver, uint32_t nodes, uint32_t)
      : port_(reactor, receiver), nodes_(nodes) {}
  const InboxSource& source() const { return port_; }
  Producer make_producer() {
    const InboxClass classes[] = {{.nodes = nodes_}};
    return Producer(*port_.gate().make_producer(classes));
  }

 private:
  InboxPort<Message, Receiver> port_;
  uint32_t nodes_;
};

enum class Signal : uint8_t {
  every_push,   // what one writes first
  when_asleep,  // the good mutex: under the lock it knows whether the owner sleeps
};

// A mutex around a vector; the owner swaps it for an empty one and runs without the lock.
template <Signal kSignal>
class MutexQueue final : public InboxSource {
 public:
  class Producer {
   public:
    explicit Producer(MutexQueue& queue) : queue_(queue) {}
    bool push(const Message& message) { return push_burst({&message, 1}) == 1; }
    size_t push_burst(std::span<const Message> messages) {
      bool wake;
      size_t taken;
      {
        std::lock_guard lock(queue_.mutex_);
        taken = std::min(messages.size(), queue_.capacity_ - queue_.in_.size());
        queue_.in_.insert(queue_.in_.end(), messages.begin(),
                          messages.begin() + static_cast<ptrdiff_t>(taken));
        wake = taken != 0 && (kSignal == Signal::every_push || queue_.asleep_);
        if (taken != 0) queue_.asleep_ = false;
      }
      if (wake) {
        ++wakes_;
        queue_.waker_->wake();
      }
      return taken;
    }
    uint64_t wakes() const { return wakes_; }

   private:
    MutexQueue& queue_;
    uint64_t wakes_ = 0;
  };

  MutexQueue(Reactor& reactor, Receiver& receiver, uint32_t nodes, uint32_t producers)
      : reactor_(reactor),
        receiver_(receiver),
        waker_(reactor.backend().waker()),
        // In flight are what is in one vector and what runs from the other.
        capacity_(size_t{nodes} * producers / 2) {
    in_.reserve(capacity_);
    out_.reserve(capacity_);
    reactor_.attach(*this);
  }
  ~MutexQueue() override { reactor_.detach(*this); }
  const InboxSource& source() const { return *this; }
  Producer make_producer() { return Producer(*this); }

  size_t drain(size_t limit) override {
    if (next_ == out_.size()) {
      out_.clear();
      next_ = 0;
      std::lock_guard lock(mutex_);
      out_.swap(in_);
    }
    const size_t end = std::min(out_.size(), next_ + limit);
    const size_t done = end - next_;
    while (next_ < end) receiver_.take(out_[next_++]);
    return done;
  }
  bool has_backlog() const override { return next_ != out_.size(); }
  void return_spent() override {}
  bool prepare_sleep() override {
    if (has_backlog()) return false;
    std::lock_guard lock(mutex_);
    if (!in_.empty()) return false;
    asleep_ = true;
    return true;
  }
  void awake() override {
    std::lock_guard lock(mutex_);
    asleep_ = false;
  }
  void close() override {}

 private:
  Reactor& reactor_;
  Receiver& receiver_;
  std::shared_ptr<Waker> waker_;
  const size_t capacity_;
  std::vector<Message> out_;  // the owner's
  size_t next_ = 0;
  alignas(64) std::mutex mutex_;
  std::vector<Message> in_;
  bool asleep_ = false;
};

using NaiveQueue = MutexQueue<Signal::every_push>;
using GoodMutexQueue = MutexQueue<Signal::when_asleep>;

}  // namespace beamline::bench
