#include "codec/topic.h"

#include "base/check.h"
#include "codec/hex.h"

namespace beamline {
namespace {

struct Description {
  std::string_view name;
  uint16_t subnets;
};

// By TopicKind.
constexpr Description kDescriptions[] = {
    {"beacon_block", 0},
    {"beacon_aggregate_and_proof", 0},
    {"beacon_attestation", 64},
    {"voluntary_exit", 0},
    {"proposer_slashing", 0},
    {"attester_slashing", 0},
    {"sync_committee_contribution_and_proof", 0},
    {"sync_committee", 4},
    {"light_client_finality_update", 0},
    {"light_client_optimistic_update", 0},
    {"bls_to_execution_change", 0},
    {"blob_sidecar", 9},
    {"data_column_sidecar", 128},
};

constexpr std::string_view kPrefix = "/eth2/";
constexpr std::string_view kSuffix = "/ssz_snappy";
constexpr size_t kDigestText = 8;

const Description& describe(TopicKind kind) { return kDescriptions[static_cast<size_t>(kind)]; }

// The number behind "<name>_".
Result<uint16_t> parse_subnet(std::string_view text, uint16_t count, size_t offset) {
  if (text.empty() || text.size() > 3) return bad_input(Code::bad_encoding, "topic.subnet", offset);
  uint16_t subnet = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return bad_input(Code::bad_encoding, "topic.subnet", offset);
    subnet = static_cast<uint16_t>(subnet * 10 + (c - '0'));
  }
  if (text[0] == '0' && text.size() > 1)
    return bad_input(Code::non_canonical, "topic.subnet", offset);
  if (subnet >= count) return bad_input(Code::out_of_range, "topic.subnet", offset);
  return subnet;
}

Status parse_name(std::string_view text, size_t offset, Topic& topic) {
  for (size_t i = 0; i < std::size(kDescriptions); ++i) {
    const Description& entry = kDescriptions[i];
    topic.kind = static_cast<TopicKind>(i);
    if (entry.subnets == 0) {
      if (text == entry.name) return {};
      continue;
    }
    // "sync_committee_" also begins a name without subnets: digits decide.
    if (!text.starts_with(entry.name) || text.size() == entry.name.size()) continue;
    const std::string_view rest = text.substr(entry.name.size());
    if (rest[0] != '_' || rest.size() < 2 || rest[1] < '0' || rest[1] > '9') continue;
    const auto subnet = parse_subnet(rest.substr(1), entry.subnets, offset + entry.name.size() + 1);
    if (!subnet) return std::unexpected(subnet.error());
    topic.subnet = *subnet;
    return {};
  }
  return bad_input(Code::unsupported, "topic.name", offset);
}

}  // namespace

uint16_t subnet_count(TopicKind kind) { return describe(kind).subnets; }
std::string_view name(TopicKind kind) { return describe(kind).name; }

Result<Topic> Topic::parse(std::string_view text) {
  if (text.size() > kMaxText) return bad_input(Code::too_long, "topic");
  const size_t name_at = kPrefix.size() + kDigestText + 1;
  if (!text.starts_with(kPrefix)) return bad_input(Code::bad_encoding, "topic.prefix");
  if (text.size() < name_at || text[name_at - 1] != '/') {
    return bad_input(Code::bad_encoding, "topic.fork_digest", kPrefix.size());
  }
  Topic topic;
  const std::string_view digest = text.substr(kPrefix.size(), kDigestText);
  if (digest.find_first_not_of("0123456789abcdef") != std::string_view::npos ||
      !parse_hex_into(digest, topic.digest.bytes)) {
    return bad_input(Code::bad_encoding, "topic.fork_digest", kPrefix.size());
  }
  const std::string_view rest = text.substr(name_at);
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return bad_input(Code::bad_encoding, "topic", text.size());
  if (rest.substr(slash) != kSuffix) {
    return bad_input(Code::unsupported, "topic.encoding", name_at + slash);
  }
  if (const Status status = parse_name(rest.substr(0, slash), name_at, topic); !status) {
    return std::unexpected(status.error());
  }
  return topic;
}

std::string Topic::to_text() const {
  const Description& entry = describe(kind);
  BL_CHECK(entry.subnets == 0 ? subnet == 0 : subnet < entry.subnets);
  std::string text(kPrefix);
  text += to_hex(digest.view());
  text += '/';
  text += entry.name;
  if (entry.subnets != 0) {
    text += '_';
    text += std::to_string(subnet);
  }
  text += kSuffix;
  return text;
}

}  // namespace beamline
