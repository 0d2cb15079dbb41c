#include "codec/enr.h"

#include "base/rng.h"
#include "codec/hex.h"
#include "codec/rlp.h"

namespace beamline {
namespace {

// ethereum/devp2p enr.md, "Test Vectors".
constexpr const char* kOfficial =
    "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5"
    "wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
constexpr const char* kOfficialKey =
    "b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291";

secp256k1::SecretKey official_key() {
  return std::move(*secp256k1::SecretKey::parse(*parse_hex(kOfficialKey)));
}

TEST(Enr, OfficialVectorIsRead) {
  const auto enr = Enr::parse_text(kOfficial);
  ASSERT_TRUE(enr) << to_string(enr.error());
  EXPECT_EQ(to_hex(enr->node_id().view()),
            "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7");
  EXPECT_EQ(enr->seq(), 1u);
  EXPECT_EQ(enr->public_key(), official_key().public_key());
  EXPECT_EQ(to_string(*enr->endpoint(Enr::Transport::udp, Enr::Family::ip4)), "127.0.0.1:30303");
  EXPECT_FALSE(enr->endpoint(Enr::Transport::tcp, Enr::Family::ip4));
  EXPECT_FALSE(enr->endpoint(Enr::Transport::udp, Enr::Family::ip6));
  EXPECT_EQ(enr->to_text(), kOfficial);
  EXPECT_TRUE(Enr::parse(enr->bytes()));
}

TEST(Enr, OfficialVectorIsMadeFromItsKey) {
  const auto enr = EnrBuilder()
                       .set_endpoint(Enr::Transport::udp, Endpoint::v4(0x7f000001, 30303))
                       .sign(official_key());
  ASSERT_TRUE(enr) << to_string(enr.error());
  EXPECT_EQ(enr->to_text(), kOfficial);
}

Enr full_record(const secp256k1::SecretKey& key) {
  in6_addr six{};
  six.s6_addr[15] = 1;
  return *EnrBuilder()
              .set_endpoint(Enr::Transport::tcp, Endpoint::v4(0x0a000001, 9000))
              .set_endpoint(Enr::Transport::udp, Endpoint::v4(0x0a000001, 9000))
              .set_endpoint(Enr::Transport::quic, Endpoint::v4(0x0a000001, 9001))
              .set_endpoint(Enr::Transport::quic, Endpoint::v6(six, 9091))
              .set("eth2", *parse_hex("cc2c5cdb06000000000c060000000000"))
              .set("attnets", *parse_hex("00000000000000ff"))
              .set("syncnets", *parse_hex("0f"))
              .set_integer("cgc", 128)
              .set("nfd", *parse_hex("cb0d1acc"))
              .set_integer("is_aggregator", 1)
              .sign(key);
}

TEST(Enr, AllKeysOfTheConsensusSpecs) {
  const Enr made = full_record(official_key());
  const auto enr = Enr::parse_text(made.to_text());
  ASSERT_TRUE(enr) << to_string(enr.error());
  EXPECT_EQ(*enr, made);
  using enum Enr::Transport;
  using enum Enr::Family;
  EXPECT_EQ(to_string(*enr->endpoint(tcp, ip4)), "10.0.0.1:9000");
  EXPECT_EQ(to_string(*enr->endpoint(quic, ip4)), "10.0.0.1:9001");
  EXPECT_EQ(to_string(*enr->endpoint(quic, ip6)), "[::1]:9091");
  // tcp and udp apply to both addresses.
  EXPECT_EQ(to_string(*enr->endpoint(udp, ip6)), "[::1]:9000");
  EXPECT_EQ(to_hex(*enr->eth2()), "cc2c5cdb06000000000c060000000000");
  EXPECT_EQ(to_hex(*enr->attnets()), "00000000000000ff");
  EXPECT_EQ(to_hex(*enr->syncnets()), "0f");
  EXPECT_EQ(enr->cgc(), 128u);
  EXPECT_EQ(to_hex(enr->nfd()->bytes), "cb0d1acc");
  EXPECT_TRUE(enr->is_aggregator());
  EXPECT_FALSE(Enr::parse_text(kOfficial)->is_aggregator());
  EXPECT_FALSE(enr->value("eth"));
}

TEST(Enr, UpdateTakesTheNextSequenceNumberAndKeepsTheRest) {
  const secp256k1::SecretKey key = official_key();
  const Enr first = *EnrBuilder(full_record(key)).set_integer("unknown", 7).sign(key);
  EXPECT_EQ(first.seq(), 2u);
  const Enr second = *EnrBuilder(first)
                          .set_endpoint(Enr::Transport::udp, Endpoint::v4(0x0a000002, 9100))
                          .remove("nfd")
                          .sign(key);
  EXPECT_EQ(second.seq(), 3u);
  EXPECT_TRUE(second.verify());
  EXPECT_EQ(to_string(*second.endpoint(Enr::Transport::udp, Enr::Family::ip4)), "10.0.0.2:9100");
  EXPECT_FALSE(second.nfd());
  EXPECT_EQ(second.integer("unknown"), 7u);
  EXPECT_EQ(second.eth2(), first.eth2());
  const Enr last = *EnrBuilder(second).set_seq(UINT64_MAX).sign(key);
  EXPECT_EQ(EnrBuilder(last).sign(key).error().code, Code::out_of_range);
}

TEST(Enr, ListsUnderUnknownKeysAreKept) {
  std::vector<uint8_t> client;
  rlp::Writer writer(client);
  const auto mark = writer.begin_list();
  writer.text("beamline");
  writer.text("0.1");
  writer.end_list(mark);
  const Enr enr = *EnrBuilder().set_item("client", client).sign(official_key());
  const auto again = Enr::parse(enr.bytes());
  ASSERT_TRUE(again);
  EXPECT_TRUE(equal(*again->item("client"), client));
  EXPECT_FALSE(again->value("client"));
}

// A record around any content, signed or not.
std::vector<uint8_t> record_of(const std::vector<std::pair<std::string, std::string>>& pairs,
                               size_t signature_size = 64) {
  std::vector<uint8_t> out;
  rlp::Writer writer(out);
  const auto mark = writer.begin_list();
  writer.string(std::vector<uint8_t>(signature_size, 1));
  writer.uint(1);
  for (const auto& [key, value] : pairs) {
    writer.text(key);
    writer.string(*parse_hex(value));
  }
  writer.end_list(mark);
  return out;
}

TEST(Enr, BadRecordsAreTypedErrors) {
  const std::string key = to_hex(official_key().public_key().compressed());
  const std::pair<std::string, std::string> id{"id", "7634"}, point{"secp256k1", key};
  const auto code = [](const std::vector<uint8_t>& record) {
    return Enr::parse(record).error().code;
  };
  EXPECT_EQ(code(record_of({id, point})), Code::bad_signature);
  EXPECT_EQ(code(record_of({id, point}, 63)), Code::mismatch);
  EXPECT_EQ(code(record_of({point})), Code::missing);
  EXPECT_EQ(code(record_of({id})), Code::missing);
  EXPECT_EQ(code(record_of({{"id", "7635"}, point})), Code::bad_version);
  EXPECT_EQ(code(record_of({id, {"secp256k1", "02"}})), Code::bad_key);
  EXPECT_EQ(code(record_of({id, {"secp256k1", "02" + std::string(64, 'f')}})), Code::bad_key);
  EXPECT_EQ(code(record_of({point, id})), Code::unsorted);
  EXPECT_EQ(code(record_of({id, id, point})), Code::duplicate);
  EXPECT_EQ(code(record_of({id, point, {"z", std::string(600, '0')}})), Code::too_long);
  EXPECT_EQ(code({}), Code::truncated);
  EXPECT_EQ(code({0}), Code::bad_encoding);
  std::vector<uint8_t> odd = record_of({id, point});
  odd.push_back(0);
  EXPECT_EQ(code(odd), Code::trailing);
  EXPECT_EQ(Enr::parse_text("enr-IS4").error().code, Code::bad_encoding);
  EXPECT_EQ(Enr::parse_text("enr:" + std::string(500, 'A')).error().code, Code::too_long);
  const auto big = EnrBuilder().set("z", std::vector<uint8_t>(300)).sign(official_key());
  EXPECT_EQ(big.error().code, Code::too_long);
  EXPECT_EQ(big.error().fault, Fault::local);
}

TEST(Enr, EveryTruncationAndChangedBitIsRefused) {
  const Enr enr = full_record(official_key());
  for (size_t size = 0; size < enr.bytes().size(); ++size) {
    const std::vector<uint8_t> cut(enr.bytes().begin(),
                                   enr.bytes().begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(Enr::parse(cut)) << size;
  }
  Rng rng(5);
  for (int i = 0; i < 500; ++i) {
    std::vector<uint8_t> bytes(enr.bytes().begin(), enr.bytes().end());
    bytes[rng.below(bytes.size())] ^= static_cast<uint8_t>(1u << rng.below(8));
    ASSERT_FALSE(Enr::parse(bytes)) << i;
  }
}

}  // namespace
}  // namespace beamline
