// Memory of one message's owned values: one block, sized before anything is kept, filled in order
// and given up whole. A value that is decoded into an arena (ssz::decode_value with one) costs one
// allocation, or none where the block of the message before is large enough.
//
// One thread at a time. Values must be gone before the arena, and before its next begin().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include "base/error.h"

namespace beamline {

class Arena final : public std::pmr::memory_resource {
 public:
  struct Stats {
    uint64_t messages = 0;
    uint64_t blocks = 0;   // allocations: a message that was larger than all before
    uint64_t refused = 0;  // messages over the limit
    uint64_t heap = 0;     // values that grew past the block, each an allocation of its own
  };

  // `limit` is the size of the largest block, in bytes.
  explicit Arena(size_t limit) : limit_(limit) {}
  ~Arena() override;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // A message that takes `size` bytes. Over the limit: too_long (the peer's fault), nothing is
  // allocated. REQUIRES: no value of the message before is alive.
  Status begin(size_t size, const char* field);

  size_t capacity() const { return capacity_; }
  size_t used() const { return used_; }
  size_t alive() const { return alive_; }  // runs in the block that were not given back
  const Stats& stats() const { return stats_; }

  // What `size` bytes take, with the alignment of the run behind them.
  static constexpr size_t room(size_t size) { return (size + kAlign - 1) / kAlign * kAlign; }

 private:
  static constexpr size_t kAlign = alignof(std::max_align_t);

  bool holds(const void* run) const;
  void* do_allocate(size_t size, size_t alignment) override;
  void do_deallocate(void* run, size_t size, size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }

  size_t limit_;
  uint8_t* block_ = nullptr;
  size_t capacity_ = 0;
  size_t used_ = 0;
  size_t alive_ = 0;
  Stats stats_;
};

}  // namespace beamline
