// eth over real sockets: two hosts on one reactor.
#include "node/eth_host.h"

#include "codec/rlp.h"
#include "tests/loop/ring_fixture.h"

namespace beamline::node {
namespace {

// One block, whose receipts no message can hold.
class LargeReceipts final : public eth::ChainSource {
 public:
  explicit LargeReceipts(size_t count) {
    hash.bytes[0] = 3;
    rlp::Writer writer(bytes_);
    const auto block = writer.begin_list();
    for (size_t i = 0; i < count; ++i) {
      const auto receipt = writer.begin_list();
      writer.uint(1);
      writer.uint(21'000 * (i + 1));
      writer.string(std::vector<uint8_t>(256));
      const auto logs = writer.begin_list();
      const auto log = writer.begin_list();
      writer.string(std::vector<uint8_t>(20, static_cast<uint8_t>(i)));
      writer.list_header(0);
      std::vector<uint8_t> data(1'000'000);
      Rng(i).fill(data);
      writer.string(data);
      writer.end_list(log);
      writer.end_list(logs);
      writer.end_list(receipt);
    }
    writer.end_list(block);
    EXPECT_TRUE(eth::to_slim_receipts(bytes_, slim));
  }
  std::optional<uint64_t> number_of(const Hash256& of) const override {
    return of == hash ? std::optional<uint64_t>(1) : std::nullopt;
  }
  Bytes header(uint64_t) const override { return {}; }
  Bytes body(uint64_t) const override { return {}; }
  Bytes receipts(uint64_t number) const override { return number == 1 ? Bytes(bytes_) : Bytes(); }

  Hash256 hash;
  std::vector<uint8_t> slim;

 private:
  std::vector<uint8_t> bytes_;
};

struct Asker final : EthHandler {
  void on_peer(EthConnection& connection) override { peer = &connection; }
  void on_event(EthConnection&, const eth::EthEvent& event) override {
    if (event.kind != eth::EthEvent::Kind::answer) return;
    ++answers;
    size_t size = 0;
    for (const Bytes& item : event.answer.items) size += item.size();
    largest = std::max(largest, size);
    incomplete = event.answer.last_block_incomplete;
    if (event.answer.items.empty()) return;
    auto list = *rlp::parse_list(event.answer.items[0], "receipts");
    for (; !list.at_end(); ++count) {
      const Bytes one = list.next("receipt")->encoding;
      receipts.insert(receipts.end(), one.begin(), one.end());
    }
  }
  void on_gone(EthConnection&, const rlpx::Closed&) override { peer = nullptr; }

  EthConnection* peer = nullptr;
  int answers = 0;
  bool incomplete = false;
  size_t largest = 0;
  uint64_t count = 0;
  std::vector<uint8_t> receipts;
};

class EthHostTest : public RingTcpTest {
 protected:
  EthHostTest() {
    genesis_.bytes[0] = 1;
    forks_ = *eth::ForkFilter::make(genesis_, 0, {}, {});
  }
  eth::Local local(const LargeReceipts& chain, bool served) {
    eth::Local local;
    local.forks = &*forks_;
    local.status.genesis = genesis_;
    local.status.fork_id = forks_->at({});
    local.status.range = {0, 1, chain.hash};
    if (served) local.chain = &chain;
    return local;
  }
  EthHostOptions options(const secp256k1::SecretKey& key) {
    EthHostOptions made;
    made.rlpx.session.key = &key;
    return made;
  }

