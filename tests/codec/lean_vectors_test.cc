// leanSpec's vectors for the formats of codec/. gossipsub_rpc and reqresp_* are read by the folders
// that speak them.

#include <deque>
#include <regex>

#include "codec/enr.h"
#include "codec/hex.h"
#include "codec/lean_state.h"
#include "codec/lean_topic.h"
#include "codec/lean_types.h"
#include "codec/message_id.h"
#include "codec/multiaddr.h"
#include "codec/peer_id.h"
#include "codec/reqresp_messages.h"
#include "codec/snappy.h"
#include "codec/snappy_frame.h"
#include "codec/uvarint.h"
#include "tests/vectors/lean.h"

namespace beamline {
namespace {

using lean_vectors::Case;
using lean_vectors::Json;
using ssz::Kind;
using ssz::Type;
using ssz::View;

std::vector<uint8_t> bytes_of(const Json& json, const char* key) {
  return *parse_hex(json.at(key).get<std::string>(), 1 << 24);
}

// "proposer_index" as "proposerIndex".
std::string camel_case(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool upper = name[i] == '_' && i + 1 < name.size();
    if (upper) ++i;
    out.push_back(upper ? static_cast<char>(std::toupper(name[i])) : name[i]);
  }
  return out;
}

uint64_t integer_of(const Json& json) {
  if (json.is_number()) return json.get<uint64_t>();
  std::smatch digits;
  const auto text = json.get<std::string>();
  EXPECT_TRUE(std::regex_search(text, digits, std::regex("[0-9]+"))) << text;
  return std::stoull(digits.str());
}

// Whether a view shows the value that a vector tells.
bool shows(const View& view, const Json& outer) {
  const Type& type = view.type();
  const Json& json = outer.is_object() && outer.size() == 1 && outer.contains("data") &&
                             type.kind != Kind::container
                         ? outer.at("data")
                         : outer;
  if (json.is_string() && json.get<std::string>().starts_with("0x")) {
    return equal(view.bytes(), *parse_hex(json.get<std::string>()));
  }
  switch (type.kind) {
    case Kind::boolean:
      return view.as_bool() == json.get<bool>();
    case Kind::uint:
      return view.as_uint() == integer_of(json);
    case Kind::bitvector:
    case Kind::bitlist:
      for (size_t i = 0; i < json.size() && i < view.size(); ++i) {
        if (view.bit(i) != json.at(i).get<bool>()) return false;
      }
      return view.size() == json.size();
    case Kind::vector:
    case Kind::list:
      for (size_t i = 0; i < json.size() && i < view.size(); ++i) {
        if (!shows(view.at(i), json.at(i))) return false;
      }
      return view.size() == json.size();
    case Kind::container:
      for (size_t i = 0; i < view.size(); ++i) {
        if (!shows(view.field(i), json.at(camel_case(type.fields[i].name)))) return false;
      }
      return view.size() == json.size();
  }
  return false;
}

// The types of the vectors: lean's, the basic ones, and samples that say their shape by their name.
class Types {
 public:
  const Type* find(const std::string& name, const LeanTypes& lean) {
    static const std::pair<const char*, const Type*> kBasic[] = {
        {"Boolean", &ssz::kBoolean}, {"Uint8", &ssz::kUint8},     {"Uint16", &ssz::kUint16},
        {"Uint32", &ssz::kUint32},   {"Uint64", &ssz::kUint64},   {"Bytes4", &ssz::kBytes4},
        {"Bytes32", &ssz::kBytes32}, {"Bytes48", &ssz::kBytes48}, {"Bytes96", &ssz::kBytes96}};
    for (const auto& [known, type] : kBasic) {
      if (name == known) return type;
    }
    if (name == "AttestationSubnets") return &keep(ssz::bitvector("attnets", 64));
    if (const Type* type = lean.find(name)) return type;
    std::smatch parts;
    static const std::regex kSample(
        "(?:Sample|Boundary|Decode|Smoke)?(Uint16|Uint32|Uint64|Bytes32)?(Bitvector|Bitlist|Vector"
        "|List|Bytes)([0-9]+)");
    if (!std::regex_match(name, parts, kSample)) return nullptr;
    const uint64_t length = std::stoull(parts[3]);
    if (parts[2] == "Bitvector") return &keep(ssz::bitvector("bits", length));
    if (parts[2] == "Bitlist") return &keep(ssz::bitlist("bits", length));
    if (parts[2] == "Bytes") return &keep(ssz::vector_of("bytes", ssz::kUint8, length));
    const Type* element = find(parts[1], lean);
    if (element == nullptr) return nullptr;
    return &keep(parts[2] == "Vector" ? ssz::vector_of("vector", *element, length)
                                      : ssz::list_of("list", *element, length));
  }

