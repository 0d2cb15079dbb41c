// What a Task can wait for: time, and TCP. Each may be abandoned by destroying the task.
//
// A read or write that waits allocates nothing: its state is in the frame. A stream allocates its
// buffer when it is made (address space for all that the pool of receive buffers could bring at
// once; pages that stay unused cost no memory).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "loop/task.h"
#include "loop/tcp.h"

namespace beamline {

// co_await wait_until(t), co_await wait_for(d): the task goes on in the first turn at or after
// it.
class SleepAwaiter {
 public:
  explicit SleepAwaiter(MonoTime until) : until_(until) {}
  explicit SleepAwaiter(Duration delay) : delay_(delay), relative_(true) {}
  ~SleepAwaiter() {
    if (frame_ != nullptr) frame_->reactor().disarm(timer_);
  }
  bool await_ready() const { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    frame_ = &handle.promise();
    Reactor& reactor = frame_->reactor();
    reactor.arm(timer_, relative_ ? reactor.now().mono + delay_ : until_);
  }
  void await_resume() {}

 private:
  Timer timer_{[](Timer& timer) { static_cast<SleepAwaiter*>(timer.owner)->frame_->wake(); }, this};
  TaskFrame* frame_ = nullptr;
  MonoTime until_;
  Duration delay_;
  bool relative_ = false;
};

inline SleepAwaiter wait_until(MonoTime time) { return SleepAwaiter(time); }
inline SleepAwaiter wait_for(Duration delay) { return SleepAwaiter(delay); }

// A TCP stream that is read and written by tasks: one reader and one writer at a time. It receives
// ahead of its reader up to kReadAhead bytes, then TCP's window slows the peer down. Destroying it
// closes it at once; finish() sends what is queued first.
class AsyncStream {
  class Core;

 public:
  static constexpr size_t kReadAhead = 65'536;
  class ReadAwaiter;
  class WriteAwaiter;
  class ConnectAwaiter;

  AsyncStream();
  AsyncStream(AsyncStream&&) noexcept;
  AsyncStream& operator=(AsyncStream&&) noexcept;
  ~AsyncStream();

  // co_await gives Result<AsyncStream>. Errors: those of Tcp::connect(), refused, unreachable,
  // timed_out (the deadline), ...
  static ConnectAwaiter connect(Tcp& tcp, const Endpoint& remote, Duration deadline);

  explicit operator bool() const { return core_ != nullptr; }
  bool open() const;
  Endpoint remote() const;

  // co_await gives Result<size_t>: at least one byte, or 0 at the end of the stream (and for an
  // empty `into`). What arrived before an error is read before it.
  ReadAwaiter read(MutableBytes into);
  // co_await gives Result<size_t>: `into` is full. Error: closed, when the stream ended before.
  ReadAwaiter read_exactly(MutableBytes into);
  // co_await gives Status: all of `bytes` is queued. They must live until then.
  WriteAwaiter write(Bytes bytes);

  void shutdown_write();
  // Sends what is queued, then closes; within flush_timeout. The object is empty after it.
  void finish();

 private:
  friend class AsyncListener;
  explicit AsyncStream(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

class AsyncStream::ReadAwaiter {
 public:
  ReadAwaiter(Core* core, MutableBytes into, bool exactly)
      : core_(core), into_(into), exactly_(exactly) {}
  ReadAwaiter(const ReadAwaiter&) = delete;
  ReadAwaiter& operator=(const ReadAwaiter&) = delete;
  ~ReadAwaiter();
  bool await_ready();
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    frame_ = &handle.promise();
    wait();
  }
  Result<size_t> await_resume() { return result_; }

 private:
  friend class Core;
  void wait();
  Core* core_;
  TaskFrame* frame_ = nullptr;
  MutableBytes into_;
  size_t done_ = 0;
  bool exactly_;
  Result<size_t> result_ = 0;
};

class AsyncStream::WriteAwaiter {
 public:
  WriteAwaiter(Core* core, Bytes bytes) : core_(core), bytes_(bytes) {}
  WriteAwaiter(const WriteAwaiter&) = delete;
  WriteAwaiter& operator=(const WriteAwaiter&) = delete;
  ~WriteAwaiter();
  bool await_ready();
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    frame_ = &handle.promise();
    wait();
  }
  Status await_resume() { return result_; }

 private:
  friend class Core;
  void wait();
  Core* core_;
  TaskFrame* frame_ = nullptr;
  Bytes bytes_;
  Status result_;
};

class AsyncStream::ConnectAwaiter {
 public:
  ConnectAwaiter(Tcp& tcp, const Endpoint& remote, Duration deadline);
  ConnectAwaiter(const ConnectAwaiter&) = delete;
  ConnectAwaiter& operator=(const ConnectAwaiter&) = delete;
  ~ConnectAwaiter();
  bool await_ready();
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    wait(handle.promise());
  }
  Result<AsyncStream> await_resume();

 private:
  void wait(TaskFrame& frame);
  Tcp& tcp_;
  Endpoint remote_;
  Duration deadline_;
  std::unique_ptr<Core> core_;
};

struct AsyncListenerStats {
  uint64_t accepted = 0;
  uint64_t refused = 0;  // `waiting` connections were not taken yet
};

// Accepts connections for one task. Destroying it closes the listener, and what nobody took.
class AsyncListener {
  class Core;

 public:
  class AcceptAwaiter;

  // `waiting`: how many accepted connections may wait for accept(). Errors: those of Tcp::listen().
  static Result<AsyncListener> listen(Tcp& tcp, const Endpoint& local, size_t waiting = 16);
  AsyncListener(AsyncListener&&) noexcept;
  AsyncListener& operator=(AsyncListener&&) noexcept;
  ~AsyncListener();

  Endpoint local() const;
  // co_await gives an AsyncStream. It may have ended already.
  AcceptAwaiter accept();
  const AsyncListenerStats& stats() const;

 private:
  explicit AsyncListener(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

class AsyncListener::AcceptAwaiter {
 public:
  explicit AcceptAwaiter(Core* core) : core_(core) {}
  AcceptAwaiter(const AcceptAwaiter&) = delete;
  AcceptAwaiter& operator=(const AcceptAwaiter&) = delete;
  ~AcceptAwaiter();
  bool await_ready() const;
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    frame_ = &handle.promise();
    wait();
  }
  AsyncStream await_resume();

 private:
  friend class Core;
  void wait();
  Core* core_;
  TaskFrame* frame_ = nullptr;
};

}  // namespace beamline
