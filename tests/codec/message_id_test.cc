#include "codec/message_id.h"

#include "codec/hex.h"
#include "crypto/sha256.h"

namespace beamline {
namespace {

// Computed with node's crypto from the specification's formulas.
TEST(MessageId, Phase0LeavesTheTopicOut) {
  EXPECT_EQ(to_hex(message_id_phase0(SnappyDomain::valid, as_bytes("block")).view()),
            "22fa48bab819abf4fb4b8d56f669538c785cba93");
  EXPECT_EQ(to_hex(message_id_phase0(SnappyDomain::invalid, as_bytes("block")).view()),
            "4792a61fd5cf2a3f6953431b4693dcf354bbe152");
}

TEST(MessageId, AltairBindsTheTopic) {
  const std::string_view topic = "/eth2/b5303f2a/beacon_block/ssz_snappy";
  EXPECT_EQ(to_hex(message_id_altair(SnappyDomain::valid, topic, as_bytes("block")).view()),
            "2a4c989297a4ec50dc55c29c6818b4224b0b703f");
  // The length keeps topic and data apart.
  EXPECT_NE(message_id_altair(SnappyDomain::valid, "ab", as_bytes("c")),
            message_id_altair(SnappyDomain::valid, "a", as_bytes("bc")));
}

TEST(MessageId, HasherUsesTheSeed) {
  const MessageId id = message_id_phase0(SnappyDomain::valid, as_bytes("x"));
  EXPECT_EQ(MessageIdHasher{1}(id), MessageIdHasher{1}(id));
  EXPECT_NE(MessageIdHasher{1}(id), MessageIdHasher{2}(id));
}

}  // namespace
}  // namespace beamline
