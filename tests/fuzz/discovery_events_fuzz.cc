// A discovery service that a peer of each protocol, proven and hostile, sends what it likes, while
// strangers send garbage, time passes and requests of its own are under way. The first byte of each
// step says what happens, the second how much input belongs to it. Nothing that is bounded grows
// over its bound, and a stranger gets no more than it sent.
#include <algorithm>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "crypto/keccak.h"
#include "discovery/service.h"
#include "tests/discovery/hand_peer.h"

namespace beamline::discovery {
namespace {

using Datagram = std::vector<uint8_t>;

const secp256k1::SecretKey& key_of_seed(uint64_t seed) {
  static Rng rng(uint64_t{77});
  static const secp256k1::SecretKey kService = secp256k1::SecretKey::generate(rng);
  static const secp256k1::SecretKey kPeer = secp256k1::SecretKey::generate(rng);
  return seed == 0 ? kService : kPeer;
}

class World final : private Observer {
 public:
  World()
      : hand_(3, Endpoint::loopback(3), key_of_seed(0).public_key()),
        v4_at_(Endpoint::loopback(4)) {
    ServiceConfig config;
    config.listen = Endpoint::loopback(1);
    config.discv4.calls = config.discv5.calls = 32;
    config.discv4.pings_back = 8;
    config.discv4.bonds = 16;
    config.discv5.sessions.sessions = 4;
    config.discv5.challenges.pending = 8;
    config.discv4.replays = 64;
    config.outbox = 32;
    config.key_tries = 2;
    config.pool.capacity = 64;
    service_ = std::move(*Service::create(key_of_seed(0), config, *this, Rng(uint64_t{5}), now_));
    prove();
  }

  void step(uint8_t what, uint8_t argument, Bytes input) {
    switch (what % 10) {
      case 0:
        now_.mono =
            std::max(now_.mono, std::min(service_->next_deadline(), now_.mono + seconds(argument)));
        now_.wall = now_.wall + milliseconds(argument);
        service_->handle_timeout(now_);
        break;
      case 1:
        give(hand_.endpoint, hand_.message(input));
        break;
      case 2:
        stranger(Datagram(input.begin(), input.end()));
        break;
      case 3:
        give(v4_at_, signed_v4(argument % 7, input));
        break;
      case 4:
        give(hand_.endpoint, hand_.stranger());
        if (!to_hand_.empty()) {
          give(hand_.endpoint, hand_.handshake(to_hand_, input.first(input.size() / 2),
                                               argument % 2 ? hand_.record.bytes() : input));
        }
        break;
      case 5:
        if (const auto seen = hand_.read(to_hand_)) {
          give(hand_.endpoint, hand_.whoareyou(seen->nonce, argument));
        }
        break;
      case 6: {
        NodeId target;
        std::copy_n(input.begin(), std::min<size_t>(input.size(), 32), target.bytes.begin());
        static_cast<void>(service_->look_up(target, now_));
        break;
      }
      case 7:
        static_cast<void>(service_->talk(record_of(hand_.record), "fuzz", input, now_));
        break;
      case 8:
        give(Endpoint::loopback(static_cast<uint16_t>(3 + argument % 4)), last_);
        break;
      default:
        answer(input);
        break;
    }
    drain();
    check();
  }

