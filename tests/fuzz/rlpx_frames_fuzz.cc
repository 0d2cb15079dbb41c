// A peer whose handshake is good says anything: raw bytes in place of frames, good frames of any
// data, cut in any pieces, time passing between.
#include <optional>
#include <vector>

#include "base/check.h"
#include "rlpx/session.h"

namespace beamline::rlpx {
namespace {

using secp256k1::SecretKey;

constexpr Capability kSpoken[] = {
    {"eth", 68, 17, 1 << 16}, {"eth", 69, 18, 1 << 16}, {"snap", 1, 8, 1 << 16}};

class Fuzz {
 public:
  Fuzz() : session_(Session::recipient(options_, rng_, now_)) {
    Handshake handshake = Handshake::initiator(theirs_, ours_.public_key(), rng_);
    give(handshake.output());
    const std::vector<uint8_t> answer(session_.output().begin(), session_.output().end());
    BL_CHECK(handshake.feed(answer, rng_) && handshake.done());
    session_.wrote(answer.size(), now_);
    codec_.emplace(handshake.secrets());
  }
  void run(Bytes input) {
    if (!input.empty() && input[0] % 8 != 0) say_hello(input[0]);
    while (input.size() >= 3 && !session_.is_closed()) {
      const size_t size = std::min<size_t>(input[1] | (input[2] & 1u) << 8, input.size() - 3);
      const Bytes data = input.subspan(3, size);
      switch (input[0] % 4) {
        case 0:
          give(data);
          break;
        case 1:
          now_ = now_ + seconds(input[1] % 40);
          check(session_.on_deadline(now_));
          break;
        default:
          if (size != 0) give(frame(data));
      }
      if (input[2] % 16 == 0) session_.wrote(session_.output().size(), now_);
      input = input.subspan(3 + size);
    }
  }

 private:
  void say_hello(uint8_t choice) {
    Hello hello;
    hello.version = choice % 2 == 0 ? 4 : 5;
    hello.capabilities = {{"eth", choice % 4 < 2 ? 68u : 69u}, {"snap", 1}};
    hello.id = node_id(theirs_.public_key());
    std::vector<uint8_t> data = {0x80};
    hello.encode(data);
    give(frame(data));
    BL_CHECK(session_.ready());
  }
  std::vector<uint8_t> frame(Bytes data) {
    std::vector<uint8_t> out(frame_size(data.size()));
    std::copy(data.begin(), data.end(), out.begin() + kFrameHeaderSize);
    codec_->seal(out, data.size());
    return out;
  }
  void give(Bytes bytes) {
    std::vector<uint8_t> copy(bytes.begin(), bytes.end());
    MutableBytes input(copy);
    while (!input.empty()) check(session_.receive(input, now_));
  }
  void check(const Event& event) {
    if (event.kind == Event::Kind::message) {
      BL_CHECK(session_.shares(event.capability));
      BL_CHECK(event.id < kSpoken[event.capability].messages);
      BL_CHECK(event.payload.size() <= kSpoken[event.capability].max_message);
      // What was said goes back.
      (void)session_.send(event.capability, event.id, event.payload, now_);
      if (session_.has_work()) session_.advance(now_);
    }
    if (event.kind == Event::Kind::closed) BL_CHECK(session_.closed().why.fault != Fault::local);
    BL_CHECK(session_.queued() <= options_.max_queue + 4096);
  }

  Rng rng_{uint64_t{1}};
  MonoTime now_{1};
  const SecretKey ours_ = SecretKey::generate(rng_), theirs_ = SecretKey::generate(rng_);
  SessionOptions options_{.key = &ours_, .capabilities = kSpoken, .max_queue = 1 << 20};
  std::optional<FrameCodec> codec_;
  Session session_;
};

}  // namespace
}  // namespace beamline::rlpx

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  beamline::rlpx::Fuzz fuzz;
  fuzz.run({data, size});
  return 0;
}
