// A whole node (core, workers, storage thread, RocksDB) with the beacon policy, and one with
// lean's, killed at any point and started again: it has the head, the checkpoints and the blocks
// that were acknowledged before, those of a node that never crashed, and goes on like it.
#include <csignal>
#include <cstdlib>
#include <functional>

#include <sys/wait.h>
#include <unistd.h>

#include "codec/hex.h"
#include "crypto/sha256.h"
#include "node/rocks_store.h"
#include "tests/chain/lean_chain.h"
#include "tests/chain/restart_world.h"
#include "tests/node/node_threads.h"
#include "tests/project/command.h"

namespace beamline::node {
namespace {

using chain::Checkpoint;
using chain::lean::testing::LeanChain;

// What must outlive a crash.
struct State {
  Root head;
  Checkpoint justified;
  Checkpoint finalized;
  uint64_t blocks = 0;
  Root known;  // a hash of all their roots
  friend bool operator==(const State&, const State&) = default;
};
struct Report {
  uint64_t steps = 0;
  State state;
};

// What happens to a node, one event a step, and what its client knows. The same for a seed.
class Script : public BlockClient {
 public:
  virtual ChainSpec spec() const = 0;
  virtual std::unique_ptr<Policy> make_policy() = 0;
  // Who imports, with this policy.
  virtual BlockClient& client(Policy& policy) = 0;
  chain::Verdict verify(const chain::BlockInfo&, chain::Origin) override {
    return chain::Verdict::valid;
  }
  std::vector<chain::Event> steps;
};

class BeaconScript final : public Script {
 public:
  explicit BeaconScript(uint64_t seed) : world_(seed) {
    for (Slot slot = 2; slot <= 60; ++slot) add_step(slot);
  }
  ChainSpec spec() const override {
    ChainSpec made = node::spec();
    made.genesis_block_root = world_.genesis().root;
    made.slot_duration = seconds(1);
    return made;
  }
  std::unique_ptr<Policy> make_policy() override {
    chain::BeaconConfig config = chain::testing::beacon_config();
    config.genesis_time = spec().genesis_time;
    const Root& root = world_.genesis().root;
    return std::make_unique<BeaconPolicy>(
        config, chain::BeaconForkChoice::Anchor{root, 0, 0, chain::Execution::valid, {}});
  }
  BlockClient& client(Policy&) override { return *this; }
  chain::ImportVerdict import(const chain::BlockInfo& block, chain::Origin) override {
    chain::ImportVerdict verdict;
    verdict.verdict = chain::Verdict::valid;
    verdict.post = world_.post(block.root);
    if (const auto it = votes_.find(block.root); it != votes_.end()) verdict.votes = it->second;
    return verdict;
  }

 private:
  // Votes come in the step's block: all slots are long over.
  void add_step(Slot slot) {
    std::vector<chain::Vote> votes;
    std::optional<Root> block;
    for (chain::Event& event : world_.step(slot)) {
      if (auto* vote = std::get_if<chain::OwnVote>(&event)) {
        votes.push_back(std::move(vote->vote));
        continue;
      }
      if (const auto* own = std::get_if<chain::OwnBlock>(&event)) block = own->block.root;
      steps.push_back(std::move(event));
    }
    if (block) votes_.emplace(*block, std::move(votes));
  }
  chain::testing::RestartWorld world_;
  std::map<Root, std::vector<chain::Vote>> votes_;
};

class LeanScript final : public Script {
 public:
  explicit LeanScript(uint64_t seed) : world_(6, kGenesis) {
    Rng rng(seed);
    std::vector<Root> roots{world_.genesis};
    for (Slot slot = 1; steps.size() < 60; slot += 1 + rng.below(2)) {
      const size_t back = rng.chance(1, 4) ? rng.below(std::min<size_t>(3, roots.size())) : 0;
      const Root parent = roots[roots.size() - 1 - back];
      std::vector<LeanAggregatedAttestation> votes;
      if (slot > 1 && rng.chance(2, 3)) {
        votes.push_back(LeanChain::cast(world_.vote_for(parent, slot - 1), 4));
      }
      roots.push_back(world_.add(parent, slot, std::move(votes)));
      steps.push_back(chain::OwnBlock{world_.info(roots.back())});
    }
  }
  ChainSpec spec() const override {
    ChainSpec made = node::spec();
    made.genesis_time = WallTime::from_unix(kGenesis);
    made.genesis_block_root = world_.genesis;
    made.slot_duration = chain::lean::kSlot;
    return made;
  }
  std::unique_ptr<Policy> make_policy() override {
    chain::lean::LeanForkChoiceConfig config{.genesis_time = kGenesis};
    config.limits.kept_slots = 8;
    auto made = std::make_unique<LeanPolicy>(chain::lean::testing::types(), *this, config,
                                             chain::lean::ImporterLimits{.state_every = 4});
    const auto& genesis = world_.at(world_.genesis);
    BL_CHECK(made->set_anchor(genesis.block, genesis.post));
    return made;
  }
  BlockClient& client(Policy& policy) override { return static_cast<LeanPolicy&>(policy); }
  chain::ImportVerdict import(const chain::BlockInfo&, chain::Origin) override { std::abort(); }

