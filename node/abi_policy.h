// The C ABI: the fork choice that the host chose, and lean's state transition on the worker
// threads.
#pragma once

#include <memory>
#include <mutex>

#include "chain/lean/fork_choice.h"
#include "chain/lean/importer.h"
#include "node/abi.h"

namespace beamline::node::abi {

// Verification by the host, then the state transition of ours. Called on several workers: they
// verify at the same time, but the states have one owner at a time, and who comes second waits.
class LeanClient final : public BlockClient {
 public:
  LeanClient(const bl_core_options& options, const LeanTypes& types)
      : host_(options), importer_(types) {}
  // Before anything else. Errors: as Importer::add_anchor().
  Result<chain::lean::StoreBlock> add_anchor(const LeanBlock& block, LeanState state) {
    return importer_.add_anchor(block, std::move(state));
  }
  // Where the core tells below what no state is needed; outlives us. Before the first block.
  void follow(const SequencedCopy<Root>& floor) { floor_ = &floor; }

  chain::Verdict verify(const chain::BlockInfo& block, chain::Origin origin) override {
    return host_.verify(block, origin);
  }
  chain::ImportVerdict import(const chain::BlockInfo& block, chain::Origin origin) override;

 private:
  CallbackClient host_;
  std::mutex mutex_;
  chain::lean::Importer importer_;
  const SequencedCopy<Root>* floor_ = nullptr;
  Root base_;
};

struct Policy {
  std::unique_ptr<chain::ForkChoice> fork_choice;     // null: that of the highest slot
  const chain::lean::LeanForkChoice* lean = nullptr;  // the same, if it is lean's
  std::unique_ptr<LeanClient> client;                 // lean's
};

// What the options ask for; completes the anchor in `config`. BL_OK, BL_INVALID_ARGUMENT,
// BL_MALFORMED. `format` outlives the policy.
int32_t make_policy(const bl_core_options& options, const BlockFormat& format,
                    chain::ChainConfig& config, Policy& policy);

}  // namespace beamline::node::abi
