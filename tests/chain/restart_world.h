// A beacon chain with forks, votes, justification and finality, from a seed; a node of it that
// keeps what it knows in a store; and the same node again, that never crashed, from the same
// events.
#pragma once

#include "base/rng.h"
#include "chain/beacon_fork_choice.h"
#include "chain/sim_store.h"
#include "tests/chain/blocks.h"

namespace beamline::chain::testing {

inline constexpr uint64_t kEpochSlots = 4;
inline constexpr uint64_t kVoters = 24;

inline BeaconConfig beacon_config() {
  BeaconConfig config;
  config.slot_duration = seconds(1);
  config.slots_per_epoch = kEpochSlots;
  config.max_blocks = 1024;
  return config;
}

// The blocks and their post-states: what a client knows.
class RestartWorld {
 public:
  explicit RestartWorld(uint64_t seed) : rng_(seed) {
    PostState post;
    post.justified = post.finalized = {0, genesis_.root};
    post.unrealized_justified = post.unrealized_finalized = post.justified;
    made_.emplace(genesis_.root, Made{genesis_, post});
    order_.push_back(genesis_.root);
  }
  const BlockInfo& genesis() const { return genesis_; }
  const PostState& post(const Root& root) const { return made_.at(root).post; }

  // The events of one step, for the slot of this time.
  std::vector<Event> step(Slot slot) {
    std::vector<Event> events;
    if (rng_.chance(3, 4)) events.push_back(OwnBlock{make(slot)});
    for (uint64_t votes = rng_.below(3); votes > 0; --votes) {
      if (auto vote = make_vote(slot)) events.push_back(OwnVote{std::move(*vote)});
    }
    if (rng_.chance(1, 30)) events.push_back(Equivocation{{rng_.below(kVoters)}});
    return events;
  }

 private:
  struct Made {
    BlockInfo block;
    PostState post;
  };
  const Root& recent() {
    return order_[order_.size() - 1 - rng_.below(std::min<size_t>(4, order_.size()))];
  }
  // The last block of this branch that is not above the slot.
  Root at_slot(Root root, Slot slot) const {
    while (made_.at(root).block.slot > slot) root = made_.at(root).block.parent_root;
    return root;
  }
  BlockInfo make(Slot slot) {
    Root parent = recent();
    while (made_.at(parent).block.slot >= slot) parent = made_.at(parent).block.parent_root;
    const Made& below = made_.at(parent);
    const BlockInfo block = make_block(parent, slot, ++salt_);
    const uint64_t epoch = slot / kEpochSlots;
    PostState post = below.post;
    if (epoch > below.block.slot / kEpochSlots) {
      post.justified = post.unrealized_justified;
      post.finalized = post.unrealized_finalized;
    }
    const Checkpoint before = post.unrealized_justified;
    if (epoch > before.number && rng_.chance(1, 3)) {
      const Slot start = epoch * kEpochSlots;
      const Checkpoint next{epoch, slot <= start ? block.root : at_slot(parent, start)};
      // Two thirds do not contradict themselves.
      if (justified_.emplace(epoch, next.root).first->second == next.root) {
        post.unrealized_justified = next;
        if (before.number + 1 == epoch) post.unrealized_finalized = before;
      }
    }
    made_.emplace(block.root, Made{block, post});
    order_.push_back(block.root);
    return block;
  }
  // For a block of the past, in a slot that is over.
  std::optional<Vote> make_vote(Slot slot) {
    Vote vote;
    vote.head_root = recent();
    const Slot block_slot = made_.at(vote.head_root).block.slot;
    if (block_slot >= slot) return std::nullopt;
    vote.slot = slot - 1;
    vote.target.number = vote.slot / kEpochSlots;
    vote.target.root = at_slot(vote.head_root, vote.target.number * kEpochSlots);
    for (uint64_t n = 1 + rng_.below(6); n > 0; --n) vote.validators.push_back(rng_.below(kVoters));
    return vote;
  }

  Rng rng_;
  const BlockInfo genesis_ = make_genesis();
  std::map<Root, Made> made_;
  std::vector<Root> order_;
  std::map<uint64_t, Root> justified_;  // by epoch
  uint64_t salt_ = 0;
};

// A chain core, and the client that answers it. It remembers all that came.
class RecordedChain {
 public:
  struct Call {
    Now now;
    std::optional<Event> event;  // none: the end of a turn
    PersistId last = 0;          // that was said by then
  };
  virtual ~RecordedChain() = default;

  void give(const Now& now, Event event) {
    calls.push_back({now, event, last_});
    BL_CHECK(chain->handle(now, std::move(event)));
  }
  // Until the client has answered everything.
  void turn(const Now& now) {
    for (bool answered = true; answered;) {
      answered = false;
      end_turn(now);
      while (auto command = chain->poll_command()) answered = answer(now, *command) || answered;
    }
  }
  // What came to another one up to this Persist. The first `skip` calls were its own beginning.
  void replay(const std::vector<Call>& told, size_t skip, PersistId through) {
    for (size_t i = skip; through > 0 && i < told.size(); ++i) {
      told[i].event ? give(told[i].now, *told[i].event) : end_turn(told[i].now);
      while (chain->poll_command()) continue;
      if (told[i].last == through) break;
    }
  }

