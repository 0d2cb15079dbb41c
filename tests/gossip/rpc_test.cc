#include "gossip/rpc.h"

#include "base/rng.h"
#include "router_fixture.h"

namespace beamline::gossip {
namespace {

std::vector<uint8_t> bytes_of(std::initializer_list<int> values) {
  std::vector<uint8_t> out;
  for (int v : values) out.push_back(static_cast<uint8_t>(v));
  return out;
}

// Byte for byte as the schema of the gossipsub specs says, written out by hand.
TEST(Rpc, BytesOfEachMessage) {
  EXPECT_TRUE(equal(subscription("ab"), bytes_of({8, 0x0a, 6, 0x08, 1, 0x12, 2, 'a', 'b'})));
  EXPECT_TRUE(equal(subscription("ab", false), bytes_of({8, 0x0a, 6, 0x08, 0, 0x12, 2, 'a', 'b'})));
  EXPECT_TRUE(equal(encode_message(as_bytes("t"), as_bytes("xyz")).frame,
                    bytes_of({10, 0x12, 8, 0x12, 3, 'x', 'y', 'z', 0x22, 1, 't'})));
  EXPECT_TRUE(equal(graft("t"), bytes_of({7, 0x1a, 5, 0x1a, 3, 0x0a, 1, 't'})));
  EXPECT_TRUE(equal(prune("t", 60), bytes_of({9, 0x1a, 7, 0x22, 5, 0x0a, 1, 't', 0x18, 60})));
  EXPECT_TRUE(equal(prune("t", 0), bytes_of({7, 0x1a, 5, 0x22, 3, 0x0a, 1, 't'})));
  const MessageId id = numbered_id(1);
  const SharedBytes idontwant = encode_idontwant({&id, 1});
  EXPECT_TRUE(equal(idontwant.bytes().first(7), bytes_of({26, 0x1a, 24, 0x2a, 22, 0x0a, 20})));
}

std::string hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (uint8_t byte : bytes) out += {kDigits[byte >> 4], kDigits[byte & 15]};
  return out;
}

// What @chainsafe/libp2p-gossipsub 6.3.0 (Lodestar 1.5.1) encodes for the same values, behind the
// length.
TEST(Rpc, BytesAreThoseOfLodestar) {
  const std::string topic =
      "2f657468322f62353330336632612f626561636f6e5f626c6f636b2f73737a5f736e61707079";
  EXPECT_EQ(hex(subscription(kBlocks)), "2c0a2a08011226" + topic);
  EXPECT_EQ(hex(subscription(kBlocks, false)), "2c0a2a08001226" + topic);
  const uint8_t data[] = {0x0c, 0x2c, 'h', 'e', 'l', 'l', 'o', ' ', 'b', 'l', 'o', 'c', 'k'};
  EXPECT_EQ(hex(encode_message(as_bytes(kBlocks), data).frame),
            "391237120d0c2c68656c6c6f20626c6f636b2226" + topic);
  EXPECT_EQ(hex(graft(kBlocks)), "2c1a2a1a280a26" + topic);
  EXPECT_EQ(hex(prune(kBlocks, 60)), "2e1a2c222a0a26" + topic + "183c");
  MessageId id;
  for (uint8_t i = 0; i < 20; ++i) id.bytes[i] = i;
  EXPECT_EQ(hex(encode_ihave(as_bytes(kBlocks), {&id, 1})),
            "421a400a3e0a26" + topic + "1214000102030405060708090a0b0c0d0e0f10111213");
}

// One RPC of the same library with all its control messages.
TEST(Rpc, ReadsLodestarsControl) {
  const std::string topic = "\x0a\x26" + std::string(kBlocks);
  std::string id(20, 0);
  for (size_t i = 0; i < 20; ++i) id[i] = static_cast<char>(i);
  const std::string rpc = "\x1a\xc4\x01\x0a\x3e" + topic + "\x12\x14" + id + "\x12\x2c\x0a\x14" +
                          id + "\x0a\x14" + id + "\x1a\x28" + topic + "\x22\x2a" + topic +
                          "\x18\x3c";
  Result<RpcReader> reader = RpcReader::open(as_bytes(rpc), {});
  ASSERT_TRUE(reader.has_value());
  using Kind = RpcItem::Kind;
  RpcItem item;
  for (Kind kind : {Kind::ihave, Kind::iwant, Kind::graft, Kind::prune}) {
    ASSERT_TRUE(reader->next(item));
    EXPECT_EQ(item.kind, kind);
    EXPECT_EQ(as_text(item.topic), kind == Kind::iwant ? "" : kBlocks);
  }
  EXPECT_EQ(item.backoff, 60u);
  EXPECT_FALSE(reader->next(item));
}

TEST(Rpc, MessageFrameKnowsWhereItsDataLies) {
  const MessageFrame made = encode_message(as_bytes(kBlocks), as_bytes("payload"));
  EXPECT_EQ(as_text(made.data()), "payload");
}

TEST(Rpc, RoundTripOfEveryKind) {
  std::vector<MessageId> ids = {numbered_id(1), numbered_id(2), numbered_id(3)};
  const auto ihave = parse_frame(encode_ihave(as_bytes(kBlocks), ids));
  ASSERT_EQ(ihave.size(), 1u);
  EXPECT_EQ(ihave[0].kind, RpcItem::Kind::ihave);
  EXPECT_EQ(ihave[0].topic, kBlocks);
  EXPECT_EQ(ihave[0].ids, ids);
  const auto iwant = parse_frame(encode_iwant(ids));
  ASSERT_EQ(iwant.size(), 1u);
  EXPECT_EQ(iwant[0].kind, RpcItem::Kind::iwant);
  EXPECT_EQ(iwant[0].ids, ids);
  const Bytes grafts[] = {as_bytes("a"), as_bytes("b")};
  const PruneEntry prunes[] = {{as_bytes("c"), 60}, {as_bytes("d"), UINT64_MAX}};
  const auto both = parse_frame(encode_graft_prune({grafts, prunes}));
  ASSERT_EQ(both.size(), 4u);
  EXPECT_EQ(both[1].topic, "b");
  EXPECT_EQ(both[2].backoff, 60u);
  EXPECT_EQ(both[3].backoff, UINT64_MAX);
}

TEST(Rpc, CanonicalIsOnlyTheFormThatWeWrite) {
  auto canonical = [](Bytes rpc) {
    Result<RpcReader> reader = RpcReader::open(rpc, {});
    RpcItem item;
    return reader && reader->next(item) && item.kind == RpcItem::Kind::message && item.canonical;
  };
  EXPECT_TRUE(canonical(bytes_of({0x12, 8, 0x12, 3, 'x', 'y', 'z', 0x22, 1, 't'})));
  // Topic first; a length in two bytes; an unknown field; a second item.
  EXPECT_FALSE(canonical(bytes_of({0x12, 8, 0x22, 1, 't', 0x12, 3, 'x', 'y', 'z'})));
  EXPECT_FALSE(canonical(bytes_of({0x12, 9, 0x12, 0x83, 0, 'x', 'y', 'z', 0x22, 1, 't'})));
  EXPECT_FALSE(canonical(bytes_of({0x12, 0x88, 0, 0x12, 3, 'x', 'y', 'z', 0x22, 1, 't'})));
  EXPECT_FALSE(canonical(bytes_of({0x12, 10, 0x12, 3, 'x', 'y', 'z', 0x22, 1, 't', 0x78, 1})));
  EXPECT_FALSE(canonical(bytes_of({0x12, 8, 0x12, 3, 'x', 'y', 'z', 0x22, 1, 't', 0x78, 1})));
}

TEST(Rpc, SignedFieldsAreSeen) {
  for (int number : {1, 3, 5, 6}) {
    const auto rpc = bytes_of({0x12, 6, 0x12, 1, 'x', number << 3 | 2, 1, 'k'});
    Result<RpcReader> reader = RpcReader::open(rpc, {});
    RpcItem item;
    ASSERT_TRUE(reader && reader->next(item));
    EXPECT_TRUE(item.is_signed) << number;
  }
}

TEST(Rpc, MalformedTailMeansNothingIsHandedOut) {
  auto rpc = bytes_of({0x0a, 6, 0x08, 1, 0x12, 2, 'a', 'b', 0x12, 0x7f});
  EXPECT_FALSE(RpcReader::open(rpc, {}).has_value());
  // A nested length that leaves its submessage.
  rpc = bytes_of({0x1a, 4, 0x1a, 2, 0x0a, 9});
  const auto nested = RpcReader::open(rpc, {});
  ASSERT_FALSE(nested.has_value());
  EXPECT_EQ(std::string_view(nested.error().field), "control.graft");
}

TEST(Rpc, CountsAreBoundedBeforeAnythingIsKept) {
  std::vector<uint8_t> rpc;
  for (int i = 0; i < 11; ++i) rpc.insert(rpc.end(), {0x12, 0});
  RpcLimits limits;
  limits.messages = 10;
  const auto messages = RpcReader::open(rpc, limits);
  ASSERT_FALSE(messages.has_value());
  EXPECT_EQ(messages.error().code, Code::too_long);
  limits.messages = 11;
  EXPECT_TRUE(RpcReader::open(rpc, limits).has_value());
  // The fields of all submessages share one bound: no amplification by many small ones.
  rpc.clear();
  for (int i = 0; i < 10; ++i) rpc.insert(rpc.end(), {0x12, 4, 0x78, 1, 0x78, 1});
  limits.fields = 19;
  EXPECT_FALSE(RpcReader::open(rpc, limits).has_value());
  limits.fields = 20;
  EXPECT_TRUE(RpcReader::open(rpc, limits).has_value());
}

TEST(Rpc, IdsOfAnotherSizeArePassedOver) {
  // One id of 3 bytes, one of 20.
  auto rpc = bytes_of({0x1a, 29, 0x12, 27, 0x0a, 3, 1, 2, 3, 0x0a, 20});
  rpc.resize(rpc.size() + 20, 9);
  Result<RpcReader> reader = RpcReader::open(rpc, {});
  RpcItem item;
  ASSERT_TRUE(reader && reader->next(item));
  IdReader ids(item);
  MessageId id;
  EXPECT_TRUE(ids.next(id));
  EXPECT_EQ(id.bytes[0], 9);
  EXPECT_FALSE(ids.next(id));
  EXPECT_EQ(ids.bad(), 1u);
}

// Any bytes are an error or items; a truncation of a good RPC never reads beyond it.
TEST(Rpc, PropertyGarbageAndTruncations) {
  const uint64_t seed = 20261121;
  Rng rng(seed);
  std::vector<MessageId> ids(5);
  const SharedBytes good[] = {block_frame("payload"), encode_ihave(as_bytes(kBlocks), ids),
                              encode_iwant(ids), prune(kBlocks, 60), subscription(kBlocks)};
  for (int round = 0; round < 20'000; ++round) {
    const SharedBytes& from = good[rng.below(5)];
    std::vector<uint8_t> rpc(from.data() + 1, from.data() + from.size());
    rpc.resize(rng.below(rpc.size() + 1));
    for (uint64_t flips = rng.below(4); flips > 0 && !rpc.empty(); --flips) {
      rpc[rng.below(rpc.size())] = static_cast<uint8_t>(rng.next());
    }
    rpc.shrink_to_fit();
    Result<RpcReader> reader = RpcReader::open(rpc, {});
    RpcItem item;
    while (reader && reader->next(item)) {
      IdReader reading(item);
      MessageId id;
      while (reading.next(id)) {
      }
      const bool inside =
          item.data.empty() || (item.data.data() >= rpc.data() &&
                                item.data.data() + item.data.size() <= rpc.data() + rpc.size());
      ASSERT_TRUE(inside) << "seed " << seed << " round " << round;
    }
  }
}

}  // namespace
}  // namespace beamline::gossip
