// Coroutines on a reactor: a thin layer, for code that reads better as a sequence (handshakes,
// tests). Data paths use handlers.
//
//     Task<Status> greet(Tcp& tcp, Endpoint to) {
//       auto stream = co_await AsyncStream::connect(tcp, to, seconds(5));
//       if (!stream) co_return std::unexpected(stream.error());
//       co_return co_await stream->write(as_bytes("hello"));
//     }
//
// 1. A task does nothing until it is started or awaited. The Task object owns the frame, and a
//    frame owns the tasks that it awaits.
// 2. Destroying a Task cancels it, wherever it waits: what it waits for lives in its frame and
//    detaches itself (a timer is disarmed, a stream closed). REQUIRES: not from inside itself.
// 3. A waiting task is resumed through the reactor's ready list: never inside the callback of an
//    operation, so the stack stays flat and a resumed task may do anything. A task that is done
//    when its first call returns costs no turn and no stack, in a loop of a million either.
// 4. The frame is allocated when the coroutine is called. Nothing else is.
//
// All on the reactor's thread. Tasks die before their reactor. With g++ 12, give an argument type
// that is passed as a temporary inside `co_await f(...)` a constructor: it destroys the temporaries
// of aggregates twice.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "base/check.h"
#include "loop/reactor.h"

namespace beamline {

template <class T>
class Task;

// What the frames of all tasks have in common. For awaitables: await_suspend() keeps the address of
// the promise, a TaskFrame, and wake() resumes the task later. A frame that dies takes its wake-up
// with it.
class TaskFrame {
 public:
  TaskFrame(const TaskFrame&) = delete;
  TaskFrame& operator=(const TaskFrame&) = delete;

  Reactor& reactor() const { return *reactor_; }
  void wake() { reactor_->post(ready_); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  auto final_suspend() noexcept { return Final(); }
  [[noreturn]] void unhandled_exception() { check_failed("no exception", __FILE__, __LINE__); }

 protected:
  TaskFrame()
      : ready_([](Ready& ready) { static_cast<TaskFrame*>(ready.owner)->resume(); }, this) {}
  ~TaskFrame() {
    BL_CHECK(!running_);
    if (reactor_ != nullptr) reactor_->unpost(ready_);
  }

 private:
  template <class T>
  friend class Task;

  struct Final {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      TaskFrame& frame = handle.promise();
      frame.done_ = true;
      if (frame.parent_ != nullptr) frame.parent_->wake();
    }
    void await_resume() noexcept {}
  };

  void resume() {
    running_ = true;
    self_.resume();
    running_ = false;
  }

  Reactor* reactor_ = nullptr;
  TaskFrame* parent_ = nullptr;  // waits for this one
  std::coroutine_handle<> self_;
  Ready ready_;
  bool running_ = false;
  bool done_ = false;
};

namespace task_detail {

template <class T>
class Promise : public TaskFrame {
 public:
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public TaskFrame {
 public:
  Task<void> get_return_object();
  void return_void() {}
  void take() {}
};

}  // namespace task_detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = task_detail::Promise<T>;

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() { reset(); }

  explicit operator bool() const { return handle_ != nullptr; }
  // Cancels: the frame dies.
  void reset() {
    if (handle_ != nullptr) std::exchange(handle_, nullptr).destroy();
  }

  // Runs it from the reactor's next turn on. REQUIRES: it was neither started nor awaited.
  void start(Reactor& reactor) {
    TaskFrame& frame = handle_.promise();
    BL_CHECK(frame.reactor_ == nullptr);
    frame.reactor_ = &reactor;
    frame.wake();
  }
  bool done() const { return handle_ != nullptr && handle_.promise().done_; }
  // REQUIRES: done().
  T result() {
    BL_CHECK(done());
    return handle_.promise().take();
  }

  auto operator co_await() && { return Awaiter(std::move(*this)); }

 private:
  friend promise_type;
  class Awaiter {
   public:
    explicit Awaiter(Task&& task) : task_(std::move(task)) {}
    bool await_ready() const { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      TaskFrame& parent = handle.promise();
      TaskFrame& child = task_.handle_.promise();
      BL_CHECK(child.reactor_ == nullptr);
      child.reactor_ = &parent.reactor();
      child.resume();
      if (child.done_) return false;
      child.parent_ = &parent;
      return true;
    }
    T await_resume() { return task_.result(); }

   private:
    Task task_;
  };

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {
    handle_.promise().self_ = handle;
  }

  std::coroutine_handle<promise_type> handle_;
};

template <class T>
Task<T> task_detail::Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> task_detail::Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

}  // namespace beamline