  std::optional<Chain> chain;
  std::vector<Call> calls;
  std::deque<Persist> persists;  // that nobody took yet

 private:
  virtual bool answer(const Now& now, const Command& command) = 0;
  void end_turn(const Now& now) {
    chain->end_of_turn(now);
    for (Persist& persist : chain->take_persists()) {
      last_ = persist.id;
      persists.push_back(std::move(persist));
    }
    calls.push_back({now, std::nullopt, last_});
  }
  PersistId last_ = 0;
};

// With the beacon policy.
class RestartNode final : public RecordedChain {
 public:
  // From a store, or from genesis.
  RestartNode(const RestartWorld& world, const Now& now, std::optional<Recovered> found,
              Limits limits = {})
      : world_(world) {
    BeaconForkChoice::Anchor anchor{world.genesis().root, 0, 0, Execution::valid, {}};
    if (found) anchor = BeaconForkChoice::anchor_of(*found, beacon_config());
    auto made = std::make_unique<BeaconForkChoice>(beacon_config(), anchor);
    policy = made.get();
    ChainConfig config = make_config();
    config.import = ChainConfig::Import::ask;
    config.persist = true;
    config.limits = limits;
    if (found) config.anchor = found->anchor.block;
    chain.emplace(std::move(config), nullptr, std::move(made));
    if (found) {
      BL_CHECK(chain->restore(now, std::move(*found)));
      turn(now);
    } else {
      balances(now, policy->justified());
    }
  }
  // One that never crashed: what came to the other up to this Persist, and then only the time.
  RestartNode(const RestartWorld& world, const std::vector<Call>& told, PersistId through,
              const Now& now)

      : RestartNode(world, told.front().now, std::nullopt) {
    replay(told, 1, through);
    balances(now, policy->justified());
    turn(now);
  }

  BeaconForkChoice* policy = nullptr;

 private:
  bool answer(const Now& now, const Command& command) override {
    if (const auto* import = std::get_if<ImportBlock>(&command)) {
      ImportVerdict verdict{import->import, Verdict::valid};
      verdict.post = world_.post(import->block.root);
      give(now, std::move(verdict));
      return true;
    }
    const auto* changed = std::get_if<JustifiedChanged>(&command);
    if (changed == nullptr) return false;
    balances(now, changed->checkpoint);
    return true;
  }
  // They depend on the checkpoint, as they do.
  void balances(const Now& now, const Checkpoint& justified) {
    JustifiedBalances answer{justified, {}, 0};
    for (uint64_t i = 0; i < kVoters; ++i) {
      answer.balances.push_back(20 + (justified.root.bytes[0] + i * 7) % 13);
      answer.total_active += answer.balances.back();
    }
    give(now, std::move(answer));
  }

  const RestartWorld& world_;
};

// Two nodes know the same: what is final, justified and the head, and what each block weighs.
inline void expect_same(RestartNode& node, RestartNode& other) {
  EXPECT_EQ(node.chain->head().root, other.chain->head().root);
  EXPECT_EQ(node.policy->head().root, other.policy->head().root);
  EXPECT_EQ(node.policy->justified(), other.policy->justified());
  EXPECT_EQ(node.policy->finalized(), other.policy->finalized());
  EXPECT_EQ(node.policy->proposer_boost_root(), other.policy->proposer_boost_root());
  const ProtoArray& array = other.policy->array();
  for (ProtoArray::Id id = array.first(); id != array.end(); ++id) {
    if (!array.live(id)) continue;
    const Root& root = array.root(id);
    ASSERT_TRUE(node.policy->contains(root));
    EXPECT_EQ(node.policy->weight(root), other.policy->weight(root)) << "slot " << array.slot(id);
  }
  EXPECT_EQ(node.policy->array().live_nodes(), array.live_nodes());
}

// How far a node's Persists came.
struct Written {
  PersistId applied = 0;
  PersistId acknowledged = 0;

  // Some of what waits is written, and now and then what was written is synced.
  template <class OnPersist>
  void some(RecordedChain& node, SimStore& store, Rng& rng, const Now& now,
            const OnPersist& on_persist) {
    while (!node.persists.empty() && rng.chance(4, 5)) {
      const Persist& persist = node.persists.front();
      on_persist(persist);
      applied = persist.id;
      ASSERT_TRUE(store.apply(persist));
      node.persists.pop_front();
    }
    if (applied == acknowledged || !rng.chance(1, 2)) return;
    ASSERT_TRUE(store.sync());
    acknowledged = applied;
    node.give(now, Persisted{acknowledged});
  }
};

}  // namespace beamline::chain::testing
