// What a stranger sends first: bytes for a handshake in either role, and bodies that are sealed
// well for us and hold anything.
#include <optional>
#include <vector>

#include "base/check.h"
#include "rlpx/ecies.h"
#include "rlpx/handshake.h"

namespace beamline::rlpx {
namespace {

using secp256k1::SecretKey;

struct Keys {
  Rng rng{uint64_t{1}};
  SecretKey ours = SecretKey::generate(rng), theirs = SecretKey::generate(rng);
};

Handshake make(Keys& keys, bool initiator) {
  return initiator ? Handshake::initiator(keys.ours, keys.theirs.public_key(), keys.rng)
                   : Handshake::recipient(keys.ours, keys.rng);
}

// In pieces whose sizes come from the input.
void feed(Handshake handshake, Bytes input, Rng& rng) {
  while (!input.empty() && !handshake.done()) {
    const size_t piece = std::min<size_t>(input.size(), 1 + input[0]);
    const auto taken = handshake.feed(input.first(piece), rng);
    if (!taken) {
      BL_CHECK(taken.error().fault == Fault::peer);
      return;
    }
    BL_CHECK(*taken <= piece && (*taken == piece || handshake.done()));
    input = input.subspan(*taken);
  }
  if (handshake.done()) (void)handshake.secrets();
}

void sealed(Keys& keys, bool initiator, Bytes body) {
  const size_t size = body.size() + kEciesOverhead;
  if (size > Handshake::kMaxPacket) return;
  std::vector<uint8_t> packet = {static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)};
  const std::vector<uint8_t> prefix = packet;
  ecies_encrypt(keys.ours.public_key(), body, prefix, keys.rng, packet);
  feed(make(keys, initiator), packet, keys.rng);
}

}  // namespace
}  // namespace beamline::rlpx

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size == 0) return 0;
  rlpx::Keys keys;  // the same each time, so that an input is replayed
  const Bytes input(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    rlpx::feed(rlpx::make(keys, data[0] % 4 == 0), input, keys.rng);
  } else {
    rlpx::sealed(keys, data[0] % 4 == 1, input);
  }
  return 0;
}
