#include "rlpx/eth/peer.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::eth {
namespace {

bool is_answer(Message message) {
  return message == Message::block_headers || message == Message::block_bodies ||
         message == Message::receipts || message == Message::pooled_transactions;
}

Message question_of(Message answer) {
  switch (answer) {
    case Message::block_headers:
      return Message::get_block_headers;
    case Message::block_bodies:
      return Message::get_block_bodies;
    case Message::receipts:
      return Message::get_receipts;
    default:
      return Message::get_pooled_transactions;
  }
}

}  // namespace

rlpx::DisconnectReason disconnect_reason(const Error& error) {
  if (error.fault == Fault::network) return rlpx::DisconnectReason::ping_timeout;
  // Of another chain: nobody's fault.
  if (error.code == Code::mismatch) return rlpx::DisconnectReason::useless_peer;
  return rlpx::DisconnectReason::breach_of_protocol;
}

Peer::Peer(uint32_t version, const Local& local, Sink& sink, const PeerOptions& options,
           MonoTime now)
    : version_(version),
      local_(local),
      sink_(sink),
      options_(options),
      started_(now),
      server_(version) {
  BL_CHECK(version >= kEth68 && version <= kEth70);
  StatusMessage ours = local.status;
  ours.version = version;
  ours.encode(message_);
  // A session that has just begun has room for it.
  if (const Status sent = sink_.send(Message::status, message_); !sent) ++stats_.refused_full;
}

Result<EthEvent> Peer::receive(uint8_t id, Bytes payload, MonoTime now, size_t budget) {
  const auto message = static_cast<Message>(id);
  if (!ready_) {
    if (message != Message::status) return bad_input(Code::unexpected, "eth.status");
    return on_status(payload);
  }
  static_cast<void>(now);
  if (is_answer(message)) return on_answer(message, payload);
  EthEvent event;
  switch (message) {
    case Message::status:
      return bad_input(Code::unexpected, "eth.status");
    case Message::get_block_headers:
    case Message::get_block_bodies:
    case Message::get_receipts:
    case Message::get_pooled_transactions:
      if (const Status taken = server_.take(message, payload, stats_); !taken) {
        return std::unexpected(taken.error());
      }
      if (const Status served = serve(budget); !served) return std::unexpected(served.error());
      return event;
    case Message::block_range_update: {
      if (version_ < kEth69) break;
      const auto range = decode_range_update(payload);
      if (!range) return std::unexpected(range.error());
      if (const Status good = check_range(*range); !good) return std::unexpected(good.error());
      status_.range = *range;
      event.kind = EthEvent::Kind::range;
      return event;
    }
    case Message::transactions: {
      auto items = decode_transactions(payload);
      if (!items) return std::unexpected(items.error());
      event.kind = EthEvent::Kind::transactions;
      event.answer.items = std::move(*items);
      return event;
    }
    case Message::new_pooled_transaction_hashes: {
      auto hashes = PooledHashes::decode(payload);
      if (!hashes) return std::unexpected(hashes.error());
      event.kind = EthEvent::Kind::hashes;
      event.hashes = std::move(*hashes);
      return event;
    }
    case Message::new_block:
    case Message::new_block_hashes:
      ++stats_.ignored;
      return event;
    default:
      break;
  }
  return bad_input(Code::unsupported, "eth.message", id);
}

Result<EthEvent> Peer::on_status(Bytes payload) {
  auto theirs = StatusMessage::decode(version_, payload);
  if (!theirs) return std::unexpected(theirs.error());
  const StatusMessage& ours = local_.status;
  if (theirs->version != version_) return bad_input(Code::bad_version, "status.version");
  if (theirs->network_id != ours.network_id) return bad_input(Code::mismatch, "status.network_id");
  if (theirs->genesis != ours.genesis) return bad_input(Code::mismatch, "status.genesis");
  if (const Status fork = local_.forks->check(theirs->fork_id, local_.head); !fork) {
    return std::unexpected(fork.error());
  }
  if (version_ >= kEth69) {
    if (const Status good = check_range(theirs->range); !good) {
      return std::unexpected(good.error());
    }
  }
  status_ = std::move(*theirs);
  ready_ = true;
  EthEvent event;
  event.kind = EthEvent::Kind::ready;
  return event;
}

