// The commands that wait for the integrator, in order. Bounded: the chain takes an event, or does a
// step of work, only while there is room for everything that this may cause.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"
#include "chain/commands.h"

namespace beamline::chain {

class CommandQueue {
 public:
  // `reserve`: the most commands that one step may cause. REQUIRES: 2 * reserve <= capacity.
  CommandQueue(size_t capacity, size_t reserve) : capacity_(capacity), reserve_(reserve) {
    BL_CHECK(reserve * 2 <= capacity);
  }
  bool room() const { return commands_.size() + reserve_ <= capacity_; }
  void push(Command command) {
    BL_CHECK(commands_.size() < capacity_);
    commands_.push_back(std::move(command));
    peak_ = std::max(peak_, commands_.size());
  }
  std::optional<Command> pop() {
    if (commands_.empty()) return std::nullopt;
    std::optional<Command> command(std::move(commands_.front()));
    commands_.pop_front();
    return command;
  }
  size_t size() const { return commands_.size(); }
  size_t peak() const { return peak_; }

 private:
  const size_t capacity_;
  const size_t reserve_;
  size_t peak_ = 0;
  std::deque<Command> commands_;
};

}  // namespace beamline::chain
