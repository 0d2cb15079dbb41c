// Gossip topics of eth2: /eth2/<fork digest>/<name>/ssz_snappy (consensus-specs p2p-interface,
// "Topics and messages").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "codec/fork_digest.h"

namespace beamline {

enum class TopicKind : uint8_t {
  beacon_block,
  beacon_aggregate_and_proof,
  beacon_attestation,  // _{subnet}
  voluntary_exit,
  proposer_slashing,
  attester_slashing,
  sync_committee_contribution_and_proof,
  sync_committee,  // _{subnet}
  light_client_finality_update,
  light_client_optimistic_update,
  bls_to_execution_change,
  blob_sidecar,         // _{subnet}
  data_column_sidecar,  // _{subnet}
};

// How many subnets a kind has at most (64 for beacon_attestation); 0 for a kind without.
uint16_t subnet_count(TopicKind kind);
// "beacon_attestation".
std::string_view name(TopicKind kind);

struct Topic {
  ForkDigest digest;
  TopicKind kind = TopicKind::beacon_block;
  uint16_t subnet = 0;  // 0 for a kind without subnets

  static constexpr size_t kMaxText = 128;
  // Errors: too_long, bad_encoding (shape, digits, upper case), unsupported (name or encoding),
  // non_canonical (subnet with leading zeros), out_of_range (subnet).
  static Result<Topic> parse(std::string_view text);
  // REQUIRES: subnet < subnet_count(kind), or 0 when that is 0.
  std::string to_text() const;

  friend auto operator<=>(const Topic&, const Topic&) = default;
};

}  // namespace beamline
