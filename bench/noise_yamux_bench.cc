// 64 KiB through two connections, sans-IO: what is sealed by one is opened by the other, at once.
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "crypto/chacha20poly1305.h"
#include "libp2p/connection.h"

namespace beamline::libp2p {
namespace {

constexpr size_t kSize = 64 * 1024;

struct Host {
  explicit Host(uint64_t seed) : rng(seed), key(secp256k1::SecretKey::generate(rng)) {
    stream = protocols.add("/bench", true);
    node = std::make_unique<LocalNode>(LocalNodeConfig{}, key, protocols, rng.fork());
  }
  Rng rng;
  secp256k1::SecretKey key;
  ProtocolTable protocols;
  ProtocolId stream;
  std::unique_ptr<LocalNode> node;
};

class Wire {
 public:
  bool move(Connection& from, Connection& to) {
    const size_t size = from.poll_transmit(buffer_);
    if (size == 0) return false;
    BL_CHECK(to.receive(now, MutableBytes(buffer_).first(size)).has_value());
    drain(to);
    drain(from);
    return true;
  }
  void run(Connection& a, Connection& b) {
    while (move(a, b) || move(b, a)) {
    }
  }
  Now now{{0}, {0}};
  size_t received = 0;

 private:
  void drain(Connection& connection) {
    Event event;
    while (connection.poll_event(event)) received += event.data.size();
  }
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(128 * 1024);
};

void BM_NoiseYamux(benchmark::State& state) {
  Host a(1);
  Host b(2);
  Wire wire;
  Connection dialler(*a.node, Role::dialler, wire.now, b.node->peer_id());
  Connection listener(*b.node, Role::listener, wire.now);
  wire.run(dialler, listener);
  const std::array proposals{a.stream};
  const StreamId stream = dialler.open(wire.now, proposals).value();
  wire.run(dialler, listener);
  const SharedBytes block = SharedBytes::build(kSize, [&](MutableBytes out) { a.rng.fill(out); });
  wire.received = 0;
  size_t sent = 0;
  for (auto _ : state) {
    BL_CHECK(dialler.write(stream, block) == kSize);
    sent += kSize;
    wire.run(dialler, listener);
  }
  BL_CHECK(wire.received == sent);
  state.SetBytesProcessed(static_cast<int64_t>(sent));
}
BENCHMARK(BM_NoiseYamux);

void BM_CipherAlone(benchmark::State& state) {
  Rng rng(uint64_t{3});
  std::array<uint8_t, ChaCha20Poly1305::kKeySize> key;
  rng.fill(key);
  const ChaCha20Poly1305 cipher(key);
  std::vector<uint8_t> data(kSize + ChaCha20Poly1305::kTagSize);
  rng.fill(data);
  ChaCha20Poly1305::Nonce nonce{};
  uint64_t count = 0;
  for (auto _ : state) {
    std::memcpy(nonce.data() + 4, &count, sizeof(count));
    ++count;
    cipher.seal(nonce, {}, data);
    BL_CHECK(cipher.open(nonce, {}, data).has_value());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kSize));
}
BENCHMARK(BM_CipherAlone);

}  // namespace
}  // namespace beamline::libp2p
