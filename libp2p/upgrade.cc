#include "libp2p/upgrade.h"

#include <algorithm>

namespace beamline::libp2p {
namespace {
// The largest message of the handshake: two keys, their tags, and a payload.
constexpr size_t kMaxHandshakeMessage = 32 + 32 + 16 + kMaxNoisePayload + kNoiseTagSize;
constexpr size_t kLengthSize = 2;
}  // namespace

Upgrade::Upgrade(LocalNode& node, Role role, const PeerId& expected, Now now)
    : node_(node),
      role_(role),
      expected_(expected),
      select_(role == Role::listener
                  ? MultistreamSelect::listener(node.security_)
                  : MultistreamSelect::dialler(node.security_, std::array{ProtocolId{0}}, output_)),
      handshake_(role, node.noise_static_, x25519::SecretKey::generate(node.rng_)),
      deadline_(now.mono + node.limits().multistream_timeout) {
  // There is one proposal, so the handshake's first message travels with it.
  if (role == Role::dialler) (void)send_message();
}

Result<size_t> Upgrade::receive(MutableBytes input, Now now) {
  size_t at = 0;
  if (phase_ == Phase::multistream) {
    const Result<size_t> taken = select_.receive(input, output_);
    if (!taken) return taken;
    at = *taken;
    if (!select_.done()) return at;
    phase_ = Phase::noise;
    deadline_ = now.mono + node_.limits().noise_timeout;
  }
  while (phase_ == Phase::noise && at < input.size()) {
    const Result<size_t> taken = receive_noise(input.subspan(at));
    if (!taken) return taken;
    at += *taken;
  }
  return at;
}

// Takes bytes of one frame.
Result<size_t> Upgrade::receive_noise(MutableBytes input) {
  size_t taken = 0;
  while (partial_.size() < kLengthSize && taken < input.size()) partial_.push_back(input[taken++]);
  if (partial_.size() < kLengthSize) return taken;
  const size_t length = static_cast<size_t>(partial_[0]) << 8 | partial_[1];
  if (length > kMaxHandshakeMessage) return bad_input(Code::too_long, "noise.handshake");
  const size_t take = std::min(kLengthSize + length - partial_.size(), input.size() - taken);
  const auto from = input.begin() + static_cast<std::ptrdiff_t>(taken);
  partial_.insert(partial_.end(), from, from + static_cast<std::ptrdiff_t>(take));
  taken += take;
  if (partial_.size() < kLengthSize + length) return taken;
  const Status status = on_message(MutableBytes(partial_).subspan(kLengthSize));
  partial_.clear();
  if (!status) return std::unexpected(status.error());
  return taken;
}

Status Upgrade::on_message(MutableBytes message) {
  const Result<MutableBytes> payload = handshake_.read_message(message);
  if (!payload) return std::unexpected(payload.error());
  const bool first = role_ == Role::listener && !handshake_.finished();
  if (!first) {  // the first message has no payload of libp2p's, and is not authenticated
    if (Status status = on_payload(*payload); !status) return status;
  }
  if (!handshake_.finished()) {
    if (Status status = send_message(); !status) return status;
  }
  if (handshake_.finished()) phase_ = Phase::done;
  return {};
}

Status Upgrade::send_message() {
  std::vector<uint8_t> payload;
  const bool first = role_ == Role::dialler && phase_ == Phase::multistream;
  if (!first) {
    const std::span<const std::string_view> muxers =
        node_.config_.early_muxer ? std::span<const std::string_view>(node_.muxer_names_)
                                  : std::span<const std::string_view>();
    encode_noise_payload(node_.identity_.public_key(), node_.noise_signature_, muxers, payload);
  }
  const size_t start = output_.size();
  output_.resize(start + kLengthSize);
  if (Status status = handshake_.write_message(payload, output_); !status) return status;
  const size_t length = output_.size() - start - kLengthSize;
  output_[start] = static_cast<uint8_t>(length >> 8);
  output_[start + 1] = static_cast<uint8_t>(length);
  return {};
}

Status Upgrade::on_payload(MutableBytes bytes) {
  const Result<NoisePayload> payload = decode_noise_payload(bytes, handshake_.remote_static());
  if (!payload) return std::unexpected(payload.error());
  remote_ = PeerId::from_public_key(payload->identity_key);
  if (!expected_.empty() && remote_ != expected_) {
    return bad_input(Code::mismatch, "noise.peer_id");
  }
  return choose_muxer(*payload);
}

// The first of the dialler's list that both speak.
Status Upgrade::choose_muxer(const NoisePayload& payload) {
  const auto& theirs = payload.stream_muxers;
  if (theirs.empty() || !node_.config_.early_muxer) return {};
  const auto& first = role_ == Role::dialler ? node_.muxer_names_ : theirs;
  const auto& second = role_ == Role::dialler ? theirs : node_.muxer_names_;
  for (const std::string_view name : first) {
    if (std::find(second.begin(), second.end(), name) == second.end()) continue;
    muxer_ = node_.config_.muxers[node_.muxers_.find(name)];
    return {};
  }
  return bad_input(Code::unsupported, "noise.stream_muxers");
}

}  // namespace beamline::libp2p
