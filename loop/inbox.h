// The inbox of a reactor: foreign threads push messages, the reactor's thread runs them. Built
// around the one shared word of loop/inbox_core.h.
//
// 1. A producer is one thread at a time with a handle of its own, `Producer`. It may move between
//    threads, if something else orders that. Misuse is asserted where it is seen.
// 2. Memory is bounded by ownership: each handle owns slabs of nodes, one per class of message,
//    limited in nodes and in bytes. An empty slab answers `full`, costs others nothing, and is
//    counted. There is no shared counter and no allocation after the handle was made.
// 3. A payload stays in its node until its producer takes it home and destroys it, at a later push
//    or reclaim(): the reactor frees no foreign memory. (But for the last ones of a handle that
//    died.)
// 4. What must never be refused is reserved at admission: `reserve()` takes a node out of the
//    slab now, and pushing into it later cannot answer `full`.
// 5. If push A returned before push B began, A runs first, across producers, within one lane. Lanes
//    are served by weight, so that votes cannot starve blocks.
// 6. After close() every push answers `closed` and leaves the message with its caller. Handles may
//    outlive the inbox.
//
// How it is fast. A slab is a ring: a class has one lane, so its messages run, and its nodes come
// home, in the order of the pushes. So messages that are pushed together lie side by side, and what
// the shared word links is one header for all of them, not each; the reactor runs along an array;
// and nodes go home by one store of how many have run. No node is visited for any of that.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/poison.h"
#include "loop/inbox_core.h"
#include "loop/waker.h"

namespace beamline {

inline constexpr size_t kMaxInboxClasses = 8;
inline constexpr size_t kMaxInboxLanes = 4;
// Handles of one inbox, dead ones whose messages have not run included.
inline constexpr uint32_t kMaxInboxProducers = 1024;

// One class of messages of one producer.
struct InboxClass {
  uint32_t nodes = 0;       // messages that may be under way at once
  size_t bytes = SIZE_MAX;  // of payload, as the pusher declares them; SIZE_MAX: no limit
  uint8_t lane = 0;
};

struct ProducerStats {
  uint64_t pushed = 0;
  uint64_t chains = 0;  // read-modify-writes of the shared word that published something
  uint64_t wakes = 0;   // of them, those that had to wake the reactor
  uint64_t full_nodes = 0;
  uint64_t full_bytes = 0;
};

struct InboxStats {
  uint64_t messages = 0;
  uint64_t takes = 0;  // drains of the word that found something
  uint64_t sleeps = 0;
  uint64_t sleeps_refused = 0;  // a push came between drain and sleep
  uint32_t producers = 0;       // now
  uint32_t backlog = 0;         // taken, not run yet
};

template <class Msg, class Policy = StdAtomics>
class Inbox {
  using Link = InboxLink<Policy>;
  struct Block;
  enum class Kind : uint8_t { message, birth, death };

  // What the shared word links: messages of one class that lie side by side, from one place on.
  // Each place has one; that of the first place of a batch stands for the batch. But for `next` and
  // `count` it is written once, when the handle is made.
  struct alignas(32) Node : Link {
    Msg* first = nullptr;
    Block* home = nullptr;
    typename Policy::template Plain<uint32_t> count{0};  // 0 of a birth and of a death
    Kind kind = Kind::message;
    uint8_t klass = 0;
    uint8_t lane = 0;
  };

  // Raw memory for messages, from the beginning of a cache line on.
  static constexpr size_t kLineSize = std::max<size_t>(64, alignof(Msg));
  struct alignas(kLineSize) Line {
    std::byte bytes[kLineSize];
  };

  // The nodes of one class: a ring. From `oldest` on lie those that are under way, then those that
  // are free or reserved, from `next` on. All of it is the producer's.
  struct Slab {
    uint32_t free_nodes = 0;
    uint32_t next = 0;
    uint32_t nodes = 0;
    uint32_t oldest = 0;
    Node* headers = nullptr;
    size_t bytes_left = SIZE_MAX;
    uint64_t came_home = 0;  // nodes, ever
    std::unique_ptr<Node[]> owned_headers;
    std::unique_ptr<Line[]> places;
    std::unique_ptr<size_t[]> bytes;  // of each node; null where bytes have no limit

