#include "loop/buffer_pool.h"

#include <bit>

#include <sys/mman.h>

#include "base/check.h"
#include "base/poison.h"

namespace beamline {

BufferPool::BufferPool(uint16_t group, uint32_t count, uint32_t size)
    : count_(count), size_(size), group_(group) {
  BL_CHECK(std::has_single_bit(count) && count <= 32'768);
  BL_CHECK(size >= 64 && size <= (1u << 24));
  const size_t total = static_cast<size_t>(count) * size;
  // Private and not populated: a page costs memory from its first use on only.
  void* memory = mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  BL_CHECK(memory != MAP_FAILED);
  memory_ = static_cast<uint8_t*>(memory);
  poison(memory_, total);
  returned_ = std::make_unique<uint16_t[]>(count);
  for (uint32_t id = 0; id < count; ++id) returned_[id] = static_cast<uint16_t>(id);
  returned_count_ = count;
}

BufferPool::~BufferPool() {
  BL_CHECK(leased_ == 0);
  const size_t total = static_cast<size_t>(count_) * size_;
  unpoison(memory_, total);
  munmap(memory_, total);
}

void Lease::drop_front(size_t n) {
  BL_CHECK(n <= size_);
  data_ += n;
  size_ -= static_cast<uint32_t>(n);
}

}  // namespace beamline
