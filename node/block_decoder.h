// Signed blocks from their bytes, on whatever thread received them: decompressed, checked, hashed.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "chain/block.h"
#include "codec/beacon_block.h"
#include "codec/lean_types.h"
#include "codec/preset.h"

namespace beamline::node {

// Which blocks a chain has. Read-only once made, for any thread.
class BlockFormat {
 public:
  struct ForkEpoch {
    Fork fork = Fork::phase0;
    Epoch epoch = 0;
  };
  // Beacon blocks. REQUIRES: forks rising in both, the first at epoch 0.
  BlockFormat(const Preset& preset, std::vector<ForkEpoch> forks);
  // Lean blocks.
  explicit BlockFormat(const LeanPreset& preset);

  bool lean() const { return lean_ != nullptr; }
  // REQUIRES: lean(); not lean(). The first stays where it is when the format is moved.
  const LeanTypes& lean_types() const { return *lean_; }
  const Preset& beacon_preset() const { return beacon_->preset(); }
  // The block of checked SSZ. Errors: those of parsing. `hasher` is the caller's own.
  Result<chain::BlockInfo> decode(SharedBytes ssz, ssz::Hasher& hasher) const;
  // Whether blocks of this chain come under this topic. unsupported: a topic of this kind of chain
  // that carries something else; else the errors of parsing it, local: topics are the host's.
  Status takes_topic(std::string_view topic) const;

 private:
  Fork fork_at(Slot slot) const;

  std::unique_ptr<BeaconTypes> beacon_;
  std::vector<ForkEpoch> forks_;
  std::unique_ptr<LeanTypes> lean_;
};

inline constexpr size_t kMaxBlockSize = 10u << 20;  // MAX_PAYLOAD_SIZE

enum class Encoding : uint8_t { ssz, snappy, snappy_frames };
// The SSZ bytes in memory of ours. Errors (peer): those of the codec; trailing; too_long over
// kMaxBlockSize.
Result<SharedBytes> unpack(Encoding encoding, Bytes bytes);

}  // namespace beamline::node