Result<EthEvent> Peer::on_answer(Message message, Bytes payload) {
  const bool partial = message == Message::receipts && version_ >= kEth70;
  // Whose answer it is must be known before its items are counted.
  const auto head = Answer::decode(payload, kMaxHashes, partial);
  if (!head) return std::unexpected(head.error());
  size_t at = 0;
  while (at < count_ && requests_[at].id != head->request_id) ++at;
  EthEvent event;
  if (at == count_) {
    ++stats_.late;
    return event;
  }
  const Request request = requests_[at];
  if (request.message != question_of(message)) return bad_input(Code::mismatch, "request_id");
  if (head->items.size() > request.most) return bad_input(Code::too_long, "items");
  requests_[at] = requests_[--count_];
  ++stats_.answers;
  event.kind = EthEvent::Kind::answer;
  event.request = request.message;
  event.request_id = request.id;
  event.answer = std::move(*head);
  return event;
}

Status Peer::serve(size_t budget) { return server_.advance(local_.chain, sink_, budget, stats_); }

MonoTime Peer::deadline() const {
  if (!ready_) return started_ + options_.status_timeout;
  MonoTime due = MonoTime::never();
  for (size_t i = 0; i < count_; ++i) due = std::min(due, requests_[i].deadline);
  return due;
}

Result<EthEvent> Peer::on_deadline(MonoTime now) {
  EthEvent event;
  if (!ready_) {
    if (now < deadline()) return event;
    return network_error(Code::timed_out, "eth.status");
  }
  for (size_t i = 0; i < count_; ++i) {
    if (now < requests_[i].deadline) continue;
    event.kind = EthEvent::Kind::timed_out;
    event.request = requests_[i].message;
    event.request_id = requests_[i].id;
    requests_[i] = requests_[--count_];
    ++stats_.timeouts;
    break;
  }
  return event;
}

bool Peer::can_ask() {
  if (count_ < kMaxRequests) return true;
  ++stats_.refused_full;
  return false;
}

Result<uint64_t> Peer::ask(Message message, size_t most, Bytes payload, MonoTime now) {
  if (const Status sent = sink_.send(message, payload); !sent) {
    ++stats_.refused_full;
    return std::unexpected(sent.error());
  }
  requests_[count_++] = {next_id_, message, most, now + options_.request_timeout};
  ++stats_.requests;
  return next_id_++;
}

Result<uint64_t> Peer::get_headers(GetBlockHeaders request, MonoTime now) {
  if (!ready_) return local_error(Code::unexpected, "eth.request");
  if (request.limit == 0) return local_error(Code::invalid_argument, "eth.request");
  if (!can_ask()) return local_error(Code::full, "eth.request");
  request.request_id = next_id_;
  message_.clear();
  request.encode(message_);
  const size_t most = static_cast<size_t>(std::min<uint64_t>(request.limit, kMaxHashes));
  return ask(Message::get_block_headers, most, message_, now);
}

Result<uint64_t> Peer::get_bodies(std::span<const Hash256> hashes, MonoTime now) {
  if (!ready_) return local_error(Code::unexpected, "eth.request");
  if (hashes.empty() || hashes.size() > kMaxHashes) {
    return local_error(Code::invalid_argument, "eth.request");
  }
  if (!can_ask()) return local_error(Code::full, "eth.request");
  const GetByHash request{next_id_, 0, {hashes.begin(), hashes.end()}};
  message_.clear();
  request.encode(message_);
  return ask(Message::get_block_bodies, hashes.size(), message_, now);
}

Result<uint64_t> Peer::get_receipts(std::span<const Hash256> hashes, uint64_t first, MonoTime now) {
  if (!ready_) return local_error(Code::unexpected, "eth.request");
  const bool partial = version_ >= kEth70;
  if (hashes.empty() || hashes.size() > kMaxHashes || (first != 0 && !partial)) {
    return local_error(Code::invalid_argument, "eth.request");
  }
  if (!can_ask()) return local_error(Code::full, "eth.request");
  const GetByHash request{next_id_, first, {hashes.begin(), hashes.end()}};
  message_.clear();
  request.encode(message_, partial);
  return ask(Message::get_receipts, hashes.size(), message_, now);
}

Status Peer::announce_range(const BlockRange& range) {
  if (version_ < kEth69) return {};
  message_.clear();
  encode_range_update(range, message_);
  return sink_.send(Message::block_range_update, message_);
}

}  // namespace beamline::eth
