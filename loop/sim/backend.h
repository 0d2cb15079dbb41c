// The backend of one simulated reactor. A host may have several: they share its address and its
// ports, and nothing else. It keeps the contract of loop/backend.h to the letter and checks that
// its user does: every operation ends once, nothing completes after its last completion, nothing
// that was submitted changes, no socket is closed under an operation, and a TCP socket has at most
// one operation of each kind.
//
// enter() takes what was submitted, notes the deadline and returns at once when it is called in a
// turn that the world runs. Called from outside (a test that calls Reactor::turn() or shutdown()
// itself) it blocks as the real one does: the world goes on meanwhile.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "loop/backend.h"
#include "loop/sim/network.h"
#include "loop/sim/world.h"

namespace beamline::sim {

class SimWaker;

class SimBackend final : public Backend, private SocketOwner {
 public:
  SimBackend(World& world, HostId host);
  // REQUIRES: nothing in flight, as with the ring. Sockets that are open are closed.
  ~SimBackend() override;

  World& world() { return world_; }
  HostId host() const { return host_; }
  // What the world turns from now on, first at once; null for nothing.
  void attach(Runnable* runnable);

  void submit(Op& op) override;
  void cancel(Op& op) override;
  uint32_t in_flight() const override { return in_flight_; }
  void enter(MonoTime deadline) override;
  size_t reap(std::span<Event> out) override;
  Now now() override { return world_.now(host_); }
  std::shared_ptr<Waker> waker() override;
  Status add_pool(BufferPool& pool) override;
  void recycle(BufferPool& pool) override;
  void remove_pool(BufferPool& pool) override;
  Result<Socket> listen_tcp(const Endpoint& local, uint32_t backlog) override;
  Result<Socket> open_tcp(sa_family_t family) override;
  Result<Socket> open_udp(const Endpoint& local) override;
  Endpoint local_endpoint(Socket socket) override;
  Endpoint remote_endpoint(Socket socket) override;
  void close(Socket socket) override;
  const BackendStats& stats() const override { return stats_; }
  const char* backend_name() const override { return "simulation"; }

  uint32_t open_sockets() const;

 private:
  friend class World;
  friend class SimWaker;
  static constexpr uint32_t kNone = Op::kNoSlot;

  struct Slot {
    Op* op = nullptr;
    uint64_t serial = 0;       // of the submission; never used again
    uint64_t fingerprint = 0;  // of the operation as it was submitted
    bool issued = false;
    bool ended = false;  // its last completion is on its way or ready
    uint32_t next_free = kNone;
  };
  enum class SocketKind : uint8_t { free, tcp, listener, udp };
  struct Sock {
    SocketKind kind = SocketKind::free;
    StreamRef stream;            // tcp; none before connect
    uint64_t id = 0;             // listener, udp
    uint32_t ops = 0;            // in flight
    uint32_t accepting = kNone;  // slots of the operations that wait
    uint32_t connecting = kNone;
    uint32_t receiving = kNone;
    uint32_t sending = kNone;
    MonoTime last_visible;  // completions of one socket keep their order
  };
  struct Held {
    BufferPool* pool;
    std::deque<uint16_t> ids;
  };
  struct Cancel {
    uint32_t slot;
    uint64_t serial;
  };

  // For the world.
  void begin_turn();
  void end_turn();
  bool has_reason() const { return !ready_.empty() || woken_; }
  void wake_requested();

  // Sockets.
  void ready(int32_t fd) override;
  Sock& sock(Socket socket);
  int32_t allocate_socket(SocketKind kind);
  void hand_over();
  void issue(uint32_t slot);
  void issue_connect(uint32_t slot, Sock& s);
  void issue_shutdown(uint32_t slot, Sock& s);
  void issue_datagram(uint32_t slot, const Sock& s);
  void pump_accept(Sock& s);
  void pump_connect(Sock& s);
  void pump_receive(Sock& s);
  void pump_send(Sock& s);
  void pump_datagrams(Sock& s);
  void receive_some(uint32_t slot, StreamRef stream);
  // A free buffer of the pool, or none: then the operation has ended with ENOBUFS.
  bool take_buffer(uint32_t slot, uint16_t& id);
  int32_t take_error(StreamRef stream, int32_t otherwise);

  // Completions.
  void post(uint32_t slot, int32_t result, bool more) {
    post(slot, Event{.result = result, .more = more});
  }
  void post(uint32_t slot, Event event);
  void disarm(Sock& s, uint32_t slot);
  void apply_cancel(Cancel cancel);
  void deliver(uint32_t slot, Event event);
  static uint64_t fingerprint(const Op& op);
  Held& held(const BufferPool& pool);

  World& world_;
  const HostId host_;
  const uint32_t index_;
  Runnable* runnable_ = nullptr;
  std::shared_ptr<SimWaker> waker_;

  std::vector<Slot> slots_;
  uint32_t first_free_ = kNone;
  uint32_t in_flight_ = 0;
  uint64_t next_serial_ = 1;
  std::vector<uint32_t> queued_;  // submitted, not entered
  std::vector<Cancel> cancels_;
  std::deque<std::pair<uint32_t, Event>> ready_;
  uint32_t unreaped_ = 0;      // ready, or on their way there
  std::vector<Sock> sockets_;  // by number
  std::vector<Held> pools_;

  // The schedule, for the world.
  MonoTime deadline_ = MonoTime::never();
  MonoTime turn_at_ = MonoTime::never();
  MonoTime busy_until_;
  uint64_t turn_request_ = 0;
  bool in_turn_ = false;
  bool sleeping_ = false;  // in an enter() from outside
  bool woken_ = false;
  bool wake_on_its_way_ = false;
  BackendStats stats_;
};

}  // namespace beamline::sim
