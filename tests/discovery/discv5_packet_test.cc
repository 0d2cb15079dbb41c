// discv5's packets against the official vectors (tests/vectors/discv5 and devp2p's
// discv5-wire-test-vectors.md), and against garbage.
#include "discovery/discv5_packet.h"

#include <set>

#include "discovery/discv5_keys.h"
#include "discovery/discv5_message.h"
#include "discovery/replay_window.h"
#include "tests/discovery/vector_file.h"

namespace beamline::discv5 {
namespace {

constexpr const char* kKeyA = "eef77acb6c6a6eebc5b363a475ac583ec7eccdb42b6481424c60f59aa326547f";
constexpr const char* kKeyB = "66fb62bfbd66b9177a138c1e5cddbe4f7c30c343e94e68df8769459cb1cde628";

secp256k1::SecretKey key(const char* hex) {
  return std::move(*secp256k1::SecretKey::parse(*parse_hex(hex)));
}
VectorFile load(const std::string& name) {
  return read_vector(std::string(BEAMLINE_SOURCE_DIR) + "/tests/vectors/discv5/" + name);
}
Message plain_message(const VectorFile& file, const Packet& packet, std::vector<uint8_t>& plain) {
  const AesGcm gcm(file.bytes("read-key"));
  const MutableBytes data = packet.sealed.first(packet.sealed.size() - kTagSize);
  EXPECT_TRUE(
      gcm.open(packet.nonce, packet.head, data, Bytes(packet.sealed).last<kTagSize>()).has_value());
  plain.assign(data.begin(), data.end());
  const auto message = decode_message(plain);
  EXPECT_TRUE(message.has_value());
  return message ? *message : Message{};
}

TEST(Discv5Vectors, PingMessagePacketIsReadAndWrittenAsPublished) {
  const VectorFile file = load("v5.1-ping-message.txt");
  std::vector<uint8_t> bytes = file.packet;
  Unmasker unmasker(file.id("dest-node-id"));
  const auto packet = unmasker.read(bytes);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->flag, Flag::message);
  EXPECT_EQ(packet->source, file.id("src-node-id"));
  EXPECT_EQ(packet->nonce, file.array<12>("nonce"));
  std::vector<uint8_t> plain;
  const Message message = plain_message(file, *packet, plain);
  ASSERT_TRUE(std::holds_alternative<Ping>(message));
  EXPECT_EQ(std::get<Ping>(message).enr_seq, 2u);
  EXPECT_TRUE(equal(std::get<Ping>(message).id.view(), file.bytes("ping.req-id")));

  std::array<uint8_t, kMaxPacket> out;
  const size_t head = write_message_head(out, MaskingIv{}, packet->nonce, file.id("src-node-id"));
  std::vector<uint8_t> ping;
  append(ping, std::get<Ping>(message));
  const size_t size = seal_message(out, head, AesGcm(file.bytes("read-key")), packet->nonce, ping);
  mask(out, head, file.id("dest-node-id"));
  EXPECT_EQ(to_hex(Bytes(out).first(size)), to_hex(file.packet));
}

TEST(Discv5Vectors, WhoareyouPacketIsReadAndWrittenAsPublished) {
  const VectorFile file = load("v5.1-whoareyou.txt");
  std::vector<uint8_t> bytes = file.packet;
  Unmasker unmasker(file.id("dest-node-id"));
  const auto packet = unmasker.read(bytes);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->flag, Flag::whoareyou);
  EXPECT_EQ(packet->nonce, file.array<12>("whoareyou.request-nonce"));
  EXPECT_EQ(packet->enr_seq, 0u);
  EXPECT_TRUE(equal(packet->head, file.bytes("whoareyou.challenge-data")));

  std::array<uint8_t, kMaxPacket> out;
  const size_t head =
      write_whoareyou(out, MaskingIv{}, packet->nonce, file.array<16>("whoareyou.id-nonce"), 0);
  EXPECT_TRUE(equal(Bytes(out).first(head), file.bytes("whoareyou.challenge-data")));
  mask(out, head, file.id("dest-node-id"));
  EXPECT_EQ(to_hex(Bytes(out).first(head)), to_hex(file.packet));
}

