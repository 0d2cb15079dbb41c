#include "codec/topic.h"

#include "codec/hex.h"
#include "codec/reqresp_messages.h"

namespace beamline {
namespace {

TEST(Topic, BlockTopicThereAndBack) {
  const std::string text = "/eth2/b5303f2a/beacon_block/ssz_snappy";
  const auto topic = Topic::parse(text);
  ASSERT_TRUE(topic);
  EXPECT_EQ(topic->kind, TopicKind::beacon_block);
  EXPECT_EQ(to_hex(topic->digest.view()), "b5303f2a");
  EXPECT_EQ(topic->to_text(), text);
}

TEST(Topic, EveryKindAndItsLastSubnetComesBack) {
  for (int kind = 0; kind <= static_cast<int>(TopicKind::data_column_sidecar); ++kind) {
    Topic topic{.digest = {{1, 2, 3, 0xff}}, .kind = static_cast<TopicKind>(kind)};
    if (const uint16_t count = subnet_count(topic.kind)) {
      topic.subnet = static_cast<uint16_t>(count - 1);
    }
    const auto back = Topic::parse(topic.to_text());
    ASSERT_TRUE(back) << topic.to_text();
    EXPECT_EQ(*back, topic);
    EXPECT_LE(topic.to_text().size(), Topic::kMaxText);
  }
}

TEST(Topic, BadTopicsAreTypedErrors) {
  const auto code = [](std::string_view text) {
    const auto topic = Topic::parse(text);
    EXPECT_FALSE(topic) << text;
    return topic ? Code::io_error : topic.error().code;
  };
  EXPECT_EQ(code(""), Code::bad_encoding);
  EXPECT_EQ(code("/eth1/b5303f2a/beacon_block/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/b5303f2/beacon_block/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/B5303F2A/beacon_block/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/0xb5303f/beacon_block/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/b5303f2a"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/b5303f2a/"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_block"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_block/ssz"), Code::unsupported);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_block/ssz_snappy/"), Code::unsupported);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_block_1/ssz_snappy"), Code::unsupported);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_attestation/ssz_snappy"), Code::unsupported);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_attestation_64/ssz_snappy"), Code::out_of_range);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_attestation_01/ssz_snappy"), Code::non_canonical);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_attestation_1x/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/b5303f2a/beacon_attestation_99999/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/b5303f2a/" + std::string(200, 'x')), Code::too_long);
}

// Mainnet's digests before Fulu, from its fork versions and genesis validators root
// (ethereum/eth2-networks and the clients' network configurations).
TEST(ForkDigest, MainnetsForks) {
  const Root genesis =
      *parse_hash256("0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95");
  const char* digests[] = {"b5303f2a", "afcaaba0", "4a26c58b", "bba4da96", "6a95a1a9", "ad532ceb"};
  ssz::Hasher hasher;
  for (uint8_t fork = 0; fork < std::size(digests); ++fork) {
    const ForkVersion version = {fork, 0, 0, 0};
    EXPECT_EQ(to_hex(compute_fork_digest(version, genesis).view()), digests[fork]);
    // The short way is the container's root.
    EXPECT_EQ(*ssz::hash_tree_root(ForkData{version, genesis}, hasher),
              compute_fork_data_root(version, genesis));
  }
}

}  // namespace
}  // namespace beamline
