#include "tests/chain/lean_vectors.h"

#include "chain/lean/checkpoint_sync.h"
#include "chain/lean/justifiability.h"
#include "chain/lean/slot_clock.h"
#include "chain/lean/transition.h"
#include "tests/vectors/lean_value.h"

namespace beamline::chain::lean {
using lean_vectors::Case;
using lean_vectors::Json;

const LeanTypes& types_of(const Case& one) {
  static const LeanTypes test(LeanPreset::test());
  static const LeanTypes prod(LeanPreset::prod());
  return one.json.at("leanEnv") == "prod" ? prod : test;
}

namespace {

// What went wrong must be what the vector says, or nothing where it says nothing.
bool is_as_told(const std::string& actual, const Json& json) {
  const bool refused = json.contains("rejectionReason");
  const std::string expected = refused ? json.at("rejectionReason").get<std::string>() : "";
  EXPECT_EQ(actual, expected);
  return actual == expected;
}

// The post-state's parts that a vector may name.
bool shows(const LeanTypes& types, const LeanState& state, const Json& post) {
  LeanState expected = state;
  size_t named = 0;
  const auto take = [&](const char* key, auto* number) {
    if (!post.contains(key)) return;
    *number = post.at(key).get<uint64_t>();
    ++named;
  };
  take("slot", &expected.slot);
  take("latestJustifiedSlot", &expected.latest_justified.slot);
  take("latestFinalizedSlot", &expected.latest_finalized.slot);
  take("latestBlockHeaderSlot", &expected.latest_block_header.slot);
  take("latestBlockHeaderProposerIndex", &expected.latest_block_header.proposer_index);
  take("configGenesisTime", &expected.config.genesis_time);
  const auto take_root = [&](const char* key, Root* root) {
    if (post.contains(key)) *root = lean_vectors::root_of(post.at(key));
  };
  take_root("latestJustifiedRoot", &expected.latest_justified.root);
  take_root("latestFinalizedRoot", &expected.latest_finalized.root);
  take_root("latestBlockHeaderParentRoot", &expected.latest_block_header.parent_root);
  take_root("latestBlockHeaderStateRoot", &expected.latest_block_header.state_root);
  take_root("latestBlockHeaderBodyRoot", &expected.latest_block_header.body_root);
  for (const ssz::Field& field : types.state().fields) {
    const std::string key = lean_vectors::camel_case(field.name);
    if (!post.contains(key) || post.at(key).is_number()) continue;
    lean_vectors::read_value(*field.type, post.at(key),
                             reinterpret_cast<uint8_t*>(&expected) + field.member);
  }
  const auto counts = [&](const char* key, size_t count) {
    const size_t told = post.contains(key) ? post.at(key).get<size_t>() : count;
    EXPECT_EQ(count, told) << key;
    return count == told;
  };
  const bool sizes = counts("validatorCount", state.validators.size()) &&
                     counts("historicalBlockHashesCount", state.historical_block_hashes.size()) &&
                     counts("justificationsRootsCount", state.justifications_roots.size());
  EXPECT_TRUE(expected == state);
  return sizes && expected == state;
}

WallTime wall_of(double milliseconds_since_epoch) {
  return WallTime{} + milliseconds(static_cast<int64_t>(milliseconds_since_epoch));
}

}  // namespace

bool run_state_transition(const Case& one) {
  const LeanTypes& types = types_of(one);
  StateTransition transition(types);
  auto state = lean_vectors::value_of<LeanState>(types.state(), one.json.at("pre"));
  auto blocks = std::vector<LeanBlock>();
  for (const Json& json : one.json.at("blocks")) {
    blocks.push_back(lean_vectors::value_of<LeanBlock>(types.block(), json));
  }
  // The vector that refuses an empty registry holds no block: nobody could propose one.
  if (blocks.empty() && one.is_rejection()) {
    blocks.emplace_back().slot = state.slot + 1;
  }
  // A state between slots has its header's state root in: the vectors with one are about the block
  // alone, without slots before and without a state root to meet.
  const bool between = !state.latest_block_header.state_root.is_zero();
  std::string reason;
  for (const LeanBlock& block : blocks) {
    if (between) {
      if (const Status status = transition.process_block(state, block); !status) {
        reason = status.error().field;
      }
    } else if (Result<LeanState> next = transition.apply(state, block); next) {
      state = *std::move(next);
    } else {
      reason = next.error().field;
    }
    if (!reason.empty()) break;
  }
  if (!is_as_told(reason, one.json)) return false;
  if (!reason.empty()) return true;
  const Root root = *transition.root_of(state);
  EXPECT_EQ(root, lean_vectors::root_of(one.json.at("postStateRoot")));
  return root == lean_vectors::root_of(one.json.at("postStateRoot")) &&
         shows(types, state, one.json.at("post"));
}

bool run_justifiability(const Case& one) {
  const auto slot = one.json.at("slot").get<Slot>();
  const auto finalized = one.json.at("finalizedSlot").get<Slot>();
  const Json& output = one.json.at("output");
  return slot - finalized == output.at("delta").get<uint64_t>() &&
         is_justifiable_after(slot, finalized) == output.at("isJustifiable").get<bool>();
}

bool run_slot_clock(const Case& one) {
  const Json& operation = one.json.at("operation");
  const Json& output = one.json.at("output");
  const Json& config = one.json.at("config");
  if (config.at("secondsPerSlot") != kMillisecondsPerSlot / 1000 ||
      config.at("intervalsPerSlot") != kIntervalsPerSlot ||
      config.at("millisecondsPerInterval") != kMillisecondsPerInterval) {
    return false;
  }
  const std::string kind = operation.at("kind");
  if (kind == "from_slot") {
    return SlotClock::interval_of(operation.at("slot").get<Slot>()) == output.at("interval");
  }
  const SlotClock clock(operation.at("genesisTime").get<uint64_t>());
  if (kind == "from_unix_time") {
    const WallTime wall = wall_of(operation.at("unixSeconds").get<double>() * 1000);
    return clock.total_intervals(wall) == output.at("interval");
  }
  const WallTime wall = wall_of(operation.at("currentTimeMilliseconds").get<double>());
  if (kind == "current_slot") return clock.current_slot(wall) == output.at("slot");
  if (kind == "current_interval") return clock.current_interval(wall) == output.at("interval");
  if (kind == "total_intervals") return clock.total_intervals(wall) == output.at("totalIntervals");
  ADD_FAILURE() << "unknown kind " << kind;
  return false;
}

bool run_sync(const Case& one) {
  const LeanTypes& types = types_of(one);
  EXPECT_EQ(one.json.at("operation").at("kind"), "verify_checkpoint");
  const Json& output = one.json.at("output");
  const std::vector<uint8_t> bytes = lean_vectors::bytes_of(output.at("stateBytes"));
  const Result<LeanState> state = decode_checkpoint_state(types, bytes);
  const bool valid = output.at("valid").get<bool>();
  EXPECT_EQ(state.has_value(), valid);
  if (!valid || !state) return state.has_value() == valid;
  return state->validators.size() == output.at("validatorCount").get<size_t>() &&
         state->slot == output.at("anchorSlot").get<Slot>();
}

}  // namespace beamline::chain::lean
