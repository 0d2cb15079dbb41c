#include "discovery/node_record.h"

#include <algorithm>

#include "codec/rlp.h"

namespace beamline::discovery {
namespace {

// The entry "eth" (devp2p enr-entries/eth.md): [[fork-hash, fork-next], ...].
uint32_t fork_of_eth(Bytes item) {
  auto entry = rlp::parse_list(item, "eth");
  if (!entry) return 0;
  auto id = entry->list("eth");
  if (!id) return 0;
  const auto hash = id->fixed("eth", 4);
  return hash ? fork_number(hash->first<4>()) : 0;
}

}  // namespace

Endpoint NodeRecord::tcp() const {
  if (tcp_port == 0) return {};
  Endpoint endpoint = udp;
  endpoint.set_port(tcp_port);
  return endpoint;
}

NodeKey key_of(const secp256k1::PublicKey& key) {
  const auto bytes = key.uncompressed();
  NodeKey out;
  std::copy(bytes.begin() + 1, bytes.end(), out.begin());
  return out;
}

Result<secp256k1::PublicKey> public_key_of(const NodeKey& key) {
  std::array<uint8_t, secp256k1::kUncompressedSize> whole{4};
  std::copy(key.begin(), key.end(), whole.begin() + 1);
  return secp256k1::PublicKey::parse(whole);
}

uint32_t fork_number(std::span<const uint8_t, 4> hash) {
  return uint32_t{hash[0]} << 24 | uint32_t{hash[1]} << 16 | uint32_t{hash[2]} << 8 | hash[3];
}

NodeRecord record_of(const Enr& enr) {
  NodeRecord record;
  record.id = enr.node_id();
  record.key = key_of(enr.public_key());
  for (const auto family : {Enr::Family::ip4, Enr::Family::ip6}) {
    const auto udp = enr.endpoint(Enr::Transport::udp, family);
    if (!udp) continue;
    record.udp = *udp;
    if (const auto tcp = enr.endpoint(Enr::Transport::tcp, family)) record.tcp_port = tcp->port();
    break;
  }
  if (const auto eth = enr.item("eth")) {
    record.capabilities |= kCapEth;
    record.fork = fork_of_eth(*eth);
  }
  if (enr.item("snap")) record.capabilities |= kCapSnap;
  if (const auto eth2 = enr.eth2()) {
    record.capabilities |= kCapEth2;
    record.fork = fork_number(Bytes(*eth2).first<4>());
  }
  if (enr.item("quic") || enr.item("quic6")) record.capabilities |= kCapQuic;
  record.seq = enr.seq();
  record.enr = SharedBytes::copy(enr.bytes());
  return record;
}

NodeRecord record_of(const Enode& enode) {
  NodeRecord record;
  record.id = node_id_of(enode.key);
  record.key = key_of(enode.key);
  record.udp = enode.tcp;
  record.udp.set_port(enode.udp_port);
  record.tcp_port = enode.tcp.port();
  record.protocols = kSpeaksV4;
  return record;
}

}  // namespace beamline::discovery
