// What a session costs while nothing happens, and that messages pass without allocations.
#include <malloc.h>

#include "rlpx/eth/peer.h"
#include "rlpx/session.h"
#include "tests/loop/allocations.h"

namespace beamline::rlpx {
namespace {

using secp256k1::SecretKey;

constexpr MonoTime kNow{1};
constexpr Capability kEth[] = {{"eth", 69, 18}};

struct Pair : eth::Sink {
  explicit Pair(uint64_t seed)
      : rng(seed),
        key_a(SecretKey::generate(rng)),
        key_b(SecretKey::generate(rng)),
        options_a{.key = &key_a, .capabilities = kEth},
        options_b{.key = &key_b, .capabilities = kEth} {}
  void connect() {
    b = std::make_unique<Session>(Session::recipient(options_b, rng, kNow));
    a = std::make_unique<Session>(Session::initiator(options_a, key_b.public_key(), rng, kNow));
    for (int i = 0; i < 4; ++i) {
      move(*a, *b);
      move(*b, *a);
    }
  }
  Status send(eth::Message message, Bytes payload) override {
    return a->send(0, static_cast<uint8_t>(message), payload, kNow);
  }
  size_t move(Session& from, Session& to) {
    const size_t size = from.output().size();
    if (size != 0) std::memcpy(buffer.data(), from.output().data(), size);
    from.wrote(size, kNow);
    size_t received = 0;
    // In two parts, so that a frame is put together.
    for (MutableBytes part : {MutableBytes(buffer).first(size / 2),
                              MutableBytes(buffer).subspan(size / 2, size - size / 2)}) {
      while (!part.empty()) received += to.receive(part, kNow).payload.size();
    }
    return received;
  }

  Rng rng;
  const SecretKey key_a, key_b;
  SessionOptions options_a, options_b;
  std::vector<uint8_t> buffer = std::vector<uint8_t>(1 << 20);
  std::unique_ptr<Session> a, b;
};

TEST(RlpxMemory, AnIdleSessionWithEthIsSmall) {
  Pair pair(1);
  pair.connect();  // what libcrypto keeps for all
  std::vector<std::pair<std::unique_ptr<Session>, std::unique_ptr<Session>>> all;
  std::vector<std::unique_ptr<eth::Peer>> peers;
  const auto forks = eth::ForkFilter::make({}, 0, {}, {});
  eth::Local local;
  local.status.range.latest_hash.bytes[0] = 1;
  local.forks = &*forks;
  constexpr size_t kPairs = 100;
  all.reserve(kPairs);
  peers.reserve(kPairs);
  const size_t before = mallinfo2().uordblks;
  for (size_t i = 0; i < kPairs; ++i) {
    pair.connect();
    peers.push_back(
        std::make_unique<eth::Peer>(eth::kEth69, local, pair, eth::PeerOptions{}, kNow));
    pair.move(*pair.a, *pair.b);
    // A minute of silence: Ping and Pong.
    const MonoTime quiet = kNow + seconds(16);
    pair.a->on_deadline(quiet);
    pair.b->on_deadline(quiet);
    pair.move(*pair.a, *pair.b);
    pair.move(*pair.b, *pair.a);
    all.emplace_back(std::move(pair.a), std::move(pair.b));
  }
  const size_t each = (mallinfo2().uordblks - before) / (2 * kPairs);
  std::printf("rlpx.idle.bytes: %zu a session, half of them with eth (%zu)\n", each,
              sizeof(eth::Peer));
  EXPECT_LE(each + sizeof(eth::Peer), 8192u);
}

// With snappy there is one for each message that is sent: libsnappy's own working memory.
TEST(RlpxMemory, MessagesPassWithoutAllocationsOfOurs) {
  for (const uint64_t version : std::initializer_list<uint64_t>{4, 5}) {
    Pair pair(2);
    pair.options_a.version = version;
    pair.connect();
    const std::vector<uint8_t> payload(100'000, 7);
    for (int i = 0; i < 3; ++i) {  // buffers grow to their size
      ASSERT_TRUE(pair.a->send(0, 1, payload, kNow));
      ASSERT_EQ(pair.move(*pair.a, *pair.b), payload.size());
    }
    const uint64_t before = allocations_of_this_thread();
    for (size_t i = 0; i < 100; ++i) {
      ASSERT_TRUE(pair.a->send(0, 1, Bytes(payload).first(1 + 900 * i), kNow));
      ASSERT_EQ(pair.move(*pair.a, *pair.b), 1 + 900 * i);
    }
    EXPECT_EQ(allocations_of_this_thread() - before, version == 5 ? 100u : 0u);
  }
}

}  // namespace
}  // namespace beamline::rlpx
