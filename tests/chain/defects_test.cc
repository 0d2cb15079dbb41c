// What is known to go wrong in other clients' block sync, one test each: it cannot happen here.
#include <gtest/gtest.h>

#include "tests/chain/sim.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

BlockInfo orphan(uint64_t number) { return make_block(root_of(1'000 + number), 3, number); }
Root parent_of(uint64_t number) { return root_of(1'000 + number); }

// A flush after each event makes a typical batch one.
TEST(Defects, Defect01_TheFlushIsOncePerTurn) {
  Bench bench;
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 40; ++i) {
    bench.gossip(kPeerA, orphan(i));
    while (auto command = bench.chain.poll_command()) {
      EXPECT_FALSE(std::holds_alternative<RequestByRoot>(*command)) << "before the turn's end";
    }
  }
  bench.turn();
  ASSERT_EQ(bench.said<RequestByRoot>().size(), 1u);
  EXPECT_EQ(bench.said<RequestByRoot>()[0].roots.size(), 40u);
}

// A walk of depth N must not fetch each body again on its way forward.
TEST(Defects, Defect02_OrphansAreKeptAndEachBodyIsFetchedOnce) {
  ChainConfig config = make_config();
  config.range_sync = false;
  Sim sim(1, config);
  sim.know(make_chain(sim.chain.head().root, 1, 40));
  sim.add_peer();
  const BlockInfo tip = make_block(sim.canonical.back().root, 41);
  sim.gossip(sim.peers[0], tip);
  ASSERT_TRUE(sim.run(seconds(60), [&] { return sim.head_is(tip); }));
  EXPECT_EQ(sim.chain.stats().fetched_bodies, 40u);
  EXPECT_EQ(sim.requests, 40u);  // one per step back, none forward
}

// Chunk 1 is with the client's verification; chunk 2 builds on it.
TEST(Defects, Defect03_ABlockQueuedForImportIsAKnownParent) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Bench bench(config);
  bench.up(kPeerA);
  const auto blocks = make_chain(make_genesis().root, 1, 10);
  bench.give(PeerStatus{kPeerA, {}, 0, blocks.back().root, 10});
  bench.turn();
  const auto range = bench.said<RequestByRange>();
  ASSERT_EQ(range.size(), 1u);
  std::vector<ImportBlock> imports;
  for (const BlockInfo& block : blocks) {
    bench.chunk(range[0], block);
    bench.turn();
    for (const ImportBlock& import : bench.said<ImportBlock>()) imports.push_back(import);
    EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  }
  bench.end(range[0]);
  bench.turn();
  EXPECT_EQ(bench.chain.stats().requests_by_root, 0u);
  EXPECT_EQ(bench.chain.stats().orphans, 0u);
  // The parents go first, and each verdict lets the next one go.
  for (size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_EQ(imports.size(), i + 1);
    EXPECT_EQ(imports[i].block.root, blocks[i].root);
    bench.give(ImportVerdict{imports[i].import, Verdict::valid});
    bench.turn();
    for (const ImportBlock& import : bench.said<ImportBlock>()) imports.push_back(import);
  }
  EXPECT_EQ(bench.chain.head().root, blocks.back().root);
  EXPECT_TRUE(bench.chain.idle());
}

TEST(Defects, Defect04_RootsSurviveASendFailure) {
  Bench bench;
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 5; ++i) bench.gossip(kPeerA, orphan(i));
  for (int failure = 0; failure < 3; ++failure) {
    bench.run(milliseconds(300));
    const auto requests = bench.said<RequestByRoot>();
    ASSERT_EQ(requests.size(), 1u);
    EXPECT_EQ(requests[0].roots.size(), 5u);
    bench.fail(requests[0], Code::full, Fault::local);
    EXPECT_EQ(bench.chain.pending().size(), 5u);
  }
  // Not the peer's fault, and no attempt.
  EXPECT_EQ(bench.chain.stats().charges, 0u);
  EXPECT_EQ(bench.chain.pending().find(parent_of(0))->attempts, 0u);
  EXPECT_EQ(bench.chain.stats().send_failures, 3u);
}

TEST(Defects, Defect04_RootsSurviveADisconnectAndAnEmptyPeerTable) {
  Bench bench;
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 5; ++i) bench.gossip(kPeerA, orphan(i));
  bench.turn();
  EXPECT_EQ(bench.chain.requests().size(), 1u);
  bench.give(PeerDown{kPeerA});
  EXPECT_EQ(bench.chain.requests().size(), 0u);
  bench.run(seconds(30));
  EXPECT_EQ(bench.chain.pending().size(), 5u);
  bench.up(kPeerB);
  bench.turn();
  ASSERT_EQ(bench.said<RequestByRoot>().size(), 1u);
  EXPECT_EQ(bench.said<RequestByRoot>()[0].roots.size(), 5u);
}

TEST(Defects, Defect05_RetriesLeaveTogether) {
  Bench bench;
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 200; ++i) bench.gossip(kPeerA, orphan(i));
  bench.turn();
  ASSERT_EQ(bench.said<RequestByRoot>().size(), 1u);
  bench.run(milliseconds(5'300));  // it times out, and the retry is due 250 ms later
  const auto retries = bench.said<RequestByRoot>();
  ASSERT_EQ(retries.size(), 1u);
  EXPECT_EQ(retries[0].roots.size(), 200u);
  EXPECT_EQ(bench.said<CancelRequest>().size(), 1u);
}

TEST(Defects, Defect06_DepthIsOfTheRootNotOfItsBatch) {
  ChainConfig config = make_config();
  config.range_sync = false;
  config.limits.depth = 8;
  Sim sim(1, config);
  // A walk that is too deep, and 20 shallow ones that share its requests.
  const auto deep = make_chain(sim.chain.head().root, 1, 30);
  std::vector<BlockInfo> tips;
  sim.know(deep);
  sim.add_peer();
  sim.gossip(sim.peers[0], deep.back());
  for (uint64_t i = 0; i < 20; ++i) {
    std::vector<BlockInfo> branch{make_block(make_genesis().root, 1, 100 + i)};
    while (branch.size() < 4) {
      branch.push_back(make_block(branch.back().root, branch.size() + 1, 100 + i));
    }
    for (const BlockInfo& block : branch) sim.by_root[block.root] = block;
    tips.push_back(branch.back());
    sim.at(milliseconds(20) * static_cast<int64_t>(i),
           [&sim, tip = branch.back()] { sim.gossip(sim.peers[0], tip); });
  }
  sim.run(seconds(30), [] { return false; });
  for (const BlockInfo& tip : tips) EXPECT_TRUE(sim.chain.tree().contains(tip.root));
  EXPECT_FALSE(sim.chain.tree().contains(deep.back().root));
  EXPECT_EQ(sim.chain.stats().given_up_depth, 1u);
  EXPECT_TRUE(sim.chain.idle());
}

// The first chunk may come before the integrator has even seen the request end up on the wire.
TEST(Defects, Defect07_TheRequestIsRegisteredBeforeItIsSent) {
  Bench bench;
  bench.up(kPeerA);
  const BlockInfo parent = make_block(make_genesis().root, 1);
  bench.gossip(kPeerA, make_block(parent.root, 2));
  bench.chain.end_of_turn(bench.now);
  EXPECT_EQ(bench.chain.requests().size(), 1u);  // no command was polled yet
  while (auto command = bench.chain.poll_command()) {
    if (const auto* request = std::get_if<RequestByRoot>(&*command)) {
      bench.chunk(*request, parent);
      bench.end(*request);
    }
  }
  bench.turn();
  EXPECT_EQ(bench.chain.head().slot, 2u);
  EXPECT_EQ(bench.chain.stats().late_chunks, 0u);
}

TEST(Defects, Defect08_ALiveTransferOutlivesTheProgressDeadline) {
  Bench bench;
  bench.up(kPeerA);
  const auto blocks = make_chain(make_genesis().root, 1, 20);
  bench.give(PeerStatus{kPeerA, {}, 0, blocks.back().root, 20});
  bench.turn();
  const auto range = bench.said<RequestByRange>();
  ASSERT_EQ(range.size(), 1u);
  for (const BlockInfo& block : blocks) {  // 80 s in all, always something within 5 s
    bench.run(seconds(2));
    bench.give(TransferProgress{kPeerA, range[0].request});
    bench.run(seconds(2));
    bench.chunk(range[0], block);
  }
  bench.end(range[0]);
  bench.turn();
  EXPECT_EQ(bench.chain.head().slot, 20u);
  EXPECT_EQ(bench.chain.stats().progress_timeouts + bench.chain.stats().total_timeouts, 0u);
}

TEST(Defects, Defect08_SilenceAndAnEndlessTrickleBothEnd) {
  Bench bench;
  bench.up(kPeerA);
  bench.gossip(kPeerA, orphan(1));
  bench.run(milliseconds(5'050));
  EXPECT_EQ(bench.chain.stats().progress_timeouts, 1u);
  EXPECT_EQ(bench.said<ReportPeer>().size(), 1u);
  EXPECT_EQ(bench.said<ReportPeer>()[0].conduct, Conduct::silent);
  bench.run(seconds(1));
  const auto retry = bench.said<RequestByRoot>();
  ASSERT_EQ(retry.size(), 1u);
  for (int i = 0; i < 130; ++i) {
    bench.give(TransferProgress{kPeerA, retry[0].request});
    bench.run(seconds(1));
    if (bench.chain.stats().total_timeouts > 0) break;
  }
  EXPECT_EQ(bench.chain.stats().total_timeouts, 1u);
  EXPECT_EQ(bench.chain.pending().size(), 1u);
}

// A garbage proof around an honest block must not condemn the honest root.
TEST(Defects, Defect09_AGarbageProofDoesNotPoisonTheRoot) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Bench bench(config);
  bench.up(kPeerA);
  bench.up(kPeerB);
  const Root genesis = make_genesis().root;
  const BlockInfo honest = make_block(genesis, 1);
  const BlockInfo garbage = make_block(genesis, 1, 0, 100, 0);
  ASSERT_EQ(honest.root, garbage.root);
  bench.gossip(kPeerA, garbage);
  bench.turn();
  ASSERT_EQ(bench.said<ImportBlock>().size(), 1u);
  bench.give(ImportVerdict{bench.said<ImportBlock>()[0].import, Verdict::invalid_bytes});
  bench.turn();
  ASSERT_EQ(bench.said<GossipVerdict>().size(), 1u);
  EXPECT_EQ(bench.said<GossipVerdict>()[0].result, GossipResult::reject);

  // The same bytes are rejected without being verified again.
  bench.gossip(kPeerB, garbage);
  bench.turn();
  EXPECT_TRUE(bench.said<ImportBlock>().empty());
  ASSERT_EQ(bench.said<GossipVerdict>().size(), 1u);
  EXPECT_EQ(bench.said<GossipVerdict>()[0].reason, GossipReason::invalid_bytes);
  EXPECT_EQ(bench.chain.stats().invalid_hits, 1u);

  bench.gossip(kPeerB, honest);
  bench.turn();
  ASSERT_EQ(bench.said<ImportBlock>().size(), 1u);
  bench.give(ImportVerdict{bench.said<ImportBlock>()[0].import, Verdict::valid});
  bench.turn();
  EXPECT_EQ(bench.chain.head().root, honest.root);
}

// Who is the first to send a block, with a garbage proof, must not hide the honest copies that come
// while that is verified: a slot without its block for whoever lies fast enough.
TEST(Defects, Defect09_AForgedCopyThatComesFirstDoesNotHideTheHonestBlock) {
  for (const bool early : {false, true}) {
    ChainConfig config = make_config();
    config.import = ChainConfig::Import::ask;
    Bench bench(config);
    for (const PeerHandle peer : {kPeerA, kPeerB, kPeerC}) bench.up(peer);
    const Slot slot = bench.chain.current_slot(bench.now.wall) + (early ? 2 : 0);
    const Root genesis = make_genesis().root;
    const BlockInfo honest = make_block(genesis, slot);
    bench.gossip(kPeerA, make_block(genesis, slot, 0, 100, 0));
    bench.gossip(kPeerB, honest);
    bench.gossip(kPeerB, honest);
    if (early) bench.pass(seconds(2));
    bench.turn();
    ASSERT_EQ(bench.said<ImportBlock>().size(), 1u);
    bench.give(ImportVerdict{bench.said<ImportBlock>()[0].import, Verdict::invalid_bytes});
    bench.turn();
    // Asked of who has it, at once, and of nobody else.
    const auto requests = bench.said<RequestByRoot>();
    ASSERT_EQ(requests.size(), 1u);
    EXPECT_EQ(requests[0].peer, kPeerB);
    EXPECT_EQ(requests[0].roots, std::vector{honest.root});
    bench.chunk(requests[0], honest);
    bench.end(requests[0]);
    bench.turn();
    ASSERT_EQ(bench.said<ImportBlock>().size(), 1u);
    bench.give(ImportVerdict{bench.said<ImportBlock>()[0].import, Verdict::valid});
    bench.turn();
    EXPECT_EQ(bench.chain.head().root, honest.root);
    EXPECT_LT(bench.chain.peers().find(kPeerA)->score, 100);
    EXPECT_GT(bench.chain.peers().find(kPeerB)->score, 100);
  }
}

TEST(Defects, Defect09_AForgedCopyWhoseHonestSendersWentIsGivenUp) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Bench bench(config);
  bench.up(kPeerA);
  bench.up(kPeerB);
  const BlockInfo honest = make_block(make_genesis().root, 1);
  bench.gossip(kPeerA, make_block(make_genesis().root, 1, 0, 100, 0));
  bench.gossip(kPeerB, honest);
  bench.turn();
  const auto imports = bench.said<ImportBlock>();
  ASSERT_EQ(imports.size(), 1u);
  bench.give(PeerDown{kPeerB});
  bench.give(ImportVerdict{imports[0].import, Verdict::invalid_bytes});
  bench.turn();
  EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  EXPECT_TRUE(bench.chain.idle());
  EXPECT_EQ(bench.chain.stats().given_up_peer_gone, 1u);
}

TEST(Defects, Defect09_AForgedParentIsFetchedElsewhere) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Sim sim(1, config);
  sim.know(make_chain(sim.chain.head().root, 1, 100));
  sim.add_peer(Manner::forged);
  sim.status(sim.peers[0]);
  sim.at(seconds(3), [&] {
    sim.add_peer();
    sim.status(sim.peers[1]);
  });
  ASSERT_TRUE(sim.run(seconds(60), [&] { return sim.head_is(sim.canonical.back()); }));
  EXPECT_LT(sim.lowest_score[sim.peers[0].handle], 100);
  EXPECT_EQ(
      sim.lowest_score.count(sim.peers[1].handle) > 0 ? sim.lowest_score[sim.peers[1].handle] : 100,
      100);
}

TEST(Defects, Defect09_TransientVerdictsBlameNobody) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Bench bench(config);
  bench.up(kPeerA);
  bench.gossip(kPeerA, make_block(make_genesis().root, 1));
  for (const Verdict verdict : {Verdict::try_again, Verdict::data_missing, Verdict::valid}) {
    bench.run(seconds(1));
    const auto imports = bench.said<ImportBlock>();
    ASSERT_EQ(imports.size(), 1u) << name(verdict);
    bench.give(ImportVerdict{imports[0].import, verdict});
  }
  bench.turn();
  EXPECT_EQ(bench.chain.stats().charges, 0u);
  EXPECT_EQ(bench.chain.head().slot, 1u);
}

