// What zeam and qlean-mini met in the field, beside the list in defects_test.cc: one test each, it
// cannot happen here. Numbers are zeam's issues.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/chain/sim.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

ChainConfig asking() {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  return config;
}

// A drain over the descendants of a block that came, while they are removed, rejected, evicted and
// joined by others between one verdict and the next.
TEST(Defects, Issue695_InsertionAndRemovalInsideADescendantDrain) {
  ChainConfig config = asking();
  config.limits.imports_in_flight = 3;
  config.limits.cached_blocks = 48;
  Bench bench(config);
  bench.up(kPeerA);
  bench.up(kPeerB);
  const BlockInfo first = make_block(make_genesis().root, 1);
  const auto trunk = make_chain(first.root, 2, 12);
  const auto bad = make_chain(trunk[3].root, 6, 8, 100, 5);  // its second block is invalid
  for (const BlockInfo& block : trunk) bench.gossip(kPeerA, block);
  for (const BlockInfo& block : bad) bench.gossip(kPeerB, block);
  bench.turn();
  EXPECT_EQ(bench.chain.cache().count(CachedBlock::State::orphan), 20u);
  bench.gossip(kPeerA, first);
  uint64_t other = 100;
  for (int turn = 0; turn < 60; ++turn) {
    bench.turn();
    const auto imports = bench.said<ImportBlock>();
    EXPECT_LE(imports.size(), 3u);
    // The newest first: results come in any order.
    for (auto it = imports.rbegin(); it != imports.rend(); ++it) {
      const bool wrong = it->block.root == bad[1].root;
      bench.give(ImportVerdict{it->import, wrong ? Verdict::invalid_block : Verdict::valid});
      if (turn > 10) continue;
      // Insertion in the middle: orphans that push others out, and a child of what was just taken.
      for (int n = 0; n < 4; ++n) {
        ++other;
        bench.gossip(kPeerB, make_block(root_of(other), 40, other));
      }
      bench.gossip(kPeerA, make_block(it->block.root, it->block.slot + 20, ++other));
    }
  }
  for (const BlockInfo& block : trunk) EXPECT_TRUE(bench.chain.tree().contains(block.root));
  EXPECT_TRUE(bench.chain.tree().contains(bad[0].root));
  for (size_t i = 1; i < bad.size(); ++i) {
    EXPECT_FALSE(bench.chain.tree().contains(bad[i].root));
    EXPECT_FALSE(bench.chain.cache().contains(bad[i].root));
  }
  EXPECT_GT(bench.chain.stats().cache_evicted, 0u);
  EXPECT_EQ(bench.chain.cache().count(CachedBlock::State::ready), 0u);
  EXPECT_EQ(bench.chain.cache().count(CachedBlock::State::importing), 0u);
}

// One mutex was held 496 s in all while gossip was verified: nothing is verified where events are
// taken, and what is under verification holds up nothing else.
TEST(Defects, Issue798_VerificationHoldsUpNothing) {
  Bench bench(asking());
  bench.up(kPeerA);
  bench.up(kPeerB);
  const BlockInfo served = make_genesis();
  for (uint64_t i = 0; i < 200; ++i) bench.gossip(kPeerA, make_block(served.root, 1 + i, i));
  bench.gossip(kPeerA, make_block(root_of(500), 300));
  bench.give(OwnBlock{make_block(served.root, 301, 1)});
  bench.give(IncomingByRoot{kPeerB, 7, {root_of(3)}});
  bench.turn();
  EXPECT_EQ(bench.said<ImportBlock>().size(), bench.chain.limits().imports_in_flight);
  EXPECT_EQ(bench.said<RequestByRoot>().size() + bench.said<RequestByRange>().size(), 1u);
  EXPECT_EQ(bench.said<PublishBlock>().size(), 1u);
  EXPECT_EQ(bench.said<RespondEnd>().size(), 1u);
}

