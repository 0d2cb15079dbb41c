#include "codec/arena.h"

#include <functional>
#include <new>

#include "base/check.h"
#include "base/poison.h"

namespace beamline {

Arena::~Arena() {
  BL_CHECK(alive_ == 0);
  if (block_ != nullptr) unpoison(block_, capacity_);
  ::operator delete(block_);
}

Status Arena::begin(size_t size, const char* field) {
  BL_CHECK(alive_ == 0);
  if (size > limit_) {
    ++stats_.refused;
    return bad_input(Code::too_long, field, size);
  }
  ++stats_.messages;
  used_ = 0;
  if (block_ != nullptr) unpoison(block_, capacity_);
  if (size > capacity_) {
    ::operator delete(block_);
    block_ = static_cast<uint8_t*>(::operator new(size));
    capacity_ = size;
    ++stats_.blocks;
  }
  if (block_ != nullptr) poison(block_, capacity_);
  return {};
}

bool Arena::holds(const void* run) const {
  const std::less<const void*> before;  // of any two pointers, unlike the operator
  return block_ != nullptr && !before(run, block_) && before(run, block_ + capacity_);
}

void* Arena::do_allocate(size_t size, size_t alignment) {
  const size_t rounded = room(size);
  if (alignment > kAlign || rounded < size || rounded > capacity_ - used_) {
    ++stats_.heap;
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  uint8_t* const run = block_ + used_;
  used_ += rounded;
  ++alive_;
  unpoison(run, size);
  return run;
}

void Arena::do_deallocate(void* run, size_t size, size_t alignment) {
  if (!holds(run)) {
    std::pmr::new_delete_resource()->deallocate(run, size, alignment);
    return;
  }
  BL_CHECK(alive_ != 0);
  --alive_;
  poison(run, size);
}

}  // namespace beamline
