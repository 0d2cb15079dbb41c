// RLPx on a reactor: listens, dials, and drives each connection's Session on a TcpStream. What is
// sent in one turn leaves at its end in one write. All of it on the reactor's thread.
//
// Connections are slots, made at start-up. A peer that asks much and reads little fills its queue:
// send() refuses then, and the session's write_timeout ends it. (Not reading from it would not do:
// two that do so wait for each other.)
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "loop/tcp.h"
#include "rlpx/session.h"

namespace beamline::rlpx {

class Host;

class Connection final : public StreamHandler {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // As Session::send; it leaves at the end of the turn.
  Status send(size_t capability, uint8_t id, Bytes payload);
  Status send(size_t capability, uint8_t id, std::vector<uint8_t>& buffer, size_t begin);
  // Says why, and ends. on_closed follows, at the end of this turn at the latest.
  void disconnect(DisconnectReason reason);

  // REQUIRES: between on_ready and on_closed, both inclusive.
  const Session& session() const { return *session_; }
  const Endpoint& remote() const { return remote_; }
  bool outbound() const { return dialled_.has_value(); }
  // Of bytes that wait to be written.
  size_t queued() const { return session_ ? session_->queued() : 0; }
  // For the handler's use.
  void* user = nullptr;

 private:
  friend class Host;
  void on_connected(TcpStream& stream) override;
  void on_data(TcpStream& stream, Lease lease) override;
  void on_end(TcpStream& stream) override;
  void on_writable(TcpStream& stream) override;
  void on_closed(TcpStream& stream, const Error& why) override;

  void open(Host& host, TcpStream& stream);
  void dispatch(const Event& event);
  void on_time();
  void arm();
  void mark_dirty();
  void flush();
  bool write_out();
  void cut_off();
  void report();
  Now now() const;

  Host* host_ = nullptr;
  TcpStream* stream_ = nullptr;
  std::optional<secp256k1::PublicKey> dialled_;
  std::optional<Session> session_;
  Endpoint remote_;
  Timer timer_{[](Timer& timer) { static_cast<Connection*>(timer.owner)->on_time(); }, this};
  Closed failed_;               // where there was no session to say why
  Connection* next_ = nullptr;  // free, or dirty
  bool dirty_ = false;
  bool working_ = false;  // is in the host's list of those that have work
  bool reported_ = false;
  bool was_ready_ = false;
};

// What becomes of connections. Any of these may send and disconnect.
class HostHandler {
 public:
  virtual ~HostHandler() = default;
  virtual void on_ready(Connection& connection) = 0;
  // `payload` until this returns.
  virtual void on_message(Connection& connection, size_t capability, uint8_t id, Bytes payload) = 0;
  // After a send that was refused as full: all of the queue went out.
  virtual void on_writable(Connection&) {}
  // The last call for a connection that was ready, or that we dialled.
  virtual void on_closed(Connection& connection, const Closed& closed) = 0;
};

struct HostOptions {
  SessionOptions session;
  uint32_t max_connections = 64;  // in and out, from the first byte
  uint32_t max_inbound = 32;
  Duration dial_timeout = seconds(15);
  // Bytes of large messages that one turn compresses or seals, of all connections together; each
  // gets a slice in turn.
  size_t turn_bytes = 512u << 10;
  Duration disconnect_timeout = seconds(1);  // for what is queued when a session ends
};

struct HostStats {
  uint64_t accepted = 0;
  uint64_t dialled = 0;
  uint64_t refused_full = 0;  // accepted, or to be dialled, but there was no slot
  uint64_t ready = 0;
  uint64_t closed = 0;
  uint64_t cut_off = 0;     // ended with bytes that the peer did not read
  uint64_t work_turns = 0;  // that compressed or sealed slices of large messages
  uint64_t work_bytes = 0;
  uint64_t work_bytes_peak = 0;  // in one turn
};

class Host final : private ListenerHandler, private TurnHook {
 public:
  // `options.session.key` and the capabilities, `tcp` and `handler` must outlive this.
  Host(Tcp& tcp, const HostOptions& options, HostHandler& handler, Rng& rng);
  // REQUIRES: the reactor was shut down, or every connection is closed.
  ~Host() override;

  // As Tcp::listen.
  Result<TcpListener*> listen(const Endpoint& local);
  // on_ready or on_closed follows. Errors: full (max_connections), those of Tcp::connect.
  Result<Connection*> dial(const Endpoint& remote, const secp256k1::PublicKey& key);

  uint32_t connections() const { return in_use_; }
  const HostStats& stats() const { return stats_; }

 private:
  friend class Connection;
  StreamHandler* on_accept(TcpStream& stream) override;
  void end_of_turn(Now now) override;
  const char* hook_name() const override { return "rlpx"; }
  void work();
  Connection* take();
  void give_back(Connection& connection);

  Tcp& tcp_;
  const HostOptions options_;
  HostHandler& handler_;
  Rng rng_;
  std::unique_ptr<Connection[]> slots_;
  Connection* free_ = nullptr;
  Connection* dirty_ = nullptr;
  std::deque<Connection*> working_;  // at most each connection once
  Ready again_{[](Ready&) {}, nullptr};
  uint32_t in_use_ = 0;
  uint32_t inbound_ = 0;
  HostStats stats_;
};

}  // namespace beamline::rlpx
