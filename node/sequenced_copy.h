// A value that one thread writes and others read, whole, without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

namespace beamline::node {

// Copies of a value that one thread writes and others read, whole: a reader looks again when the
// writer was in between. The writer never waits.
template <class T>
class SequencedCopy {
  static constexpr size_t kWords = (sizeof(T) + 7) / 8;

 public:
  void write(const T& value) {
    std::array<uint64_t, kWords> words{};
    std::memcpy(words.data(), &value, sizeof value);
    const uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    // Each store releases the odd number before it, each load acquires: whoever sees a new word
    // sees that the number moved.
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }
  T read() const {
    for (;;) {
      const uint64_t before = sequence_.load(std::memory_order_acquire);
      std::array<uint64_t, kWords> words;
      for (size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
      if (before % 2 != 0 || sequence_.load(std::memory_order_relaxed) != before) continue;
      T value;
      std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
      return value;
    }
  }

 private:
  std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

}  // namespace beamline::node
