#include "chain/lean/checkpoint_sync.h"

#include "chain/lean/config.h"

namespace beamline::chain::lean {

Status verify_checkpoint_state(const LeanState& state) {
  const size_t validators = state.validators.size();
  if (validators == 0) return reject(Rejection::empty_validator_registry);
  if (validators > kValidatorRegistryLimit) {
    return bad_input(Code::too_long, "validators");
  }
  // A list of votes that does not fit its roots would stop the first block on it.
  if (state.justifications_validators.length != state.justifications_roots.size() * validators) {
    return reject(Rejection::inconsistent_state);
  }
  return {};
}

Result<LeanState> decode_checkpoint_state(const LeanTypes& types, Bytes bytes) {
  if (const Result<ssz::View> view = types.parse(types.state(), bytes); !view) {
    return std::unexpected(view.error());
  }
  LeanState state;
  if (Status status = ssz::decode_value(types.state(), bytes, &state); !status) {
    return std::unexpected(status.error());
  }
  if (Status status = verify_checkpoint_state(state); !status) {
    return std::unexpected(status.error());
  }
  return state;
}

LeanBlockHeader anchor_header(const LeanState& state, const Root& state_root) {
  LeanBlockHeader header = state.latest_block_header;
  if (header.state_root.is_zero()) header.state_root = state_root;
  return header;
}

Status verify_anchor(StateTransition& transition, const LeanState& state, const LeanBlock& block) {
  const Result<Root> root = transition.root_of(state);
  if (!root) return std::unexpected(root.error());
  if (*root != block.state_root) return reject(Rejection::anchor_state_root_mismatch);
  return {};
}

}  // namespace beamline::chain::lean