  Rng rng_{uint64_t{1}};
  Hash256 genesis_;
  std::optional<eth::ForkFilter> forks_;
  const secp256k1::SecretKey key_a_ = secp256k1::SecretKey::generate(rng_);
  const secp256k1::SecretKey key_b_ = secp256k1::SecretKey::generate(rng_);
  const secp256k1::SecretKey key_c_ = secp256k1::SecretKey::generate(rng_);
};

TEST_F(EthHostTest, ReceiptsOfMoreThanTenMebibytesComeInPartsOverEth70) {
  const LargeReceipts chain(23);
  ASSERT_GT(chain.slim.size(), 2 * eth::kHardAnswer);
  const eth::Local client = local(chain, false), server = local(chain, true);
  Asker at_a, at_b;
  const EthHostOptions of_b = options(key_b_);
  EthHost a(*reactor_, *tcp_, options(key_a_), client, at_a, rng_);
  EthHost b(*reactor_, *tcp_, of_b, server, at_b, rng_);
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  ASSERT_TRUE(a.dial((*listener)->local(), key_b_.public_key()));
  ASSERT_TRUE(turn_until([&] { return at_a.peer != nullptr && at_b.peer != nullptr; }));
  EXPECT_EQ(at_a.peer->peer().version(), eth::kEth70);
  int requests = 0;
  do {
    ++requests;
    ASSERT_TRUE(at_a.peer->peer().get_receipts(std::span(&chain.hash, 1), at_a.count,
                                               reactor_->now().mono));
    at_a.peer->arm();
    ASSERT_TRUE(turn_until([&] { return at_a.answers == requests || at_a.peer == nullptr; }));
    ASSERT_NE(at_a.peer, nullptr) << "disconnected";
  } while (at_a.incomplete && requests < 9);
  EXPECT_EQ(requests, 3);
  EXPECT_EQ(at_a.count, 23u);
  EXPECT_LE(at_a.largest, eth::kHardAnswer);
  std::vector<uint8_t> whole;
  rlp::Writer(whole).list_header(at_a.receipts.size());
  whole.insert(whole.end(), at_a.receipts.begin(), at_a.receipts.end());
  EXPECT_TRUE(whole == chain.slim);
  // Costs by bytes, and not by the clock: no turn went over more than the options say, but for one
  // receipt, which is converted at once.
  constexpr uint64_t kReceipt = 1'010'000;
  EXPECT_GE(b.serve_stats().serve_bytes, chain.slim.size());
  EXPECT_LE(b.serve_stats().serve_bytes_peak, of_b.turn_bytes + kReceipt);
  EXPECT_GE(b.stats().work_bytes, 2 * chain.slim.size());  // compressed, and sealed
  EXPECT_LE(b.stats().work_bytes_peak, of_b.rlpx.turn_bytes);
  std::printf(
      "%zu bytes of receipts: served in %lu turns, at most %lu bytes in one; compressed and "
      "sealed in %lu, at most %lu; %lu turns of over 5 ms, the longest %.1f ms\n",
      chain.slim.size(), static_cast<unsigned long>(b.serve_stats().serve_turns),
      static_cast<unsigned long>(b.serve_stats().serve_bytes_peak),
      static_cast<unsigned long>(b.stats().work_turns),
      static_cast<unsigned long>(b.stats().work_bytes_peak),
      static_cast<unsigned long>(reactor_->stats().stalls),
      to_seconds(reactor_->stats().longest_stall) * 1e3);
}

// While ten mebibytes are put together, sealed and sent to one peer, the others get their answers.
TEST_F(EthHostTest, ALargeAnswerToOnePeerHoldsUpNoOther) {
  const LargeReceipts chain(23);
  const eth::Local client = local(chain, false), server = local(chain, true);
  Asker at_a, at_b, at_c;
  EthHost a(*reactor_, *tcp_, options(key_a_), client, at_a, rng_);
  EthHost b(*reactor_, *tcp_, options(key_b_), server, at_b, rng_);
  EthHost c(*reactor_, *tcp_, options(key_c_), client, at_c, rng_);
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  ASSERT_TRUE(a.dial((*listener)->local(), key_b_.public_key()));
  ASSERT_TRUE(c.dial((*listener)->local(), key_b_.public_key()));
  ASSERT_TRUE(turn_until([&] { return at_a.peer != nullptr && at_c.peer != nullptr; }));
  const auto ask = [&](Asker& asker, const Hash256& hash) {
    ASSERT_TRUE(asker.peer->peer().get_receipts(std::span(&hash, 1), 0, reactor_->now().mono));
    asker.peer->arm();
  };
  ask(at_a, chain.hash);
  int between = 0;
  ask(at_c, Hash256{});  // not known: an empty answer
  ASSERT_TRUE(turn_until([&] {
    if (at_c.answers > between) {
      between = at_c.answers;
      if (at_a.answers == 0) ask(at_c, Hash256{});
    }
    return at_a.answers == 1;
  }));
  std::printf("%d answers to another peer beside one of %zu bytes\n", between, at_a.largest);
  EXPECT_GE(between, 5);
}

}  // namespace
}  // namespace beamline::node
