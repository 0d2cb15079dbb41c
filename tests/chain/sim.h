// A network of simulated peers around one chain, in virtual time. Peers answer after a round trip;
// some of them lie, are silent or lose what they send. Everything follows from the seed.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/chain/blocks.h"

namespace beamline::chain::testing {

enum class Manner : uint8_t {
  honest,
  silent,        // takes requests and never answers
  empty,         // ends every answer without a chunk
  wrong_root,    // sends a block that nobody asked for
  duplicate,     // sends the first chunk twice
  too_many,      // sends one block more than was asked for
  out_of_order,  // sends a range backwards
  omits,         // leaves blocks out of a range
  forged,        // sends bytes whose proof is wrong, under the right root
  cuts,          // breaks the stream halfway
};

struct SimPeer {
  PeerHandle handle;
  Manner manner = Manner::honest;
  Duration rtt = milliseconds(50);
  uint64_t loss_per_mille = 0;  // of its answers: the stream breaks at a random place
  size_t reply_blocks = 1024;   // serves no more than so many at once
  bool disconnected = false;
};

class Sim {
 public:
  explicit Sim(uint64_t seed, ChainConfig config = make_config())
      : rng(seed), chain(std::move(config)) {}

  // ---- The world.
  void know(const std::vector<BlockInfo>& blocks) {
    for (const BlockInfo& block : blocks) by_root[block.root] = block;
    if (blocks.size() > canonical.size()) canonical = blocks;
  }
  SimPeer& add_peer(Manner manner = Manner::honest) {
    const auto index = static_cast<uint32_t>(peers.size());
    peers.push_back({.handle = {index, 1}, .manner = manner});
    give(PeerUp{peers.back().handle});
    return peers.back();
  }
  void status(const SimPeer& peer) {
    PeerStatus event;
    event.peer = peer.handle;
    event.head_root = canonical.back().root;
    event.head_slot = canonical.back().slot;
    give(std::move(event));
  }
  void gossip(const SimPeer& peer, const BlockInfo& block) {
    give(GossipBlock{peer.handle, ++verdicts, block});
  }

  // ---- Time.
  void at(Duration after, std::function<void()> what) {
    agenda.emplace(std::pair(now.mono + after, ++sequence), std::move(what));
  }
  // Runs until `done` or until `limit` has passed. True: done.
  bool run(Duration limit, const std::function<bool()>& done) {
    const MonoTime end = now.mono + limit;
    while (now.mono <= end) {
      turn();
      if (done()) return true;
      MonoTime next = chain.poll_timeout();
      if (!agenda.empty()) next = std::min(next, agenda.begin()->first.first);
      if (next == MonoTime::never() || next > end) break;
      if (next > now.mono) {
        now.wall = now.wall + (next - now.mono);
        now.mono = next;
      }
      std::vector<std::function<void()>> due;
      while (!agenda.empty() && agenda.begin()->first.first <= now.mono) {
        due.push_back(std::move(agenda.begin()->second));
        agenda.erase(agenda.begin());
      }
      for (const auto& what : due) what();
      if (++turns > 2'000'000) {
        ADD_FAILURE() << "the simulation does not come to rest";
        return false;
      }
    }
    return done();
  }
  bool head_is(const BlockInfo& block) const { return chain.head().root == block.root; }

  void give(Event event) {
    if (!chain.handle(now, std::move(event)).has_value()) {
      drain();
      ASSERT_TRUE(chain.handle(now, std::move(event)).has_value());
    }
  }
  void turn() {
    chain.end_of_turn(now);
    drain();
  }
  void drain() {
    while (auto command = chain.poll_command()) carry_out(std::move(*command));
  }

  Rng rng;
  Now now{MonoTime{1'000'000'000}, WallTime::from_unix(100'000)};
  Chain chain;
  std::map<Root, BlockInfo> by_root;
  std::vector<BlockInfo> canonical;
  std::deque<SimPeer> peers;
  std::map<Root, uint32_t> bodies;  // whole, honest blocks that answers brought
  std::map<VerdictId, GossipVerdict> verdicts_given;
  std::map<PeerHandle, int32_t> lowest_score;
  std::map<Origin, uint64_t> imported;
  std::vector<std::string> log;
  VerdictId verdicts = 0;
  uint64_t requests = 0;
  uint64_t waves = 0;  // moments at which requests left: the round trips of a synchronous observer
  uint64_t turns = 0;
  bool trace = std::getenv("BEAMLINE_TRACE") != nullptr;
  MonoTime last_wave{-1};
  Duration import_time{};  // in the mode `ask`

