#include "libp2p/local_node.h"

#include "base/check.h"
#include "codec/uvarint.h"
#include "libp2p/identify.h"
#include "libp2p/mplex.h"
#include "libp2p/noise.h"
#include "libp2p/noise_payload.h"
#include "libp2p/yamux.h"

namespace beamline::libp2p {
namespace {
constexpr size_t kMaxSpareBuffers = 16;
constexpr size_t kFrameBufferSize = 2 + kMaxNoiseMessage;
}  // namespace

LocalNode::LocalNode(LocalNodeConfig config, const secp256k1::SecretKey& identity,
                     ProtocolTable& protocols, Rng rng)
    : config_(std::move(config)),
      identity_(identity),
      protocols_(protocols),
      rng_(std::move(rng)),
      peer_id_(PeerId::from_public_key(identity.public_key())),
      noise_static_(x25519::SecretKey::generate(rng_)),
      noise_signature_(sign_noise_static(identity, noise_static_.public_key())) {
  BL_CHECK(!config_.muxers.empty());
  security_.add("/noise", true);
  for (const MuxerKind kind : config_.muxers) {
    muxer_ids_.push_back(
        muxers_.add(kind == MuxerKind::yamux ? kYamuxProtocol : kMplexProtocol, true));
  }
  BL_CHECK(muxers_.size() == config_.muxers.size());
  for (const ProtocolId id : muxer_ids_) muxer_names_.push_back(muxers_.name(id));
  identify_ = protocols_.add(kIdentifyProtocol, true);
  identify_push_ = protocols_.add(kIdentifyPushProtocol, true);
}

LocalNode::~LocalNode() = default;

void LocalNode::set_listen_addrs(std::vector<std::vector<uint8_t>> addrs) {
  config_.listen_addrs = std::move(addrs);
}

LocalNode::FrameBuffer LocalNode::take_frame_buffer() {
  if (frame_buffers_.empty()) return std::make_unique_for_overwrite<uint8_t[]>(kFrameBufferSize);
  FrameBuffer buffer = std::move(frame_buffers_.back());
  frame_buffers_.pop_back();
  return buffer;
}

void LocalNode::return_frame_buffer(FrameBuffer buffer) {
  if (frame_buffers_.size() < kMaxSpareBuffers) frame_buffers_.push_back(std::move(buffer));
}

SharedBytes LocalNode::identify_message(Bytes observed) const {
  const auto key = encode_identity_key(identity_.public_key());
  Identify identify;
  identify.public_key = key;
  identify.observed_addr = observed;
  identify.protocol_version = config_.protocol_version;
  identify.agent_version = config_.agent_version;
  for (const auto& addr : config_.listen_addrs) identify.listen_addrs.push_back(addr);
  for (size_t i = 0; i < protocols_.size(); ++i) {
    const auto id = static_cast<ProtocolId>(i);
    if (protocols_.served(id)) identify.protocols.push_back(protocols_.name(id));
  }
  std::vector<uint8_t> message;
  if (!encode_identify(identify, message)) return {};
  std::vector<uint8_t> framed;
  append_uvarint(message.size(), framed);
  framed.insert(framed.end(), message.begin(), message.end());
  return SharedBytes::copy(framed);
}

}  // namespace beamline::libp2p
