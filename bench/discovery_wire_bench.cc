// Inbound packets of discv4 and discv5, sans-IO, against the one primitive that each cannot do
// without; and requests over a loopback socket.
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "crypto/keccak.h"
#include "discovery/service.h"
#include "loop/backends.h"
#include "loop/reactor_thread.h"
#include "node/discovery_driver.h"
#include "tests/discovery/hand_peer.h"

namespace beamline {
namespace {

Now start_time() { return {MonoTime{1'000'000'000}, WallTime::from_unix(1'700'000'000)}; }

constexpr size_t kPackets = 16'384;  // written at a time, apart: none is taken twice
using Datagrams = std::vector<std::vector<uint8_t>>;

// ---- discv5

class Quiet5 final : public discv5::Handler {
 public:
  std::optional<discv5::KnownRecord> known_record(const NodeId&) override { return std::nullopt; }
  void on_session(const discv5::Peer&, const Enr*, Now) override {}
  void on_seen(const discv5::Peer&, Now) override { ++seen; }
  void on_ping(const discv5::Peer&, uint64_t, Now) override {}
  size_t records_at(const discv5::Peer&, std::span<const uint16_t>, std::span<Bytes>) override {
    return 0;
  }
  std::optional<size_t> on_talk(const discv5::Peer&, Bytes, Bytes request, MutableBytes out,
                                Now) override {
    std::memcpy(out.data(), request.data(), request.size());
    return request.size();
  }
  void on_pong(discv5::CallId, const discv5::Peer&, const discv5::Pong&, Now) override {}
  void on_record(discv5::CallId, const discv5::Peer&, const Enr&, Now) override {}
  void on_talk_response(discv5::CallId, const discv5::Peer&, Bytes, Now) override {}
  void on_done(discv5::CallId, const discv5::Peer&, Status, Now) override {}
  uint64_t seen = 0;
};

struct Node5 {
  Node5(uint64_t seed, uint16_t port)
      : rng(seed),
        at(Endpoint::loopback(port)),
        key(secp256k1::SecretKey::generate(rng)),
        record(*EnrBuilder().set_endpoint(Enr::Transport::udp, at).sign(key)),
        protocol(key, record, queue, handler, rng.fork(), limits()) {}
  static discv5::Limits limits() {
    discv5::Limits limits;
    limits.calls = 16'384;
    limits.calls_per_peer = 16'384;
    return limits;
  }
  Rng rng;
  Endpoint at;
  secp256k1::SecretKey key;
  Enr record;
  discovery::DatagramQueue queue;
  Quiet5 handler;
  discv5::Discv5 protocol;
};

void move(Node5& from, Node5& to, Now now) {
  for (; !from.queue.empty(); from.queue.pop()) {
    const Bytes bytes = from.queue.front().bytes;
    std::vector<uint8_t> copy(bytes.begin(), bytes.end());
    to.protocol.receive(from.at, copy, now);
  }
}

// TALKREQ of 32 bytes from as many peers as asked for.
struct Talks {
  explicit Talks(size_t peers) : server(1, 1) {
    for (size_t i = 0; i < peers; ++i) {
      clients.push_back(std::make_unique<Node5>(100 + i, static_cast<uint16_t>(100 + i)));
      Node5& client = *clients.back();
      BL_CHECK(client.protocol.ping(discovery::record_of(server.record), now).has_value());
      for (int round = 0; round < 3; ++round) {
        move(client, server, now);
        move(server, client, now);
      }
    }
    write();
  }
  // Requests that were not made before; those that wait for their answers end.
  void write() {
    const std::array<uint8_t, 32> body{};
    now.mono = now.mono + seconds(5);
    for (auto& client : clients) {
      client->protocol.handle_timeout(now);
      while (!client->queue.empty()) client->queue.pop();
    }
    packets.clear();
    for (size_t i = 0; i < kPackets; ++i) {
      Node5& client = *clients[i % clients.size()];
      BL_CHECK(
          client.protocol.talk(discovery::record_of(server.record), as_bytes("bench"), body, now)
              .has_value());
      const Bytes bytes = client.queue.front().bytes;
      packets.emplace_back(bytes.begin(), bytes.end());
      client.queue.pop();
    }
  }
  const Endpoint& from(size_t i) const { return clients[i % clients.size()]->at; }
  Now now = start_time();
  Node5 server;
  std::vector<std::unique_ptr<Node5>> clients;
  Datagrams packets;
};

// Received, verified, understood, answered.
void BM_Discv5Answered(benchmark::State& state) {
  Talks talks(static_cast<size_t>(state.range(0)));
  std::array<uint8_t, discv5::kMaxPacket> buffer;
  size_t i = 0;
  const Now now = start_time();
  for (auto _ : state) {
    if (i == kPackets) {
      state.PauseTiming();
      talks.write();
      i = 0;
      state.ResumeTiming();
    }
    const auto& packet = talks.packets[i];
    std::memcpy(buffer.data(), packet.data(), packet.size());
    talks.server.protocol.receive(talks.from(i), MutableBytes(buffer).first(packet.size()), now);
    talks.server.queue.pop();
    ++i;
  }
  BL_CHECK(talks.server.protocol.stats().replayed == 0);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Discv5Answered)->Arg(1)->Arg(4);

// Verified and understood, not answered: TALKRESP that nobody waits for.
void BM_Discv5Verified(benchmark::State& state) {
  const auto peers = static_cast<size_t>(state.range(0));
  const Now now = start_time();
  Node5 server(1, 1);
  std::vector<std::unique_ptr<discv5::HandPeer>> clients;
  std::vector<uint8_t> plain;
  const std::array<uint8_t, 32> body{};
  append(plain, discv5::TalkResponse{{{0x81, 1, 2, 3, 4, 5, 6, 7}, 8}, body});
  for (size_t i = 0; i < peers; ++i) {
    const Endpoint at = Endpoint::loopback(static_cast<uint16_t>(100 + i));
    clients.push_back(std::make_unique<discv5::HandPeer>(100 + i, at, server.key.public_key()));
    std::vector<uint8_t> first = clients.back()->stranger();
    server.protocol.receive(at, first, now);
    const Bytes challenge = server.queue.front().bytes;
    auto handshake = clients.back()->handshake({challenge.begin(), challenge.end()}, plain,
                                               clients.back()->record.bytes());
    server.queue.pop();
    server.protocol.receive(at, handshake, now);
  }
  BL_CHECK(server.protocol.sessions() == peers);
  Datagrams packets;
  const auto write = [&] {
    packets.clear();
    for (size_t i = 0; i < kPackets; ++i) packets.push_back(clients[i % peers]->message(plain));
  };
  write();
  std::array<uint8_t, discv5::kMaxPacket> buffer;
  size_t i = 0;
  const uint64_t before = server.handler.seen;
  for (auto _ : state) {
    if (i == kPackets) {
      state.PauseTiming();
      write();
      i = 0;
      state.ResumeTiming();
    }
    std::memcpy(buffer.data(), packets[i].data(), packets[i].size());
    server.protocol.receive(clients[i % peers]->endpoint,
                            MutableBytes(buffer).first(packets[i].size()), now);
    ++i;
  }
  BL_CHECK(server.handler.seen - before == static_cast<uint64_t>(state.iterations()));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Discv5Verified)->Arg(1)->Arg(4);

// AES-GCM of the same sizes, under as many keys: opened, and, for an answer, one more sealed.
void gcm_alone(benchmark::State& state, bool answer) {
  std::vector<AesGcm> keys;
  Rng rng(uint64_t{7});
  for (int64_t i = 0; i < state.range(0); ++i) {
    std::array<uint8_t, 16> key;
    rng.fill(key);
    keys.emplace_back(Bytes(key));
  }
  constexpr size_t kPlain = 32 + 13;
  std::array<uint8_t, discv5::kMessageHead> head{};
  AesGcm::Nonce nonce{};
  Datagrams packets;
  for (size_t i = 0; i < kPackets; ++i) {
    std::vector<uint8_t> data(kPlain + discv5::kTagSize);
    std::memcpy(nonce.data(), &i, sizeof(i));
    keys[i % keys.size()].seal(nonce, head, MutableBytes(data).first(kPlain),
                               MutableBytes(data).last<discv5::kTagSize>());
    packets.push_back(std::move(data));
  }
  std::array<uint8_t, 256> buffer;
  size_t i = 0;
  for (auto _ : state) {
    std::memcpy(nonce.data(), &i, sizeof(i));
    std::memcpy(buffer.data(), packets[i].data(), packets[i].size());
    const AesGcm& key = keys[i % keys.size()];
    const Bytes tag = Bytes(buffer).subspan(kPlain, discv5::kTagSize);
    BL_CHECK(
        key.open(nonce, head, MutableBytes(buffer).first(kPlain), tag.first<discv5::kTagSize>())
            .has_value());
    if (answer) {
      key.seal(nonce, head, MutableBytes(buffer).first(kPlain),
               MutableBytes(buffer).subspan<kPlain, discv5::kTagSize>());
    }
    i = (i + 1) % packets.size();
  }
  state.SetItemsProcessed(state.iterations());
}
void BM_GcmOpen(benchmark::State& state) { gcm_alone(state, false); }
void BM_GcmOpenAndSeal(benchmark::State& state) { gcm_alone(state, true); }
BENCHMARK(BM_GcmOpen)->Arg(1)->Arg(4);
BENCHMARK(BM_GcmOpenAndSeal)->Arg(1)->Arg(4);

// ---- discv4

class Quiet4 final : public discv4::Handler {
 public:
  void on_bonded(const discovery::NodeRecord&, std::optional<uint64_t>, const Endpoint&,
                 Now) override {}
  void on_seen(const discv4::Peer&, Now) override { ++seen; }
  size_t closest(const NodeId&, const discv4::Peer&, std::span<discovery::NodeRecord>) override {
    return 0;
  }
  void on_neighbor(discv4::CallId, const discv4::Peer&, const discovery::NodeRecord&,
                   Now) override {}
  void on_record(discv4::CallId, const discv4::Peer&, const Enr&, Now) override {}
  void on_done(discv4::CallId, const discv4::Peer&, Status, Now) override {}
  uint64_t seen = 0;
};

struct Node4 {
  Node4(uint64_t seed, uint16_t port)
      : rng(seed),
        at(Endpoint::loopback(port)),
        key(secp256k1::SecretKey::generate(rng)),
        record(*EnrBuilder().set_endpoint(Enr::Transport::udp, at).sign(key)),
        protocol(key, record, {at, port}, queue, handler, rng.fork()) {}
  Rng rng;
  Endpoint at;
  secp256k1::SecretKey key;
  Enr record;
  discovery::DatagramQueue queue;
  Quiet4 handler;
  discv4::Discv4 protocol;
};

// 64 packets of a bonded peer: PONGs that nobody waits for, or PINGs.
Datagrams packets_of(Node4& peer, Node4& node, bool pings) {
  const Now now = start_time();
  discovery::NodeRecord to = discovery::record_of(node.record);
  BL_CHECK(peer.protocol.ping(to, now).has_value());
  for (int round = 0; round < 3; ++round) {
    for (auto [from, other] : {std::pair{&peer, &node}, std::pair{&node, &peer}}) {
      for (; !from->queue.empty(); from->queue.pop()) {
        other->protocol.receive(from->at, from->queue.front().bytes, now);
      }
    }
  }
  BL_CHECK(node.protocol.is_bonded(peer.record.node_id(), peer.at, now));
  Datagrams packets;
  const uint64_t expires = 1'700'000'020;
  for (uint64_t i = 0; i < 64; ++i) {
    std::vector<uint8_t> data;
    if (pings) {
      discv4::append(data, discv4::Ping{4, {peer.at, 1}, {node.at, 0}, expires + i, 1});
    } else {
      discv4::append(data, discv4::Pong{{node.at, 0}, Hash256{{uint8_t(i)}}, expires + i, 1});
    }
    std::vector<uint8_t> packet(discv4::kMaxPacket);
    const auto sealed = discv4::seal_packet(
        packet, pings ? discv4::Ping::kType : discv4::Pong::kType, data, peer.key);
    packet.resize(sealed.size);
    packets.push_back(std::move(packet));
  }
  return packets;
}

void inbound(benchmark::State& state, bool pings) {
  Node4 peer(1, 1), node(2, 2);
  const Datagrams packets = packets_of(peer, node, pings);
  size_t i = 0;
  const Now now = start_time();
  const uint64_t before = node.handler.seen;
  for (auto _ : state) {
    node.protocol.receive(peer.at, packets[i], now);
    while (!node.queue.empty()) node.queue.pop();
    i = (i + 1) % packets.size();
  }
  BL_CHECK(node.handler.seen - before == static_cast<uint64_t>(state.iterations()));
  state.SetItemsProcessed(state.iterations());
}
void BM_Discv4Verified(benchmark::State& state) { inbound(state, false); }
void BM_Discv4Answered(benchmark::State& state) { inbound(state, true); }
BENCHMARK(BM_Discv4Verified);
BENCHMARK(BM_Discv4Answered);

void recover_alone(benchmark::State& state, bool sign) {
  Rng rng(uint64_t{3});
  const auto key = secp256k1::SecretKey::generate(rng);
  std::vector<std::pair<Hash256, secp256k1::RecoverableSignature>> signatures;
  for (uint64_t i = 0; i < 64; ++i) {
    const Hash256 digest = keccak256(Bytes(reinterpret_cast<const uint8_t*>(&i), sizeof(i)));
    signatures.emplace_back(digest, key.sign_recoverable(digest));
  }
  size_t i = 0;
  for (auto _ : state) {
    auto recovered = secp256k1::recover(signatures[i].first, signatures[i].second);
    benchmark::DoNotOptimize(recovered);
    if (sign) {
      auto made = key.sign_recoverable(signatures[i].first);
      benchmark::DoNotOptimize(made);
    }
    i = (i + 1) % signatures.size();
  }
  state.SetItemsProcessed(state.iterations());
}
void BM_Recover(benchmark::State& state) { recover_alone(state, false); }
void BM_RecoverAndSign(benchmark::State& state) { recover_alone(state, true); }
BENCHMARK(BM_Recover);
BENCHMARK(BM_RecoverAndSign);

// ---- over a socket

class TalkServer final : public ReactorProgram, private discovery::Observer {
 public:
  TalkServer() : rng_(uint64_t{5}), key_(secp256k1::SecretKey::generate(rng_)) {}
  Status on_start(Reactor& reactor) override {
    auto driver =
        node::DiscoveryDriver::open(reactor, key_, Endpoint::loopback(0), {}, *this, rng_.fork());
    if (!driver) return std::unexpected(driver.error());
    driver_ = std::move(*driver);
    driver_->service().serve_talk(
        "bench",
        [](void*, const discv5::Peer&, Bytes request, MutableBytes out, Now) {
          std::memcpy(out.data(), request.data(), request.size());
          return request.size();
        },
        nullptr);
    record = driver_->service().record().to_text();
    return {};
  }
  void on_stop(Reactor&) override { driver_.reset(); }
  std::string record;