 private:
  static constexpr int64_t kGenesis = 1'600'000'000;
  LeanChain world_;
};

// A node, and its client's own thread: this one.
class Run final : public CoreObserver {
 public:
  // Without a path nothing is stored.
  Run(Script& script, const std::string& path) : script_(script), policy_(script.make_policy()) {
    NodeOptions made;
    made.spec = script.spec();
    made.make_backend = make_backend;
    made.core.snapshot_interval = {};
    made.policy = policy_.get();
    made.client = &script.client(*policy_);
    if (!path.empty()) made.store = &store_.emplace(RocksStoreOptions{.path = path});
    node_.emplace(std::move(made), identity(7), *this);
    const Status started = node_->start();
    BL_CHECK(started);
    const std::array classes = {InboxClass{.nodes = 64}};
    events_ = std::move(*node_->core_gate().make_producer(classes));
  }
  ~Run() override {
    events_ = {};
    node_->stop();
  }
  State step(size_t number) {
    push(script_.steps[number]);
    return settle();
  }
  // When all that was pushed is applied and acknowledged.
  State settle() {
    for (;;) {
      for (const Checkpoint& justified : take_justified()) push(balances(justified));
      push(chain::Tick{});
      const uint64_t before = wait_for([](const chain::Snapshot&) { return true; });
      push(chain::Tick{});
      State state;
      wait_for([&](const chain::Snapshot& now) {
        const bool quiet = now.queues.cached_blocks == 0 && now.queues.importing == 0;
        if (now.sequence <= before || !quiet || now.stats.persisted != now.stats.persists) {
          return false;
        }
        state = state_of(now);
        return true;
      });
      if (nothing_justified()) return state;
    }
  }
  uint64_t restored() { return node_->snapshots().acquire()->stats.restored; }

 private:
  void on_justified(const chain::JustifiedChanged& changed) override {
    const std::lock_guard lock(mutex_);
    justified_.push_back(changed.checkpoint);
  }
  std::vector<Checkpoint> take_justified() {
    const std::lock_guard lock(mutex_);
    return std::exchange(justified_, {});
  }
  bool nothing_justified() {
    const std::lock_guard lock(mutex_);
    return justified_.empty();
  }
  static chain::JustifiedBalances balances(const Checkpoint& justified) {
    chain::JustifiedBalances made{justified, {}, 0};
    for (uint64_t i = 0; i < chain::testing::kVoters; ++i) {
      made.balances.push_back(20 + (justified.root.bytes[0] + i * 7) % 13);
      made.total_active += made.balances.back();
    }
    return made;
  }
  static State state_of(const chain::Snapshot& now) {
    State state{now.head.root, now.justified, now.finalized, now.tree_blocks, {}};
    BL_CHECK(now.tree.size() == now.tree_blocks);
    for (const auto& node : now.tree) state.known = sha256(state.known.view(), node.root.view());
    return state;
  }
  void push(chain::Event event) {
    BL_CHECK(events_.try_push(0, std::move(event)) == PushResult::ok);
  }
  // Until all that was pushed ran, and a snapshot says so. Its sequence.
  uint64_t wait_for(const std::function<bool(const chain::Snapshot&)>& done) {
    for (;; usleep(100)) {
      events_.reclaim();
      if (events_.free_nodes(0) < 64) continue;
      const auto now = node_->snapshots().acquire();
      if (now && done(*now)) return now->sequence;
    }
  }

