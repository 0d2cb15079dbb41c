// UDP on a reactor: one socket, receive buffers of its own, and a bounded queue of what is to be
// sent.
//
// Receives are one multishot operation; what is sent in one turn leaves with one system call at its
// end. Everything is allocated when the socket is opened. Every call on the reactor's thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "loop/reactor.h"

namespace beamline {

class UdpSocket;
struct UdpSend;

class UdpHandler {
 public:
  virtual ~UdpHandler() = default;
  // One datagram, whole; it may be empty. The payload may be decrypted in place, and its lease must
  // be gone by the end of the turn. May send and close. Whoever sent it can have forged `from`.
  virtual void on_datagram(UdpSocket& socket, const Endpoint& from, Lease payload) = 0;
  // After a send that was refused as full: half of the queue is free again.
  virtual void on_writable(UdpSocket&) {}
};

enum class SendResult : uint8_t {
  ok,
  full,      // the queue has no room; nothing was taken
  too_long,  // more than max_datagram
  closed,
};

struct UdpOptions {
  uint32_t max_datagram = 1472;  // bytes of payload, in and out; what is longer is dropped
  uint32_t buffer_count = 256;   // receive buffers; a power of two
  uint32_t send_slots = 256;     // datagrams that are queued or with the kernel
};

struct UdpStats {
  uint64_t received = 0;
  uint64_t bytes_in = 0;
  uint64_t sent = 0;
  uint64_t bytes_out = 0;
  uint64_t truncated = 0;       // dropped: longer than max_datagram (MSG_TRUNC)
  uint64_t no_sender = 0;       // dropped: without an IPv4 or IPv6 address
  uint64_t starved = 0;         // receives that ended because no buffer was free
  uint64_t receive_errors = 0;  // receives that ended with an error; they are armed again
  uint64_t refused_full = 0;
  uint64_t refused_long = 0;
  uint64_t send_errors = 0;      // taken from the queue and not sent: no route, ...
  uint64_t dropped_closing = 0;  // queued or with the kernel when the socket closed
  uint64_t batches = 0;          // turns that sent something
};

class UdpSocket final : public Service {
 public:
  // Binds and begins to receive; port 0 picks a free one. Errors: invalid_argument (naming the
  // option), address_in_use (with the port), what the backend says.
  static Result<std::unique_ptr<UdpSocket>> open(Reactor& reactor, const Endpoint& local,
                                                 UdpHandler& handler,
                                                 const UdpOptions& options = {});
  ~UdpSocket() override;  // REQUIRES: quiet()

  // Copies. Order within a turn is kept as far as the network keeps it.
  SendResult send(const Endpoint& to, Bytes payload);
  // A send without a copy: max_datagram bytes to fill, then commit(to, n). Empty when full or
  // closed. REQUIRES: no other send between.
  MutableBytes send_space();
  void commit(const Endpoint& to, size_t n);
  uint32_t free_slots() const { return free_count_; }

  // Receives and sends no more; quiet() at some later turn. What is queued is dropped, counted.
  void close();
  bool open() const { return state_ == State::open; }
  const Endpoint& local() const { return local_; }
  const UdpStats& stats() const { return stats_; }
  Reactor& reactor() { return reactor_; }
  BufferPool& buffers() { return pool_; }

  void end_turn() override;
  void begin_shutdown() override { close(); }
  bool quiet() const override { return state_ == State::closed; }

 private:
  enum class State : uint8_t { open, closing, closed };

  UdpSocket(Reactor& reactor, UdpHandler& handler, const UdpOptions& options);
  static void on_receive(Op& op, Completion&& completion);
  static void on_send(Op& op, Completion&& completion);
  void receive(Lease lease);
  void receive_again(int32_t result);
  void arm();
  void release(UdpSend& send);
  bool idle() const;

  Reactor& reactor_;
  UdpHandler& handler_;
  const UdpOptions options_;
  BufferPool pool_;
  std::unique_ptr<UdpSend[]> sends_;
  std::unique_ptr<uint8_t[]> memory_;  // a datagram for each send
  UdpSend* free_ = nullptr;
  UdpSend* queued_first_ = nullptr;
  UdpSend* queued_last_ = nullptr;
  uint32_t free_count_ = 0;
  Op receive_;
  Timer retry_;
  BufferWaiter waiter_;
  Endpoint local_;
  Socket socket_;
  State state_ = State::closed;
  bool want_writable_ = false;
  UdpStats stats_;
};

}  // namespace beamline