// Both handshake vectors: what B reads, and what A writes.
void check_handshake(const std::string& name, bool with_record) {
  const VectorFile file = load(name);
  const secp256k1::SecretKey a = key(kKeyA), b = key(kKeyB);
  const NodeId id_a = file.id("src-node-id"), id_b = file.id("dest-node-id");
  ASSERT_EQ(node_id_of(a.public_key()), id_a);
  ASSERT_EQ(node_id_of(b.public_key()), id_b);
  const auto challenge = file.bytes("whoareyou.challenge-data");
  std::vector<uint8_t> bytes = file.packet;
  Unmasker unmasker(id_b);
  const auto packet = unmasker.read(bytes);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->flag, Flag::handshake);
  EXPECT_EQ(packet->source, id_a);
  EXPECT_TRUE(equal(packet->ephemeral_key, file.bytes("ephemeral-pubkey")));
  EXPECT_EQ(!packet->record.empty(), with_record);
  if (with_record) {
    const auto record = Enr::parse(packet->record);
    ASSERT_TRUE(record) << to_string(record.error());
    EXPECT_EQ(record->node_id(), id_a);
  }
  EXPECT_TRUE(verify_id_signature(a.public_key(), packet->signature, challenge,
                                  packet->ephemeral_key, id_b));
  const auto ephemeral_public = *secp256k1::PublicKey::parse(packet->ephemeral_key);
  const SessionKeys keys = derive_keys(b, ephemeral_public, id_a, id_b, challenge);
  EXPECT_TRUE(equal(keys.initiator, file.bytes("read-key")));

  const std::vector<uint8_t> record(packet->record.begin(), packet->record.end());
  std::vector<uint8_t> plain;
  const Message message = plain_message(file, *packet, plain);
  ASSERT_TRUE(std::holds_alternative<Ping>(message));

  const auto ephemeral = *secp256k1::SecretKey::parse(file.bytes("ephemeral-key"));
  const auto ephemeral_key = ephemeral.public_key().compressed();
  const SessionKeys ours = derive_keys(ephemeral, b.public_key(), id_a, id_b, challenge);
  EXPECT_EQ(ours.initiator, keys.initiator);
  EXPECT_EQ(ours.recipient, keys.recipient);
  const auto signature = a.sign(id_signature_digest(challenge, ephemeral_key, id_b));
  std::array<uint8_t, kMaxPacket> out;
  const size_t head = write_handshake_head(out, MaskingIv{}, file.array<12>("nonce"), id_a,
                                           signature.bytes, ephemeral_key, record);
  const size_t size =
      seal_message(out, head, AesGcm(ours.initiator), file.array<12>("nonce"), plain);
  mask(out, head, id_b);
  EXPECT_EQ(to_hex(Bytes(out).first(size)), to_hex(file.packet));
}

TEST(Discv5Vectors, PingHandshakePacketWithoutRecordIsReadAndWrittenAsPublished) {
  check_handshake("v5.1-ping-handshake.txt", false);
}

TEST(Discv5Vectors, PingHandshakePacketWithRecordIsReadAndWrittenAsPublished) {
  check_handshake("v5.1-ping-handshake-enr.txt", true);
}

constexpr const char* kChallenge =
    "000000000000000000000000000000006469736376350001010102030405060708090a0b0c0018"
    "0102030405060708090a0b0c0d0e0f100000000000000000";
constexpr const char* kStatic = "fb757dc581730490a1d7a00deea65e9b1936924caaea8f44d476014856b68736";

TEST(Discv5Vectors, EcdhGivesTheCompressedPoint) {
  const auto remote = *secp256k1::PublicKey::parse(
      *parse_hex("039961e4c2356d61bedb83052c115d311acb3a96f5777296dcf297351130266231"));
  EXPECT_EQ(to_hex(key(kStatic).ecdh_point(remote)),
            "033b11a2a1f214567e1537ce5e509ffd9b21373247f2a3ff6841f4976f53165e7e");
}