 private:
  // Both peers become known, as any peer does.
  void prove() {
    give(hand_.endpoint, hand_.stranger());
    drain();
    std::vector<uint8_t> ping;
    append(ping, discv5::Ping{{{1}, 1}, 1});
    give(hand_.endpoint, hand_.handshake(to_hand_, ping, hand_.record.bytes()));
    drain();
    BL_CHECK(service_->v5().sessions() == 1);
    std::vector<uint8_t> data;
    discv4::append(data, discv4::Ping{4, {v4_at_, 4}, {}, expiration(), {}});
    give(v4_at_, signed_v4(discv4::Ping::kType, data));
    drain();
    if (!pinged_) return;
    data.clear();
    discv4::append(data, discv4::Pong{{v4_at_, 4}, *pinged_, expiration(), {}});
    give(v4_at_, signed_v4(discv4::Pong::kType, data));
    drain();
    BL_CHECK(service_->v4().bonds() == 1);
  }
  uint64_t expiration() const { return static_cast<uint64_t>(now_.wall.ns / 1'000'000'000) + 20; }

  Datagram signed_v4(uint8_t type, Bytes data) {
    Datagram out(discv4::kMaxPacket);
    data = data.first(std::min(data.size(), discv4::kMaxPacket - discv4::kHeadSize));
    out.resize(discv4::seal_packet(out, type, data, key_of_seed(1)).size);
    return out;
  }
  void give(const Endpoint& from, const Datagram& datagram) {
    last_ = datagram;
    Datagram copy = datagram;
    service_->receive(from, copy, now_);
  }
  void stranger(const Datagram& datagram) {
    drain();
    const Endpoint from = Endpoint::loopback(999);
    give(from, datagram);
    size_t got = 0;
    DatagramQueue& out = service_->outbox();
    for (; !out.empty(); out.pop()) {
      if (out.front().to == from) got += out.front().bytes.size();
    }
    BL_CHECK(got <= datagram.size());
  }
  // Answers what the service asked the peer of discv5 last, with the request's id before the input.
  void answer(Bytes input) {
    const auto seen = hand_.read(to_hand_);
    if (!seen || !seen->plain || input.empty()) return;
    const auto asked = discv5::decode_message(*seen->plain);
    if (!asked) return;
    const discv5::RequestId id = std::visit([](const auto& what) { return what.id; }, *asked);
    std::vector<uint8_t> plain;
    switch (input[0] % 3) {
      case 0:
        append(plain, discv5::Pong{id, input.size(), v4_at_});
        break;
      case 1:
        discv5::append_nodes(plain, id, input[0], input.subspan(1));
        break;
      default:
        append(plain, discv5::TalkResponse{id, input});
        break;
    }
    give(hand_.endpoint, hand_.message(plain));
  }
  void drain() {
    DatagramQueue& out = service_->outbox();
    for (; !out.empty(); out.pop()) {
      const auto datagram = out.front();
      BL_CHECK(datagram.bytes.size() <= DatagramQueue::kMaxSize);
      if (datagram.to == hand_.endpoint) {
        to_hand_.assign(datagram.bytes.begin(), datagram.bytes.end());
      } else if (datagram.to == v4_at_) {
        const auto packet = discv4::read_packet(datagram.bytes);
        if (packet && std::holds_alternative<discv4::Ping>(packet->message)) {
          pinged_ = packet->hash;
        }
      }
    }
  }
  void check() const {
    BL_CHECK(service_->v5().sessions() <= 4);
    BL_CHECK(service_->v5().calls() <= 32 && service_->v4().calls() <= 32);
    BL_CHECK(service_->v4().bonds() <= 16);
    BL_CHECK(service_->contacts().pool.size() <= 64);
    BL_CHECK(service_->next_deadline() >= MonoTime{0});
  }

  Now now_{MonoTime{1'000'000'000}, WallTime::from_unix(1'700'000'000)};
  discv5::HandPeer hand_;
  const Endpoint v4_at_;
  std::unique_ptr<Service> service_;
  Datagram to_hand_;  // the last that the service sent it
  Datagram last_;
  std::optional<Hash256> pinged_;
};

}  // namespace
}  // namespace beamline::discovery

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  discovery::World world;
  Bytes input(data, size);
  // Each step may cost some signatures: longer sequences are found by shorter runs, and more of
  // them.
  for (int steps = 0; steps < 64 && input.size() >= 2; ++steps) {
    const uint8_t what = input[0], argument = input[1];
    input = input.subspan(2);
    const size_t count = std::min<size_t>(input.size(), size_t{argument} * 4);
    world.step(what, argument, input.first(count));
    input = input.subspan(count);
  }
  return 0;
}
