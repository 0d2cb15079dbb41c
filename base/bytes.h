// Bytes: borrowed (a span), and owned by reference count (what lives on after its message: message
// caches, block caches and send queues share one copy).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace beamline {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline bool equal(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// memcpy for payloads. glibc moves runs of 2 KiB and more with `rep movsb`, which on AMD Zen 3 and
// 4 is 16 times slower when the target lies up to 63 bytes above the source modulo 4,096 (64 KiB:
// 18.7 us against 1.2), and two large allocations often lie so. Pieces below that size never meet
// it.
inline void copy_bytes(uint8_t* to, const uint8_t* from, size_t size) {
  constexpr size_t kPiece = 2047;
  while (size > 0) {
    size_t piece = size < kPiece ? size : kPiece;
    asm("" : "+r"(piece));  // a compiler that knows the bound writes `rep movsq` itself
    std::memcpy(to, from, piece);
    to += piece;
    from += piece;
    size -= piece;
  }
}

// An immutable, reference-counted run of bytes, or a part of one. Copies share; the last one frees.
// Different copies may be used and dropped by different threads; one object by one thread at a
// time. 24 bytes; one allocation per run, none per copy or slice.
class SharedBytes {
 public:
  SharedBytes() = default;
  // Allocates and copies.
  static SharedBytes copy(Bytes bytes);
  // Allocates `size` bytes and lets `fill(MutableBytes)` write them, before anything shares them.
  template <class Fill>
  static SharedBytes build(size_t size, Fill&& fill) {
    SharedBytes made(size);
    std::forward<Fill>(fill)(MutableBytes(made.block_->data(), size));
    return made;
  }

  // Takes bytes of somebody else's without a copy. When the last of those that share them goes,
  // `drop(context)` is called, on its thread. They do not change until then.
  static SharedBytes adopt(Bytes bytes, void (*drop)(void* context), void* context);

  SharedBytes(const SharedBytes& other)
      : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SharedBytes() { reset(); }

  void reset();
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Bytes bytes() const { return {data_, size_}; }
  operator Bytes() const { return bytes(); }
  // A part that keeps the whole alive. REQUIRES: offset + size <= this->size().
  SharedBytes slice(size_t offset, size_t size) const;
  // How many objects share the run now; for tests and memory accounting.
  uint32_t use_count() const;

 private:
  struct Block {
    std::atomic<uint32_t> references{1};
    bool adopted = false;  // then it is a Foreign
    uint8_t* data() { return reinterpret_cast<uint8_t*>(this + 1); }
  };
  struct Foreign : Block {
    void (*drop)(void* context) = nullptr;
    void* context = nullptr;
  };
  explicit SharedBytes(size_t size);

  Block* block_ = nullptr;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace beamline
