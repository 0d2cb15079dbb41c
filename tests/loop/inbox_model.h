// Relacy as a Policy of the inbox: the source that ships, on atomics that a model checker watches.
// Include after every other header: Relacy defines new, delete, memory_order_* and more as macros,
// which this takes back.
#pragma once

#include <atomic>
#include <cstdint>
#include <ostream>
#include <source_location>
#include <streambuf>
#include <string>
#include <utility>

#include "loop/inbox.h"

// Old code, and a system header: its warnings are not ours.
#pragma GCC system_header
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

namespace beamline::inbox_model {

// What is broken on purpose, to see that the checker notices.
enum class Mutation : uint8_t {
  none,
  relaxed_publish,  // chains are published without release
  relaxed_take,     // and taken without acquire
  plain_sleep,      // prepare_sleep() looks and stores instead of compare-and-exchange
  plain_awake,      // so does awake()
  plain_push,       // so does a push
  relaxed_return,   // the producer learns without acquire which nodes are home
  relaxed_release,  // the last holder of a block does not see what the other did
  relaxed_add,      // what is counted up orders nothing
  plain_add,        // is looked at, and then stored
};

constexpr rl::memory_order order_of(std::memory_order order) {
  switch (order) {
    case std::memory_order::relaxed:
      return rl::mo_relaxed;
    case std::memory_order::consume:
      return rl::mo_consume;
    case std::memory_order::acquire:
      return rl::mo_acquire;
    case std::memory_order::release:
      return rl::mo_release;
    case std::memory_order::acq_rel:
      return rl::mo_acq_rel;
    case std::memory_order::seq_cst:
      break;
  }
  return rl::mo_seq_cst;
}

inline rl::debug_info info_of(const std::source_location& at) {
  return rl::debug_info(at.function_name(), at.file_name(), at.line());
}

// The part of std::atomic that the inbox uses, each call with its place in our source.
template <class T, Mutation kMutation>
class ModelAtomic {
  using At = std::source_location;

 public:
  ModelAtomic(T value = T{}) : atomic_(value) {}

  T load(std::memory_order order, At at = At::current()) const {
    if (kMutation == Mutation::relaxed_return) order = std::memory_order::relaxed;
    return atomic_.load(order_of(order), info_of(at));
  }
  void store(T value, std::memory_order order, At at = At::current()) {
    atomic_.store(value, order_of(order), info_of(at));
  }
  T exchange(T value, std::memory_order order, At at = At::current()) {
    if (kMutation == Mutation::relaxed_take) order = std::memory_order::relaxed;
    return atomic_.exchange(value, order_of(order), info_of(at));
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order success,
                             std::memory_order failure, At at = At::current()) {
    if (kMutation == Mutation::plain_push) return look_and_store(expected, value, success, at);
    return atomic_.compare_exchange_weak(expected, value, order_of(success), info_of(at),
                                         order_of(failure), info_of(at));
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order success,
                               std::memory_order failure, At at = At::current()) {
    // Only sleeping and waking use the strong form; sleeping expects null.
    if (kMutation == (expected == T{} ? Mutation::plain_sleep : Mutation::plain_awake)) {
      return look_and_store(expected, value, success, at);
    }
    return atomic_.compare_exchange_strong(expected, value, order_of(success), info_of(at),
                                           order_of(failure), info_of(at));
  }
  T fetch_add(T value, std::memory_order order, At at = At::current()) {
    if (kMutation == Mutation::relaxed_add) order = std::memory_order::relaxed;
    if (kMutation == Mutation::plain_add) {
      const T seen = atomic_.load(order_of(std::memory_order::acquire), info_of(at));
      atomic_.store(static_cast<T>(seen + value), order_of(std::memory_order::release),
                    info_of(at));
      return seen;
    }
    return atomic_.fetch_add(value, order_of(order), info_of(at));
  }
  T fetch_sub(T value, std::memory_order order, At at = At::current()) {
    if (kMutation == Mutation::relaxed_release) order = std::memory_order::relaxed;
    return atomic_.fetch_sub(value, order_of(order), info_of(at));
  }

