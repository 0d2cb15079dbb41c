#include "discovery/discv5.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::discv5 {
namespace {

// Around the records of a NODES, and around the bytes of a TALKRESP.
constexpr size_t kNodesOverhead = 1 + 3 + 1 + RequestId::kMaxSize + 2 + 3;
constexpr size_t kTalkOverhead = 1 + 3 + 1 + RequestId::kMaxSize + 3;

}  // namespace

Discv5::Discv5(const secp256k1::SecretKey& key, const Enr& record, discovery::DatagramQueue& out,
               Handler& handler, Rng rng, const Limits& limits)
    : key_(key),
      self_(record.node_id()),
      record_(record),
      out_(out),
      handler_(handler),
      rng_(std::move(rng)),
      limits_(limits),
      unmasker_(self_),
      sessions_(limits.sessions, rng_),
      challenges_(limits.challenges, rng_),
      calls_(limits.calls),
      nonce_seed_(rng_.next()),
      nonces_(limits.calls) {
  BL_CHECK(limits.calls > 0 && limits.calls <= 0x8000);
  BL_CHECK(limits.max_distances <= Call{}.distances.size());
  BL_CHECK(limits.max_results <= Call{}.seen.size());
  for (size_t slot = limits.calls; slot > 0; --slot) {
    free_.push_back(static_cast<uint32_t>(slot - 1));
  }
  active_.reserve(limits.calls);
  scratch_.reserve(kMaxPacket);
  items_.reserve(kMaxPacket);
}

bool Discv5::receive(const Endpoint& from, MutableBytes datagram, Now now) {
  const Result<Packet> packet = unmasker_.read(datagram);
  if (!packet) {
    if (packet.error().code == Code::mismatch || datagram.size() < kMinPacket ||
        datagram.size() > kMaxPacket) {
      return false;
    }
    ++stats_.packets;
    ++stats_.malformed;
    return true;
  }
  ++stats_.packets;
  if (packet->flag == Flag::whoareyou) {
    on_whoareyou(*packet, from, now);
    return true;
  }
  if (packet->source == self_) {
    ++stats_.own_id;
    return true;
  }
  const Peer peer{packet->source, from};
  if (packet->flag == Flag::message) {
    on_message(*packet, peer, now);
  } else {
    on_handshake(*packet, peer, now);
  }
  return true;
}

void Discv5::on_message(const Packet& packet, const Peer& peer, Now now) {
  Session* const session = sessions_.find(peer);
  if (session == nullptr || session->worn_out(now)) return challenge(packet, peer, now);
  const Result<Bytes> plain = session->open(packet);
  if (plain) {
    sessions_.use(*session);
    dispatch(*session, *plain, now);
  } else if (plain.error().code == Code::duplicate) {
    ++stats_.replayed;
  } else {
    challenge(packet, peer, now);
  }
}

void Discv5::challenge(const Packet& packet, const Peer& peer, Now now) {
  const ChallengeTable::Decision decision = challenges_.decide(peer, now);
  if (decision.verdict == ChallengeTable::Verdict::limited) {
    ++stats_.challenges_limited;
    return;
  }
  const MutableBytes space = out_.space();
  Challenge& made = *decision.challenge;
  if (decision.verdict == ChallengeTable::Verdict::make) {
    ++stats_.challenges_sent;
    if (const auto known = handler_.known_record(peer.id)) {
      if (const auto key = discovery::public_key_of(known->key)) {
        made.key = *key;
        made.enr_seq = known->seq;
      }
    }
    MaskingIv iv;
    IdNonce id_nonce;
    rng_.fill(iv);
    rng_.fill(id_nonce);
    std::array<uint8_t, kMaxPacket> packet_bytes;
    const size_t size = write_whoareyou(packet_bytes, iv, packet.nonce, id_nonce, made.enr_seq);
    std::copy_n(packet_bytes.begin(), size, made.data.begin());
    mask(packet_bytes, size, peer.id);
    std::copy_n(packet_bytes.begin(), size, made.packet.begin());
  } else {
    ++stats_.challenges_repeated;
  }
  if (space.empty()) {
    ++stats_.queue_full;
    return;
  }
  std::copy(made.packet.begin(), made.packet.end(), space.begin());
  out_.commit(peer.endpoint, made.packet.size());
}

void Discv5::on_handshake(const Packet& packet, const Peer& peer, Now now) {
  Challenge* const pending = challenges_.pending(peer, now);
  if (pending == nullptr) {
    ++stats_.handshakes_unasked;
    return;
  }
  if (accept_handshake(packet, *pending, now)) {
    ++stats_.handshakes_accepted;
    return;
  }
  ++stats_.handshakes_failed;
  challenges_.failed(*pending);
}

