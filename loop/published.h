// The newest of a series of immutable values, for readers on other threads. Neither side ever waits
// for the other.
//
//     word = slot (8 bits) | how often it was acquired since it was published (56 bits)
//
// A reader acquires with one fetch_add: what tells it the slot counts it as a holder in the same
// step, so there is no moment in which a slot is known and not held. It lets go by counting up the
// slot's own `released`. The owner publishes by exchanging the word, and what it takes out is how
// many acquired the slot before. A slot is written again when as many let go as ever acquired it.
// Both counters only grow: there is nothing to mistake (no ABA), and nothing is freed while the
// owner or a reader lives.
//
// Bounded: kSlots values are alive at most, the published one included. When readers hold all
// others, publish() skips and counts.
//
// `Policy` as in loop/inbox_core.h; tests/loop/published_model_test.cc checks this very source.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/check.h"
#include "loop/inbox_core.h"

namespace beamline {

template <uint32_t kSlots, class Policy = StdAtomics>
class PublishedCore {
  static_assert(kSlots >= 2 && kSlots < 255);

 public:
  static constexpr uint32_t kNone = kSlots;

  // Any thread; wait-free. The published slot, held until release(); kNone before the first.
  uint32_t acquire() { return slot_of(word_.fetch_add(1, std::memory_order::acquire)); }
  // Any thread; wait-free. REQUIRES: acquired.
  void release(uint32_t slot) {
    BL_CHECK(slot < kSlots);
    released_[slot].fetch_add(1, std::memory_order::release);
  }

  // Owner. A slot that nobody reads and nobody can acquire, or kNone.
  uint32_t free_slot() const {
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      if (slot == current_) continue;
      if (released_[slot].load(std::memory_order::acquire) == acquired_[slot]) return slot;
    }
    return kNone;
  }
  // Owner. REQUIRES: from free_slot(), and written since.
  void publish(uint32_t slot) {
    BL_CHECK(slot < kSlots && slot != current_);
    const uint64_t before = word_.exchange(word_of(slot), std::memory_order::release);
    if (current_ != kNone) acquired_[current_] += before & kCount;
    current_ = slot;
  }
  // Owner. How many slots a reader may still look at, besides the published one.
  uint32_t held() const {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      if (slot == current_) continue;
      if (released_[slot].load(std::memory_order::relaxed) != acquired_[slot]) ++count;
    }
    return count;
  }

 private:
  // 2^56 acquisitions of one value take longer than any machine runs.
  static constexpr uint64_t kCount = (uint64_t{1} << 56) - 1;
  static constexpr uint64_t word_of(uint32_t slot) { return uint64_t{slot} << 56; }
  static constexpr uint32_t slot_of(uint64_t word) { return static_cast<uint32_t>(word >> 56); }

  alignas(64) typename Policy::template Atomic<uint64_t> word_{word_of(kNone)};
  alignas(64) std::array<typename Policy::template Atomic<uint64_t>, kSlots> released_{};
  // The owner's: how often a slot was acquired in all its publications that are over.
  alignas(64) std::array<uint64_t, kSlots> acquired_{};
  uint32_t current_ = kNone;
};

template <class T, uint32_t kSlots = 8, class Policy = StdAtomics>
class Published {
  using Core = PublishedCore<kSlots, Policy>;
  struct Shared {
    Core core;
    std::array<T, kSlots> slots{};
  };

 public:
  // A value that does not change while this lives. Used by one thread at a time, movable; keeps the
  // memory alive by itself, also after the owner died. Hold it shortly: kSlots - 1 of them in
  // different values stop the publishing.
  class Ref {
   public:
    Ref() = default;
    Ref(Ref&& other) noexcept
        : shared_(std::move(other.shared_)), slot_(std::exchange(other.slot_, Core::kNone)) {}
    Ref& operator=(Ref&& other) noexcept {
      std::swap(shared_, other.shared_);
      std::swap(slot_, other.slot_);
      return *this;
    }
    ~Ref() {
      if (shared_ != nullptr && slot_ != Core::kNone) shared_->core.release(slot_);
    }
    // False: nothing was published yet.
    explicit operator bool() const { return slot_ != Core::kNone; }
    const T& operator*() const { return shared_->slots[slot_]; }
    const T* operator->() const { return &shared_->slots[slot_]; }

   private:
    friend class Published;
    explicit Ref(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
      BL_CHECK(shared_ != nullptr);
      slot_ = shared_->core.acquire();
    }
    std::shared_ptr<Shared> shared_;
    uint32_t slot_ = Core::kNone;
  };

  // Where to read; a value, copyable, for any thread, also after the owner died.
  class Reader {
   public:
    Reader() = default;
    // The newest. Wait-free. REQUIRES: from reader().
    Ref acquire() const { return Ref(shared_); }
    explicit operator bool() const { return shared_ != nullptr; }

   private:
    friend class Published;
    explicit Reader(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    std::shared_ptr<Shared> shared_;
  };

  Published() : shared_(std::make_shared<Shared>()) {}
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  // Any thread, while the owner lives.
  Reader reader() const { return Reader(shared_); }

  // ---- The owner's, one thread.

  // Lets `fill(T&)` write a value, and publishes it. The T holds what it held when it was published
  // last, so that its memory is used again. False, and nothing was called: readers hold all slots.
  template <class Fill>
  bool publish(Fill&& fill) {
    const uint32_t slot = shared_->core.free_slot();
    if (slot == Core::kNone) {
      ++skipped_;
      return false;
    }
    std::forward<Fill>(fill)(shared_->slots[slot]);
    shared_->core.publish(slot);
    ++published_;
    return true;
  }
  uint64_t published() const { return published_; }
  uint64_t skipped() const { return skipped_; }
  uint32_t held() const { return shared_->core.held(); }

 private:
  const std::shared_ptr<Shared> shared_;
  uint64_t published_ = 0;
  uint64_t skipped_ = 0;
};

}  // namespace beamline