TEST(Defects, Defect10_TheVerdictNamesTheSenderAndIsNotAlwaysAccept) {
  Bench bench;
  bench.up(kPeerA);
  bench.up(kPeerB);
  const BlockInfo first = make_block(make_genesis().root, 5);
  bench.gossip(kPeerA, first);  // 1: accepted
  bench.turn();
  auto verdicts = bench.said<GossipVerdict>();
  bench.gossip(kPeerB, first);                      // 2: known
  bench.gossip(kPeerB, make_block(first.root, 4));  // 3: not after its parent
  bench.turn();
  for (const GossipVerdict& verdict : bench.said<GossipVerdict>()) verdicts.push_back(verdict);
  ASSERT_EQ(verdicts.size(), 3u);
  EXPECT_EQ(verdicts[0].result, GossipResult::accept);
  EXPECT_EQ(verdicts[0].sender, kPeerA);
  EXPECT_EQ(verdicts[1].result, GossipResult::ignore);
  EXPECT_EQ(verdicts[2].result, GossipResult::reject);
  EXPECT_EQ(verdicts[2].sender, kPeerB);
  EXPECT_EQ(verdicts[2].reason, GossipReason::not_after_parent);
}

// What a failure means for the peer follows from the type of the error alone.
TEST(Defects, Defect11_ErrorsAreTypesThatDecideWhoIsCharged) {
  struct Case {
    Code code;
    Fault fault;
    int32_t change;
    uint32_t attempts;
  };
  for (const Case& c :
       {Case{Code::reset, Fault::network, 0, 1}, Case{Code::full, Fault::local, 0, 0},
        Case{Code::remote_error, Fault::peer, 0, 1}, Case{Code::rate_limited, Fault::peer, 0, 1},
        Case{Code::bad_encoding, Fault::peer, -20, 1}}) {
    Bench bench;
    bench.up(kPeerA);
    bench.gossip(kPeerA, orphan(1));
    bench.turn();
    const auto requests = bench.said<RequestByRoot>();
    ASSERT_EQ(requests.size(), 1u);
    bench.fail(requests[0], c.code, c.fault);
    bench.turn();
    EXPECT_EQ(bench.chain.peers().find(kPeerA)->score, 100 + c.change) << name(c.code);
    EXPECT_EQ(bench.chain.pending().find(parent_of(1))->attempts, c.attempts) << name(c.code);
  }
}