TEST(Discv5Vectors, KeyDerivation) {
  const auto destination = *secp256k1::PublicKey::parse(
      *parse_hex("0317931e6e0840220642f230037d285d122bc59063221ef3226b1f403ddc69ca91"));
  const SessionKeys keys = derive_keys(
      key(kStatic), destination,
      *parse_hash256("aaaa8419e9f49d0083561b48287df592939a8d19947d8c0ef88f2a4856a69fbb"),
      *parse_hash256("bbbb9d047f0488c0b5a93c1c3f2d8bafc7c8ff337024a55434a0d0555de64db9"),
      *parse_hex(kChallenge));
  EXPECT_EQ(to_hex(keys.initiator), "dccc82d81bd610f4f76d3ebe97a40571");
  EXPECT_EQ(to_hex(keys.recipient), "ac74bb8773749920b0d3a8881c173ec5");
}

TEST(Discv5Vectors, IdNonceSigning) {
  const auto ephemeral =
      *parse_hex("039961e4c2356d61bedb83052c115d311acb3a96f5777296dcf297351130266231");
  const NodeId b =
      *parse_hash256("bbbb9d047f0488c0b5a93c1c3f2d8bafc7c8ff337024a55434a0d0555de64db9");
  const auto challenge = *parse_hex(kChallenge);
  const auto secret = key(kStatic);
  const auto signature = secret.sign(id_signature_digest(challenge, ephemeral, b));
  EXPECT_EQ(to_hex(signature.bytes),
            "94852a1e2318c4e5e9d422c98eaf19d1d90d876b29cd06ca7cb7546d0fff7b48"
            "4fe86c09a064fe72bdbef73ba8e9c34df0cd2b53e9d65528c2c7f336d5dfc6e6");
  EXPECT_TRUE(verify_id_signature(secret.public_key(), signature.bytes, challenge, ephemeral, b));
  EXPECT_EQ(verify_id_signature(key(kKeyA).public_key(), signature.bytes, challenge, ephemeral, b)
                .error()
                .code,
            Code::bad_signature);
}

TEST(Discv5Vectors, AesGcmEncryption) {
  const AesGcm gcm(*parse_hex("9f2d77db7004bf8a1a85107ac686990b"));
  Nonce nonce;
  ASSERT_TRUE(parse_hex_into("27b5af763c446acd2749fe8e", nonce));
  auto data = *parse_hex("01c20101");
  const auto ad = *parse_hex("93a7400fa0d6a694ebc24d5cf570f65d04215b6ac00757875e3f3a5f42107903");
  std::array<uint8_t, 16> tag;
  gcm.seal(nonce, ad, data, tag);
  EXPECT_EQ(to_hex(data) + to_hex(tag), "a5d12a2d94b8ccb3ba55558229867dc13bfa3648");
}

TEST(Discv5Packet, NoVectorCutShortIsReadAndNothingElseIsDisturbed) {
  for (const char* name : {"v5.1-ping-message.txt", "v5.1-whoareyou.txt", "v5.1-ping-handshake.txt",
                           "v5.1-ping-handshake-enr.txt"}) {
    const VectorFile file = load(name);
    Unmasker unmasker(file.id("dest-node-id"));
    const bool is_whoareyou = file.packet.size() == kWhoareyouSize;
    for (size_t size = 0; size < file.packet.size(); ++size) {
      std::vector<uint8_t> cut(file.packet.begin(),
                               file.packet.begin() + static_cast<ptrdiff_t>(size));
      const auto packet = unmasker.read(cut);
      // What is cut off its tag or record is whole in form; the tag does not match then.
      if (size < kMinPacket || is_whoareyou) {
        EXPECT_FALSE(packet) << name << " " << size;
      } else if (packet) {
        EXPECT_LE(packet->head.size() + packet->sealed.size(), size);
      }
    }
  }
}

