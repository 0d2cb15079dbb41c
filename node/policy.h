// What decides on a node's head: a fork choice, made from the trusted anchor or, after a restart,
// from what the store held. BeaconPolicy and LeanPolicy are the two that there are; without one the
// head is that of the highest slot.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "chain/beacon_fork_choice.h"
#include "chain/lean/fork_choice.h"
#include "chain/lean/importer.h"
#include "chain/store.h"
#include "node/block_client.h"
#include "node/sequenced_copy.h"

namespace beamline::node {

// Outlives the core. Makes one fork choice: begin() or resume(), once.
class Policy {
 public:
  virtual ~Policy() = default;
  // What the chain, and an empty store, begins with. `trusted` is what the node was configured
  // with: the policy's own anchor is the same block, or it goes before.
  virtual chain::StoreAnchor anchor(const chain::BlockInfo& trusted) const = 0;
  // At the anchor.
  virtual Result<std::unique_ptr<chain::ForkChoice>> begin() = 0;
  // Where Chain::restore() of the same can go on. `store` is open; it may block.
  virtual Result<std::unique_ptr<chain::ForkChoice>> resume(const chain::Recovered& found,
                                                            chain::Store& store) = 0;
  // The core's thread, after each turn of the chain.
  virtual void end_of_turn() {}
};

// LMD-GHOST. The client gives balances when CoreObserver::on_justified asks, also at the start.
class BeaconPolicy final : public Policy {
 public:
  BeaconPolicy(const chain::BeaconConfig& config, const chain::BeaconForkChoice::Anchor& anchor)
      : config_(config), anchor_(anchor) {}
  chain::StoreAnchor anchor(const chain::BlockInfo& trusted) const override;
  Result<std::unique_ptr<chain::ForkChoice>> begin() override;
  Result<std::unique_ptr<chain::ForkChoice>> resume(const chain::Recovered& found,
                                                    chain::Store& store) override;

 private:
  const chain::BeaconConfig config_;
  const chain::BeaconForkChoice::Anchor anchor_;
};

// 3SF-mini, and its state transition on the worker threads: also the node's BlockClient. What needs
// the validators' keys alone is verified by the host, on several threads at the same time; the
// states have one owner at a time, and who comes second waits.
class LeanPolicy final : public Policy, public BlockClient {
 public:
  // `types` and `host`, of which only verify() is called, outlive it.
  LeanPolicy(const LeanTypes& types, BlockClient& host,
             const chain::lean::LeanForkChoiceConfig& config,
             const chain::lean::ImporterLimits& limits = {});
  // The trusted block and the state after it. First. Errors: ANCHOR_STATE_ROOT_MISMATCH.
  Result<chain::lean::StoreBlock> set_anchor(const LeanBlock& block, LeanState state);

  chain::StoreAnchor anchor(const chain::BlockInfo& trusted) const override;
  Result<std::unique_ptr<chain::ForkChoice>> begin() override;
  // Errors: not_found (no state to begin with), those of the codec and of the store.
  Result<std::unique_ptr<chain::ForkChoice>> resume(const chain::Recovered& found,
                                                    chain::Store& store) override;
  void end_of_turn() override;

  chain::Verdict verify(const chain::BlockInfo& block, chain::Origin origin) override {
    return host_.verify(block, origin);
  }
  chain::ImportVerdict import(const chain::BlockInfo& block, chain::Origin origin) override;
  bool verifies_data() const override { return host_.verifies_data(); }
  chain::Verdict verify_data(const chain::ImportData& data) override {
    return host_.verify_data(data);
  }

 private:
  std::unique_ptr<chain::ForkChoice> make(const chain::lean::StoreBlock& start);

  const LeanTypes& types_;
  BlockClient& host_;
  const chain::lean::LeanForkChoiceConfig config_;
  LeanBlock anchor_block_;  // these two until the fork choice is made
  std::optional<LeanState> anchor_state_;
  chain::lean::StoreBlock anchor_;
  // The core's thread.
  const chain::lean::LeanForkChoice* fork_choice_ = nullptr;
  Root last_floor_;
  // Where the core tells below what no state is needed (lean::Store::floor_root).
  SequencedCopy<Root> floor_;
  // The workers'.
  std::mutex mutex_;
  chain::lean::Importer importer_;
  Root base_;
};

}  // namespace beamline::node
