// One operation of the kernel (or of the simulation): a struct with a stable address that its owner
// allocates once, submits again and again, and gets back through a callback.
//
// Life of an operation:
//
//     idle ──submit──► queued ──enter──► in_kernel ──last completion──► idle
//                         └──────cancel──────┴──► canceling ──last completion──► idle
//
// 1. From submit to its last completion the backend owns the operation and every byte it points
//    to. The owner touches neither. The destructor checks that the operation is idle.
// 2. A multishot operation (accept, recv) completes many times; `more` is false in the last.
// 3. Cancelling is a request. The last completion still comes, with -ECANCELED or with a result
//    that won the race, and only that ends ownership.
// 4. Callbacks run on the reactor's thread, between reaping and the inbox, never inside submit or
//    cancel. A callback may submit the same operation again when `more` is false.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "base/endpoint.h"
#include "loop/buffer_pool.h"

struct iovec;
struct msghdr;

namespace beamline {

// A socket of the backend: a file descriptor, or a number of the simulation.
struct Socket {
  int32_t fd = -1;
  bool valid() const { return fd >= 0; }
  friend bool operator==(Socket, Socket) = default;
};

enum class OpKind : uint8_t {
  none,
  accept,    // multishot; result: the new socket
  connect,   // to `endpoint`
  recv,      // multishot, into buffers of `pool`; result: bytes, 0 at the end of the stream
  send,      // `data`, `size`; result: bytes taken, may be short
  send_msg,  // `message` (gathered, or a datagram with its address); result: bytes
  recv_msg,  // multishot, datagrams into buffers of `pool`: io_uring_recvmsg_out (16 bytes), the
             // sender in Endpoint::capacity() bytes, the payload
  shutdown,  // both directions, or only writing (`write_only`)
};
const char* name(OpKind kind);

enum class OpState : uint8_t { idle, queued, in_kernel, canceling };

// How one completion ended.
struct Completion {
  int32_t result = 0;  // >= 0, or -errno
  bool more = false;   // the operation stays armed
  Lease lease;         // recv, recv_msg: the bytes, empty when none came
};

struct Op {
  using Callback = void (*)(Op& op, Completion&& completion);
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;
  ~Op() { BL_CHECK(state == OpState::idle); }

  bool idle() const { return state == OpState::idle; }

  // Set by the owner while idle.
  Callback callback = nullptr;
  void* owner = nullptr;
  union {
    struct {
      const uint8_t* data;
      uint32_t size;
    } send;
    const msghdr* message;
    const Endpoint* endpoint;
    BufferPool* pool;
    bool write_only;
  } args = {};
  Socket socket;
  OpKind kind = OpKind::none;

  // Set by the reactor and the backend.
  OpState state = OpState::idle;
  uint32_t slot = kNoSlot;  // the backend's; with a generation it is what the kernel is told
  Op* next = nullptr;       // the backend's list of what the kernel had no room for yet
};

}  // namespace beamline
