// Gossip topics of lean consensus: /leanconsensus/<network>/<name>/ssz_snappy
// (leanEthereum/leanSpec, node/networking/gossipsub/topic.py). Its message ids are altair's
// (message_id.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace beamline {

enum class LeanTopicKind : uint8_t { block, attestation, aggregation };

struct LeanTopic {
  static constexpr size_t kMaxNetwork = 64;
  static constexpr size_t kMaxText = 128;

  LeanTopicKind kind = LeanTopicKind::block;
  std::string network;
  uint64_t subnet = 0;  // of attestation; 0 for the others

  // Errors as Topic::parse's: too_long, bad_encoding, unsupported, non_canonical, out_of_range.
  static Result<LeanTopic> parse(std::string_view text);
  std::string to_text() const;

  friend auto operator<=>(const LeanTopic&, const LeanTopic&) = default;
};

}  // namespace beamline
