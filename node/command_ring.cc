#include "node/command_ring.h"

#include <bit>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

namespace beamline::node {

CommandRing::CommandRing(uint32_t capacity)
    : mask_(std::bit_ceil(capacity) - 1),
      fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      places_(std::make_unique<HostCommand[]>(size_t{mask_} + 1)) {
  BL_CHECK(capacity >= 1 && capacity <= 65'536);
}

CommandRing::~CommandRing() {
  if (fd_ >= 0) close(fd_);
}

// "I wait" is written before the last look, and what is looked at before "who waits" is read, all
// sequentially consistent: one of the two sees the other.
HostCommand* CommandRing::place() {
  const uint32_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) > mask_) {
    writer_waits_.store(true, std::memory_order_seq_cst);
    if (tail - head_.load(std::memory_order_seq_cst) > mask_) return nullptr;
    writer_waits_.store(false, std::memory_order_relaxed);
  }
  return &places_[tail & mask_];
}

void CommandRing::pushed() {
  tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  if (reader_waits_.load(std::memory_order_seq_cst) && reader_waits_.exchange(false)) {
    wake_reader();
  }
}

PushResult CommandRing::push(chain::Command&& command) {
  HostCommand* const free = place();
  if (free == nullptr) return PushResult::full;
  *free = std::move(command);
  pushed();
  return PushResult::ok;
}

PushResult CommandRing::push(chain::Persist&& persist) {
  HostCommand* const free = place();
  if (free == nullptr) return PushResult::full;
  *free = std::make_unique<chain::Persist>(std::move(persist));
  pushed();
  return PushResult::ok;
}

void CommandRing::finish(std::deque<HostCommand>&& rest) {
  rest_ = std::move(rest);
  finished_.store(true, std::memory_order_release);
  if (!rest_.empty()) wake_reader();
}

void CommandRing::wake_reader() {
  const uint64_t one = 1;
  // A counter at its bound is readable as it is.
  [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof one);
}

std::optional<HostCommand> CommandRing::take() {
  const uint32_t head = head_.load(std::memory_order_relaxed);
  std::optional<HostCommand> command(std::move(places_[head & mask_]));
  places_[head & mask_] = HostCommand();  // what it held is the reader's alone now
  head_.store(head + 1, std::memory_order_seq_cst);
  if (writer_waits_.load(std::memory_order_seq_cst) && writer_waits_.exchange(false)) {
    writer_->wake();
  }
  return command;
}

std::optional<HostCommand> CommandRing::pop() {
  if (has_commands()) return take();
  const bool finished = finished_.load(std::memory_order_acquire);
  if (finished && has_commands()) return take();
  if (finished && !rest_.empty()) {
    std::optional<HostCommand> command(std::move(rest_.front()));
    rest_.pop_front();
    return command;
  }
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(fd_, &count, sizeof count);
  reader_waits_.store(true, std::memory_order_seq_cst);
  // Pushed between the look and the wait: its writer may or may not have written the eventfd.
  if (has_commands()) return take();
  return std::nullopt;
}

}  // namespace beamline::node
