// Simulations of whole networks. In the short tier a scaled one; with BEAMLINE_LONG the full size.
#include <cstdio>

#include "sim_network.h"

namespace beamline::discovery {
namespace {

bool is_long() { return std::getenv("BEAMLINE_LONG") != nullptr; }

SimReport run(const char* name, const SimOptions& options) {
  SimReport r = SimNetwork(options).run();
  std::printf(
      "%s: seed %llu, %zu nodes, %.0f s: look-ups %llu, exact %.2f %%, missed %llu, "
      "attackers alone %llu; attackers in tables %.1f %% (worst %.1f %%); "
      "below target at most %.1f s, over 30 s %llu of %llu nodes; "
      "%.2f messages and %.0f bytes per node and second; in a minute of one node %.1f, of its own "
      "accord %.1f, of a bootnode %.1f, and while the network forms %.1f, %.1f and %.1f\n",
      name, static_cast<unsigned long long>(options.seed), options.nodes,
      to_seconds(options.length), static_cast<unsigned long long>(r.lookups),
      100.0 * static_cast<double>(r.lookups_exact) /
          static_cast<double>(std::max<uint64_t>(1, r.lookups)),
      static_cast<unsigned long long>(r.missed),
      static_cast<unsigned long long>(r.lookups_attackers_alone), 100 * r.attackers_in_tables,
      100 * r.attackers_in_worst_table, to_seconds(r.longest_below),
      static_cast<unsigned long long>(r.nodes_below_30s),
      static_cast<unsigned long long>(r.nodes_measured),
      static_cast<double>(r.messages) / static_cast<double>(r.node_seconds),
      static_cast<double>(r.bytes) / static_cast<double>(r.node_seconds), r.formed.node,
      r.formed.asked, r.formed.bootnode, r.forming.node, r.forming.asked, r.forming.bootnode);
  return r;
}

// 30 % fall silent, half the network changes in an hour, and for ten nodes there is an attacker;
// all attackers share 16 addresses in two /24s.
TEST(DiscoverySim, ChurnSilenceAndEclipse) {
  SimOptions options;
  options.nodes = is_long() ? 10'000 : 800;
  options.attackers = static_cast<uint32_t>(options.nodes / 10);
  if (!is_long()) {
    options.length = seconds(2400);
    options.check_interval = milliseconds(700);
  }
  if (const char* seed = std::getenv("BEAMLINE_SEED")) {
    options.seed = std::strtoull(seed, nullptr, 10);
  }
  const SimReport r = run("eclipse", options);
  EXPECT_GT(r.lookups, 1000u);
  EXPECT_GE(r.lookups_exact * 100, r.lookups * 99)
      << "look-ups that found the closest 16 live ones";
  EXPECT_EQ(r.lookups_attackers_alone, 0u);
  EXPECT_LE(r.attackers_in_worst_table, 0.10);
  EXPECT_EQ(r.nodes_below_30s, 0u);
  EXPECT_LE(r.messages, r.node_seconds * 3) << "traffic per node";
  // Once the network stands. A bootnode answers as many as know it, which is everybody.
  EXPECT_LE(r.formed.node, 30);
  EXPECT_LE(r.formed.asked, 30);
  EXPECT_LE(r.formed.bootnode, 120);
}

SimOptions stagnation() {
  SimOptions options;
  options.seed = 3;
  options.nodes = 200;
  options.length = seconds(3 * 3600);
  options.silent_percent = 50;
  options.churn_percent_hour = 0;
  return options;
}

// The reference's first version stood at 6 peers for 3 h 35.
TEST(DiscoverySim, NoStagnationWhenHalfFallSilent) {
  const SimReport r = run("stagnation", stagnation());
  EXPECT_EQ(r.nodes_below_30s, 0u);
}

TEST(DiscoverySim, StagnationOfTheReferenceWithoutTheMarking) {
  SimOptions options = stagnation();
  options.mark = false;
  const SimReport r = run("stagnation without marking", options);
  EXPECT_GT(r.nodes_below_30s, r.nodes_measured / 4);
  EXPECT_GT(r.longest_below, seconds(3600));
}

}  // namespace
}  // namespace beamline::discovery
