// A signed beacon block in place: what gossip, req/resp and the chain look at, whatever its fork.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/beacon_types.h"
#include "codec/preset.h"
#include "codec/root.h"
#include "codec/ssz.h"

namespace beamline {

using BlsSignature = std::array<uint8_t, 96>;

// A view over checked bytes of a SignedBeaconBlock. The bytes and the types must outlive it.
class SignedBlockView {
 public:
  // Checks the whole block. unsupported: the types have no such fork; else the errors of ssz::View.
  static Result<SignedBlockView> parse(const BeaconTypes& types, Fork fork, Bytes bytes);
  // REQUIRES: parse() of the same bytes succeeded before.
  static SignedBlockView trust(const BeaconTypes& types, Fork fork, Bytes bytes);
  // The slot alone, to find the fork before parse(): truncated or bad_offset when there is none.
  static Result<Slot> peek_slot(Bytes bytes);

  Slot slot() const;
  ValidatorIndex proposer_index() const;
  Root parent_root() const;
  Root state_root() const;
  BlsSignature signature() const;
  Bytes bytes() const { return signed_.bytes(); }
  // The BeaconBlock, and its BeaconBlockBody.
  ssz::View message() const { return signed_.field(0); }
  ssz::View body() const { return message().field(4); }

  // hash_tree_root(BeaconBlock): the block's root. Hashes the whole block: keep the result.
  Root block_root(ssz::Hasher& hasher) const { return hasher.hash_tree_root(message()); }
  // hash_tree_root(BeaconBlockBody).
  Root body_root(ssz::Hasher& hasher) const { return hasher.hash_tree_root(body()); }

 private:
  explicit SignedBlockView(ssz::View view) : signed_(view) {}
  ssz::View signed_;
};

// BeaconBlockHeader.
struct BeaconBlockHeader {
  static constexpr size_t kSize = 112;
  Slot slot = 0;
  ValidatorIndex proposer_index = 0;
  Root parent_root;
  Root state_root;
  Root body_root;
  static const ssz::Type& ssz_type();
  friend bool operator==(const BeaconBlockHeader&, const BeaconBlockHeader&) = default;
};

// The bytes of a phase0 SignedBeaconBlock with an empty body: for simulations and tests, which need
// chains of blocks that differ where they are told to.
struct EmptyBlock {
  Slot slot = 0;
  ValidatorIndex proposer_index = 0;
  Root parent_root;
  Root state_root;
  Hash256 graffiti;
  BlsSignature signature{};
};
std::vector<uint8_t> encode_empty_block(const EmptyBlock& block);

}  // namespace beamline
