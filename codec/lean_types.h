// Lean consensus's containers as SSZ types (leanEthereum/leanSpec, spec/forks/lstar/containers and
// spec/crypto/xmss), for one preset. Made once at start-up, read-only and thread safe afterwards;
// views point into it. The state, blocks without their signatures and single-message aggregates
// have an owned form too (lean_state.h, lean_block.h); the rest is looked at in place.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "codec/ssz.h"

namespace beamline {

// leanSpec's forks/lstar/config.py and xmss/constants.py, as data.
struct LeanPreset {
  const char* name;
  uint64_t historical_roots_limit;
  uint64_t validator_registry_limit;
  uint64_t max_request_blocks;
  uint64_t max_proof_size;  // bytes
  // The signature scheme.
  uint64_t log_lifetime;
  uint64_t dimension;
  uint64_t parameter_length;  // these three in field elements
  uint64_t randomness_length;
  uint64_t digest_length;

  static const LeanPreset& prod();
  static const LeanPreset& test();
  // "prod" or "test" (a vector's "leanEnv"); null for others.
  static const LeanPreset* find(std::string_view name);
};

// The order of the KoalaBear field: integers on the wire are below it.
inline constexpr uint64_t kKoalaBearOrder = 2'130'706'433;

class LeanTypes {
 public:
  struct Entry {
    std::string_view name;  // as the specification has it: "SignedBlock"
    const ssz::Type* type = nullptr;
  };

  explicit LeanTypes(const LeanPreset& preset);
  ~LeanTypes();
  LeanTypes(const LeanTypes&) = delete;
  LeanTypes& operator=(const LeanTypes&) = delete;

  const LeanPreset& preset() const { return *preset_; }
  // Null where there is no such container. For start-up: it searches.
  const ssz::Type* find(std::string_view name) const;
  std::span<const Entry> all() const;

  const ssz::Type& signed_block() const { return *signed_block_; }
  const ssz::Type& signed_attestation() const { return *signed_attestation_; }
  const ssz::Type& signed_aggregated_attestation() const { return *signed_aggregate_; }
  const ssz::Type& state() const { return *state_; }
  const ssz::Type& block() const { return *block_; }
  const ssz::Type& block_body() const { return *block_body_; }
  const ssz::Type& block_header() const { return *block_header_; }
  const ssz::Type& attestation_data() const { return *attestation_data_; }

  // ssz::View::parse, and what the specification checks besides when it decodes: in a list of
  // validators, alone or in a state, each index is its position (mismatch, field "index").
  Result<ssz::View> parse(const ssz::Type& type, Bytes bytes) const;

 private:
  struct Impl;
  const LeanPreset* preset_;
  std::unique_ptr<Impl> impl_;
  const ssz::Type* signed_block_ = nullptr;
  const ssz::Type* signed_attestation_ = nullptr;
  const ssz::Type* signed_aggregate_ = nullptr;
  const ssz::Type* state_ = nullptr;
  const ssz::Type* block_ = nullptr;
  const ssz::Type* block_body_ = nullptr;
  const ssz::Type* block_header_ = nullptr;
  const ssz::Type* attestation_data_ = nullptr;
  const ssz::Type* validators_ = nullptr;
};

}  // namespace beamline