// A burst of 3.4 MB of answers wedged the main loop for 9.7 s, and a proposal was missed.
TEST(Defects, AResponseBurstDoesNotDelayAProposal) {
  Bench bench(asking());
  bench.up(kPeerA);
  const auto blocks = make_chain(make_genesis().root, 1, 64, 54'000);
  bench.give(PeerStatus{kPeerA, {}, 0, blocks.back().root, 64});
  bench.turn();
  const auto range = bench.said<RequestByRange>();
  ASSERT_EQ(range.size(), 1u);
  for (const BlockInfo& block : blocks) bench.chunk(range[0], block);
  bench.give(OwnBlock{make_block(make_genesis().root, 65, 9)});
  EXPECT_EQ(bench.chain.cache().bytes() / 1'000'000, 3u);
  bench.commands.clear();
  while (auto command = bench.chain.poll_command()) bench.commands.push_back(std::move(*command));
  ASSERT_EQ(bench.said<PublishBlock>().size(), 1u);  // before the turn is over
}

// 256 places for all that came in overflowed 4,560 times, and blocks were lost among the votes.
TEST(Defects, Issue963_AFloodOfVotesLosesNoBlock) {
  ChainConfig config = asking();
  config.limits.votes_waiting = 256;
  config.limits.votes_pending = 256;
  Bench bench(config);
  for (uint32_t i = 0; i < 8; ++i) bench.up({i, 1});
  const auto blocks = make_chain(make_genesis().root, 1, 300);
  uint64_t votes = 0;
  for (const BlockInfo& block : blocks) {
    for (uint32_t i = 0; i < 16; ++i) {
      Vote vote;
      vote.slot = block.slot;
      vote.head_root = root_of(++votes);
      vote.validators = {i};
      bench.give(GossipVote{{i % 8, 1}, 1'000'000 + votes, std::move(vote)});
    }
    bench.gossip(kPeerA, block);
    bench.turn();
    for (const ImportBlock& import : bench.said<ImportBlock>()) {
      bench.give(ImportVerdict{import.import, Verdict::valid});
    }
  }
  bench.turn();
  EXPECT_EQ(bench.chain.head().root, blocks.back().root);
  EXPECT_EQ(bench.chain.stats().gossip_votes, votes);
}

// "Unknown peer" was read as "unsupported": a gap of 13,429 slots, and 2.4 million requests.
TEST(Defects, Issue1046_APeerThatComesAndGoesIsAskedAgainAndNotInAStorm) {
  Sim sim(1046);
  constexpr size_t kGap = 13'429;
  sim.know(make_chain(sim.chain.head().root, 1, kGap, 40));
  sim.add_peer();
  sim.status(sim.peers[0]);
  std::function<void()> flap = [&] {
    sim.give(PeerDown{sim.peers[0].handle});
    sim.at(milliseconds(50), [&] {
      ++sim.peers[0].handle.generation;
      sim.give(PeerUp{sim.peers[0].handle});
      sim.status(sim.peers[0]);
    });
    if (!sim.head_is(sim.canonical.back())) sim.at(milliseconds(700), flap);
  };
  sim.at(milliseconds(700), flap);
  ASSERT_TRUE(sim.run(seconds(300), [&] { return sim.head_is(sim.canonical.back()); }));
  EXPECT_LE(sim.requests, 2'000u);
}

TEST(Defects, AnUnservedRootIsNotRetried700TimesASecond) {
  ChainConfig config = make_config();
  config.range_sync = false;
  Sim sim(700, config);
  for (int i = 0; i < 8; ++i) sim.add_peer(Manner::empty);
  sim.gossip(sim.peers[0], make_block(root_of(1'234), 9));
  sim.run(seconds(10), [] { return false; });
  EXPECT_GE(sim.requests, 2u);
  EXPECT_LE(sim.requests, 10u);
}

// Malformed messages were written to disk on the path of the messages.
TEST(Defects, Defect13_NothingOnThePathOfMessagesWritesFiles) {
  size_t files = 0;
  for (const char* folder : {"codec", "libp2p", "gossip", "reqresp", "chain"}) {
    const std::filesystem::path top = std::filesystem::path(BEAMLINE_SOURCE_DIR) / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
      if (entry.path().extension() != ".cc") continue;
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      std::string line;
      while (std::getline(text, line)) {
        const std::string code = line.substr(0, line.find("//"));
        for (const char* word : {"fopen", "fwrite", "ofstream", "fsync", "fdatasync"}) {
          EXPECT_EQ(code.find(word), std::string::npos) << entry.path() << ": " << line;
        }
      }
      ++files;
    }
  }
  EXPECT_GT(files, 50u);
}

// qlean-mini: one root a request, no request timeout, caches without a cap. (Its message ids and
// its reads past a short chunk are codec/'s and reqresp/'s tests.)
TEST(Defects, QleanMini_RequestsAreBatchedEndAndCachesHaveACap) {
  ChainConfig config = make_config();
  config.range_sync = false;
  config.limits.cached_blocks = 100;
  Bench bench(config);
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 500; ++i) bench.gossip(kPeerA, make_block(root_of(9'000 + i), 3, i));
  bench.turn();
  EXPECT_LE(bench.chain.cache().size(), 100u);
  ASSERT_EQ(bench.said<RequestByRoot>().size(), 1u);
  EXPECT_GE(bench.said<RequestByRoot>()[0].roots.size(), 90u);
  bench.run(seconds(6));
  EXPECT_EQ(bench.chain.stats().progress_timeouts, 1u);
}

}  // namespace
}  // namespace beamline::chain