 private:
  const Type& keep(Type type) { return types_.emplace_back(type); }
  std::deque<Type> types_;
};

// An owned value comes back as the same bytes, with the same root.
bool owned_agrees(const Type& type, Bytes bytes, const Root& root) {
  LeanState state;
  if (type.value_size != sizeof(state)) return true;
  std::vector<uint8_t> again;
  ssz::Hasher hasher;
  return ssz::decode_value(type, bytes, &state) && ssz::encode_value(type, &state, again) &&
         equal(again, bytes) && *ssz::root_of_value(type, &state, hasher) == root;
}

TEST(LeanVectors, Ssz) {
  const LeanTypes test(LeanPreset::test()), prod(LeanPreset::prod());
  Types types;
  ssz::Hasher hasher;
  lean_vectors::each("lean/ssz", [&](const Case& one) {
    const LeanTypes& lean = one.json.at("leanEnv") == "prod" ? prod : test;
    const Type* type = types.find(one.json.at("typeName"), lean);
    EXPECT_NE(type, nullptr) << "no type " << one.json.at("typeName");
    if (type == nullptr) return false;
    const std::vector<uint8_t> bytes = bytes_of(one.json, "serialized");
    const auto view = lean.parse(*type, bytes);
    if (one.is_rejection()) return !view && view.error().fault == Fault::peer;
    if (!view) {
      ADD_FAILURE() << to_string(view.error());
      return false;
    }
    const Root root = *parse_hash256(one.json.at("root").get<std::string>());
    return hasher.hash_tree_root(*view) == root && shows(*view, one.json.at("value")) &&
           owned_agrees(*type, bytes, root);
  });
}

TEST(LeanVectors, Varint) {
  lean_vectors::each("lean/varint", [](const Case& one) {
    const Json& codec = one.json.at("codec");
    if (one.is_rejection()) {
      const std::vector<uint8_t> raw = bytes_of(codec, "rawBytes");
      Bytes input = raw;
      return !take_uvarint(input, "varint");
    }
    const std::vector<uint8_t> encoded = bytes_of(one.json.at("output"), "encoded");
    std::vector<uint8_t> written;
    append_uvarint(codec.at("value"), written);
    Bytes input = encoded;
    const auto value = take_uvarint(input, "varint");
    return written == encoded && value && *value == codec.at("value").get<uint64_t>() &&
           input.empty() &&
           uvarint_size(*value) == one.json.at("output").at("byteLength").get<size_t>();
  });
}

TEST(LeanVectors, PeerId) {
  lean_vectors::each("lean/peer_id", [](const Case& one) {
    const std::vector<uint8_t> message = bytes_of(one.json.at("output"), "protobufEncoded");
    const std::string text = one.json.at("output").at("peerId");
    const std::vector<uint8_t> key = bytes_of(one.json.at("codec"), "publicKey");
    const PeerId id = PeerId::from_identity_key(message);
    const auto parsed = PeerId::parse_text(text);
    if (id.to_text() != text || !parsed || *parsed != id) return false;
    if (one.json.at("codec").at("keyType") != "secp256k1") return true;
    const auto point = secp256k1::PublicKey::parse(key);
    return point && PeerId::from_public_key(*point) == id && *id.public_key() == *point &&
           equal(encode_identity_key(*point), message);
  });
}

TEST(LeanVectors, GossipMessageId) {
  lean_vectors::each("lean/gossip_message_id", [](const Case& one) {
    const Json& codec = one.json.at("codec");
    const std::vector<uint8_t> topic = bytes_of(codec, "topic"), data = bytes_of(codec, "data");
    const SnappyDomain domain =
        codec.at("domain") == "0x01000000" ? SnappyDomain::valid : SnappyDomain::invalid;
    const MessageId id = message_id_altair(domain, as_text(topic), data);
    return equal(id.view(), bytes_of(one.json.at("output"), "messageId"));
  });
}

TEST(LeanVectors, GossipTopic) {
  lean_vectors::each("lean/gossip_topic", [](const Case& one) {
    const Json& codec = one.json.at("codec");
    const std::string text = one.json.at("output").at("topicString");
    const auto topic = LeanTopic::parse(text);
    if (!topic || topic->to_text() != text) return false;
    const std::string kind = codec.at("topicKind");
    const LeanTopicKind kinds = kind == "block"         ? LeanTopicKind::block
                                : kind == "attestation" ? LeanTopicKind::attestation
                                                        : LeanTopicKind::aggregation;
    bool right =
        topic->kind == kinds && topic->network == codec.at("networkName").get<std::string>();
    if (codec.contains("subnetId")) right &= topic->subnet == codec.at("subnetId").get<uint64_t>();
    if (codec.contains("expectedNetworkName")) {
      right &= (topic->network == codec.at("expectedNetworkName").get<std::string>()) ==
               one.json.at("output").at("forkValid").get<bool>();
    }
    return right;
  });
}

TEST(LeanVectors, SnappyBlock) {
  constexpr size_t kLimit = 1 << 20;
  lean_vectors::each("lean/snappy_block", [](const Case& one) {
    const std::vector<uint8_t> data = bytes_of(one.json.at("codec"), "data");
    const Json& output = one.json.at("output");
    const std::vector<uint8_t> compressed = bytes_of(output, "compressed");
    const auto back = snappy_uncompress(compressed, kLimit);
    if (!back || !equal(*back, data)) return false;
    const auto ours = snappy_uncompress(snappy_compress(data), kLimit);
    return ours && equal(*ours, data) &&
           compressed.size() == output.at("compressedLength").get<size_t>() &&
           *snappy_declared_size(compressed, kLimit) ==
               output.at("uncompressedLength").get<size_t>();
  });
}

bool frames_give(Bytes framed, Bytes data) {
  std::vector<uint8_t> out(data.size());
  SnappyFrameDecoder decoder;
  decoder.start(out);
  if (data.empty()) return decoder.done();
  const auto taken = decoder.feed(framed);
  return taken && *taken == framed.size() && decoder.done() && equal(out, data);
}

TEST(LeanVectors, SnappyFrame) {
  lean_vectors::each("lean/snappy_frame", [](const Case& one) {
    if (one.is_rejection()) {
      std::vector<uint8_t> out(100);
      SnappyFrameDecoder decoder;
      decoder.start(out);
      return !decoder.feed(bytes_of(one.json.at("codec"), "rawBytes"));
    }
    const std::vector<uint8_t> data = bytes_of(one.json.at("codec"), "data");
    std::vector<uint8_t> ours;
    append_snappy_frames(data, ours);
    return frames_give(bytes_of(one.json.at("output"), "framed"), data) && frames_give(ours, data);
  });
}

// What of a record is not as the vector tells; empty when all is right.
std::string wrong_in_record(const Enr& enr, const Json& output) {
  std::string wrong;
  const auto expect = [&](const char* key, const Json& ours) {
    const Json theirs = output.contains(key) ? output.at(key) : Json();
    if (theirs != ours) wrong += std::string(key) + " is " + ours.dump() + "; ";
  };
  const auto endpoint = [&](Enr::Transport transport) {
    return enr.endpoint(transport, Enr::Family::ip4);
  };
  const auto udp = endpoint(Enr::Transport::udp), quic = endpoint(Enr::Transport::quic);
  const auto dialled = quic ? quic : udp;
  expect("rlp", to_hex0x(enr.bytes()));
  expect("seq", enr.seq());
  expect("identityScheme", as_text(*enr.value("id")));
  expect("nodeId", to_hex0x(enr.node_id()));
  expect("publicKey", to_hex0x(enr.public_key().compressed()));
  expect("isAggregator", enr.is_aggregator());
  expect("signatureValid", enr.verify().has_value());
  expect("isValid", true);
  expect("udpPort", udp ? Json(udp->port()) : Json());
  expect("quicPort", quic ? Json(quic->port()) : Json());
  expect("ip4", udp ? Json(to_string(*udp).substr(0, to_string(*udp).find(':'))) : Json());
  expect("multiaddr", dialled ? Json(Multiaddr::quic(*dialled).to_text()) : Json());
  Json fork, subnets;
  if (const auto eth2 = enr.eth2()) {
    const EnrForkId id = *ssz::decode<EnrForkId>(*eth2);
    fork = {{"forkDigest", to_hex0x(id.fork_digest.view())},
            {"nextForkVersion", to_hex0x(id.next_fork_version)},
            {"nextForkEpoch", id.next_fork_epoch}};
  }
  expect("eth2Data", fork);
  if (const auto attnets = enr.attnets()) {
    subnets = Json::array();
    for (size_t i = 0; i < 64; ++i) {
      if (((*attnets)[i / 8] >> (i % 8) & 1) != 0) subnets.push_back(i);
    }
  }
  expect("attestationSubnets", subnets);
  return wrong;
}

TEST(LeanVectors, Enr) {
  lean_vectors::each("lean/enr", [](const Case& one) {
    const Json& codec = one.json.at("codec");
    if (one.is_rejection()) return !Enr::decode(bytes_of(codec, "rawBytes"));
    const std::string text = codec.at("enrString");
    const auto enr = Enr::decode_text(text);
    if (!enr || enr->to_text() != text) return false;
    EXPECT_EQ(wrong_in_record(*enr, one.json.at("output")), "");
    return wrong_in_record(*enr, one.json.at("output")).empty();
  });
}

}  // namespace
}  // namespace beamline