TEST(Defects, Defect12_ServingIsStreamedAndHasAQuotaPerPeer) {
  ChainConfig config = make_config();
  config.limits.serve_burst = 100;
  config.limits.serve_rate = 50;
  config.limits.serve_per_turn = 32;
  config.limits.serve_window = 1024;
  Bench bench(config);
  bench.up(kPeerA);
  bench.up(kPeerB);
  Root parent = make_genesis().root;
  for (const BlockInfo& block : make_chain(parent, 1, 300)) {
    bench.gossip(kPeerA, block);
    bench.turn();
  }
  bench.give(IncomingByRange{kPeerB, 1, 1, 300});
  bench.turn();
  EXPECT_LE(bench.said<RespondChunk>().size(), 32u);  // a turn is not held up
  size_t chunks = bench.said<RespondChunk>().size();
  for (int i = 0; i < 10; ++i) {
    bench.turn();
    chunks += bench.said<RespondChunk>().size();
  }
  EXPECT_EQ(chunks, 100u);  // the burst
  bench.run(seconds(1));
  chunks += bench.said<RespondChunk>().size();
  EXPECT_GE(chunks, 149u);
  EXPECT_LE(chunks, 151u);
  EXPECT_GT(bench.chain.stats().serves_throttled, 0u);
  bench.run(seconds(10));
  chunks += bench.said<RespondChunk>().size();
  EXPECT_EQ(chunks, 300u);
  EXPECT_EQ(bench.said<RespondEnd>().size(), 1u);
}