    void make(Block* block, uint8_t klass, const InboxClass& limits);
    bool has(size_t want) const {
      return free_nodes != 0 && (bytes == nullptr || bytes_left >= want);
    }
    void take(uint32_t count, size_t bytes_each) {
      free_nodes -= count;
      if (bytes != nullptr) bytes_left -= count * bytes_each;
    }
    void give_back(size_t of_bytes) {
      ++free_nodes;
      if (bytes != nullptr) bytes_left += of_bytes;
    }
    void vacate(uint32_t index, uint32_t count);
    uint32_t after(uint32_t index) const { return index + 1 == nodes ? 0 : index + 1; }
  };

  // What a producer and the inbox share. Freed by whoever lets go last.
  struct Block {
    // The producer's.
    typename Policy::template Plain<bool> busy{false};
    uint32_t staged = 0;
    uint32_t reserved = 0;
    Node* staged_newest = nullptr;
    Node* staged_oldest = nullptr;
    ProducerStats stats;
    std::array<Slab, kMaxInboxClasses> slabs;
    // The inbox's.
    alignas(64) std::array<uint64_t, kMaxInboxClasses> spent{};  // messages that ran
    Block* next_spent = nullptr;
    Block* previous = nullptr;
    Block* next = nullptr;
    uint64_t last_spent = UINT64_MAX;  // as many as will ever run: known when it is dead
    uint32_t spent_classes = 0;        // those with news for the producer, one bit each
    // Both. How many messages of each class ran, as far as the producer was told.
    alignas(64) std::array<typename Policy::template Atomic<uint64_t>, kMaxInboxClasses> returned{};
    typename Policy::template Atomic<uint32_t> holders{2};
    Node birth, death;

    bool all_ran() const {
      return last_spent != UINT64_MAX &&
             std::accumulate(spent.begin(), spent.end(), uint64_t{0}) == last_spent;
    }
  };

  struct Shared {
    explicit Shared(std::shared_ptr<Waker> w) : waker(std::move(w)) {}
    alignas(64) InboxCore<Policy> core;
    alignas(64) std::shared_ptr<Waker> waker;
    // Blocks that exist, and births refused for that. They order nothing: plain counters.
    std::atomic<uint32_t> blocks{0};
    std::atomic<uint64_t> refused{0};
  };

 public:
  class Producer;

  // A node that was taken out of its slab in advance. Same thread rule as its producer, which it
  // must not outlive. Unused, it goes back.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept { swap(other); }
    Reservation& operator=(Reservation&& other) noexcept {
      swap(other);
      return *this;
    }
    ~Reservation() {
      if (home_ != nullptr) Inbox::cancel_reservation(*this);
    }
    explicit operator bool() const { return home_ != nullptr; }

   private:
    friend class Inbox;
    friend class Producer;
    Reservation(Block* home, uint8_t klass, size_t bytes)
        : home_(home), bytes_(bytes), klass_(klass) {}
    void swap(Reservation& other) noexcept {
      std::swap(home_, other.home_);
      std::swap(bytes_, other.bytes_);
      std::swap(klass_, other.klass_);
    }
    Block* home_ = nullptr;
    size_t bytes_ = 0;
    uint8_t klass_ = 0;
  };

  class Producer {
   public:
    Producer() = default;
    Producer(Producer&&) noexcept = default;
    Producer& operator=(Producer&& other) noexcept {
      std::swap(shared_, other.shared_);
      std::swap(block_, other.block_);
      return *this;
    }
    // REQUIRES: no reservation is left. Staged messages are pushed.
    ~Producer();

    explicit operator bool() const { return shared_ != nullptr; }

    // One message, one read-modify-write. Unless `ok`, `message` is as it was.
    PushResult try_push(uint8_t klass, Msg&& message, size_t bytes = 0);
    // Takes a place for a message that must not be refused later.
    std::optional<Reservation> reserve(uint8_t klass, size_t bytes = 0);
    // Never `full`. Unless `ok`, `message` and the reservation are as they were.
    PushResult push(Reservation& reservation, Msg&& message);

    // Batches: stage() as many as fit, then commit() them with one read-modify-write. Staged
    // messages run in the order of staging. On `closed`, commit() drops what was staged.
    PushResult stage(uint8_t klass, Msg&& message, size_t bytes = 0);
    PushResult commit();
    // Stages as many of them as fit, in order, and says how many: cheaper than one by one. Each
    // counts for `bytes_each`. What does not fit is as it was, and counts as one refusal.
    size_t stage_all(uint8_t klass, std::span<Msg> messages, size_t bytes_each = 0);

