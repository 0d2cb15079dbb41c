// The one word that foreign threads and the reactor share: a take-all stack whose empty value says
// whether the owner is awake. Lock-free (not wait-free).
//
//     head = null     the owner is awake and nothing is queued
//          = kIdle    the owner sleeps, or is about to: the next push must wake it
//          = kClosed  no push is accepted any more
//          = link     newest first; each links to the one pushed before it. What a link stands for
//                     (one message, or a whole batch) is its owner's business
//
// Push, sleep and close are all read-modify-writes of this word, so its modification order decides
// every race: either the owner's attempt to sleep fails because a push came first, or the push
// sees kIdle and wakes it. No fence and no second flag is needed, and no preempted producer can
// hide the nodes of another.
//
// The order promise: if push A returned before push B began, A is taken before or together with B,
// and comes first; across producers too.
//
// `Policy` supplies Atomic<T> (as std::atomic) and Plain<T> (a T that a checker may watch), so that
// the model checker compiles this very source; see tests/loop/inbox_model_test.cc.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/check.h"

namespace beamline {

struct StdAtomics {
  // The order with which a chain is published; a test weakens it to see the checker notice.
  static constexpr std::memory_order kPublish = std::memory_order::release;
  template <class T>
  using Atomic = std::atomic<T>;
  template <class T>
  using Plain = T;
};

enum class PushResult : uint8_t {
  ok,      // taken
  full,    // the producer's slab has no free node or bytes for this class: nothing was taken
  closed,  // the inbox is closed: nothing was taken
};

template <class Policy>
struct InboxLink {
  typename Policy::template Plain<InboxLink*> next{};
};

template <class Policy = StdAtomics>
class InboxCore {
 public:
  using Link = InboxLink<Policy>;
  enum class Pushed : uint8_t { ok, ok_wake, closed };

  // Any thread. Links first..last (first pushed first; linked newest to oldest: last->...->first)
  // in front of what is queued. On ok_wake the caller must wake the owner, once, after this call.
  // On closed the caller keeps the chain.
  Pushed push_chain(Link* newest, Link* oldest) {
    Link* head = head_.load(std::memory_order::relaxed);
    do {
      if (head == closed()) return Pushed::closed;
      oldest->next = head == idle() ? nullptr : head;
    } while (
        !head_.compare_exchange_weak(head, newest, Policy::kPublish, std::memory_order::relaxed));
    return head == idle() ? Pushed::ok_wake : Pushed::ok;
  }

  // Owner. Takes everything; returns the newest, linked newest to oldest, or null (also when
  // closed). REQUIRES: awake.
  Link* take_all() {
    // A plain look first: an empty inbox costs no read-modify-write. Only the owner closes, so
    // what it sees of that is not stale.
    Link* seen = head_.load(std::memory_order::relaxed);
    if (seen == nullptr || seen == closed()) return nullptr;
    Link* taken = head_.exchange(nullptr, std::memory_order::acquire);
    BL_CHECK(taken != idle());
    return taken;
  }

  // Owner, before it blocks. False: something is queued, do not sleep.
  bool prepare_sleep() {
    Link* expected = nullptr;
    return head_.compare_exchange_strong(expected, idle(), std::memory_order::relaxed,
                                         std::memory_order::relaxed);
  }

  // Owner, after it woke for whatever reason. After this a push does not wake.
  void awake() {
    Link* expected = idle();
    head_.compare_exchange_strong(expected, nullptr, std::memory_order::relaxed,
                                  std::memory_order::relaxed);
  }

  // Owner. No push succeeds after this; returns what was queued, as take_all().
  Link* close() {
    Link* taken = head_.exchange(closed(), std::memory_order::acquire);
    return taken == nullptr || taken == idle() || taken == closed() ? nullptr : taken;
  }

  bool is_closed() const { return head_.load(std::memory_order::relaxed) == closed(); }

 private:
  static Link* idle() { return reinterpret_cast<Link*>(uintptr_t{1}); }
  static Link* closed() { return reinterpret_cast<Link*>(uintptr_t{2}); }

  typename Policy::template Atomic<Link*> head_{nullptr};
};

}  // namespace beamline
