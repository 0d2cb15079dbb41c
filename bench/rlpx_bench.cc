// RLPx: frames through two sessions against the calls that such frames make, handshakes against the
// curve operations in them, and messages over loopback sockets.
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/rng.h"
#include "bench/allocations.h"
#include "loop/ring.h"
#include "rlpx/host.h"
#include "rlpx/session.h"

namespace beamline::rlpx {
namespace {

using secp256k1::SecretKey;

constexpr MonoTime kNow{1};
constexpr Capability kEth[] = {{"eth", 68, 17}};

// Two sessions that are ready.
struct Pair {
  explicit Pair(bool snappy) {
    if (!snappy) options_a.version = options_b.version = 4;
    b.emplace(Session::recipient(options_b, rng, kNow));
    a.emplace(Session::initiator(options_a, key_b.public_key(), rng, kNow));
    for (int i = 0; i < 4; ++i) {
      move(*a, *b);
      move(*b, *a);
    }
  }
  // What one wrote arrives at the other, as a read of the socket would bring it; the bytes of the
  // messages. A large message comes a slice at a time.
  size_t move(Session& from, Session& to) {
    size_t received = move_output(from, to);
    while (from.has_work()) {
      from.advance(kNow);
      received += move_output(from, to);
    }
    return received;
  }
  size_t move_output(Session& from, Session& to) {
    const Bytes out = from.output();
    if (lease.size() < out.size()) lease.resize(out.size());
    copy_bytes(lease.data(), out.data(), out.size());
    MutableBytes input = MutableBytes(lease).first(out.size());
    from.wrote(out.size(), kNow);
    size_t received = 0;
    while (!input.empty()) received += to.receive(input, kNow).payload.size();
    return received;
  }