 private:
  Rng rng_;
  secp256k1::SecretKey key_;
  std::unique_ptr<node::DiscoveryDriver> driver_;
};

// 64 TALKREQ of 32 bytes in flight; each answered one makes the next.
void BM_Discv5Loopback(benchmark::State& state) {
  const auto backend = choose_backend(BackendKind::auto_);
  BL_CHECK(backend.has_value());
  TalkServer server;
  ReactorThread thread;
  BL_CHECK(thread.start("discovery", backend_maker(backend->kind), server).has_value());
  Node5 client(9, 0);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const Endpoint local = Endpoint::loopback(0);
  BL_CHECK(bind(fd, local.data(), local.size()) == 0);
  const auto to = discovery::record_of(*Enr::parse_text(server.record));
  const Now now = start_time();
  const std::array<uint8_t, 32> body{};
  const auto flush = [&] {
    for (; !client.queue.empty(); client.queue.pop()) {
      const auto datagram = client.queue.front();
      sendto(fd, datagram.bytes.data(), datagram.bytes.size(), 0, datagram.to.data(),
             datagram.to.size());
    }
  };
  const auto receive = [&] {
    pollfd wait{fd, POLLIN, 0};
    if (poll(&wait, 1, 1000) != 1) return false;
    std::array<uint8_t, 2048> buffer;
    const ssize_t size = recv(fd, buffer.data(), buffer.size(), 0);
    if (size > 0) {
      client.protocol.receive(to.udp, MutableBytes(buffer).first(static_cast<size_t>(size)), now);
    }
    return size > 0;
  };
  BL_CHECK(client.protocol.ping(to, now).has_value());
  flush();
  while (client.protocol.calls() > 0 && receive()) flush();
  for (auto _ : state) {
    while (client.protocol.calls() < 64) {
      BL_CHECK(client.protocol.talk(to, as_bytes("bench"), body, now).has_value());
    }
    flush();
    if (!receive()) {
      state.SkipWithError("no answer for a second");
      break;
    }
  }
  state.SetItemsProcessed(state.iterations());
  close(fd);
  thread.stop();
}
BENCHMARK(BM_Discv5Loopback)->UseRealTime();

}  // namespace
}  // namespace beamline
