// What two consensus clients say to each other beside blocks, for one connection: the dialer sends
// Status first (the listener answers, and waits to be asked: Lodestar disconnects otherwise), both
// ping, metadata follows its sequence number, and a peer of another chain gets Goodbye 2.
//
// A policy only: events in, actions out. The owner makes the requests of them (reqresp/client.h)
// and answers incoming ones (reqresp/server.h), status with the local status, ping with the local
// sequence number, at any time. After a goodbye action there are no more.
// While the finalized epoch is 0, the finalized root of the local status must be zero (spec;
// Lodestar says goodbye to another). Not thread safe. Deterministic. Source: consensus-specs phase0
// p2p-interface: Status, Goodbye, Ping, GetMetaData.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/error.h"
#include "base/time.h"
#include "codec/reqresp_messages.h"

namespace beamline::reqresp {

// Why a peer's status is not of our chain.
enum class Relevance : uint8_t {
  relevant,
  other_fork,       // fork digest: another genesis, or a fork that one of us missed
  other_finalized,  // the same finalized epoch, but another root
  future_head,      // its head is ahead of the clock
};
// Only what `local` itself proves is held against the peer: a finalized checkpoint of another
// epoch than ours is for the chain to judge.
Relevance check_relevance(const StatusV1& theirs, const StatusV1& local, Slot current_slot);
const char* name(Relevance relevance);

struct HandshakeLimits {
  Duration status_timeout = seconds(20);    // the listener waits this long for the dialer
  Duration status_interval = seconds(300);  // refreshed
  Duration ping_interval = seconds(20);
  uint32_t failures = 2;  // status or ping requests in a row, then goodbye 3
};

class Handshake {
 public:
  enum class Role : uint8_t { dialer, listener };
  struct Action {
    enum class Kind : uint8_t {
      send_status,
      send_ping,
      request_metadata,
      ready,    // the first relevant status came: the peer may be asked for blocks
      goodbye,  // send `reason`, then disconnect
    };
    Kind kind = Kind::send_status;
    uint64_t reason = 0;
  };

  Handshake(Role role, const HandshakeLimits& limits, Now now);

  // The peer's status, as its request or as its answer to ours (`answer`).
  void on_status(const StatusV1& theirs, const StatusV1& local, Slot current_slot, bool answer,
                 Now now);
  // The peer's sequence number, as its ping or as its answer to ours.
  void on_ping(uint64_t sequence, bool answer, Now now);
  void on_metadata(uint64_t sequence);
  // A request of ours failed. Metadata is optional: it is asked for again with the next ping.
  void on_status_failed(Now now);
  void on_ping_failed(Now now);
  void on_metadata_failed();
  // The peer says goodbye: nothing more is sent.
  void on_goodbye();

  MonoTime next_deadline() const;
  void on_time(Now now);
  std::optional<Action> poll_action();

  bool ready() const { return ready_; }
  bool over() const { return over_; }
  // The last relevant one.
  const std::optional<StatusV1>& peer_status() const { return status_; }
  // Why goodbye 2 was said.
  Relevance relevance() const { return relevance_; }

 private:
  void act(Action::Kind kind, uint64_t reason = 0);
  void goodbye(uint64_t reason);
  void send_status(Now now);
  void send_ping(Now now);
  void failed(Now now);

  HandshakeLimits limits_;
  bool ready_ = false;
  bool over_ = false;
  bool status_in_flight_ = false;
  bool ping_in_flight_ = false;
  bool metadata_in_flight_ = false;
  uint32_t failures_ = 0;
  Relevance relevance_ = Relevance::relevant;
  std::optional<uint64_t> metadata_sequence_;
  std::optional<StatusV1> status_;
  MonoTime status_at_;  // when the next status is due, or must have come
  MonoTime ping_at_ = MonoTime::never();
  std::deque<Action> actions_;
};

}  // namespace beamline::reqresp
