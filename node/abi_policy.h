// The C ABI: the fork choice that the host chose.
#pragma once

#include <memory>

#include "node/abi.h"
#include "node/policy.h"

namespace beamline::node::abi {

struct ChosenPolicy {
  std::unique_ptr<Policy> policy;  // null: that of the highest slot
  BlockClient* client = nullptr;   // lean's; it calls the host's
};

// What the options ask for, with nothing begun; completes the anchor in `config`. BL_OK,
// BL_INVALID_ARGUMENT, BL_MALFORMED. `format` and `host` outlive the policy.
int32_t choose_policy(const bl_core_options& options, const BlockFormat& format, BlockClient& host,
                      chain::ChainConfig& config, ChosenPolicy& chosen);

}  // namespace beamline::node::abi
