// Receive buffers that the kernel picks from, and the leases through which they are read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/poison.h"

namespace beamline {

class BufferPool;

// A received run of bytes in a buffer of a pool; the buffer goes back when the lease dies. Move
// only. A lease lives to the end of its stream's turn at most: whoever wants bytes longer copies
// them, because a lease that is kept starves every other socket of the reactor. The bytes are
// writable, so that they can be decrypted in place.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        id_(other.id_) {}
  Lease& operator=(Lease&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~Lease() { reset(); }

  inline void reset();
  MutableBytes bytes() const { return {data_, size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Whether a buffer is held (a datagram may be empty and still hold one).
  explicit operator bool() const { return pool_ != nullptr; }
  // Forgets the first n bytes. REQUIRES: n <= size().
  void drop_front(size_t n);

 private:
  friend class BufferPool;
  Lease(BufferPool* pool, uint16_t id, uint8_t* data, uint32_t size)
      : pool_(pool), data_(data), size_(size), id_(id) {}

  BufferPool* pool_ = nullptr;
  uint8_t* data_ = nullptr;
  uint32_t size_ = 0;
  uint16_t id_ = 0;
};

// `count` buffers of `size` bytes, mapped once. Owned by one reactor and used on its thread only.
// Every buffer is in one of three places: with the backend (free to be filled), in a lease, or in
// the list of those returned since the backend last took them. Under ASan the ones that are not in
// a lease are poisoned.
class BufferPool {
 public:
  // REQUIRES: count a power of two in [1, 32768], size in [64, 2^24].
  BufferPool(uint16_t group, uint32_t count, uint32_t size);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();  // REQUIRES: no lease is out

  uint16_t group() const { return group_; }
  uint32_t count() const { return count_; }
  uint32_t buffer_size() const { return size_; }
  uint32_t leased() const { return leased_; }
  uint8_t* address(uint16_t id) { return memory_ + static_cast<size_t>(id) * size_; }

  // For backends. A buffer that was filled becomes a lease; REQUIRES: it is with the backend.
  Lease lease(uint16_t id, uint32_t offset, uint32_t size);
  // The buffers that came back and are not with the backend yet. At first: all of them.
  std::span<const uint16_t> returned() const { return {returned_.get(), returned_count_}; }
  void clear_returned() { returned_count_ = 0; }

 private:
  friend class Lease;
  void give_back(uint16_t id);

  uint8_t* memory_;
  std::unique_ptr<uint16_t[]> returned_;
  uint32_t returned_count_ = 0;
  uint32_t leased_ = 0;
  uint32_t count_;
  uint32_t size_;
  uint16_t group_;
};

inline Lease BufferPool::lease(uint16_t id, uint32_t offset, uint32_t size) {
  BL_CHECK(id < count_ && offset <= size_ && size <= size_ - offset && leased_ < count_);
  ++leased_;
  uint8_t* data = address(id) + offset;
  unpoison(data, size);
  return {this, id, data, size};
}

inline void BufferPool::give_back(uint16_t id) {
  BL_CHECK(leased_ > 0 && returned_count_ < count_);
  --leased_;
  poison(address(id), size_);
  returned_[returned_count_++] = id;
}

inline void Lease::reset() {
  if (pool_ != nullptr) std::exchange(pool_, nullptr)->give_back(id_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace beamline