  Script& script_;
  std::unique_ptr<Policy> policy_;
  std::optional<RocksStore> store_;
  std::optional<Node> node_;
  CoreInbox::Producer events_;
  std::mutex mutex_;
  std::vector<Checkpoint> justified_;
};

[[noreturn]] void run_until_killed(Script& script, const std::string& path, int pipe) {
  Run run(script, path);
  Report report{0, run.settle()};
  for (;;) {
    if (write(pipe, &report, sizeof report) != sizeof report) _exit(6);
    if (report.steps == script.steps.size()) pause();
    report.state = run.step(report.steps++);
  }
}

// In a process of its own: what the store has is what was acknowledged, and perhaps one step more.
void expect_restarted(Script& script, const std::string& path, const Report& reported) {
  Run restarted(script, path);
  const State found = restarted.settle();
  Run never_crashed(script, "");
  size_t step = 0;
  State expected = never_crashed.settle();
  while (step < reported.steps) expected = never_crashed.step(step++);
  EXPECT_TRUE(expected == reported.state) << "a script that is not the same each time";
  const bool exactly = found == reported.state;
  if (!exactly && step < script.steps.size()) expected = never_crashed.step(step++);
  EXPECT_EQ(to_hex0x(found.head), to_hex0x(expected.head));
  EXPECT_TRUE(found.justified == expected.justified) << found.justified.number;
  EXPECT_TRUE(found.finalized == expected.finalized) << found.finalized.number;
  EXPECT_EQ(found.blocks, expected.blocks);
  EXPECT_TRUE(found.known == expected.known);
  EXPECT_EQ(restarted.restored() + 1, found.blocks);
  for (; step < script.steps.size() && !testing::Test::HasFailure(); ++step) {
    EXPECT_TRUE(restarted.step(step) == never_crashed.step(step)) << "after step " << step;
  }
  std::printf("restarted after %lu steps%s: %lu blocks, %lu justified, %lu final\n",
              static_cast<unsigned long>(reported.steps), exactly ? "" : " and one",
              static_cast<unsigned long>(found.blocks),
              static_cast<unsigned long>(found.justified.number),
              static_cast<unsigned long>(found.finalized.number));
}

void kill_and_restart(Script& script, uint64_t seed) {
  const test::TemporaryTree directory;
  Rng rng(seed);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    run_until_killed(script, directory.path(), ends[1]);
  }
  close(ends[1]);
  Report report;
  for (uint64_t reports = 1 + rng.below(script.steps.size()); reports > 0; --reports) {
    ASSERT_EQ(read(ends[0], &report, sizeof report), static_cast<ssize_t>(sizeof report));
  }
  usleep(static_cast<useconds_t>(rng.below(1500)));
  kill(child, SIGKILL);
  Report more;
  while (read(ends[0], &more, sizeof more) == static_cast<ssize_t>(sizeof more)) report = more;
  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  const pid_t again = fork();
  if (again == 0) {
    expect_restarted(script, directory.path(), report);
    std::fflush(nullptr);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  ASSERT_EQ(waitpid(again, &status, 0), again);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

uint64_t rounds() { return std::getenv("BEAMLINE_LONG") != nullptr ? 100 : 5; }

TEST(NodeRestartCrash, ABeaconNodeThatIsKilledHasItsHeadCheckpointsAndBlocksAgain) {
  for (uint64_t seed = 1; seed <= rounds() && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    BeaconScript script(seed);
    kill_and_restart(script, seed);
  }
}

TEST(NodeRestartCrash, ALeanNodeThatIsKilledHasItsHeadCheckpointsAndBlocksAgain) {
  for (uint64_t seed = 1; seed <= rounds() && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LeanScript script(seed);
    kill_and_restart(script, seed);
  }
}

}  // namespace
}  // namespace beamline::node
