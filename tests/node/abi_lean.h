// A host of the C ABI with lean's fork choice, for tests: a lean chain, and its blocks by gossip.
#pragma once

#include <chrono>

#include "chain/lean/config.h"
#include "tests/chain/lean_chain.h"
#include "tests/node/abi_host.h"

namespace beamline::node::testing {

using chain::lean::testing::LeanChain;
using chain::lean::testing::types;

inline constexpr size_t kValidators = 6;
inline constexpr Slot kNow = 30;

inline uint64_t genesis_time() {
  static const uint64_t kTime = [] {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(since).count();
    return static_cast<uint64_t>(now) - kNow * chain::lean::kMillisecondsPerSlot / 1000;
  }();
  return kTime;
}

inline bl_root c_root(const Root& root) {
  bl_root made;
  std::memcpy(made.bytes, root.bytes.data(), sizeof made.bytes);
  return made;
}
inline bl_checkpoint c_checkpoint(const LeanCheckpoint& checkpoint) {
  return {checkpoint.slot, c_root(checkpoint.root)};
}

inline std::vector<uint8_t> encode(const LeanState& state) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(ssz::encode_value(types().state(), &state, bytes));
  return bytes;
}

// The proof of an honest block is "proof".
inline uint32_t verify(void*, const bl_block* block) {
  const std::string_view bytes(reinterpret_cast<const char*>(block->signed_block.data),
                               block->signed_block.size);
  return bytes.ends_with("proof") ? BL_VERDICT_VALID : BL_VERDICT_INVALID_BYTES;
}

struct LeanWorld {
  LeanWorld() : state(encode(chain.at(chain.genesis).post)) {}
  bl_core_options options() const {
    auto options = sized<bl_core_options>();
    options.chain = BL_CHAIN_LEAN;
    options.preset = BL_PRESET_MINIMAL;
    options.fork_choice = BL_FORK_CHOICE_LEAN;
    options.import = BL_IMPORT_WORKERS;
    options.verify_block = verify;
    options.anchor_state = state.data();
    options.anchor_state_size = state.size();
    options.no_range_sync = 1;
    return options;
  }
  LeanChain chain{kValidators, genesis_time()};
  std::vector<uint8_t> state;
};

struct LeanHost : AbiHost {
  LeanHost(LeanWorld& world, const bl_core_options& options)
      : AbiHost(options), chain(world.chain) {
    EXPECT_EQ(bl_push_peer_up(producer, peer), BL_OK);
  }
  int32_t block(uint64_t message, Bytes ssz) {
    auto event = sized<bl_gossip>();
    constexpr std::string_view kTopic = "/leanconsensus/devnet0/block/ssz_snappy";
    event.sender = peer;
    event.message = message;
    event.topic = kTopic.data();
    event.topic_size = kTopic.size();
    event.payload = {ssz.data(), ssz.size(), nullptr, nullptr};
    event.encoding = BL_ENCODING_SSZ;
    return bl_push_gossip(producer, &event);
  }
  ::testing::AssertionResult head_is(const Root& root) {
    return until([&] { return same(stats().head_root, c_root(root)); });
  }
  const bl_command& verdict(uint64_t message) {
    EXPECT_TRUE(until([&] {
      return count(BL_COMMAND_GOSSIP_VERDICT) > 0 &&
             last(BL_COMMAND_GOSSIP_VERDICT).command.id == message;
    }));
    return last(BL_COMMAND_GOSSIP_VERDICT).command;
  }
  LeanChain& chain;
};

}  // namespace beamline::node::testing
