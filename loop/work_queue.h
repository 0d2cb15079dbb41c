// Jobs from one thread, a reactor's, to several that may block. The reactor never waits: a full
// queue says so, and a push costs two stores and one read-modify-write; only if a consumer sleeps
// does the pusher have to wake it, which is its caller's business (an eventfd, no futex).
//
// A ring whose cells carry the number of the push that may fill them or of the take that may empty
// them, and one word that counts jobs: below zero, it counts the consumers that sleep. It is a
// semaphore: a consumer that took one from the word, at once or after it was woken, owns the right
// to exactly one job. So no wake-up can be lost, and no consumer finds nothing.
//
//   consumer:  if (queue.begin_take()) sleep until woken, once;
//              job = queue.end_take();                            // nothing: closed, for good
//   producer:  if (queue.push(job) == Pushed::ok_wake) wake one
//
// `Policy` as in loop/inbox_core.h; tests/loop/published_model_test.cc checks this very source.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "loop/inbox_core.h"

namespace beamline {

template <class Job, class Policy = StdAtomics>
class WorkQueue {
 public:
  enum class Pushed : uint8_t { ok, ok_wake, full };

  // At most `capacity` jobs wait, and at least two: of one cell alone, "filled" and "free for the
  // next" would be the same number.
  explicit WorkQueue(uint32_t capacity)
      : capacity_(std::max(capacity, 2u)), cells_(new Cell[capacity_]) {
    for (uint32_t i = 0; i < capacity_; ++i) {
      cells_[i].turn.store(i, std::memory_order::relaxed);
    }
  }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // ---- Producer, one thread.

  // On ok_wake the caller must wake one consumer. On full the job is as it was.
  // REQUIRES: not closed.
  Pushed push(Job&& job) {
    Cell& cell = cells_[tail_ % capacity_];
    if (cell.turn.load(std::memory_order::acquire) != tail_) return Pushed::full;
    cell.job = std::move(job);
    cell.turn.store(++tail_, std::memory_order::release);
    const int64_t before = jobs_.fetch_add(1, std::memory_order::release);
    return before < 0 ? Pushed::ok_wake : Pushed::ok;
  }
  // No job is given out any more; those that wait are dropped with the queue. Returns how many of
  // the consumers, of which there are `consumers`, must be woken.
  uint32_t close(uint32_t consumers) {
    closed_.store(true, std::memory_order::release);
    const int64_t before = jobs_.fetch_add(consumers, std::memory_order::release);
    return static_cast<uint32_t>(std::clamp<int64_t>(-before, 0, consumers));
  }

  // ---- Consumers.

  // True: sleep until woken before end_take().
  bool begin_take() { return jobs_.fetch_add(-1, std::memory_order::acq_rel) <= 0; }
  // Without sleeping: a job if there is one, in place of both others.
  std::optional<Job> try_take() {
    int64_t jobs = jobs_.load(std::memory_order::relaxed);
    do {
      if (jobs <= 0) return std::nullopt;
    } while (!jobs_.compare_exchange_weak(jobs, jobs - 1, std::memory_order::acq_rel,
                                          std::memory_order::relaxed));
    std::optional<Job> job = end_take();
    // Closed: what says so is for begin_take(), once for each consumer.
    if (!job) jobs_.fetch_add(1, std::memory_order::release);
    return job;
  }
  // A job; nothing once closed.
  std::optional<Job> end_take() {
    if (closed_.load(std::memory_order::acquire)) return std::nullopt;
    // Who comes here has one of at least `ticket + 1` jobs, and knows what those before it knew: so
    // the cell is filled, and seen.
    const uint64_t ticket = head_.fetch_add(1, std::memory_order::acq_rel);
    Cell& cell = cells_[ticket % capacity_];
    BL_CHECK(cell.turn.load(std::memory_order::acquire) == ticket + 1);
    std::optional<Job> job(std::move(cell.job));
    cell.turn.store(ticket + capacity_, std::memory_order::release);
    return job;
  }

 private:
  struct Cell {
    typename Policy::template Atomic<uint64_t> turn{0};
    Job job{};
  };

  const uint32_t capacity_;
  const std::unique_ptr<Cell[]> cells_;
  uint64_t tail_ = 0;  // the producer's
  alignas(64) typename Policy::template Atomic<int64_t> jobs_{0};
  alignas(64) typename Policy::template Atomic<uint64_t> head_{0};
  typename Policy::template Atomic<bool> closed_{false};
};

}  // namespace beamline
