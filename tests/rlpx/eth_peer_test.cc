#include <deque>
#include <map>

#include "base/rng.h"
#include "crypto/keccak.h"
#include "rlpx/eth/peer.h"
#include "tests/crypto/test_hex.h"

namespace beamline::eth {
namespace {

constexpr MonoTime kStart{1'000'000'000};

struct Wire : Sink {
  Status send(Message message, Bytes payload) override {
    if (full) return local_error(Code::full, "wire");
    sent.push_back({message, {payload.begin(), payload.end()}});
    return {};
  }
  bool full = false;
  std::deque<std::pair<Message, std::vector<uint8_t>>> sent;
};

// A chain of made-up items.
struct TestChain : ChainSource {
  explicit TestChain(size_t count, size_t item_size = 100) {
    for (size_t i = 0; i < count; ++i) {
      std::vector<uint8_t> item;
      rlp::Writer writer(item);
      const auto list = writer.begin_list();
      writer.uint(i);
      writer.string(std::vector<uint8_t>(item_size));
      writer.end_list(list);
      numbers[keccak256(item)] = i;
      headers.push_back(item);
    }
  }
  std::optional<uint64_t> number_of(const Hash256& hash) const override {
    const auto found = numbers.find(hash);
    return found == numbers.end() ? std::nullopt : std::optional(found->second);
  }
  Bytes header(uint64_t number) const override {
    return number < headers.size() ? Bytes(headers[number]) : Bytes();
  }
  Bytes body(uint64_t number) const override { return header(number); }
  Bytes receipts(uint64_t number) const override {
    return number < blocks.size() ? Bytes(blocks[number]) : Bytes();
  }
  Hash256 hash(size_t number) const { return keccak256(headers[number]); }

  std::vector<std::vector<uint8_t>> headers;
  std::vector<std::vector<uint8_t>> blocks;  // of receipts
  std::map<Hash256, uint64_t> numbers;
};

class EthPeer : public testing::Test {
 protected:
  Local local(const ChainSource* chain) {
    Local made;
    made.status.network_id = 5;
    made.status.genesis = Hash256{{1}};
    made.status.fork_id = forks_.at({});
    made.status.range = {0, 9, Hash256{{9}}};
    made.forks = &forks_;
    made.chain = chain;
    return made;
  }
  // Moves messages both ways; what the first peer is told.
  std::vector<EthEvent> run(Peer& a, Wire& to_b, Peer& b, Wire& to_a) {
    std::vector<EthEvent> events;
    while (!to_b.sent.empty() || !to_a.sent.empty()) {
      if (!to_b.sent.empty()) {
        const auto [message, payload] = to_b.sent.front();
        to_b.sent.pop_front();
        const auto event = b.receive(static_cast<uint8_t>(message), payload, now_);
        EXPECT_TRUE(event) << to_string(event.error());
      }
      if (!to_a.sent.empty()) {
        kept_.push_back(to_a.sent.front().second);
        const Message message = to_a.sent.front().first;
        to_a.sent.pop_front();
        auto event = a.receive(static_cast<uint8_t>(message), kept_.back(), now_);
        EXPECT_TRUE(event) << to_string(event.error());
        if (event && event->kind != EthEvent::Kind::none) events.push_back(std::move(*event));
      }
    }
    return events;
  }

  const ForkFilter forks_ = *ForkFilter::make(Hash256{{1}}, 0, {}, {});
  MonoTime now_ = kStart;
  std::deque<std::vector<uint8_t>> kept_;
};

TEST_F(EthPeer, StatusThenHeadersBodiesAndReceiptsInEachVersion) {
  TestChain chain(50);
  for (int i = 0; i < 3; ++i) chain.blocks.push_back(unhex("c0"));
  const Local client = local(nullptr), server = local(&chain);
  for (const uint32_t version : {kEth68, kEth69, kEth70}) {
    Wire to_a, to_b;
    Peer a(version, client, to_b, {}, now_), b(version, server, to_a, {}, now_);
    EXPECT_EQ(a.get_headers({.limit = 1}, now_).error().code, Code::unexpected);
    auto events = run(a, to_b, b, to_a);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, EthEvent::Kind::ready);
    ASSERT_TRUE(b.ready());
    EXPECT_EQ(a.range().latest, version == kEth68 ? 0u : 9u);

    EXPECT_EQ(*a.get_headers({.start_number = 10, .limit = 4, .skip = 2}, now_), 0u);
    EXPECT_EQ(*a.get_headers({.start_hash = chain.hash(5), .limit = 9, .reverse = true}, now_), 1u);
    const std::vector<Hash256> hashes = {chain.hash(1), Hash256{{7}}, chain.hash(2)};
    EXPECT_EQ(*a.get_bodies(hashes, now_), 2u);
    EXPECT_EQ(*a.get_receipts(hashes, 0, now_), 3u);
    EXPECT_EQ(a.in_flight(), 4u);
    events = run(a, to_b, b, to_a);
    ASSERT_EQ(events.size(), 4u);
    const auto items = [&](size_t event) { return events[event].answer.items; };
    ASSERT_EQ(items(0).size(), 4u);
    EXPECT_TRUE(equal(items(0)[3], chain.headers[19]));  // the raw bytes
    ASSERT_EQ(items(1).size(), 6u);                      // down to genesis
    EXPECT_TRUE(equal(items(1)[5], chain.headers[0]));
    ASSERT_EQ(items(2).size(), 2u);  // the unknown one is left out
    EXPECT_EQ(items(3).size(), 1u);  // receipts end at the first that is not known
    EXPECT_EQ(events[3].request, Message::get_receipts);
    EXPECT_EQ(a.in_flight(), 0u);
    EXPECT_EQ(b.stats().served, 4u);
  }
}

TEST_F(EthPeer, AnswersEndAtTheirLimits) {
  const TestChain many(2000), large(40, 100'000);
  for (const TestChain* chain : {&many, &large}) {
    const Local client = local(nullptr), server = local(chain);
    Wire to_a, to_b;
    Peer a(kEth68, client, to_b, {}, now_), b(kEth68, server, to_a, {}, now_);
    run(a, to_b, b, to_a);
    ASSERT_TRUE(a.get_headers({.limit = UINT64_MAX}, now_));
    const auto events = run(a, to_b, b, to_a);
    // Headers: 1,024; bytes: 2 MiB and the item that goes over it.
    EXPECT_EQ(events[0].answer.items.size(), chain == &many ? 1024u : 21u);
  }
}

TEST_F(EthPeer, StepsThatOverflowEndTheAnswer) {
  const TestChain chain(10);
  const Local client = local(nullptr), server = local(&chain);
  Wire to_a, to_b;
  Peer a(kEth68, client, to_b, {}, now_), b(kEth68, server, to_a, {}, now_);
  run(a, to_b, b, to_a);
  ASSERT_TRUE(a.get_headers({.start_number = 1, .limit = 5, .skip = UINT64_MAX}, now_));
  ASSERT_TRUE(a.get_headers({.start_number = 1, .limit = 5, .skip = UINT64_MAX - 1}, now_));
  ASSERT_TRUE(a.get_headers({.start_number = 5, .limit = 9, .skip = 9, .reverse = true}, now_));
  ASSERT_TRUE(a.get_headers({.start_number = UINT64_MAX, .limit = 9}, now_));
  const auto events = run(a, to_b, b, to_a);
  ASSERT_EQ(events.size(), 4u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(events[i].answer.items.size(), 1u);
  EXPECT_EQ(events[3].answer.items.size(), 0u);
}

TEST_F(EthPeer, PartialReceiptsOfEth70GoOnWhereTheyEnded) {
  TestChain chain(1);
  std::vector<uint8_t> receipts;
  rlp::Writer writer(receipts);
  const auto block = writer.begin_list();
  for (int i = 0; i < 30; ++i) {  // 15 MB in one block
    const auto receipt = writer.begin_list();
    writer.uint(1);
    writer.uint(21'000);
    writer.string(std::vector<uint8_t>(256));
    const auto logs = writer.begin_list();
    writer.string(std::vector<uint8_t>(500'000, static_cast<uint8_t>(i + 1)));
    writer.end_list(logs);
    writer.end_list(receipt);
  }
  writer.end_list(block);
  chain.blocks.push_back(receipts);
  const Local client = local(nullptr), server = local(&chain);
  Wire to_a, to_b;
  Peer a(kEth70, client, to_b, {}, now_), b(kEth70, server, to_a, {}, now_);
  run(a, to_b, b, to_a);
  uint64_t have = 0;
  int requests = 0;
  for (bool incomplete = true; incomplete && requests < 5; ++requests) {
    ASSERT_TRUE(a.get_receipts(std::vector{chain.hash(0)}, have, now_));
    const auto events = run(a, to_b, b, to_a);
    ASSERT_EQ(events.size(), 1u);
    ASSERT_EQ(events[0].answer.items.size(), 1u);
    incomplete = events[0].answer.last_block_incomplete;
    auto list = *rlp::parse_list(events[0].answer.items[0], "receipts");
    for (; !list.at_end(); ++have) ASSERT_TRUE(list.next("receipt"));
  }
  EXPECT_EQ(have, 30u);
  EXPECT_EQ(requests, 2);
  EXPECT_FALSE(Peer(kEth69, client, to_b, {}, now_).get_receipts({}, 1, now_));
}

// A receipt with that much data, in its consensus form or in eth/69's.
void write_receipt(rlp::Writer& writer, size_t data, bool slim) {
  const auto receipt = writer.begin_list();
  if (slim) writer.uint(0);
  writer.uint(1);
  writer.uint(21'000);
  if (!slim) writer.string(std::vector<uint8_t>(256));
  const auto logs = writer.begin_list();
  writer.string(std::vector<uint8_t>(data, 7));
  writer.end_list(logs);
  writer.end_list(receipt);
}

std::vector<uint8_t> block_of_receipts(std::span<const size_t> sizes, bool slim) {
  std::vector<uint8_t> out;
  rlp::Writer writer(out);
  const auto block = writer.begin_list();
  for (const size_t size : sizes) write_receipt(writer, size, slim);
  writer.end_list(block);
  return out;
}

// Blocks around the limit of a message, to the byte, asked for as a client does: from where the
// last answer ended. Each answer fits and brings something new, and all of it is what was there.
TEST_F(EthPeer, PartialReceiptsComeWholeWhereverAMessageEnds) {
  constexpr size_t kHalf = 5'000'000;
  const std::vector<size_t> small = {100, 200};
  const size_t room = kHardAnswer - 64 - block_of_receipts(small, true).size();
  const size_t two = block_of_receipts(std::vector<size_t>{kHalf, kHalf}, true).size();
  for (size_t round = 0; round < 7; ++round) {
    // The list of the first two receipts is so long that it just fits, or just does not.
    const std::vector<size_t> around = {kHalf, kHalf + room - two - 3 + round, 5};
    TestChain chain(2);
    std::vector<std::vector<uint8_t>> expected;
    for (const auto& block : {small, around}) {
      chain.blocks.push_back(block_of_receipts(block, false));
      expected.push_back(block_of_receipts(block, true));
    }
    const Local client = local(nullptr), server = local(&chain);
    Wire to_a, to_b;
    Peer a(kEth70, client, to_b, {}, now_), b(kEth70, server, to_a, {}, now_);
    run(a, to_b, b, to_a);
    std::vector<std::vector<uint8_t>> have(1);  // receipts of each block
    uint64_t first = 0;
    for (int requests = 0; have.size() <= 2 && requests < 9; ++requests) {
      std::vector<Hash256> hashes;
      for (size_t block = have.size() - 1; block < 2; ++block) hashes.push_back(chain.hash(block));
      ASSERT_TRUE(a.get_receipts(hashes, first, now_));
      kept_.clear();
      const auto events = run(a, to_b, b, to_a);
      ASSERT_EQ(events.size(), 1u) << "round " << round;
      EXPECT_LE(kept_.back().size(), kHardAnswer);
      const Answer& answer = events[0].answer;
      ASSERT_FALSE(answer.items.empty()) << "round " << round;
      for (const Bytes& item : answer.items) {
        auto list = *rlp::parse_list(item, "receipts");
        EXPECT_FALSE(list.at_end()) << "round " << round;
        for (; !list.at_end(); ++first) {
          const Bytes one = list.next("receipt")->encoding;
          have.back().insert(have.back().end(), one.begin(), one.end());
        }
        if (&item == &answer.items.back() && answer.last_block_incomplete) break;
        have.emplace_back();
        first = 0;
      }
    }
    ASSERT_EQ(have.size(), 3u) << "round " << round;
    for (size_t block = 0; block < 2; ++block) {
      std::vector<uint8_t> whole;
      rlp::Writer(whole).list_header(have[block].size());
      whole.insert(whole.end(), have[block].begin(), have[block].end());
      EXPECT_TRUE(whole == expected[block]) << "round " << round << " block " << block;
    }
  }
}

TEST_F(EthPeer, AReceiptThatNoMessageCanCarryIsNoEmptyPart) {
  TestChain chain(2);
  chain.blocks.push_back(block_of_receipts(std::vector<size_t>{1000}, false));
  chain.blocks.push_back(block_of_receipts(std::vector<size_t>{kHardAnswer, 5}, false));
  const Local client = local(nullptr), server = local(&chain);
  Wire to_a, to_b;
  Peer a(kEth70, client, to_b, {}, now_), b(kEth70, server, to_a, {}, now_);
  run(a, to_b, b, to_a);
  for (const size_t from : {size_t{0}, size_t{1}}) {
    std::vector<Hash256> hashes;
    for (size_t block = from; block < 2; ++block) hashes.push_back(chain.hash(block));
    ASSERT_TRUE(a.get_receipts(hashes, 0, now_));
    const auto events = run(a, to_b, b, to_a);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].answer.items.size(), 1 - from);
    EXPECT_FALSE(events[0].answer.last_block_incomplete);
  }
}

// Before eth/70 there is no part of a block: what does not fit is left out.
TEST_F(EthPeer, ReceiptsOverTheMessageLimitAreLeftOutBeforeEth70) {
  TestChain chain(2);
  chain.blocks.push_back(block_of_receipts(std::vector<size_t>{1000}, false));
  chain.blocks.push_back(block_of_receipts(std::vector<size_t>(8, 1'500'000), false));
  const Local client = local(nullptr), server = local(&chain);
  for (const uint32_t version : {kEth68, kEth69}) {
    Wire to_a, to_b;
    Peer a(version, client, to_b, {}, now_), b(version, server, to_a, {}, now_);
    run(a, to_b, b, to_a);
    ASSERT_TRUE(a.get_receipts(std::vector{chain.hash(0), chain.hash(1)}, 0, now_));
    const auto events = run(a, to_b, b, to_a);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].answer.items.size(), 1u);
  }
}

TEST_F(EthPeer, PeersOfOtherChainsAreRefused) {
  const Local ours = local(nullptr);
  const auto status_of = [&](auto change) {
    Local theirs = local(nullptr);
    theirs.status.version = kEth69;
    change(theirs.status);
    std::vector<uint8_t> bytes;
    theirs.status.encode(bytes);
    Wire wire;
    Peer peer(kEth69, ours, wire, {}, now_);
    return peer.receive(0, bytes, now_);
  };
  EXPECT_TRUE(status_of([](StatusMessage&) {}));
  EXPECT_STREQ(status_of([](auto& s) { s.network_id = 6; }).error().field, "status.network_id");
  EXPECT_STREQ(status_of([](auto& s) { s.genesis = {}; }).error().field, "status.genesis");
  EXPECT_STREQ(status_of([](auto& s) { s.fork_id.hash = {}; }).error().field, "fork_id.hash");
  EXPECT_STREQ(status_of([](auto& s) { s.version = kEth70; }).error().field, "status.version");
  EXPECT_STREQ(status_of([](auto& s) { s.range.earliest = 10; }).error().field, "range");
  const auto other = status_of([](auto& s) { s.network_id = 6; });
  EXPECT_EQ(disconnect_reason(other.error()), rlpx::DisconnectReason::useless_peer);
  const auto liar = status_of([](auto& s) { s.range.earliest = 10; });
  EXPECT_EQ(disconnect_reason(liar.error()), rlpx::DisconnectReason::breach_of_protocol);
}

class EthHostile : public EthPeer {
 protected:
  void SetUp() override {
    local_ = local(nullptr);
    peer_.emplace(kEth69, local_, wire_, PeerOptions{}, now_);
  }
  void make_ready() {
    StatusMessage status = local_.status;
    status.version = kEth69;
    std::vector<uint8_t> bytes;
    status.encode(bytes);
    ASSERT_TRUE(peer_->receive(0, bytes, now_));
    wire_.sent.clear();
  }
  Result<EthEvent> answer(Message message, uint64_t id, size_t items) {
    payload_.clear();
    begin_answer(id, items, payload_);
    payload_.insert(payload_.end(), items, 0xc0);
    return peer_->receive(static_cast<uint8_t>(message), payload_, now_);
  }
  Local local_;
  Wire wire_;
  std::optional<Peer> peer_;
  std::vector<uint8_t> payload_;
};

TEST_F(EthHostile, NothingBeforeStatusAndNoSecondOne) {
  EXPECT_EQ(peer_->receive(3, unhex("c0"), now_).error().code, Code::unexpected);
  make_ready();
  EXPECT_EQ(peer_->receive(0, unhex("c0"), now_).error().code, Code::unexpected);
}

TEST_F(EthHostile, NoStatusInTimeIsTheEnd) {
  EXPECT_EQ(peer_->deadline(), kStart + seconds(5));
  EXPECT_TRUE(peer_->on_deadline(kStart + seconds(4)));
  EXPECT_EQ(peer_->on_deadline(kStart + seconds(5)).error().code, Code::timed_out);
}

TEST_F(EthHostile, AnInvalidRangeUpdateIsAnError) {
  make_ready();
  const auto update = [&](const BlockRange& range) {
    std::vector<uint8_t> bytes;
    encode_range_update(range, bytes);
    return peer_->receive(0x11, bytes, now_);
  };
  EXPECT_EQ(update({1, 20, Hash256{{1}}})->kind, EthEvent::Kind::range);
  EXPECT_EQ(peer_->range().latest, 20u);
  const auto wrong = update({21, 20, Hash256{{1}}});
  EXPECT_EQ(disconnect_reason(wrong.error()), rlpx::DisconnectReason::breach_of_protocol);
  EXPECT_EQ(peer_->range().earliest, 1u);
  Peer older(kEth68, local_, wire_, {}, now_);
  EXPECT_FALSE(older.receive(0x11, unhex("c0"), now_));
}

TEST_F(EthHostile, AnswersToNothingToAnotherQuestionAndTooLongOnes) {
  make_ready();
  ASSERT_EQ(answer(Message::block_headers, 0, 1)->kind, EthEvent::Kind::none);
  EXPECT_EQ(peer_->stats().late, 1u);
  ASSERT_EQ(*peer_->get_headers({.limit = 3}, now_), 0u);
  EXPECT_STREQ(answer(Message::block_bodies, 0, 1).error().field, "request_id");
  EXPECT_EQ(answer(Message::block_headers, 0, 4).error().code, Code::too_long);
  EXPECT_EQ(answer(Message::block_headers, 0, 3)->kind, EthEvent::Kind::answer);
  ASSERT_EQ(answer(Message::block_headers, 0, 3)->kind, EthEvent::Kind::none);  // once
  EXPECT_EQ(peer_->stats().late, 2u);
}

TEST_F(EthHostile, RequestsTimeOutOneByOneAndAreBounded) {
  make_ready();
  for (size_t i = 0; i < Peer::kMaxRequests; ++i) {
    ASSERT_EQ(*peer_->get_headers({.limit = 1}, now_), i);
    now_ = now_ + seconds(1);
  }
  EXPECT_EQ(peer_->get_headers({.limit = 1}, now_).error().code, Code::full);
  EXPECT_EQ(peer_->stats().refused_full, 1u);
  EXPECT_EQ(peer_->deadline(), kStart + seconds(15));
  EXPECT_EQ(peer_->on_deadline(kStart + seconds(14))->kind, EthEvent::Kind::none);
  const auto event = peer_->on_deadline(kStart + seconds(15));
  EXPECT_EQ(event->kind, EthEvent::Kind::timed_out);
  EXPECT_EQ(event->request_id, 0u);
  EXPECT_EQ(peer_->on_deadline(kStart + seconds(15))->kind, EthEvent::Kind::none);
  EXPECT_TRUE(peer_->get_headers({.limit = 1}, now_));
}

// What is in them is not looked at; how many there are is.
TEST_F(EthHostile, TransactionsAndHashesArriveAsOpaqueBytesWithinTheirLimits) {
  make_ready();
  const auto transactions = [&](size_t count) {
    std::vector<uint8_t> bytes;
    rlp::Writer writer(bytes);
    const auto list = writer.begin_list();
    for (size_t i = 0; i < count; ++i) writer.string(unhex("03ffff"));  // of no type there is
    writer.end_list(list);
    return bytes;
  };
  const std::vector<uint8_t> three = transactions(3);
  const auto event = peer_->receive(2, three, now_);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, EthEvent::Kind::transactions);
  ASSERT_EQ(event->answer.items.size(), 3u);
  EXPECT_TRUE(equal(event->answer.items[2], unhex("8303ffff")));
  EXPECT_TRUE(peer_->receive(2, transactions(kMaxTransactions), now_));
  EXPECT_EQ(peer_->receive(2, transactions(kMaxTransactions + 1), now_).error().code,
            Code::too_long);
  const auto hashes = [&](size_t count) {
    const std::vector<uint8_t> types(count, 3);
    PooledHashes made{types, std::vector<uint64_t>(count, 200), std::vector<Hash256>(count)};
    std::vector<uint8_t> bytes;
    made.encode(bytes);
    return bytes;
  };
  const std::vector<uint8_t> two = hashes(2);
  const auto announced = peer_->receive(8, two, now_);
  ASSERT_TRUE(announced);
  EXPECT_EQ(announced->kind, EthEvent::Kind::hashes);
  EXPECT_EQ(announced->hashes.hashes.size(), 2u);
  EXPECT_EQ(peer_->receive(8, hashes(kMaxHashes + 1), now_).error().code, Code::too_long);
}

// Requests beyond what waits for its answer are dropped and counted; the others are answered in
// their order, a slice at a time.
TEST_F(EthHostile, AFloodOfRequestsIsBoundedAndServedInSlices) {
  const TestChain chain(1000, 1000);
  local_.chain = &chain;
  make_ready();
  for (uint64_t id = 0; id < Server::kMaxWaiting + 5; ++id) {
    payload_.clear();
    GetBlockHeaders{.request_id = id, .limit = 600}.encode(payload_);
    ASSERT_TRUE(peer_->receive(3, payload_, now_, 0));
  }
  EXPECT_EQ(peer_->stats().refused_waiting, 5u);
  EXPECT_TRUE(wire_.sent.empty());
  uint64_t before = 0;
  for (size_t slices = 0; peer_->serving(); ++slices) {
    ASSERT_LT(slices, 1000u);
    ASSERT_TRUE(peer_->serve(100'000));
    EXPECT_LE(peer_->stats().served_bytes - before, 100'000u + 1100);
    before = peer_->stats().served_bytes;
  }
  ASSERT_EQ(wire_.sent.size(), Server::kMaxWaiting);
  for (size_t id = 0; id < wire_.sent.size(); ++id) {
    const auto answer = Answer::decode(wire_.sent[id].second, kMaxHeaders);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->request_id, id);
    EXPECT_EQ(answer->items.size(), 600u);
  }
}

TEST_F(EthHostile, AFullWireIsCountedOnBothSides) {
  make_ready();
  wire_.full = true;
  EXPECT_EQ(peer_->get_headers({.limit = 1}, now_).error().code, Code::full);
  EXPECT_EQ(peer_->in_flight(), 0u);
  payload_.clear();
  GetBlockHeaders{.limit = 1}.encode(payload_);
  EXPECT_TRUE(peer_->receive(3, payload_, now_));
  EXPECT_EQ(peer_->stats().not_served, 1u);
}

TEST_F(EthHostile, RandomMessagesAreEventsOrTypedErrors) {
  make_ready();
  const uint64_t seed = 9;
  Rng rng(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<uint8_t> bytes(rng.below(40));
    rng.fill(bytes);
    if (!bytes.empty() && bytes.size() < 56) {
      bytes[0] = static_cast<uint8_t>(0xc0 + bytes.size() - 1);
    }
    const auto event = peer_->receive(static_cast<uint8_t>(rng.below(24)), bytes, now_);
    if (!event) {
      ASSERT_EQ(event.error().fault, Fault::peer) << "seed " << seed;
    }
    wire_.sent.clear();
  }
}

}  // namespace
}  // namespace beamline::eth
