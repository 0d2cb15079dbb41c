#include "base/bytes.h"

#include <new>

#include "base/alloc.h"
#include "base/check.h"

namespace beamline {

SharedBytes::SharedBytes(size_t size) : size_(size) {
  BL_CHECK(size <= SIZE_MAX - sizeof(Block));
  block_ = new (allocate(sizeof(Block) + size)) Block;
  data_ = block_->data();
}

SharedBytes SharedBytes::copy(Bytes bytes) {
  if (bytes.empty()) return {};
  return build(bytes.size(),
               [&](MutableBytes out) { copy_bytes(out.data(), bytes.data(), bytes.size()); });
}

SharedBytes SharedBytes::adopt(Bytes bytes, void (*drop)(void* context), void* context) {
  auto* block = new (allocate(sizeof(Foreign))) Foreign;
  block->adopted = true;
  block->drop = drop;
  block->context = context;
  SharedBytes made;
  made.block_ = block;
  made.data_ = bytes.data();
  made.size_ = bytes.size();
  return made;
}

void SharedBytes::reset() {
  Block* block = std::exchange(block_, nullptr);
  data_ = nullptr;
  size_ = 0;
  if (block != nullptr && block->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    if (block->adopted) {
      auto* foreign = static_cast<Foreign*>(block);
      foreign->drop(foreign->context);
    }
    block->~Block();
    release(block);
  }
}

SharedBytes SharedBytes::slice(size_t offset, size_t size) const {
  BL_CHECK(offset <= size_ && size <= size_ - offset);
  SharedBytes part(*this);
  part.data_ += offset;
  part.size_ = size;
  return part;
}

uint32_t SharedBytes::use_count() const {
  return block_ == nullptr ? 0 : block_->references.load(std::memory_order_relaxed);
}

}  // namespace beamline
