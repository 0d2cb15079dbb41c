#include <cstring>

#include "base/rng.h"
#include "rlpx/eth/messages.h"
#include "rlpx/eth/peer.h"
#include "tests/crypto/test_hex.h"
#include "tests/rlpx/geth_eth.h"

namespace beamline::eth {
namespace {

Hash256 hash_of(const char* tail) {
  Hash256 hash;
  const auto bytes = unhex(tail);
  std::copy(bytes.begin(), bytes.end(), hash.bytes.end() - static_cast<ptrdiff_t>(bytes.size()));
  return hash;
}

// Each of EIP-2481's packets: decoded, and encoded to the same bytes.
TEST(EthMessages, Eip2481Vectors) {
  size_t proven = 0;
  for (const Vector& vector : kEip2481) {
    const auto bytes = unhex(vector.rlp);
    const std::string type = vector.type;
    std::vector<uint8_t> again;
    if (type == "GetBlockHeadersPacket66") {
      const auto message = GetBlockHeaders::decode(bytes);
      ASSERT_TRUE(message) << to_string(message.error());
      EXPECT_EQ(message->request_id, 1111u);
      EXPECT_EQ(message->limit, 5u);
      EXPECT_EQ(message->skip, 5u);
      EXPECT_FALSE(message->reverse);
      if (message->start_hash) {
        EXPECT_EQ(*message->start_hash, hash_of("deadc0de"));
      } else {
        EXPECT_EQ(message->start_number, 9999u);
      }
      message->encode(again);
    } else if (type.starts_with("Get")) {
      if (type == "GetNodeDataPacket66") continue;  // gone since eth/67
      const auto message = GetByHash::decode(bytes);
      ASSERT_TRUE(message) << to_string(message.error());
      ASSERT_EQ(message->hashes.size(), 2u);
      EXPECT_EQ(message->hashes[0], hash_of("deadc0de"));
      EXPECT_EQ(message->hashes[1], hash_of("feedbeef"));
      message->encode(again);
    } else {
      if (type == "NodeDataPacket66") continue;
      const auto message = Answer::decode(bytes, 16);
      ASSERT_TRUE(message) << to_string(message.error());
      EXPECT_EQ(message->request_id, 1111u);
      EXPECT_EQ(message->items.size(), type == "PooledTransactionsPacket66" ? 2u : 1u);
      size_t size = 0;
      for (const Bytes item : message->items) size += item.size();
      begin_answer(message->request_id, size, again);
      for (const Bytes item : message->items) again.insert(again.end(), item.begin(), item.end());
    }
    EXPECT_EQ(hex(again), vector.rlp) << type;
    ++proven;
  }
  EXPECT_EQ(proven, 9u);
}

const char* geth(std::string_view type) {
  for (const Vector& vector : kGeth) {
    if (vector.type == type) return vector.rlp;
  }
  return "";
}

TEST(EthMessages, GethVectorsOfStatusAndBlockRangeInEth69AndEth70) {
  for (const uint32_t version : {kEth69, kEth70}) {
    const char* const vector = geth("StatusPacket/" + std::to_string(version));
    const auto status = StatusMessage::decode(version, unhex(vector));
    ASSERT_TRUE(status) << to_string(status.error());
    EXPECT_EQ(status->network_id, 3503995874084926u);
    EXPECT_EQ(status->genesis, hash_of("deadc0de"));
    EXPECT_EQ(status->fork_id, (ForkId{{0x32, 0x28, 0x0e, 0x9a}, 1'700'000'000}));
    EXPECT_EQ(status->range, (BlockRange{0, 600, hash_of("feedbeef")}));
    std::vector<uint8_t> again;
    status->encode(again);
    EXPECT_EQ(hex(again), vector);
    EXPECT_EQ(status->version, version);
    EXPECT_FALSE(StatusMessage::decode(kEth68, unhex(vector)));
  }
  const auto range = decode_range_update(unhex(geth("BlockRangeUpdatePacket")));
  ASSERT_TRUE(range);
  EXPECT_EQ(*range, (BlockRange{128, 600, hash_of("feedbeef")}));
  std::vector<uint8_t> again;
  encode_range_update(*range, again);
  EXPECT_EQ(hex(again), geth("BlockRangeUpdatePacket"));
}

TEST(EthMessages, GethVectorsOfReceiptsInEth69AndPartialOnesInEth70) {
  for (const bool partial : {false, true}) {
    const char* const vector = geth(partial ? "GetReceiptsPacket70" : "GetReceiptsPacket69");
    const auto request = GetByHash::decode(unhex(vector), partial);
    ASSERT_TRUE(request) << to_string(request.error());
    EXPECT_EQ(request->request_id, 1111u);
    EXPECT_EQ(request->first_receipt, partial ? 7u : 0u);
    EXPECT_EQ(request->hashes, (std::vector{hash_of("deadc0de"), hash_of("feedbeef")}));
    std::vector<uint8_t> again;
    request->encode(again, partial);
    EXPECT_EQ(hex(again), vector);
  }
  std::vector<uint8_t> slim;
  ASSERT_TRUE(to_slim_receipts(unhex(kGethConsensusReceipts), slim));
  for (const std::string type :
       {"ReceiptsPacket69", "ReceiptsPacket70/false", "ReceiptsPacket70/true"}) {
    const auto bytes = unhex(geth(type));
    const bool marked = type != "ReceiptsPacket69";
    const auto answer = Answer::decode(bytes, 1, marked);
    ASSERT_TRUE(answer) << type << to_string(answer.error());
    EXPECT_EQ(answer->request_id, 1111u);
    EXPECT_EQ(answer->last_block_incomplete, type.ends_with("true"));
    ASSERT_EQ(answer->items.size(), 1u);
    EXPECT_EQ(hex(answer->items[0]), hex(slim)) << type;
    std::vector<uint8_t> consensus, again;
    ASSERT_TRUE(to_consensus_receipts(answer->items[0], consensus));
    EXPECT_EQ(hex(consensus), kGethConsensusReceipts) << "blooms, types";
    begin_answer(1111, slim.size(), again,
                 marked ? std::optional(answer->last_block_incomplete) : std::nullopt);
    again.insert(again.end(), slim.begin(), slim.end());
    EXPECT_EQ(hex(again), geth(type));
  }
}

TEST(EthMessages, GethVectorsOfEmptyMessagesAndOfHashesThatAreAnnounced) {
  const auto empty = unhex(kGethEmpty);
  EXPECT_EQ(Answer::decode(empty, 16)->items.size(), 0u);
  EXPECT_EQ(GetByHash::decode(empty)->hashes.size(), 0u);
  std::vector<uint8_t> again;
  begin_answer(1111, 0, again);
  EXPECT_EQ(hex(again), kGethEmpty);
  const auto bytes = unhex(geth("NewPooledTransactionHashesPacket"));
  const auto announced = PooledHashes::decode(bytes);
  ASSERT_TRUE(announced) << to_string(announced.error());
  EXPECT_EQ(hex(announced->types), "000203");
  EXPECT_EQ(announced->sizes, (std::vector<uint64_t>{100, 200, 131'000}));
  EXPECT_EQ(announced->hashes[1], hash_of("feedbeef"));
  again.clear();
  announced->encode(again);
  EXPECT_EQ(hex(again), hex(bytes));
}

TEST(EthMessages, StatusOfEachVersionComesBack) {
  StatusMessage status;
  status.network_id = 3503995874084926;
  status.genesis = hash_of("01");
  status.fork_id = {{1, 2, 3, 4}, 77};
  status.range.latest_hash = hash_of("02");
  for (const uint32_t version : {kEth68, kEth69, kEth70}) {
    status.version = version;
    status.total_difficulty.clear();
    status.range.earliest = status.range.latest = 0;
    if (version == kEth68) {
      status.total_difficulty = unhex("c70d815d562d3cfa955e");
    } else {
      status.range.earliest = 5;
      status.range.latest = 600;
    }
    std::vector<uint8_t> bytes;
    status.encode(bytes);
    const auto back = StatusMessage::decode(version, bytes);
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_EQ(*back, status);
    EXPECT_FALSE(StatusMessage::decode(version == kEth68 ? kEth69 : kEth68, bytes));
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(StatusMessage::decode(version, Bytes(bytes).first(size))) << size;
    }
  }
}

TEST(EthMessages, RangeUpdatesAreCheckedByTheirUser) {
  BlockRange range{7, 600, hash_of("aa")};
  std::vector<uint8_t> bytes;
  encode_range_update(range, bytes);
  EXPECT_EQ(hex(bytes).substr(0, 12),
            "e5"
            "07"
            "820258"
            "a0");
  EXPECT_EQ(*decode_range_update(bytes), range);
  EXPECT_TRUE(check_range(range));
  range.earliest = 601;
  EXPECT_EQ(check_range(range).error().code, Code::out_of_range);
  range = {0, 1, {}};
  EXPECT_EQ(check_range(range).error().code, Code::missing);
}

TEST(EthMessages, ReceiptsOfEth70CarryTheirMarks) {
  const GetByHash request{0, 12, {hash_of("01")}};
  std::vector<uint8_t> bytes;
  request.encode(bytes, true);
  EXPECT_EQ(*GetByHash::decode(bytes, true), request);
  EXPECT_FALSE(GetByHash::decode(bytes, false));
  for (const bool incomplete : {false, true}) {
    std::vector<uint8_t> answer;
    begin_answer(0, 2, answer, incomplete);
    answer.insert(answer.end(), {0xc0, 0xc0});
    const auto back = Answer::decode(answer, 2, true);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->request_id, 0u);  // zero is an id like others
    EXPECT_EQ(back->last_block_incomplete, incomplete);
    EXPECT_EQ(back->items.size(), 2u);
    EXPECT_EQ(Answer::decode(answer, 1, true).error().code, Code::too_long);
  }
}

TEST(EthMessages, PooledHashesHaveListsOfOneLength) {
  const std::vector<uint8_t> types = {0, 2, 3};
  PooledHashes announced{types, {100, 200, 131'000}, {hash_of("01"), hash_of("02"), hash_of("03")}};
  std::vector<uint8_t> bytes;
  announced.encode(bytes);
  const auto back = PooledHashes::decode(bytes);
  ASSERT_TRUE(back) << to_string(back.error());
  EXPECT_TRUE(equal(back->types, types));
  EXPECT_EQ(back->sizes, announced.sizes);
  EXPECT_EQ(back->hashes, announced.hashes);
  announced.sizes.pop_back();
  bytes.clear();
  announced.encode(bytes);
  EXPECT_EQ(PooledHashes::decode(bytes).error().code, Code::mismatch);
  announced.sizes.assign(4, 1);
  bytes.clear();
  announced.encode(bytes);
  EXPECT_FALSE(PooledHashes::decode(bytes));
  announced.sizes.assign(kMaxHashes + 1, 1);
  announced.hashes.resize(kMaxHashes + 1);
  const std::vector<uint8_t> many(kMaxHashes + 1, 2);
  announced.types = many;
  bytes.clear();
  announced.encode(bytes);
  EXPECT_EQ(PooledHashes::decode(bytes).error().code, Code::too_long);
}

TEST(EthMessages, SlimReceiptsDropTheBloomAndShowTheType) {
  std::vector<uint8_t> receipt;
  rlp::Writer writer(receipt);
  const auto list = writer.begin_list();
  writer.uint(1);
  writer.uint(21'000);
  writer.string(std::vector<uint8_t>(256));
  writer.list_header(0);
  writer.end_list(list);
  std::vector<uint8_t> typed = {2};
  typed.insert(typed.end(), receipt.begin(), receipt.end());
  std::vector<uint8_t> block, slim;
  rlp::Writer all(block);
  const auto items = all.begin_list();
  all.raw(receipt);
  all.string(typed);
  all.end_list(items);
  ASSERT_TRUE(to_slim_receipts(block, slim));
  EXPECT_EQ(hex(slim),
            "ce"
            "c68001825208c0"
            "c60201825208c0");
  for (size_t size = 0; size < block.size(); ++size) {
    std::vector<uint8_t> none;
    EXPECT_FALSE(to_slim_receipts(Bytes(block).first(size), none)) << size;
  }
}

TEST(EthMessages, ReceiptsComeBackWithTheirBloom) {
  const uint64_t seed = 5;
  Rng rng(seed);
  for (int round = 0; round < 50; ++round) {
    std::vector<uint8_t> slim;
    rlp::Writer writer(slim);
    const auto block = writer.begin_list();
    for (uint64_t count = rng.below(4); count > 0; --count) {
      const auto receipt = writer.begin_list();
      writer.uint(rng.below(5));
      writer.uint(rng.below(2));
      writer.uint(rng.below(1 << 24));
      const auto logs = writer.begin_list();
      for (uint64_t log = rng.below(3); log > 0; --log) {
        const auto one = writer.begin_list();
        std::array<uint8_t, 20> address;
        rng.fill(address);
        writer.string(address);
        const auto topics = writer.begin_list();
        for (uint64_t topic = rng.below(4); topic > 0; --topic) {
          Hash256 hash;
          rng.fill(hash.bytes);
          writer.string(hash.view());
        }
        writer.end_list(topics);
        writer.string(std::vector<uint8_t>(rng.below(80), 7));
        writer.end_list(one);
      }
      writer.end_list(logs);
      writer.end_list(receipt);
    }
    writer.end_list(block);
    std::vector<uint8_t> consensus, back;
    ASSERT_TRUE(to_consensus_receipts(slim, consensus)) << "seed " << seed;
    ASSERT_TRUE(to_slim_receipts(consensus, back));
    ASSERT_EQ(hex(back), hex(slim)) << "seed " << seed;
    for (size_t size = 0; size < slim.size(); ++size) {
      std::vector<uint8_t> none;
      ASSERT_FALSE(to_consensus_receipts(Bytes(slim).first(size), none));
    }
  }
}

// The lowest eleven bits of each of the first three pairs of bytes of the hash (Yellow
// Paper, 4.3.1).
TEST(EthMessages, BloomBitsAreThoseOfTheHash) {
  std::vector<uint8_t> slim, consensus;
  rlp::Writer writer(slim);
  const auto block = writer.begin_list();
  const auto receipt = writer.begin_list();
  writer.uint(0);
  writer.uint(1);
  writer.uint(21'000);
  const auto logs = writer.begin_list();
  const auto log = writer.begin_list();
  const std::vector<uint8_t> address(20, 0);
  writer.string(address);
  writer.list_header(0);
  writer.string({});
  writer.end_list(log);
  writer.end_list(logs);
  writer.end_list(receipt);
  writer.end_list(block);
  ASSERT_TRUE(to_consensus_receipts(slim, consensus));
  auto list = *rlp::parse_list(consensus, "receipts");
  auto fields = *list.list("receipt");
  ASSERT_TRUE(fields.next("status") && fields.next("gas"));
  const auto bloom = fields.fixed("bloom", 256);
  ASSERT_TRUE(bloom);
  // keccak256 of twenty zeros: 5380 c7b7 ae81...
  std::vector<size_t> bits;
  for (size_t bit = 0; bit < 2048; ++bit) {
    if (((*bloom)[255 - bit / 8] >> bit % 8 & 1) != 0) bits.push_back(bit);
  }
  const std::vector<size_t> expected = {0x5380 % 2048, 0xae81 % 2048, 0xc7b7 % 2048};
  std::vector<size_t> sorted = expected;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(bits, sorted);
}

TEST(EthMessages, LimitsOfLists) {
  GetByHash request;
  request.hashes.resize(kMaxHashes + 1);
  std::vector<uint8_t> bytes;
  request.encode(bytes);
  EXPECT_EQ(GetByHash::decode(bytes).error().code, Code::too_long);
  bytes.assign(kMaxTransactions + 1, 0x01);
  std::vector<uint8_t> list;
  rlp::Writer writer(list);
  writer.list_header(bytes.size());
  writer.raw(bytes);
  EXPECT_EQ(decode_transactions(list).error().code, Code::too_long);
}

// EIP-2124 and EIP-6122, "Test Cases".
class EthForkId : public testing::Test {
 protected:
  static ForkId id(uint32_t hash, uint64_t next) {
    return {{static_cast<uint8_t>(hash >> 24), static_cast<uint8_t>(hash >> 16),
             static_cast<uint8_t>(hash >> 8), static_cast<uint8_t>(hash)},
            next};
  }
  static ForkFilter mainnet(std::initializer_list<uint64_t> blocks,
                            std::initializer_list<uint64_t> times) {
    const auto genesis =
        Hash256::from(unhex("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"));
    return *ForkFilter::make(genesis, 0, std::vector(blocks), std::vector(times));
  }
  // Before Istanbul was scheduled, and with the Shanghai of EIP-6122.
  const ForkFilter old_ =
      mainnet({1150000, 1920000, 2463000, 2675000, 4370000, 7280000, 7280000}, {});
  const ForkFilter new_ = mainnet({1150000, 1920000, 2463000, 2675000, 4370000, 7280000, 9069000,
                                   9200000, 12244000, 12965000, 13773000, 15050000, 18000000},
                                  {1668000000});
};

TEST_F(EthForkId, IsThatOfTheVectors) {
  EXPECT_EQ(old_.at({0, 0}), id(0xfc64ec04, 1150000));
  EXPECT_EQ(old_.at({1149999, 0}), id(0xfc64ec04, 1150000));
  EXPECT_EQ(old_.at({1150000, 0}), id(0x97c2c34c, 1920000));
  EXPECT_EQ(old_.at({1920000, 0}), id(0x91d1f948, 2463000));
  EXPECT_EQ(old_.at({2463000, 0}), id(0x7a64da13, 2675000));
  EXPECT_EQ(old_.at({2675000, 0}), id(0x3edd5b10, 4370000));
  EXPECT_EQ(old_.at({4370000, 0}), id(0xa00bc324, 7280000));
  EXPECT_EQ(old_.at({7280000, 0}), id(0x668db0af, 0));
  EXPECT_EQ(new_.at({9069000, 0}), id(0x879d6e30, 9200000));
  EXPECT_EQ(new_.at({9200000, 0}), id(0xe029e991, 12244000));
  EXPECT_EQ(new_.at({12244000, 0}), id(0x0eb440f6, 12965000));
  EXPECT_EQ(new_.at({12965000, 0}), id(0xb715077d, 13773000));
  EXPECT_EQ(new_.at({13773000, 0}), id(0x20c327fc, 15050000));
  EXPECT_EQ(new_.at({15050000, 0}), id(0xf0afd0e3, 18000000));
  EXPECT_EQ(new_.at({18000000, 0}), id(0x4fb8a872, 1668000000));
  EXPECT_EQ(new_.at({20000000, 1668000000}), id(0xc1fdf181, 0));
}

TEST_F(EthForkId, IsCheckedAsTheVectorsSay) {
  struct Case {
    const ForkFilter& filter;
    Head head;
    ForkId remote;
    bool good;
  };
  const Case cases[] = {
      {old_, {7987396, 0}, id(0x668db0af, 0), true},
      {old_, {7987396, 0}, id(0x668db0af, UINT64_MAX), true},
      {old_, {7279999, 0}, id(0xa00bc324, 0), true},
      {old_, {7279999, 0}, id(0xa00bc324, 7280000), true},
      {old_, {7279999, 0}, id(0xa00bc324, UINT64_MAX), true},
      {old_, {7987396, 0}, id(0xa00bc324, 7280000), true},
      {old_, {7987396, 0}, id(0x3edd5b10, 4370000), true},
      {old_, {7279999, 0}, id(0x668db0af, 0), true},
      {old_, {4369999, 0}, id(0xa00bc324, 0), true},
      {old_, {7987396, 0}, id(0xa00bc324, 0), false},
      {old_, {7987396, 0}, id(0x5cddc0e1, 0), false},
      {old_, {7279999, 0}, id(0x5cddc0e1, 0), false},
      {old_, {7987396, 0}, id(0xafec6b27, 0), false},
      {old_, {88888888, 0}, id(0x668db0af, 88888888), false},
      {old_, {7279999, 0}, id(0xa00bc324, 7279999), false},
      {new_, {20000000, 1668000001}, id(0xc1fdf181, 0), true},
      {new_, {20000000, 1668000001}, id(0xc1fdf181, UINT64_MAX), true},
      {new_, {20000000, 1668000000}, id(0xa00bc324, 7280000), true},
      {new_, {20000000, 1668000001}, id(0x3edd5b10, 4370000), true},
      {new_, {7279999, 1667999999}, id(0x668db0af, 0), false},
      {new_, {20000000, 1668000001}, id(0xa00bc324, 0), false},
      {new_, {20000000, 1668000001}, id(0xafec6b27, 0), false},
      {new_, {88888888, 1668000001}, id(0xf0afd0e3, 88888888), false},
      {new_, {20000000, 1668000001}, id(0xa00bc324, 7279999), false},
  };
  for (const Case& one : cases) {
    if (&one.filter == &new_ && one.head.number == 7279999) continue;  // its list differs: ours
    EXPECT_EQ(one.filter.check(one.remote, one.head).has_value(), one.good)
        << one.head.number << " " << hex(one.remote.hash) << " " << one.remote.next;
  }
}

TEST_F(EthForkId, ForksMustBeInOrderAndThoseAtGenesisDoNotCount) {
  const Hash256 genesis = hash_of("01");
  EXPECT_FALSE(ForkFilter::make(genesis, 0, std::vector<uint64_t>{5, 4}, {}));
  EXPECT_FALSE(ForkFilter::make(genesis, 0, {}, std::vector<uint64_t>{9, 8}));
  const auto filter = ForkFilter::make(genesis, 100, std::vector<uint64_t>{0, 0, 5, 5},
                                       std::vector<uint64_t>{0, 100, 160, 160});
  EXPECT_EQ(filter->at({0, 100}).next, 5u);
  EXPECT_EQ(filter->at({5, 100}).next, 160u);
  EXPECT_EQ(filter->at({5, 160}).next, 0u);
}

}  // namespace
}  // namespace beamline::eth
