// Blocks for the tests of the chain core: made up, with roots that depend on all of their parts.
#pragma once

#include <map>
#include <vector>

#include "chain/chain.h"
#include "crypto/sha256.h"

namespace beamline::chain::testing {

inline Root root_of(uint64_t number) {
  uint8_t bytes[8];
  std::memcpy(bytes, &number, 8);
  return sha256(Bytes(bytes, 8));
}

// `salt` tells siblings apart; `proof` is in the bytes and not in the root, as a signature is.
inline BlockInfo make_block(const Root& parent, Slot slot, uint64_t salt = 0, size_t size = 100,
                            uint8_t proof = 1) {
  uint8_t numbers[16];
  std::memcpy(numbers, &slot, 8);
  std::memcpy(numbers + 8, &salt, 8);
  BlockInfo block;
  block.root = sha256(parent.view(), Bytes(numbers, 16));
  block.parent_root = parent;
  block.slot = slot;
  block.proposer = salt;
  block.signed_bytes = SharedBytes::build(std::max<size_t>(size, 33), [&](MutableBytes out) {
    std::fill(out.begin(), out.end(), uint8_t{7});
    std::copy(block.root.bytes.begin(), block.root.bytes.end(), out.begin());
    out[32] = proof;
  });
  return block;
}

inline BlockInfo make_genesis() {
  BlockInfo genesis;
  genesis.root = root_of(0);
  return genesis;
}

// `length` blocks in a row on `parent`, one per slot from `first` on.
inline std::vector<BlockInfo> make_chain(const Root& parent, Slot first, size_t length,
                                         size_t size = 100, uint64_t salt = 0) {
  std::vector<BlockInfo> chain;
  Root above = parent;
  for (size_t i = 0; i < length; ++i) {
    chain.push_back(make_block(above, first + i, salt, size));
    above = chain.back().root;
  }
  return chain;
}

inline ChainConfig make_config() {
  ChainConfig config;
  config.anchor = make_genesis();
  config.slot_duration = seconds(1);
  return config;
}

// A chain with a clock, for tests that give the events by hand. One slot a second; the wall clock
// starts far beyond all slots in use.
struct Bench {
  explicit Bench(ChainConfig config = make_config(), std::unique_ptr<ForkChoice> policy = nullptr)
      : chain(std::move(config), nullptr, std::move(policy)) {}

  void give(Event event) {
    ASSERT_TRUE(chain.handle(now, std::move(event)).has_value()) << "the command queue is full";
  }
  void up(PeerHandle peer) { give(PeerUp{peer}); }
  void gossip(PeerHandle from, const BlockInfo& block) {
    give(GossipBlock{from, ++verdicts, block});
  }
  void chunk(const RequestByRoot& request, const BlockInfo& block) {
    give(ChunkReceived{request.peer, request.request, block});
  }
  void chunk(const RequestByRange& request, const BlockInfo& block) {
    give(ChunkReceived{request.peer, request.request, block});
  }
  template <class Request>
  void end(const Request& request) {
    give(RequestEnded{request.peer, request.request});
  }
  template <class Request>
  void fail(const Request& request, Code code, Fault fault) {
    give(RequestFailed{request.peer, request.request, Error{"test", 0, code, fault}});
  }
  void pass(Duration duration) {
    now.mono = now.mono + duration;
    now.wall = now.wall + duration;
  }
  // Ends the turn and takes all commands.
  void turn() {
    commands.clear();
    chain.end_of_turn(now);
    while (auto command = chain.poll_command()) commands.push_back(std::move(*command));
  }
  // Lets virtual time run from deadline to deadline for `duration`; gathers the commands.
  void run(Duration duration) {
    const MonoTime end = now.mono + duration;
    std::vector<Command> all;
    for (int turns = 0; turns < 100'000; ++turns) {
      turn();
      all.insert(all.end(), commands.begin(), commands.end());
      const MonoTime next = chain.poll_timeout();
      if (next > end) break;
      if (next > now.mono) pass(next - now.mono);
    }
    if (end > now.mono) pass(end - now.mono);
    commands = std::move(all);
  }
  // The commands of one kind in the last turn.
  template <class Kind>
  std::vector<Kind> said() const {
    std::vector<Kind> found;
    for (const Command& command : commands) {
      if (const auto* kind = std::get_if<Kind>(&command)) found.push_back(*kind);
    }
    return found;
  }

  Now now{MonoTime{1'000'000'000}, WallTime::from_unix(100'000)};
  Chain chain;
  VerdictId verdicts = 0;
  std::vector<Command> commands;
};

constexpr PeerHandle kPeerA{0, 1};
constexpr PeerHandle kPeerB{1, 1};
constexpr PeerHandle kPeerC{2, 1};

}  // namespace beamline::chain::testing
