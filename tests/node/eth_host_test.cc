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

class EthHostTest : public RingTcpTest {};

TEST_F(EthHostTest, ReceiptsOfMoreThanTenMebibytesComeInPartsOverEth70) {
  Rng rng(uint64_t{1});
  const auto key_a = secp256k1::SecretKey::generate(rng);
  const auto key_b = secp256k1::SecretKey::generate(rng);
  const LargeReceipts chain(23);
  ASSERT_GT(chain.slim.size(), 2 * eth::kHardAnswer);
  Hash256 genesis;
  genesis.bytes[0] = 1;
  const auto forks = *eth::ForkFilter::make(genesis, 0, {}, {});
  eth::Local client, server;
  for (eth::Local* local : {&client, &server}) {
    local->forks = &forks;
    local->status.genesis = genesis;
    local->status.fork_id = forks.at({});
    local->status.range = {0, 1, chain.hash};
  }
  server.chain = &chain;
  Asker at_a, at_b;
  EthHostOptions of_a, of_b;
  of_a.rlpx.session.key = &key_a;
  of_b.rlpx.session.key = &key_b;
  EthHost a(*reactor_, *tcp_, of_a, client, at_a, rng);
  EthHost b(*reactor_, *tcp_, of_b, server, at_b, rng);
  const Closer closer(*this);
  const auto listener = b.listen(Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  ASSERT_TRUE(a.dial((*listener)->local(), key_b.public_key()));
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
}

}  // namespace
}  // namespace beamline::node
