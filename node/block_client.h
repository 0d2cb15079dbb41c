// Who verifies and imports blocks for the core, on threads that are not the core's.
#pragma once

#include "chain/commands.h"
#include "chain/events.h"

namespace beamline::node {

// The client. Both are called on the threads of the pool, at the same time on several; they may
// take their time. An exception counts as Verdict::try_again.
class BlockClient {
 public:
  virtual ~BlockClient() = default;
  // What needs no state but the validators': signatures, proofs.
  virtual chain::Verdict verify(const chain::BlockInfo& block, chain::Origin origin) = 0;
  // The state transition. Its parent was imported before; called after verify() said valid. Of the
  // answer everything but the id.
  virtual chain::ImportVerdict import(const chain::BlockInfo& block, chain::Origin origin) = 0;
  // A blob or column that import() had said is missing: keeps it, if it is valid.
  virtual chain::Verdict verify_data(const chain::ImportData&) { return chain::Verdict::valid; }
  // False: sidecars are not for these threads.
  virtual bool verifies_data() const { return true; }
};

}  // namespace beamline::node