    // Takes home what the inbox has returned and destroys the payloads. Pushing does it when a
    // slab is empty; call it when idle, to give memory back early.
    void reclaim();
    uint32_t free_nodes(uint8_t klass) const { return block_->slabs[klass].free_nodes; }
    // SIZE_MAX for a class without a limit.
    size_t free_bytes(uint8_t klass) const { return block_->slabs[klass].bytes_left; }
    bool closed() const { return shared_->core.is_closed(); }
    const ProducerStats& stats() const { return block_->stats; }

   private:
    friend class Inbox;
    Producer(std::shared_ptr<Shared> shared, Block* block)
        : shared_(std::move(shared)), block_(block) {}
    // Whether the class has a node with so many bytes, after taking home what it needs for that.
    bool make_room(uint8_t klass, size_t bytes);
    bool take_home_for(uint8_t klass, size_t bytes);
    PushResult refused() const { return closed() ? PushResult::closed : PushResult::full; }
    PushResult push_next(uint8_t klass, Msg& message, size_t bytes);
    // Stages so many messages, which fit and do not run over the end of the ring.
    void stage_row(uint8_t klass, Msg* messages, uint32_t count, size_t bytes_each);
    void drop_staged(Node* newest);
    PushResult publish(Node* newest, Node* oldest);

    // Not the null of a shared_ptr's move: Block is owned with it.
    std::shared_ptr<Shared> shared_;
    Block* block_ = nullptr;
  };

  // Makes producers; a value, copyable, usable on any thread, also after the inbox has died.
  class Gate {
   public:
    // Allocates the slabs. Nothing when the inbox is closed or has kMaxInboxProducers. REQUIRES: at
    // most kMaxInboxClasses, lanes below kMaxInboxLanes.
    std::optional<Producer> make_producer(std::span<const InboxClass> classes) const;

   private:
    friend class Inbox;
    explicit Gate(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    std::shared_ptr<Shared> shared_;
  };

  explicit Inbox(std::shared_ptr<Waker> waker)
      : shared_(std::make_shared<Shared>(std::move(waker))) {
    weights_.fill(1);
  }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  ~Inbox();  // REQUIRES: closed

  Gate gate() const { return Gate(shared_); }

  // ---- The owner's side: one thread, the reactor's.

  // How many messages of each lane run before the next lane has its turn. At least 1 each.
  void set_lane_weights(std::span<const uint32_t> weights);

  // Runs at most `limit` messages, `run(Msg&)` each; returns how many. What is left stays private,
  // so that new pushes do not overtake it. REQUIRES: awake, not from inside `run`.
  template <class Run>
  size_t drain(size_t limit, Run&& run);
  // Sends spent nodes home, one read-modify-write per producer: at the end of a turn.
  void return_spent();
  bool has_backlog() const { return stats_.backlog != 0; }
  // Before blocking. False: there is work. On true, call awake() after waking, whatever the cause.
  // Always true when closed: nothing comes any more.
  bool prepare_sleep();
  void awake() { shared_->core.awake(); }
  // Refuses all later pushes and runs what came before. Not from inside `run`.
  template <class Run>
  void close(Run&& run);
  bool closed() const { return shared_->core.is_closed(); }
  const InboxStats& stats() const { return stats_; }
  // Handles that were refused because there were too many.
  uint64_t refused_producers() const { return shared_->refused.load(std::memory_order_relaxed); }

 private:
  struct Lane {
    Node* oldest = nullptr;
    Node* newest = nullptr;
    size_t count = 0;  // of messages
  };

  static void cancel_reservation(Reservation& reservation);
  static void take_home(Block* block, uint8_t klass, uint64_t at_most);
  static void take_all_home(Block* block);
  static void release(Shared& shared, Block* block, uint32_t holders);
  static Node* merge_older(Node* node);
  void accept(Link* newest);
  void accept_birth(Block* block);
  void accept_deaths(Node* deaths);
  void bury(Block* block);
  void spend(Block* block, uint8_t klass, uint32_t count);
  template <class Run>
  size_t run_some(Lane& lane, size_t limit, Run& run);

  std::shared_ptr<Shared> shared_;
  std::array<Lane, kMaxInboxLanes> lanes_;
  std::array<uint32_t, kMaxInboxLanes> weights_;
  uint32_t lane_ = 0;         // being served
  uint32_t lane_served_ = 0;  // messages of it in this round
  Block* producers_ = nullptr;
  Block* spent_ = nullptr;
  InboxStats stats_;
};

}  // namespace beamline

#include "loop/inbox_inl.h"
