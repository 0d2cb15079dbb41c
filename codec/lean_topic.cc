#include "codec/lean_topic.h"

#include <charconv>

namespace beamline {
namespace {

constexpr std::string_view kPrefix = "/leanconsensus/";
constexpr std::string_view kSuffix = "/ssz_snappy";
constexpr std::string_view kBlock = "block";
constexpr std::string_view kAggregation = "aggregation";
constexpr std::string_view kAttestation = "attestation_";

Result<uint64_t> parse_subnet(std::string_view digits, size_t offset) {
  if (digits.size() > 1 && digits[0] == '0') {
    return bad_input(Code::non_canonical, "topic.subnet", offset);
  }
  uint64_t subnet = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, subnet);
  if (error == std::errc::result_out_of_range) {
    return bad_input(Code::out_of_range, "topic.subnet", offset);
  }
  if (digits.empty() || stop != end) return bad_input(Code::bad_encoding, "topic.subnet", offset);
  return subnet;
}

}  // namespace

Result<LeanTopic> LeanTopic::parse(std::string_view text) {
  if (text.size() > kMaxText) return bad_input(Code::too_long, "topic", kMaxText);
  if (!text.starts_with(kPrefix)) return bad_input(Code::bad_encoding, "topic.prefix");
  if (text.size() < kPrefix.size() + kSuffix.size() || !text.ends_with(kSuffix)) {
    return bad_input(Code::unsupported, "topic.encoding", text.size());
  }
  const std::string_view middle =
      text.substr(kPrefix.size(), text.size() - kPrefix.size() - kSuffix.size());
  const size_t slash = middle.find('/');
  if (slash == middle.npos || slash == 0) {
    return bad_input(Code::bad_encoding, "topic.network", kPrefix.size());
  }
  if (slash > kMaxNetwork) return bad_input(Code::too_long, "topic.network", kPrefix.size());
  LeanTopic topic;
  topic.network = middle.substr(0, slash);
  const std::string_view name = middle.substr(slash + 1);
  const size_t name_at = kPrefix.size() + slash + 1;
  if (name == kBlock) return topic;
  if (name == kAggregation) {
    topic.kind = LeanTopicKind::aggregation;
    return topic;
  }
  if (!name.starts_with(kAttestation)) return bad_input(Code::unsupported, "topic.name", name_at);
  const Result<uint64_t> subnet =
      parse_subnet(name.substr(kAttestation.size()), name_at + kAttestation.size());
  if (!subnet) return std::unexpected(subnet.error());
  topic.kind = LeanTopicKind::attestation;
  topic.subnet = *subnet;
  return topic;
}

std::string LeanTopic::to_text() const {
  std::string text(kPrefix);
  text.append(network).append("/");
  if (kind == LeanTopicKind::attestation) {
    text.append(kAttestation).append(std::to_string(subnet));
  } else {
    text.append(kind == LeanTopicKind::block ? kBlock : kAggregation);
  }
  return text.append(kSuffix);
}

}  // namespace beamline
