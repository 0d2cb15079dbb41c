// A policy beside its specification, as the injection sees them.
#pragma once

#include "chain/fork_choice.h"

namespace beamline::chain::testing {

class Witness : public ForkChoice {
 public:
  // Of the specification, as of what was told last.
  virtual const Root& spec_head() = 0;
  virtual bool spec_has(const Root& root) const = 0;
  // That were applied.
  virtual uint64_t votes() const = 0;
  // Whose payload, or an ancestor's, was found invalid; since the last call.
  virtual std::vector<Root> take_invalidated() { return {}; }
};

}  // namespace beamline::chain::testing