TEST(Discv5Packet, ForeignDatagramsStayAsTheyWere) {
  Rng rng(uint64_t{11});
  Unmasker unmasker(NodeId{});
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint8_t> bytes(rng.below(1400));
    rng.fill(bytes);
    const auto before = bytes;
    const auto packet = unmasker.read(bytes);
    ASSERT_FALSE(packet);
    EXPECT_EQ(bytes, before);
    if (bytes.size() >= kMinPacket && bytes.size() <= kMaxPacket) {
      EXPECT_EQ(packet.error().code, Code::mismatch);
    }
  }
}

TEST(Discv5Packet, WrongVersionFlagAndSizesAreRefusedByName) {
  const VectorFile file = load("v5.1-whoareyou.txt");
  const NodeId self = file.id("dest-node-id");
  const auto challenge = file.bytes("whoareyou.challenge-data");
  const auto read = [&](size_t at, uint8_t value, size_t more) {
    std::vector<uint8_t> bytes = challenge;
    bytes[at] = value;
    bytes.resize(bytes.size() + more);
    bytes.resize(std::max(bytes.size(), kMaxPacket));
    mask(bytes, kWhoareyouSize, self);
    bytes.resize(challenge.size() + more);
    Unmasker unmasker(self);
    const auto packet = unmasker.read(bytes);
    return packet ? std::string("read") : to_string(packet.error());
  };
  EXPECT_EQ(read(16, 'd', 0), "read");
  EXPECT_EQ(read(16, 'x', 0), "mismatch at discv5.protocol_id+16 (peer)");
  EXPECT_EQ(read(23, 2, 0), "bad_version at discv5.version+22 (peer)");
  EXPECT_EQ(read(24, 3, 0), "bad_encoding at discv5.flag+24 (peer)");
  EXPECT_EQ(read(38, 23, 0), "bad_encoding at discv5.authdata_size (peer)");
  EXPECT_EQ(read(37, 255, 0), "truncated at discv5.authdata (peer)");
  EXPECT_EQ(read(16, 'd', 1), "trailing at discv5.whoareyou (peer)");
  EXPECT_EQ(read(24, 0, 40), "bad_encoding at discv5.authdata_size (peer)");
  EXPECT_EQ(read(24, 2, 40), "truncated at discv5.authdata (peer)");
}

TEST(Discv5Message, EveryMessageComesBackAsItWasWritten) {
  const RequestId id{{0, 1, 2, 3, 4, 5, 6, 7}, 8};  // a large request id, with a zero in front
  std::vector<uint8_t> out;
  const auto again = [&]() {
    const auto message = decode_message(out);
    EXPECT_TRUE(message) << (message ? "" : to_string(message.error()));
    return message ? *message : Message{};
  };
  append(out, Ping{id, 77});
  EXPECT_EQ(std::get<Ping>(again()).enr_seq, 77u);
  EXPECT_EQ(std::get<Ping>(again()).id, id);
  out.clear();
  append(out, Pong{RequestId{}, 1, Endpoint::loopback(9000)});
  EXPECT_EQ(std::get<Pong>(again()).recipient, Endpoint::loopback(9000));
  EXPECT_EQ(std::get<Pong>(again()).id.size, 0);
  out.clear();
  const std::array<uint16_t, 5> distances = {256, 0, 256, 257, 1};
  append_find_node(out, id, distances);
  const auto find = std::get<FindNode>(again());
  std::array<uint16_t, kMaxDistances> wanted;
  const size_t count = distances_of(find, wanted);
  EXPECT_EQ(std::vector<uint16_t>(wanted.begin(), wanted.begin() + static_cast<ptrdiff_t>(count)),
            (std::vector<uint16_t>{256, 0, 1}));
  out.clear();
  append(out, TalkRequest{id, as_bytes("eth2"), as_bytes("hello")});
  EXPECT_EQ(as_text(std::get<TalkRequest>(again()).protocol), "eth2");
  EXPECT_EQ(as_text(std::get<TalkRequest>(again()).request), "hello");
  out.clear();
  append(out, TalkResponse{id, {}});
  EXPECT_TRUE(std::get<TalkResponse>(again()).response.empty());
  out.clear();
  append_nodes(out, id, 3, {});
  EXPECT_EQ(std::get<Nodes>(again()).total, 3u);
  EXPECT_TRUE(std::get<Nodes>(again()).records.at_end());
}

