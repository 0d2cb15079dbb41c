// What a stranger can reach before and in the handshake: multistream-select, a Noise payload,
// identify's messages, and a whole connection.
#include <memory>
#include <vector>

#include "base/check.h"
#include "libp2p/connection.h"
#include "libp2p/identify.h"
#include "libp2p/noise_payload.h"

namespace beamline::libp2p {
namespace {

struct Host {
  Host() : rng(uint64_t{1}), key(secp256k1::SecretKey::generate(rng)) {
    protocols.add("/a/1", true);
    node = std::make_unique<LocalNode>(LocalNodeConfig{}, key, protocols, rng.fork());
  }
  Rng rng;
  secp256k1::SecretKey key;
  ProtocolTable protocols;
  std::unique_ptr<LocalNode> node;
};

void connection(Role role, Bytes input) {
  static Host host;
  Connection peer(*host.node, role, Now{});
  std::vector<uint8_t> wire(input.begin(), input.end());
  if (!peer.receive(Now{}, wire)) return;
  Event event;
  while (peer.poll_event(event)) {
    BL_CHECK(event.type == Event::Type::closed);
    BL_CHECK(event.error.fault == Fault::peer);
  }
}

void select(Bytes input) {
  ProtocolTable table;
  const std::array proposals{table.add("/a/1", true), table.add("/b/1", false)};
  std::vector<uint8_t> out;
  MultistreamSelect listener = MultistreamSelect::listener(table);
  const Result<size_t> taken = listener.receive(input, out);
  BL_CHECK(!taken || *taken == input.size() || listener.done());
  MultistreamSelect dialler = MultistreamSelect::dialler(table, proposals, out);
  (void)dialler.receive(input, out);
}

}  // namespace
}  // namespace beamline::libp2p

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size == 0) return 0;
  const Bytes input(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      libp2p::select(input);
      break;
    case 1:
      libp2p::connection(libp2p::Role::listener, input);
      break;
    case 2:
      libp2p::connection(libp2p::Role::dialler, input);
      break;
    case 3:
      (void)libp2p::decode_noise_payload(input, x25519::PublicKey{});
      break;
    default: {
      libp2p::IdentifyReader reader;
      if (reader.receive(input) && reader.complete()) {
        (void)libp2p::decode_identify(reader.message());
      }
    }
  }
  return 0;
}
