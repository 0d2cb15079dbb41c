// What a reactor needs of the world: operations, sockets, clocks and a way to be woken. Drivers are
// compiled once against this and run on a real ring, in the simulation and on epoll as they are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/time.h"
#include "loop/op.h"
#include "loop/waker.h"

namespace beamline {

// A completion as it was copied from the backend, before its callback runs.
struct Event {
  Op* op = nullptr;
  int32_t result = 0;
  uint32_t buffer_size = 0;  // bytes in the buffer from its offset
  uint16_t buffer = 0;       // id in op->args.pool, if has_buffer
  bool has_buffer = false;
  bool more = false;
};

struct BackendStats {
  uint64_t enters = 0;          // system calls that submit or wait
  uint64_t submitted = 0;       // operations
  uint64_t completions = 0;     // reaped
  uint64_t wakes = 0;           // completions of the waker
  uint64_t sq_full = 0;         // the submission queue had no room and was flushed early
  uint64_t deferred = 0;        // operations that had to wait for room
  uint64_t cq_overflow = 0;     // the completion queue overflowed: it is sized too small
  uint64_t stale = 0;           // completions of a slot that has a new tenant
  uint64_t out_of_buffers = 0;  // -ENOBUFS
};

// All calls from the thread that owns the reactor, except through Waker.
class Backend {
 public:
  virtual ~Backend() = default;

  // ---- Operations. Neither call runs a callback, blocks or fails: what the kernel has no room
  // for is kept and submitted later.
  // REQUIRES: op.idle(), its arguments set, and fewer than max_ops in flight.
  virtual void submit(Op& op) = 0;
  // No effect on an operation that is idle or whose last completion was reaped.
  virtual void cancel(Op& op) = 0;
  virtual uint32_t in_flight() const = 0;

  // ---- The turn. enter() hands over what was submitted and waits until there is a completion, a
  // wake, a signal, or `deadline` (never() for no limit, a time that has passed for no wait at
  // all); it makes no system call when there is nothing to do or to wait for. reap() copies
  // completions out, at most out.size(), and says how many; what is left comes with the next call.
  virtual void enter(MonoTime deadline) = 0;
  virtual size_t reap(std::span<Event> out) = 0;
  virtual Now now() = 0;
  virtual std::shared_ptr<Waker> waker() = 0;

  // ---- Buffers. Registers the pool (at start-up, before any operation uses it), then takes over
  // what was returned to it since.
  virtual Status add_pool(BufferPool& pool) = 0;
  virtual void recycle(BufferPool& pool) = 0;
  // REQUIRES: no operation uses it any more.
  virtual void remove_pool(BufferPool& pool) = 0;

  // ---- Sockets. For set-up and tear-down, not per message: each is a system call or a few.
  // address_in_use and invalid_argument carry the port in the offset field of the error.
  virtual Result<Socket> listen_tcp(const Endpoint& local, uint32_t backlog) = 0;
  virtual Result<Socket> open_tcp(sa_family_t family) = 0;
  virtual Result<Socket> open_udp(const Endpoint& local) = 0;
  virtual Endpoint local_endpoint(Socket socket) = 0;
  virtual Endpoint remote_endpoint(Socket socket) = 0;
  // REQUIRES: no operation on it is in flight (a submitted operation keeps the old file, and one
  // that is not submitted yet would hit the next owner of the number).
  virtual void close(Socket socket) = 0;

  virtual const BackendStats& stats() const = 0;
  virtual const char* backend_name() const = 0;
};

}  // namespace beamline
