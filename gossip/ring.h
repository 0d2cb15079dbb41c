// A queue in a ring that grows by doubling and owns no memory while it was never used: an idle peer
// pays for its queues with three words each. Not thread safe.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.h"

namespace beamline::gossip {

// T is default-constructible and movable; a popped place is reset to T{}.
template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  void push_back(T value) {
    if (size_ == capacity_) grow();
    items_[(head_ + size_) & (capacity_ - 1)] = std::move(value);
    ++size_;
  }
  // REQUIRES: not empty, for all four.
  T& front() { return at(0); }
  T& back() { return at(size_ - 1); }
  T pop_front() {
    T value = std::exchange(at(0), T{});
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
    return value;
  }
  T pop_back() {
    T value = std::exchange(at(size_ - 1), T{});
    --size_;
    return value;
  }
  // The i-th from the front. REQUIRES: i < size().
  T& at(size_t i) {
    BL_CHECK(i < size_);
    return items_[(head_ + i) & (capacity_ - 1)];
  }
  // Drops everything and gives the memory back.
  void clear() {
    items_.reset();
    head_ = size_ = capacity_ = 0;
  }

 private:
  void grow() {
    const size_t capacity = capacity_ == 0 ? 8 : capacity_ * 2;
    auto items = std::make_unique<T[]>(capacity);
    for (size_t i = 0; i < size_; ++i) items[i] = std::move(at(i));
    items_ = std::move(items);
    head_ = 0;
    capacity_ = capacity;
  }

  std::unique_ptr<T[]> items_;
  size_t head_ = 0;
  size_t size_ = 0;
  size_t capacity_ = 0;  // zero or a power of two
};

}  // namespace beamline::gossip