  Rng rng{uint64_t{1}};
  const SecretKey key_a = SecretKey::generate(rng), key_b = SecretKey::generate(rng);
  SessionOptions options_a{.key = &key_a, .capabilities = kEth};
  SessionOptions options_b{.key = &key_b, .capabilities = kEth};
  std::optional<Session> a, b;
  std::vector<uint8_t> lease;
};

// Half of it random, half zeros, where it is to be compressible.
std::vector<uint8_t> payload_of(size_t size, bool compressible) {
  std::vector<uint8_t> bytes(size);
  Rng rng(uint64_t{2});
  for (size_t at = 0; at < size; at += 64) {
    const size_t run = std::min<size_t>(compressible ? 32 : 64, size - at);
    rng.fill(MutableBytes(bytes).subspan(at, run));
  }
  return bytes;
}

// Frames that go in one write: as many as make 64 KiB.
size_t batch_of(size_t size) { return std::max<size_t>(1, (64 << 10) / size); }

void set_rates(benchmark::State& state, size_t frames, size_t size) {
  const auto count = static_cast<int64_t>(state.iterations() * frames);
  state.SetItemsProcessed(count);
  state.SetBytesProcessed(count * static_cast<int64_t>(size));
}

void frames(benchmark::State& state, bool snappy, bool compressible) {
  const auto size = static_cast<size_t>(state.range(0));
  const std::vector<uint8_t> payload = payload_of(size, compressible);
  Pair pair(snappy);
  const size_t batch = batch_of(size);
  const auto once = [&] {
    for (size_t i = 0; i < batch; ++i) {
      if (!pair.a->send(0, 3, payload, kNow)) state.SkipWithError("send");
    }
    if (pair.move(*pair.a, *pair.b) != batch * size) state.SkipWithError("lost");
  };
  once();  // makes the buffers, which stay
  const uint64_t before = bench::allocations();
  for (auto _ : state) once();
  state.counters["allocations_per_frame"] =
      static_cast<double>(bench::allocations() - before) /
      static_cast<double>(state.iterations() * static_cast<int64_t>(batch));
  set_rates(state, batch, size);
}

void BM_Frames(benchmark::State& state) { frames(state, false, false); }
void BM_FramesSnappy(benchmark::State& state) { frames(state, true, false); }
void BM_FramesCompressible(benchmark::State& state) { frames(state, true, true); }
BENCHMARK(BM_Frames)->Arg(64)->Arg(1024)->Arg(65'536)->Arg(10 << 20);
BENCHMARK(BM_FramesSnappy)->Arg(64)->Arg(1024)->Arg(65'536)->Arg(10 << 20);
BENCHMARK(BM_FramesCompressible)->Arg(64)->Arg(1024)->Arg(65'536)->Arg(10 << 20);

// The calls that sealing and opening a frame make, and nothing else.
struct Primitives {
  AesCtr stream;
  Aes256Block block;
  Keccak256 mac;

  explicit Primitives(const std::array<uint8_t, 32>& key) : stream(key, {}), block(key) {}
  void tag(const uint8_t* seed) {
    AesBlockBytes input;
    std::memcpy(input.data(), seed, input.size());
    mac.update(block.encrypt(input));
    benchmark::DoNotOptimize(mac.digest());
  }
  void frame(MutableBytes header, MutableBytes body) {
    stream.process(header);
    tag(mac.digest().bytes.data());
    stream.process(body);
    mac.update(body);
    tag(mac.digest().bytes.data());
  }
};

void BM_FramePrimitives(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  Primitives seal({1}), open({2});
  std::vector<uint8_t> header(16), body((size + 1 + 15) / 16 * 16);
  for (auto _ : state) {
    seal.frame(header, body);
    open.frame(header, body);
  }
  set_rates(state, 1, size);
}
BENCHMARK(BM_FramePrimitives)->Arg(64)->Arg(1024)->Arg(65'536)->Arg(10 << 20);

void BM_Handshake(benchmark::State& state) {
  Rng rng(uint64_t{3});
  const SecretKey key_a = SecretKey::generate(rng), key_b = SecretKey::generate(rng);
  for (auto _ : state) {
    Handshake a = Handshake::initiator(key_a, key_b.public_key(), rng);
    Handshake b = Handshake::recipient(key_b, rng);
    if (!b.feed(a.output(), rng) || !a.feed(b.output(), rng)) state.SkipWithError("handshake");
    benchmark::DoNotOptimize(a.secrets());
    benchmark::DoNotOptimize(b.secrets());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Handshake);

// The curve operations of both sides: four keys made, three parsed, eight products, a signature and
// a recovery.
void BM_HandshakeCurve(benchmark::State& state) {
  Rng rng(uint64_t{4});
  const SecretKey key = SecretKey::generate(rng);
  const auto point = key.public_key().uncompressed();
  const Hash256 digest{{7}};
  const auto signature = key.sign_recoverable(digest);
  for (auto _ : state) {
    for (int i = 0; i < 4; ++i) benchmark::DoNotOptimize(SecretKey::generate(rng));
    for (int i = 0; i < 4; ++i) benchmark::DoNotOptimize(secp256k1::PublicKey::parse(point));
    for (int i = 0; i < 8; ++i) benchmark::DoNotOptimize(key.ecdh_x(key.public_key()));
    benchmark::DoNotOptimize(key.sign_recoverable(digest));
    benchmark::DoNotOptimize(secp256k1::recover(digest, signature));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_HandshakeCurve);

// Over loopback, one reactor for both ends, snappy on.
struct Node : HostHandler {
  void on_ready(Connection& made) override { connection = &made; }
  void on_message(Connection&, size_t, uint8_t, Bytes payload) override {
    received += payload.size();
  }
  void on_closed(Connection&, const Closed&) override { connection = nullptr; }
  Connection* connection = nullptr;
  size_t received = 0;
};

// While it lives no turn sleeps longer than 100 us: the loop below ends turns by itself.
class Tick {
 public:
  explicit Tick(Reactor& reactor) : reactor_(reactor) { again(); }
  ~Tick() { reactor_.disarm(timer_); }

 private:
  void again() { reactor_.arm(timer_, reactor_.backend().now().mono + microseconds(100)); }
  Reactor& reactor_;
  Timer timer_{[](Timer& timer) { static_cast<Tick*>(timer.owner)->again(); }, this};
};

void BM_FramesSocket(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  const std::vector<uint8_t> payload = payload_of(size, false);
  auto backend = make_ring({});
  if (!backend) return state.SkipWithError("absent: io_uring");
  auto reactor = Reactor::create(std::move(*backend)).value();
  auto tcp = Tcp::create(*reactor).value();
  Rng rng(uint64_t{5});
  const SecretKey key_a = SecretKey::generate(rng), key_b = SecretKey::generate(rng);
  HostOptions of_a, of_b;
  of_a.session.capabilities = of_b.session.capabilities = kEth;
  of_a.session.key = &key_a;
  of_b.session.key = &key_b;
  Node node_a, node_b;
  Host a(*tcp, of_a, node_a, rng), b(*tcp, of_b, node_b, rng);
  const auto listener = b.listen(Endpoint::loopback(0));
  if (!listener || !a.dial((*listener)->local(), key_b.public_key())) {
    return state.SkipWithError("dial");
  }
  std::optional<Tick> tick(*reactor);  // the turn that makes them ready would sleep until a ping
  while (node_a.connection == nullptr || node_b.connection == nullptr) reactor->turn();
  const size_t batch = batch_of(size);
  const uint64_t sends = tcp->stats().sends;
  for (auto _ : state) {
    const size_t wanted = node_b.received + batch * size;
    for (size_t i = 0; i < batch; ++i) {
      if (!node_a.connection->send(0, 3, payload)) state.SkipWithError("send");
    }
    while (node_b.received < wanted) reactor->turn();
  }
  set_rates(state, batch, size);
  state.counters["sends_per_frame"] =
      static_cast<double>(tcp->stats().sends - sends) /
      static_cast<double>(state.iterations() * static_cast<int64_t>(batch));
  tick.reset();
  reactor->shutdown();
}
BENCHMARK(BM_FramesSocket)->Arg(1024)->Arg(65'536)->MeasureProcessCPUTime();

}  // namespace
}  // namespace beamline::rlpx
