// A TCP connection's security: multistream-select on "/noise", then the Noise handshake with its
// payloads, in frames of uint16 length (big-endian) and message. Ends in two ciphers, the other
// side's identity, and perhaps a muxer. Lives only as long as the handshake.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "codec/peer_id.h"
#include "libp2p/local_node.h"
#include "libp2p/multistream.h"
#include "libp2p/noise.h"
#include "libp2p/noise_payload.h"

namespace beamline::libp2p {

class Upgrade {
 public:
  // `expected`: whom we dial; empty, anyone.
  Upgrade(LocalNode& node, Role role, const PeerId& expected, Now now);

  // Takes bytes up to the end of the handshake and not one more; gives how many. Errors name the
  // layer in their field: "multistream.*", "noise.*"; mismatch at "noise.peer_id" when the other
  // side is not the expected one.
  Result<size_t> receive(MutableBytes input, Now now);
  // What is to be sent, as it is. The dialler's last message is still in it when finished().
  std::vector<uint8_t>& output() { return output_; }
  MonoTime deadline() const { return deadline_; }
  bool negotiating() const { return phase_ == Phase::multistream; }
  bool finished() const { return phase_ == Phase::done; }

  // REQUIRES: finished().
  NoiseCiphers take_ciphers() { return handshake_.split(); }
  const PeerId& remote() const { return remote_; }
  // Agreed on within the handshake, or nothing: then multistream-select decides.
  std::optional<MuxerKind> muxer() const { return muxer_; }

 private:
  enum class Phase : uint8_t { multistream, noise, done };

  Result<size_t> receive_noise(MutableBytes input);
  Status on_message(MutableBytes message);
  Status send_message();
  Status on_payload(MutableBytes payload);
  Status choose_muxer(const NoisePayload& payload);

  LocalNode& node_;
  const Role role_;
  Phase phase_ = Phase::multistream;
  const PeerId expected_;
  PeerId remote_;
  std::optional<MuxerKind> muxer_;
  std::vector<uint8_t> output_;
  std::vector<uint8_t> partial_;  // a frame until it is whole
  MultistreamSelect select_;
  NoiseHandshake handshake_;
  MonoTime deadline_;
};

}  // namespace beamline::libp2p