Status Discv5::accept_handshake(const Packet& packet, Challenge& challenge, Now now) {
  const Peer peer = challenge.peer;
  std::optional<secp256k1::PublicKey> key = challenge.key;
  std::optional<Enr> record;
  if (!packet.record.empty()) {
    Result<Enr> sent = Enr::parse(packet.record);
    if (!sent) return std::unexpected(sent.error());
    if (sent->node_id() != peer.id) return bad_input(Code::mismatch, "discv5.record");
    key = sent->public_key();
    record = std::move(*sent);
  }
  if (!key) return bad_input(Code::missing, "discv5.record");
  if (Status proof =
          verify_id_signature(*key, packet.signature, challenge.data, packet.ephemeral_key, self_);
      !proof) {
    return proof;
  }
  const auto ephemeral = secp256k1::PublicKey::parse(packet.ephemeral_key);
  if (!ephemeral) return std::unexpected(ephemeral.error());
  const SessionKeys keys = derive_keys(key_, *ephemeral, peer.id, self_, challenge.data);
  const MutableBytes plain = packet.sealed.first(packet.sealed.size() - kTagSize);
  const Status opened =
      AesGcm(keys.initiator)
          .open(packet.nonce, packet.head, plain, Bytes(packet.sealed).last<kTagSize>());
  if (!opened) return opened;
  challenges_.answered(challenge);
  Session& session = sessions_.put(peer, keys, false, now);
  handler_.on_session(peer, record ? &*record : nullptr, now);
  send_waiting(peer, session, now);
  dispatch(session, plain, now);
  return {};
}

void Discv5::dispatch(Session& session, Bytes plain, Now now) {
  const Peer peer = session.peer();
  if (!session.confirm()) {
    handler_.on_session(peer, nullptr, now);
    send_waiting(peer, session, now);
  }
  handler_.on_seen(peer, now);
  const Result<Message> message = decode_message(plain);
  if (!message) {
    ++(message.error().code == Code::unsupported ? stats_.unsupported_messages : stats_.malformed);
    return;
  }
  on_request(session, *message, now);
}

void Discv5::on_request(Session& session, const Message& message, Now now) {
  scratch_.clear();
  if (const auto* ping = std::get_if<Ping>(&message)) {
    ++stats_.pings;
    append(scratch_, Pong{ping->id, record_.seq(), session.peer().endpoint});
    send_sealed(session, scratch_);
    handler_.on_ping(session.peer(), ping->enr_seq, now);
  } else if (const auto* find = std::get_if<FindNode>(&message)) {
    ++stats_.find_nodes;
    if (session.may_ask_nodes(now)) {
      answer_find_node(session, *find, now);
    } else {
      ++stats_.find_nodes_limited;
    }
  } else if (const auto* talk = std::get_if<TalkRequest>(&message)) {
    ++stats_.talk_requests;
    answer_talk(session, *talk, now);
  } else {
    on_response(session, message, now);
  }
}

void Discv5::answer_find_node(Session& session, const FindNode& request, Now) {
  std::array<uint16_t, kMaxDistances> wanted;
  const size_t count = distances_of(request, wanted);
  const std::span<const uint16_t> distances = std::span(wanted).first(count);
  std::array<Bytes, 16> records;
  size_t found = 0;
  if (std::ranges::find(distances, 0) != distances.end()) records[found++] = record_.bytes();
  found += handler_.records_at(session.peer(), distances,
                               std::span(records).subspan(found, limits_.max_results - found));
  // Where each packet's records begin.
  std::array<size_t, 18> begins{};
  size_t packets = 1, size = 0;
  for (size_t i = 0; i < found; ++i) {
    if (size + records[i].size() > kMaxMessage - kNodesOverhead) {
      if (packets == limits_.max_nodes_packets) {
        stats_.results_cut += found - i;
        found = i;
        break;
      }
      begins[packets++] = i;
      size = 0;
    }
    size += records[i].size();
  }
  begins[packets] = found;
  for (size_t packet = 0; packet < packets; ++packet) {
    items_.clear();
    for (size_t i = begins[packet]; i < begins[packet + 1]; ++i) {
      items_.insert(items_.end(), records[i].begin(), records[i].end());
    }
    scratch_.clear();
    append_nodes(scratch_, request.id, packets, items_);
    send_sealed(session, scratch_);
  }
}

void Discv5::answer_talk(Session& session, const TalkRequest& request, Now now) {
  std::array<uint8_t, kMaxMessage - kTalkOverhead> answer;
  const auto size =
      handler_.on_talk(session.peer(), request.protocol, request.request, answer, now);
  Bytes response;
  if (!size) {
    ++stats_.talk_unknown;
  } else if (*size > answer.size()) {
    ++stats_.talk_too_long;
  } else {
    response = Bytes(answer).first(*size);
  }
  scratch_.clear();
  append(scratch_, TalkResponse{request.id, response});
  send_sealed(session, scratch_);
}

// Seals a message under the session's keys. The nonce it went out with; nothing where the queue is
// full, which is counted.
std::optional<Nonce> Discv5::send_sealed(Session& session, Bytes message) {
  const MutableBytes space = out_.space();
  if (space.empty()) {
    ++stats_.queue_full;
    return std::nullopt;
  }
  MaskingIv iv;
  rng_.fill(iv);
  const Nonce nonce = session.next_nonce(rng_);
  const size_t head = write_message_head(space, iv, nonce, self_);
  const size_t size = seal_message(space, head, session.write_key(), nonce, message);
  mask(space, head, session.peer().id);
  out_.commit(session.peer().endpoint, size);
  return nonce;
}

}  // namespace beamline::discv5
