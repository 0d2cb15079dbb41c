// Datagrams that a protocol wants sent, in their order: a bounded ring of buffers that are written
// in place. One thread at a time; everything is allocated at construction.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/endpoint.h"

namespace beamline::discovery {

class DatagramQueue {
 public:
  static constexpr size_t kMaxSize = 1280;  // of discv4 and discv5

  explicit DatagramQueue(size_t capacity = 128)
      : memory_(std::make_unique<uint8_t[]>(capacity * kMaxSize)), items_(capacity) {}

  // A buffer of kMaxSize bytes to fill, then commit(). Empty when the queue is full (counted).
  MutableBytes space() {
    if (size_ == items_.size()) {
      ++dropped_;
      return {};
    }
    return buffer(tail());
  }
  // REQUIRES: space() was not empty, and no other since.
  void commit(const Endpoint& to, size_t size) {
    BL_CHECK(size_ < items_.size() && size <= kMaxSize);
    items_[tail()] = {to, static_cast<uint32_t>(size)};
    ++size_;
  }

  struct Datagram {
    Endpoint to;
    Bytes bytes;  // until pop()
  };
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  // REQUIRES: !empty().
  Datagram front() const {
    return {items_[head_].to, Bytes(buffer(head_)).first(items_[head_].size)};
  }
  void pop() {
    head_ = (head_ + 1) % items_.size();
    --size_;
  }
  uint64_t dropped() const { return dropped_; }

 private:
  struct Item {
    Endpoint to;
    uint32_t size = 0;
  };
  size_t tail() const { return (head_ + size_) % items_.size(); }
  MutableBytes buffer(size_t at) const { return {memory_.get() + at * kMaxSize, kMaxSize}; }

  std::unique_ptr<uint8_t[]> memory_;
  std::vector<Item> items_;
  size_t head_ = 0;
  size_t size_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace beamline::discovery
