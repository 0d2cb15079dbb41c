// The inbox of a reactor: foreign threads push messages, the reactor's thread runs them. Built
// around the one shared word of loop/inbox_core.h.
//
// 1. A producer is one thread at a time with a handle of its own, `Producer`. It may move between
//    threads, if something else orders that. Misuse is asserted where it is seen.
// 2. Memory is bounded by ownership: each handle owns slabs of nodes, one per class of message,
//    limited in nodes and in bytes. An empty slab answers `full`, costs others nothing, and is
//    counted. There is no shared counter and no allocation after the handle was made.
// 3. A payload goes home with its node, and its producer destroys it, at a later push or reclaim():
//    the reactor frees no foreign memory. (But for the last ones of a handle that died.)
// 4. What must never be refused is reserved at admission: `reserve()` takes the node out of the
//    slab now, and pushing into it later cannot answer `full`.
// 5. If push A returned before push B began, A runs first, across producers, within one lane. Lanes
//    are served by weight, so that votes cannot starve blocks.
// 6. After close() every push answers `closed` and leaves the message with its caller. Handles may
//    outlive the inbox.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
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
  size_t bytes = SIZE_MAX;  // of payload, as the pusher declares them
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
  static constexpr int kPrefetch = 6;  // nodes ahead
  struct Block;
  enum class Kind : uint8_t { message, birth, death };

  // A cache line, or whole ones: two threads never write one.
  struct alignas(64) Node : Link {
    Block* home = nullptr;
    size_t bytes = 0;  // of a message; of a death, how many messages its handle pushed
    Kind kind = Kind::message;
    uint8_t klass = 0;
    uint8_t lane = 0;  // here too, because the slab is on the producer's cache line
    alignas(Msg) std::byte storage[sizeof(Msg)];
    Msg& value() { return *std::launder(reinterpret_cast<Msg*>(storage)); }
    // Brings in what likely stands `ahead` nodes on in a list: slabs hand nodes out in ascending
    // order, and take them back so. A guess that is wrong costs nothing.
    void prefetch(int ahead) const {
      const auto offset = static_cast<uintptr_t>(ahead * static_cast<intptr_t>(sizeof(Node)));
      __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(this) + offset),
                         1);
    }
  };

  struct Slab {
    typename Policy::template Plain<Link*> free{};
    uint32_t free_nodes = 0;
    size_t bytes_left = 0;
    std::unique_ptr<Node[]> nodes;
  };

  // What a producer and the inbox share. Freed by whoever lets go last.
  struct Block {
    // The producer's.
    std::array<Slab, kMaxInboxClasses> slabs;
    Link* returned = nullptr;  // came home, not looked at yet
    Link* staged_newest = nullptr;
    Link* staged_oldest = nullptr;
    uint32_t staged = 0;
    ProducerStats stats;
    uint32_t reserved = 0;
    typename Policy::template Plain<bool> busy{false};
    // The inbox's.
    alignas(64) Link* spent_newest = nullptr;
    Link* spent_oldest = nullptr;
    Block* next_spent = nullptr;
    Block* previous = nullptr;
    Block* next = nullptr;
    uint64_t spent = 0;                // messages of it that ran
    uint64_t last_spent = UINT64_MAX;  // as many as will ever: known when it is dead
    // Both.
    alignas(64) ReturnStack<Policy> returns;
    typename Policy::template Atomic<uint32_t> holders{2};
    Node birth, death;
  };

  struct Shared {
    explicit Shared(std::shared_ptr<Waker> w) : waker(std::move(w)) {}
    InboxCore<Policy> core;
    std::shared_ptr<Waker> waker;
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
    Reservation(Reservation&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    Reservation& operator=(Reservation&& other) noexcept {
      std::swap(node_, other.node_);
      return *this;
    }
    ~Reservation() {
      if (node_ != nullptr) Inbox::cancel_reservation(node_);
    }
    explicit operator bool() const { return node_ != nullptr; }

   private:
    friend class Producer;
    explicit Reservation(Node* node) : node_(node) {}
    Node* node_ = nullptr;
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
    bool closed() const { return shared_->core.is_closed(); }
    const ProducerStats& stats() const { return block_->stats; }

   private:
    friend class Inbox;
    Producer(std::shared_ptr<Shared> shared, Block* block)
        : shared_(std::move(shared)), block_(block) {}
    // A node of the class, or null and why.
    Node* take(uint8_t klass, size_t bytes, PushResult& why);
    Node* take_returned(uint8_t klass, size_t bytes, PushResult& why);
    PushResult publish(Link* newest, Link* oldest);

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
    Link* oldest = nullptr;
    Link* newest = nullptr;
    size_t count = 0;
  };

  static void free_node(Node* node);
  static void cancel_reservation(Node* node);
  static Node* next_home(Block* block);
  static void take_all_home(Block* block);
  static void take_home(Block* block, Link* list);
  static void release(Shared& shared, Block* block, uint32_t holders);
  void accept(Link* newest);
  void accept_birth(Block* block);
  void accept_deaths(Link* deaths);
  void spend(Block* block, Node* first, Node* last, uint32_t count);
  void bury(Block* block);
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
