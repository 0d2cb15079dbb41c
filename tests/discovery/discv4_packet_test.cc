// discv4's packets against the official ones of EIP-8, and against garbage.
#include "discovery/discv4_packet.h"

#include "codec/hex.h"
#include "tests/discovery/eip8_packets.h"

namespace beamline::discv4 {
namespace {

constexpr uint64_t kExpiration = 1136239445;

secp256k1::SecretKey eip8_key() {
  return std::move(*secp256k1::SecretKey::parse(*parse_hex(kEip8Key)));
}
Endpoint at(const char* text) { return *Endpoint::parse(text); }

// Reads one, and checks that the key of the EIP signed it.
template <class What>
What read(const char* hex, std::vector<uint8_t>& bytes) {
  bytes = *parse_hex(hex);
  const auto packet = read_packet(bytes);
  EXPECT_TRUE(packet) << (packet ? "" : to_string(packet.error()));
  if (!packet) return {};
  const auto sender = recover_sender(*packet);
  EXPECT_TRUE(sender && *sender == eip8_key().public_key());
  EXPECT_TRUE(std::holds_alternative<What>(packet->message));
  if (!std::holds_alternative<What>(packet->message)) return {};
  return std::get<What>(packet->message);
}

TEST(Discv4Eip8, PingOfVersion4WithMoreItems) {
  std::vector<uint8_t> bytes;
  const auto ping = read<Ping>(kPing4, bytes);
  EXPECT_EQ(ping.version, 4u);
  EXPECT_EQ(ping.from.udp, at("127.0.0.1:3322"));
  EXPECT_EQ(ping.from.tcp_port, 5544);
  EXPECT_EQ(ping.to.udp, at("[::1]:2222"));
  EXPECT_EQ(ping.to.tcp_port, 3333);
  EXPECT_EQ(ping.expiration, kExpiration);
  EXPECT_EQ(ping.enr_seq, 1u);  // EIP-868 took this place later
}

TEST(Discv4Eip8, PingOfVersion555WithMoreItemsAndTrailingData) {
  std::vector<uint8_t> bytes;
  const auto ping = read<Ping>(kPing555, bytes);
  EXPECT_EQ(ping.version, 555u);
  EXPECT_EQ(ping.from.udp, at("[2001:db8:3c4d:15::abcd:ef12]:3322"));
  EXPECT_EQ(ping.to.udp, at("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:2222"));
  EXPECT_EQ(ping.to.tcp_port, 33338);
  EXPECT_EQ(ping.expiration, kExpiration);
  EXPECT_EQ(ping.enr_seq, std::nullopt);  // a list stands there
}

TEST(Discv4Eip8, PongWithMoreItemsAndTrailingData) {
  std::vector<uint8_t> bytes;
  const auto pong = read<Pong>(kPong, bytes);
  EXPECT_EQ(to_hex(pong.ping_hash.view()),
            "fbc914b16819237dcd8801d7e53f69e9719adecb3cc0e790c57e91ca4461c954");
  EXPECT_EQ(pong.to.udp, at("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:2222"));
  EXPECT_EQ(pong.expiration, kExpiration);
}

TEST(Discv4Eip8, FindNodeWithMoreItemsAndTrailingData) {
  std::vector<uint8_t> bytes;
  const auto find = read<FindNode>(kFindNode, bytes);
  EXPECT_EQ(to_hex(find.target), to_hex(raw_key(eip8_key().public_key())));
  EXPECT_EQ(find.expiration, kExpiration);
}

TEST(Discv4Eip8, NeighborsWithMoreItemsAndTrailingData) {
  std::vector<uint8_t> bytes;
  auto neighbors = read<Neighbors>(kNeighbors, bytes);
  EXPECT_EQ(neighbors.expiration, kExpiration);
  std::vector<Endpoint> found;
  while (!neighbors.nodes.at_end()) {
    const auto neighbor = read_neighbor(neighbors.nodes);
    ASSERT_TRUE(neighbor) << to_string(neighbor.error());
    EXPECT_TRUE(parse_raw_key(neighbor->key));
    found.push_back(neighbor->place.udp);
  }
  EXPECT_EQ(found, (std::vector<Endpoint>{at("99.33.22.55:4444"), at("1.2.3.4:1"),
                                          at("[2001:db8:3c4d:15::abcd:ef12]:3333"),
                                          at("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:999")}));
}

TEST(Discv4Packet, EveryPacketComesBackAsItWasWritten) {
  Rng rng(uint64_t{5});
  const auto key = secp256k1::SecretKey::generate(rng);
  std::array<uint8_t, kMaxPacket> out;
  std::vector<uint8_t> data;
  const auto again = [&](uint8_t type) {
    const Sealed sealed = seal_packet(out, type, data, key);
    data.clear();
    auto packet = read_packet(Bytes(out).first(sealed.size));
    EXPECT_TRUE(packet) << (packet ? "" : to_string(packet.error()));
    EXPECT_EQ(packet->hash, sealed.hash);
    EXPECT_EQ(*recover_sender(*packet), key.public_key());
    return packet->message;
  };
  const Place here{at("127.0.0.1:30303"), 30304};
  append(data, Ping{4, here, {at("[::1]:1"), 0}, 99, 12});
  const auto ping = std::get<Ping>(again(Ping::kType));
  EXPECT_EQ(ping.from.udp, here.udp);
  EXPECT_EQ(ping.from.tcp_port, 30304);
  EXPECT_EQ(ping.enr_seq, 12u);
  append(data, Pong{here, Hash256{{1, 2}}, 99, std::nullopt});
  EXPECT_EQ(std::get<Pong>(again(Pong::kType)).ping_hash, (Hash256{{1, 2}}));
  append(data, FindNode{raw_key(key.public_key()), 7});
  EXPECT_EQ(std::get<FindNode>(again(FindNode::kType)).expiration, 7u);
  append(data, EnrRequest{8});
  EXPECT_EQ(std::get<EnrRequest>(again(EnrRequest::kType)).expiration, 8u);
  const Enr record = *EnrBuilder().sign(key);
  append(data, EnrResponse{Hash256{{9}}, record.bytes()});
  EXPECT_TRUE(equal(std::get<EnrResponse>(again(EnrResponse::kType)).record, record.bytes()));
}

TEST(Discv4Packet, TwelveNeighborsWithIpv6AddressesFitIntoOnePacket) {
  Rng rng(uint64_t{6});
  const auto key = secp256k1::SecretKey::generate(rng);
  std::vector<uint8_t> items, data;
  for (size_t i = 0; i < kMaxNeighbors; ++i) {
    append_neighbor(items, {at("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535"), 65535},
                    raw_key(key.public_key()));
  }
  append_neighbors(data, items, UINT64_MAX);
  EXPECT_LE(kHeadSize + data.size(), kMaxPacket);
}

TEST(Discv4Packet, EveryChangedOrMissingByteIsRefused) {
  std::vector<uint8_t> bytes = *parse_hex(kPing555);
  ASSERT_TRUE(read_packet(bytes));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 1;
    EXPECT_FALSE(read_packet(bytes)) << i;
    bytes[i] ^= 1;
    EXPECT_FALSE(read_packet(Bytes(bytes).first(i))) << i;
  }
  bytes.resize(kMaxPacket + 1);
  EXPECT_EQ(read_packet(bytes).error().code, Code::too_long);
}

TEST(Discv4Packet, UnknownTypesAndWrongBodiesAreRefusedByName) {
  Rng rng(uint64_t{7});
  const auto key = secp256k1::SecretKey::generate(rng);
  std::array<uint8_t, kMaxPacket> out;
  const auto error = [&](uint8_t type, const char* data) {
    const Sealed sealed = seal_packet(out, type, *parse_hex(data), key);
    const auto packet = read_packet(Bytes(out).first(sealed.size));
    return packet ? std::string("read") : to_string(packet.error());
  };
  EXPECT_EQ(error(66, "c0"), "unsupported at discv4.type+97 (peer)");
  EXPECT_EQ(error(0, "c0"), "unsupported at discv4.type+97 (peer)");
  EXPECT_EQ(error(5, "c105"), "read");
  EXPECT_EQ(error(5, "c20506aabb"), "read");
  EXPECT_EQ(error(5, "c0").substr(0, 30), "truncated at discv4.expiration");
  EXPECT_EQ(error(5, "05").substr(0, 27), "bad_encoding at discv4.data");
  EXPECT_EQ(error(3, "c20105").substr(0, 34), "mismatch at discv4.findnode.target");
  EXPECT_EQ(error(1, "ca04c3808080c380808005"), "read");  // empty addresses: nobody relies on them
  EXPECT_EQ(error(1, "cc04c3808080c3808080820005").substr(0, 13), "non_canonical");
}

}  // namespace
}  // namespace beamline::discv4
