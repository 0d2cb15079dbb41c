#include "reqresp/handshake.h"

#include <algorithm>

namespace beamline::reqresp {

Relevance check_relevance(const StatusV1& theirs, const StatusV1& local, Slot current_slot) {
  if (theirs.fork_digest != local.fork_digest) return Relevance::other_fork;
  // One slot of tolerance: clocks differ.
  if (theirs.head_slot > current_slot && theirs.head_slot - current_slot > 1) {
    return Relevance::future_head;
  }
  // Epoch 0 is finalized from the start, with a root of zeros or of the genesis block.
  const bool same_epoch = theirs.finalized_epoch == local.finalized_epoch;
  if (same_epoch && local.finalized_epoch > 0 && theirs.finalized_root != local.finalized_root) {
    return Relevance::other_finalized;
  }
  return Relevance::relevant;
}

const char* name(Relevance relevance) {
  switch (relevance) {
    case Relevance::relevant:
      return "relevant";
    case Relevance::other_fork:
      return "other fork digest";
    case Relevance::other_finalized:
      return "other finalized root";
    case Relevance::future_head:
      return "head in the future";
  }
  return "?";
}

Handshake::Handshake(Role role, const HandshakeLimits& limits, Now now) : limits_(limits) {
  status_at_ = now.mono + limits_.status_timeout;
  if (role == Role::dialer) send_status(now);
}

void Handshake::act(Action::Kind kind, uint64_t reason) { actions_.push_back({kind, reason}); }

void Handshake::goodbye(uint64_t reason) {
  if (over_) return;
  actions_.clear();
  act(Action::Kind::goodbye, reason);
  over_ = true;
}

void Handshake::send_status(Now now) {
  if (status_in_flight_) return;
  status_in_flight_ = true;
  status_at_ = now.mono + limits_.status_interval;
  act(Action::Kind::send_status);
}

void Handshake::send_ping(Now now) {
  ping_at_ = now.mono + limits_.ping_interval;
  if (ping_in_flight_) return;
  ping_in_flight_ = true;
  act(Action::Kind::send_ping);
}

void Handshake::on_status(const StatusV1& theirs, const StatusV1& local, Slot current_slot,
                          bool answer, Now now) {
  if (answer) {
    status_in_flight_ = false;
    failures_ = 0;
  }
  if (over_) return;
  relevance_ = check_relevance(theirs, local, current_slot);
  if (relevance_ != Relevance::relevant) {
    goodbye(Goodbye::kIrrelevantNetwork);
    return;
  }
  status_ = theirs;
  status_at_ = now.mono + limits_.status_interval;
  if (ready_) return;
  ready_ = true;
  act(Action::Kind::ready);
  send_ping(now);
}

void Handshake::on_ping(uint64_t sequence, bool answer, Now now) {
  if (answer) {
    ping_in_flight_ = false;
    failures_ = 0;
    ping_at_ = now.mono + limits_.ping_interval;
  }
  if (over_ || metadata_in_flight_) return;
  if (metadata_sequence_ && *metadata_sequence_ >= sequence) return;
  metadata_in_flight_ = true;
  act(Action::Kind::request_metadata);
}

void Handshake::on_metadata(uint64_t sequence) {
  metadata_in_flight_ = false;
  metadata_sequence_ = sequence;
}

void Handshake::on_metadata_failed() { metadata_in_flight_ = false; }

void Handshake::failed(Now now) {
  if (over_) return;
  if (++failures_ >= limits_.failures) {
    goodbye(Goodbye::kFault);
  } else if (ready_) {
    // Due again soon, well within the peer's patience.
    ping_at_ = std::min(ping_at_, now.mono + limits_.ping_interval / 4);
  }
}

void Handshake::on_status_failed(Now now) {
  status_in_flight_ = false;
  failed(now);
  status_at_ = now.mono + limits_.ping_interval / 4;
}

void Handshake::on_ping_failed(Now now) {
  ping_in_flight_ = false;
  failed(now);
}

void Handshake::on_goodbye() {
  actions_.clear();
  over_ = true;
}

MonoTime Handshake::next_deadline() const {
  return over_ ? MonoTime::never() : std::min(status_at_, ping_at_);
}

void Handshake::on_time(Now now) {
  if (over_) return;
  if (status_at_ <= now.mono) {
    if (!ready_ && !status_in_flight_ && failures_ == 0) {
      goodbye(Goodbye::kFault);  // the dialer never sent its status
      return;
    }
    status_at_ = now.mono + limits_.status_interval;
    send_status(now);
  }
  if (ping_at_ <= now.mono) send_ping(now);
}

std::optional<Handshake::Action> Handshake::poll_action() {
  if (actions_.empty()) return std::nullopt;
  const Action action = actions_.front();
  actions_.pop_front();
  return action;
}

}  // namespace beamline::reqresp
