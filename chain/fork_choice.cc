#include "chain/fork_choice.h"

#include <utility>

namespace beamline::chain {

const char* name(Execution execution) {
  switch (execution) {
    case Execution::none:
      return "none";
    case Execution::optimistic:
      return "optimistic";
    case Execution::valid:
      return "valid";
    case Execution::invalid:
      return "invalid";
  }
  return "?";
}

const char* name(VoteResult result) {
  switch (result) {
    case VoteResult::applied:
      return "applied";
    case VoteResult::not_newer:
      return "not_newer";
    case VoteResult::unknown_block:
      return "unknown_block";
    case VoteResult::too_early:
      return "too_early";
    case VoteResult::too_late:
      return "too_late";
    case VoteResult::inconsistent:
      return "inconsistent";
    case VoteResult::too_many:
      return "too_many";
  }
  return "?";
}

Status HighestSlot::on_block(const Block& block) {
  if (std::pair(block.slot, block.root) > std::pair(head_.slot, head_.root)) {
    head_ = {block.root, block.slot};
  }
  return {};
}

}  // namespace beamline::chain