 private:
  void carry_out(Command command) {
    std::visit([&](auto& what) { on(what); }, command);
  }
  template <class Other>
  void on(Other&) {}
  void on(DisconnectPeer& command) {
    peers[command.peer.index].disconnected = true;
    at({}, [this, peer = command.peer] { give(PeerDown{peer}); });
  }
  void on(ReportPeer& report) {
    auto& lowest = lowest_score.emplace(report.peer, 100).first->second;
    lowest = std::min(lowest, report.score);
  }
  void on(GossipVerdict& verdict) {
    EXPECT_TRUE(verdicts_given.emplace(verdict.verdict, verdict).second) << "a second verdict";
  }
  void on(BlockImported& block) { ++imported[block.origin]; }
  void on(ImportBlock& command) {
    const bool forged = command.block.signed_bytes.bytes()[32] == 0;
    at(import_time, [this, id = command.import, forged] {
      if (trace && forged) std::printf("forged %lu\n", id);
      give(ImportVerdict{id, forged ? Verdict::invalid_bytes : Verdict::valid});
    });
  }
  void count_request() {
    ++requests;
    if (last_wave != now.mono) ++waves;
    last_wave = now.mono;
  }
  void on(RequestByRoot& request) {
    count_request();
    if (trace) {
      std::printf("%.3f %lu by root of %u:", to_seconds(now.mono - MonoTime{}), request.request,
                  request.peer.index);
      for (const Root& root : request.roots)
        std::printf(" %lu", by_root.contains(root) ? by_root[root].slot : 0);
      std::printf("\n");
    }
    std::vector<BlockInfo> answer;
    for (const Root& root : request.roots) {
      const auto it = by_root.find(root);
      if (it != by_root.end()) answer.push_back(it->second);
    }
    reply(request.peer, request.request, std::move(answer));
  }
  void on(RequestByRange& request) {
    count_request();
    if (trace)
      std::printf("%.3f %lu range of %u: %lu + %lu\n", to_seconds(now.mono - MonoTime{}),
                  request.request, request.peer.index, request.start_slot, request.count);
    std::vector<BlockInfo> answer;
    for (const BlockInfo& block : canonical) {
      if (block.slot >= request.start_slot && block.slot - request.start_slot < request.count) {
        answer.push_back(block);
      }
    }
    reply(request.peer, request.request, std::move(answer), true);
  }

  void reply(PeerHandle handle, RequestId id, std::vector<BlockInfo> answer, bool range = false) {
    SimPeer& peer = peers[handle.index];
    if (peer.manner == Manner::silent) return;
    if (answer.size() > peer.reply_blocks) answer.resize(peer.reply_blocks);
    size_t cut = SIZE_MAX;
    if (rng.chance(peer.loss_per_mille, 1000)) cut = rng.below(answer.size() + 1);
    misbehave(peer.manner, answer, cut, range);
    at(peer.rtt, [this, handle, id, cut, blocks = std::move(answer)] {
      for (size_t i = 0; i < std::min(cut, blocks.size()); ++i) deliver(handle, id, blocks[i]);
      if (cut == SIZE_MAX) {
        give(RequestEnded{handle, id});
      } else {
        give(RequestFailed{handle, id, Error{"stream", 0, Code::reset, Fault::network}});
      }
    });
  }
  void misbehave(Manner manner, std::vector<BlockInfo>& answer, size_t& cut, bool range) {
    switch (manner) {
      case Manner::empty:
        answer.clear();
        return;
      case Manner::wrong_root:
        answer.insert(answer.begin(), make_block(root_of(rng.next()), 1 + rng.below(50), 9));
        return;
      case Manner::duplicate:
        if (!answer.empty()) answer.insert(answer.begin(), answer.front());
        return;
      case Manner::too_many:
        answer.push_back(make_block(root_of(rng.next()), 99'999, 9));
        return;
      case Manner::out_of_order:
        std::reverse(answer.begin(), answer.end());
        return;
      case Manner::omits:
        if (range && answer.size() > 2) answer.resize(answer.size() / 2);
        return;
      case Manner::forged:
        for (BlockInfo& block : answer) block = forge(block);
        return;
      case Manner::cuts:
        cut = answer.size() / 2;
        return;
      case Manner::honest:
      case Manner::silent:
        return;
    }
  }
  static BlockInfo forge(BlockInfo block) {
    block.signed_bytes = SharedBytes::build(block.signed_bytes.size(), [&](MutableBytes out) {
      std::copy(block.signed_bytes.bytes().begin(), block.signed_bytes.bytes().end(), out.begin());
      out[32] = 0;
    });
    return block;
  }
  void deliver(PeerHandle handle, RequestId id, const BlockInfo& block) {
    const uint64_t before = chain.stats().fetched_bodies;
    give(ChunkReceived{handle, id, block});
    const bool taken = chain.stats().fetched_bodies > before;
    if (trace)
      std::printf("%.3f %lu chunk %lu taken %d\n", to_seconds(now.mono - MonoTime{}), id,
                  block.slot, taken);
    if (taken && block.signed_bytes.bytes()[32] == 1) ++bodies[block.root];
  }

  std::map<std::pair<MonoTime, uint64_t>, std::function<void()>> agenda;
  uint64_t sequence = 0;
};

}  // namespace beamline::chain::testing
