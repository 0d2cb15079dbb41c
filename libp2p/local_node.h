// What all libp2p connections of one thread share: our identity, our protocols, the limits, the
// counters.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/rng.h"
#include "base/time.h"
#include "codec/peer_id.h"
#include "crypto/secp256k1.h"
#include "crypto/x25519.h"
#include "libp2p/muxer.h"
#include "libp2p/protocols.h"

namespace beamline::libp2p {

struct ConnectionLimits {
  MuxLimits mux;
  Duration multistream_timeout = seconds(10);  // each negotiation: security, muxer, a stream
  Duration noise_timeout = seconds(10);
  Duration identify_timeout = seconds(10);
};

struct ConnectionStats {
  uint64_t started = 0;
  uint64_t connected = 0;
  uint64_t early_muxers = 0;  // connections whose muxer was agreed on in the handshake
  uint64_t failed_multistream = 0;
  uint64_t failed_noise = 0;
  uint64_t failed_muxer = 0;
  uint64_t failed_transport = 0;  // the transport ended or broke, in any phase
  uint64_t timeouts = 0;          // of connections
  uint64_t streams_failed = 0;    // negotiations of streams that failed
  uint64_t streams_timed_out = 0;
  uint64_t identify_answered = 0;
  uint64_t identify_received = 0;
  uint64_t identify_failed = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  MuxStats mux;
};

enum class MuxerKind : uint8_t { yamux, mplex };

struct LocalNodeConfig {
  std::string agent_version = "beamline";
  std::string protocol_version = "eth2/1.0.0";
  std::vector<std::vector<uint8_t>> listen_addrs;  // multiaddrs that identify tells
  std::vector<MuxerKind> muxers = {MuxerKind::yamux, MuxerKind::mplex};  // in our preference
  bool early_muxer = true;  // offer the muxers within the Noise handshake
  bool ask_identify = true;
  ConnectionLimits limits;
};

// One thread. Outlives its connections; does not move.
class LocalNode {
 public:
  // `identity`, and `protocols` (the host's; identify's are added to it here, and answered by the
  // connections themselves) outlive it. Protocols that are added later are served from then on.
  LocalNode(LocalNodeConfig config, const secp256k1::SecretKey& identity, ProtocolTable& protocols,
            Rng rng);
  ~LocalNode();
  LocalNode(const LocalNode&) = delete;
  LocalNode& operator=(const LocalNode&) = delete;

  const PeerId& peer_id() const { return peer_id_; }
  const ProtocolTable& protocols() const { return protocols_; }
  const ConnectionLimits& limits() const { return config_.limits; }
  const ConnectionStats& stats() const { return stats_; }
  void set_listen_addrs(std::vector<std::vector<uint8_t>> addrs);

 private:
  friend class Connection;
  friend class Upgrade;

  // The buffer of a Noise frame that arrives in parts; lent, so that idle connections have none.
  using FrameBuffer = std::unique_ptr<uint8_t[]>;
  FrameBuffer take_frame_buffer();
  void return_frame_buffer(FrameBuffer buffer);
  // Our identify message with its length; `observed` is the address we see the other side at.
  SharedBytes identify_message(Bytes observed) const;

  LocalNodeConfig config_;
  const secp256k1::SecretKey& identity_;
  ProtocolTable& protocols_;
  Rng rng_;
  PeerId peer_id_;
  x25519::SecretKey noise_static_;
  std::vector<uint8_t> noise_signature_;
  ProtocolTable security_;
  ProtocolTable muxers_;  // ids are indices into config_.muxers
  std::vector<ProtocolId> muxer_ids_;
  std::vector<std::string_view> muxer_names_;
  ProtocolId identify_ = kNoProtocol;
  ProtocolId identify_push_ = kNoProtocol;
  std::vector<FrameBuffer> frame_buffers_;
  ConnectionStats stats_;
};

}  // namespace beamline::libp2p