TEST(Discv5Message, WrongMessagesAreRefusedByName) {
  const auto error = [](const char* hex) {
    const auto bytes = *parse_hex(hex);
    const auto message = decode_message(bytes);
    return message ? std::string("read") : to_string(message.error());
  };
  EXPECT_EQ(error("01c20101"), "read");
  EXPECT_EQ(error(""), "truncated at discv5.message_type (peer)");
  EXPECT_EQ(error("07c20101"), "unsupported at discv5.message_type (peer)");
  EXPECT_EQ(error("01c2010100"), "trailing at discv5.message+3 (peer)");
  EXPECT_EQ(error("01c3010101").substr(0, 26), "trailing at discv5.message");
  EXPECT_EQ(error("01cb8901020304050607080901").substr(0, 30), "too_long at discv5.request_id+");
  EXPECT_EQ(error("02ca0101847f000001831388ff").substr(0, 2), "tr");
  EXPECT_EQ(error("02c9010183010203821388").substr(0, 39),
            "bad_encoding at discv5.recipient_ip (pe");
}

Nonce nonce_of(uint32_t count, uint64_t rest) {
  Nonce nonce{};
  for (size_t i = 0; i < 4; ++i) nonce[i] = static_cast<uint8_t>(count >> (24 - 8 * i));
  std::memcpy(&nonce[4], &rest, sizeof(rest));
  return nonce;
}

// Against a set of all that were taken, with counts that come late, are left out and repeated.
TEST(ReplayWindowTest, TakesEachCountOnceAndRefusesWhatIsTooOld) {
  Rng rng(uint64_t{1});
  ReplayWindow window;
  std::set<uint32_t> taken;
  uint32_t newest = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t count =
        rng.chance(1, 100)
            ? newest + static_cast<uint32_t>(rng.below(3000))
            : newest + 8 - static_cast<uint32_t>(rng.below(std::min(newest + 8, 1200u) + 1));
    const bool too_old = count + ReplayWindow::kWindow <= newest;
    ASSERT_EQ(window.take(nonce_of(count, rng.next())), !too_old && !taken.contains(count)) << i;
    taken.insert(count);
    newest = std::max(newest, count);
  }
  EXPECT_FALSE(window.full());
  EXPECT_EQ(window.memory(), 0u);
}

TEST(ReplayWindowTest, KeepsAllRandomNoncesUntilItIsFull) {
  Rng rng(uint64_t{2});
  ReplayWindow window;
  std::vector<Nonce> taken;
  while (!window.full()) {
    taken.push_back(nonce_of(0x80000000u | static_cast<uint32_t>(rng.next()), rng.next()));
    ASSERT_TRUE(window.take(taken.back()));
  }
  EXPECT_EQ(taken.size(), ReplayWindow::kMaxKept);
  for (const Nonce& nonce : taken) EXPECT_FALSE(window.take(nonce));
  EXPECT_FALSE(window.take(nonce_of(~0u, 1))) << "it cannot be kept";
  EXPECT_LE(window.memory(), 16'384u);
}

TEST(ReplayWindowTest, ALeapThatIsNoCountMakesItFull) {
  ReplayWindow window;
  EXPECT_TRUE(window.take(nonce_of(7, 1)));
  EXPECT_TRUE(window.take(nonce_of(0x90000000, 2)));
  EXPECT_TRUE(window.full());
}

}  // namespace
}  // namespace beamline::discv5