// zeam #1001: the gap by slots is 0, and its head is on another branch.
TEST(Defects, Issue1001_APeerThatFinalisedHigherWithALowerHeadIsNoDeadlock) {
  Bench bench;
  bench.up(kPeerA);
  const Root genesis = make_genesis().root;
  for (const BlockInfo& block : make_chain(genesis, 1, 40)) bench.gossip(kPeerA, block);
  bench.turn();
  EXPECT_EQ(bench.chain.head().slot, 40u);
  std::vector<BlockInfo> other;
  Root parent = genesis;
  for (Slot slot = 1; slot <= 6; ++slot) {
    other.push_back(make_block(parent, slot * 5, 77));
    parent = other.back().root;
  }
  bench.up(kPeerB);
  bench.give(PeerStatus{kPeerB, other[4].root, 25, other.back().root, 30});
  for (int step = 0; step < 200 && !bench.chain.tree().contains(parent); ++step) {
    bench.turn();
    for (const RequestByRoot& request : bench.said<RequestByRoot>()) {
      for (const BlockInfo& block : other) {
        if (request.peer == kPeerB && request.roots[0] == block.root) bench.chunk(request, block);
      }
      bench.end(request);
    }
    bench.pass(milliseconds(50));
  }
  EXPECT_TRUE(bench.chain.tree().contains(parent));
  EXPECT_TRUE(bench.chain.idle());
}

