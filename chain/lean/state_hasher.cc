#include "chain/lean/state_hasher.h"

#include <algorithm>

#include "crypto/sha256.h"

namespace beamline::chain::lean {

Result<Root> StateHasher::root_of(const LeanState& state, ssz::Hasher& hasher) {
  const std::span<const ssz::Field> fields = types_.state().fields;
  std::vector<Root> roots;
  roots.reserve(fields.size());
  for (const ssz::Field& field : fields) {
    Result<Root> root = root_of_field(field, state, hasher);
    if (!root) {
      root.error().field = field.name;
      return root;
    }
    roots.push_back(*root);
  }
  return fields_.root(roots, ssz::tree_depth(fields.size()));
}

Result<Root> StateHasher::root_of_field(const ssz::Field& field, const LeanState& state,
                                        ssz::Hasher& hasher) {
  const void* const value = reinterpret_cast<const uint8_t*>(&state) + field.member;
  const auto& history = state.historical_block_hashes;
  if (value == &history && history.size() <= field.type->limit) {
    const Root root = history_.root(history, ssz::tree_depth(field.type->limit));
    const uint64_t length = history.size();
    Root mixed_in;
    std::memcpy(mixed_in.bytes.data(), &length, sizeof(length));
    return sha256_pair(root, mixed_in);
  }
  if (value != &state.validators) return ssz::root_of_value(*field.type, value, hasher);

  if (!validators_.empty() && std::ranges::equal(validators_, state.validators)) {
    return validators_root_;
  }
  validators_.clear();
  const Result<Root> root = ssz::root_of_value(*field.type, value, hasher);
  if (!root) return root;
  validators_.assign(state.validators.begin(), state.validators.end());
  validators_root_ = *root;
  return root;
}

}  // namespace beamline::chain::lean
