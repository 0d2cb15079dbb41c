#include "gossip/send_queue.h"

namespace beamline::gossip {

bool SendQueue::push(Lane lane, SharedBytes frame, const Bounds& bounds, Stats& stats) {
  const size_t size = frame.size();
  if (lane == Lane::control || lane == Lane::gossip) {
    const size_t bound = lane == Lane::control ? bounds.control : bounds.control / 2;
    if (control_bytes_ + size > bound) {
      ++stats.dropped_control;
      return false;
    }
    control_bytes_ += size;
    control_.push_back(std::move(frame));
    return true;
  }
  if (lane == Lane::forward) {
    if (message_bytes_ + size > bounds.messages) {
      ++stats.dropped_forwards;
      return false;
    }
    message_bytes_ += size;
    forward_.push_back(std::move(frame));
    return true;
  }
  while (message_bytes_ + size > bounds.messages && !forward_.empty()) {
    message_bytes_ -= forward_.pop_back().size();
    ++stats.dropped_forwards;
  }
  // An empty queue takes a message of any size, so that a small bound cannot silence us.
  if (message_bytes_ + size > bounds.messages && !publish_.empty()) {
    ++stats.dropped_publishes;
    return false;
  }
  message_bytes_ += size;
  publish_.push_back(std::move(frame));
  return true;
}

SharedBytes SendQueue::pop() {
  SharedBytes frame;
  if (!control_.empty()) {
    frame = control_.pop_front();
    control_bytes_ -= frame.size();
    return frame;
  }
  if (!publish_.empty()) {
    frame = publish_.pop_front();
  } else if (!forward_.empty()) {
    frame = forward_.pop_front();
  }
  message_bytes_ -= frame.size();
  return frame;
}

void SendQueue::clear() {
  control_.clear();
  publish_.clear();
  forward_.clear();
  control_bytes_ = message_bytes_ = 0;
}

}  // namespace beamline::gossip