// zeam #969: 12,676 chunks in five minutes for one invalid block.
TEST(Defects, Issue969_OneInvalidBlockCausesNoStorm) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Bench bench(config);
  const auto good = make_chain(make_genesis().root, 1, 5);
  const auto bad = make_chain(good.back().root, 6, 60);  // its first block is invalid
  std::vector<BlockInfo> all = good;
  all.insert(all.end(), bad.begin(), bad.end());
  for (uint32_t i = 0; i < 8; ++i) {
    bench.up({i, 1});
    bench.give(PeerStatus{{i, 1}, {}, 0, all.back().root, all.back().slot});
  }
  size_t requests = 0;
  size_t chunks = 0;
  for (int ms = 0; ms < 300'000; ms += 50) {
    bench.turn();
    const auto commands = bench.commands;
    for (const Command& command : commands) {
      if (const auto* import = std::get_if<ImportBlock>(&command)) {
        const bool invalid = import->block.root == bad.front().root;
        bench.give(
            ImportVerdict{import->import, invalid ? Verdict::invalid_block : Verdict::valid});
      } else if (const auto* range = std::get_if<RequestByRange>(&command)) {
        ++requests;
        for (const BlockInfo& block : all) {
          if (block.slot < range->start_slot || block.slot >= range->start_slot + range->count) {
            continue;
          }
          ++chunks;
          bench.chunk(*range, block);
          if (bench.chain.requests().size() == 0) break;  // we reset the stream
        }
        bench.end(*range);
      } else if (const auto* root = std::get_if<RequestByRoot>(&command)) {
        ++requests;
        for (const BlockInfo& block : all) {
          const auto& roots = root->roots;
          if (std::find(roots.begin(), roots.end(), block.root) == roots.end()) continue;
          ++chunks;
          bench.chunk(*root, block);
        }
        bench.end(*root);
      } else if (const auto* leave = std::get_if<DisconnectPeer>(&command)) {
        bench.give(PeerDown{leave->peer});
      }
    }
    bench.pass(milliseconds(50));
    // Each peer tells its head again and again.
    if (ms % 10'000 == 0) {
      for (uint32_t i = 0; i < 8; ++i) {
        bench.give(PeerStatus{{i, 1}, {}, 0, all.back().root, all.back().slot});
      }
    }
  }
  std::printf("requests %zu, chunks %zu\n", requests, chunks);
  EXPECT_EQ(bench.chain.head().root, good.back().root);
  EXPECT_LE(requests, 100u);
  EXPECT_LE(chunks, 300u);
  EXPECT_EQ(bench.chain.cache().size(), 0u);
}

}  // namespace
}  // namespace beamline::chain