 private:
  bool look_and_store(T& expected, T value, std::memory_order order, const At& at) {
    const T seen = atomic_.load(rl::mo_relaxed, info_of(at));
    if (seen != expected) {
      expected = seen;
      return false;
    }
    atomic_.store(value, order_of(order), info_of(at));
    return true;
  }

  rl::atomic<T> atomic_;
};

// A plain variable: the checker reports two threads that touch it without an order between them.
template <class T>
class ModelPlain {
 public:
  ModelPlain(T value = T{}) : var_(value) {}
  ModelPlain(const ModelPlain& other) : var_(static_cast<T>(other)) {}
  ModelPlain& operator=(const ModelPlain& other) { return *this = static_cast<T>(other); }
  ModelPlain& operator=(T value) {
    var_($).store(value);
    return *this;
  }
  operator T() const { return var_($).load(); }
  T operator->() const { return *this; }

 private:
  rl::var<T> var_;
};

template <Mutation kMutation = Mutation::none>
struct ModelPolicy {
  static constexpr std::memory_order kPublish = kMutation == Mutation::relaxed_publish
                                                    ? std::memory_order::relaxed
                                                    : std::memory_order::release;
  template <class T>
  using Atomic = ModelAtomic<T, kMutation>;
  template <class T>
  using Plain = ModelPlain<T>;
};

// A sleep that only wake() ends; the checker calls it a deadlock when nobody can wake it any more.
class ModelWaker : public Waker {
 public:
  ModelWaker() : semaphore_(CreateSemaphore(nullptr, 0, 1000, nullptr)) {}
  ~ModelWaker() override { CloseHandle(semaphore_); }
  void wake() override {
    ++wakes_;
    ReleaseSemaphore(semaphore_, 1, nullptr);
  }
  void sleep() { WaitForSingleObject(semaphore_, INFINITE); }
  int wakes() const { return wakes_; }

 private:
  HANDLE semaphore_;
  int wakes_ = 0;
};

// The checker's assertions; on failure they leave the thread for good.
inline void require(bool holds, const char* what, std::source_location at = {}) {
  if (!holds) rl::ctx().fail_test(what, rl::test_result_user_assert_failed, info_of(at));
}
inline void fail_check(const char* message) { require(false, message); }

inline void pause() { rl::yield(1, $); }

// Keeps what the checker prints, and allocates nothing: Relacy's operator delete would meet the
// standard library's operator new.
class FixedBuffer : public std::streambuf {
 public:
  FixedBuffer() { setp(text_, text_ + sizeof text_); }
  std::string text() const { return std::string(pbase(), pptr()); }

 private:
  char text_[64 * 1024];
};

struct Outcome {
  bool passed;
  uint64_t schedules;
  std::string report;
};

// Runs one scenario: random schedules, or (bound > 0) every one with at most `bound` preemptions.
template <class Scenario>
Outcome explore(uint64_t iterations, unsigned bound = 0) {
  const CheckHook before = set_check_hook(fail_check);
  FixedBuffer text;
  std::ostream out(&text);
  rl::test_params params;
  params.iteration_count = iterations;
  params.output_stream = &out;
  params.progress_stream = &out;
  params.progress_output_period = 1000;
  params.execution_depth_limit = 4000;
  params.search_type =
      bound == 0 ? rl::random_scheduler_type : rl::fair_context_bound_scheduler_type;
  params.context_bound = bound;
  const bool passed = rl::simulate<Scenario>(params);
  set_check_hook(before);
  return {passed, params.stop_iteration,
          passed ? "" : rl::test_result_str(params.test_result) + ("\n" + text.text())};
}

}  // namespace beamline::inbox_model
