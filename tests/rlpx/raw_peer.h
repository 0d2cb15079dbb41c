// A peer that says what a test wants, below the rules of a session.
#pragma once

#include <optional>
#include <vector>

#include "codec/snappy.h"
#include "crypto/secp256k1.h"
#include "rlpx/session.h"

namespace beamline::rlpx {

inline std::vector<uint8_t> to_vector(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// The initiator of a connection to a Session that is a recipient.
class RawPeer {
 public:
  RawPeer(uint64_t seed, const SessionOptions& options)
      : rng_(seed),
        key_(secp256k1::SecretKey::generate(rng_)),
        session(Session::recipient(options, rng_, now)) {
    Handshake handshake = Handshake::initiator(key_, options.key->public_key(), rng_);
    give(to_vector(handshake.output()));
    const std::vector<uint8_t> answer = to_vector(session.output());
    session.wrote(answer.size(), now);
    const auto taken = handshake.feed(answer, rng_);
    if (!taken || !handshake.done()) return;
    codec_.emplace(handshake.secrets());
    incoming_.assign(answer.begin() + static_cast<ptrdiff_t>(*taken), answer.end());
  }

  // Gives bytes to the session; the first event.
  Event give(std::vector<uint8_t> bytes) {
    kept_ = std::move(bytes);
    MutableBytes input(kept_);
    Event event;
    while (!input.empty() && event.kind == Event::Kind::none) event = session.receive(input, now);
    return event;
  }

  std::vector<uint8_t> frame(Bytes data) {
    std::vector<uint8_t> out(frame_size(data.size()));
    std::copy(data.begin(), data.end(), out.begin() + kFrameHeaderSize);
    codec_->seal(out, data.size());
    return out;
  }
  Event send_data(Bytes data) { return give(frame(data)); }
  Event send(uint8_t id, Bytes payload, bool compress = true) {
    std::vector<uint8_t> data(message_id_size(id));
    write_message_id(id, data.data());
    if (compress) {
      const SharedBytes packed = snappy_compress(payload);
      data.insert(data.end(), packed.bytes().begin(), packed.bytes().end());
    } else {
      data.insert(data.end(), payload.begin(), payload.end());
    }
    return send_data(data);
  }

  Hello hello() const {
    Hello hello;
    hello.client_id = "raw";
    hello.capabilities = {{"eth", 68}};
    hello.id = node_id(key_.public_key());
    return hello;
  }
  Event send_hello(const Hello& hello) {
    std::vector<uint8_t> bytes;
    hello.encode(bytes);
    return send(0, bytes, false);
  }

  // The next message of the session: its id and data as it was framed; nullopt when there is none.
  std::optional<std::pair<uint8_t, std::vector<uint8_t>>> next() {
    const Bytes more = session.output();
    incoming_.insert(incoming_.end(), more.begin(), more.end());
    session.wrote(more.size(), now);
    if (incoming_.size() < kFrameHeaderSize) return std::nullopt;
    MutableBytes bytes(incoming_);
    const auto size = codec_->open_header(bytes.first<kFrameHeaderSize>());
    if (!size) return std::nullopt;
    const auto body =
        codec_->open_body(bytes.subspan(kFrameHeaderSize, frame_body_size(*size)), *size);
    if (!body) return std::nullopt;
    MutableBytes data = *body;
    const auto id = take_message_id(data);
    std::pair<uint8_t, std::vector<uint8_t>> message{*id, to_vector(data)};
    incoming_.erase(incoming_.begin(),
                    incoming_.begin() + static_cast<ptrdiff_t>(frame_size(*size)));
    return message;
  }

 private:
  Rng rng_;
  secp256k1::SecretKey key_;
  std::optional<FrameCodec> codec_;
  std::vector<uint8_t> incoming_;
  std::vector<uint8_t> kept_;

 public:
  MonoTime now{1'000'000'000};
  Session session;
};

}  // namespace beamline::rlpx
