// The commands of an embedded core on their way to its host: a bounded ring between the core's
// thread and one reader, with an eventfd that polls as readable while something is in it.
//
// Lock-free. The eventfd is written only when the reader has found the ring empty since, so a
// reader that keeps up costs no system call. Whoever was told `full` is woken when there is room.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <variant>

#include "chain/commands.h"
#include "chain/store.h"
#include "loop/inbox_core.h"
#include "loop/waker.h"

namespace beamline::node {

// What a host is told: a command, or what it is to keep.
using HostCommand = std::variant<chain::Command, std::unique_ptr<chain::Persist>>;

class CommandRing {
 public:
  // `capacity` is rounded up to a power of two. REQUIRES: 1 <= capacity <= 65,536.
  explicit CommandRing(uint32_t capacity);
  ~CommandRing();
  CommandRing(const CommandRing&) = delete;
  CommandRing& operator=(const CommandRing&) = delete;

  // Polls as readable while there are commands, until pop() finds none. -1: there was no descriptor
  // to be had.
  int fd() const { return fd_; }
  uint32_t capacity() const { return mask_ + 1; }

  // ---- The core's thread
  // Whom to wake when there is room again. Before the first push.
  void set_writer(std::shared_ptr<Waker> waker) { writer_ = std::move(waker); }
  // Unless `ok`, the command is as it was.
  PushResult push(chain::Command&& command);
  PushResult push(chain::Persist&& persist);
  // The last act: what the ring has no room for follows it, and nothing is pushed after.
  void finish(std::deque<HostCommand>&& rest);

  // ---- The reader's thread
  std::optional<HostCommand> pop();

  // Any thread: makes the descriptor readable.
  void wake_reader();

 private:
  bool has_commands() const {
    return tail_.load(std::memory_order_seq_cst) != head_.load(std::memory_order_relaxed);
  }
  std::optional<HostCommand> take();
  // The next place, unless there is none.
  HostCommand* place();
  void pushed();

  const uint32_t mask_;
  const int fd_;
  const std::unique_ptr<HostCommand[]> places_;
  std::shared_ptr<Waker> writer_;
  std::deque<HostCommand> rest_;  // the reader's, once finished_
  alignas(64) std::atomic<uint32_t> tail_{0};
  alignas(64) std::atomic<uint32_t> head_{0};
  alignas(64) std::atomic<bool> reader_waits_{true};
  std::atomic<bool> writer_waits_{false};
  std::atomic<bool> finished_{false};
};

}  // namespace beamline::node
