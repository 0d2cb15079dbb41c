// The array against sums over a plain tree, on random trees with removals and prunes.
#include "chain/proto_array.h"

#include <map>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using testing::root_of;
using Id = ProtoArray::Id;
constexpr Id kNone = ProtoArray::kNone;
constexpr auto kAlways = [](Id) { return true; };

// The same tree, as simple as can be.
struct Model {
  struct Node {
    Root parent;
    Slot slot = 0;
    uint64_t own = 0;
    bool viable = true;
  };
  std::map<Root, Node> nodes;

  std::vector<Root> children(const Root& of) const {
    std::vector<Root> found;
    for (const auto& [root, node] : nodes) {
      if (node.parent == of) found.push_back(root);
    }
    return found;
  }
  uint64_t weight(const Root& of) const {
    uint64_t sum = nodes.at(of).own;
    for (const Root& child : children(of)) sum += weight(child);
    return sum;
  }
  bool leads(const Root& from) const {
    const auto below = children(from);
    if (below.empty()) return nodes.at(from).viable;
    return std::any_of(below.begin(), below.end(), [&](const Root& root) { return leads(root); });
  }
  Root head(Root from, uint64_t min_weight = 0) const {
    for (;;) {
      std::optional<std::pair<uint64_t, Root>> best;
      for (const Root& child : children(from)) {
        if (min_weight == 0 && !leads(child)) continue;
        if (weight(child) < min_weight) continue;
        best = std::max(best, std::optional(std::pair(weight(child), child)));
      }
      if (!best) return from;
      from = best->second;
    }
  }
  bool descends(Root root, const Root& from) const {
    for (auto it = nodes.find(root); it != nodes.end(); it = nodes.find(root)) {
      if (root == from) return true;
      root = it->second.parent;
    }
    return false;
  }
  void keep(auto&& wanted) {
    std::map<Root, Node> kept;
    for (const auto& entry : nodes) {
      if (wanted(entry.first)) kept.insert(entry);
    }
    nodes = std::move(kept);
  }
};

class Pair {
 public:
  explicit Pair(uint64_t seed) : rng_(seed) {
    array_.add(root_of(0), 0, kNone);
    model_.nodes[root_of(0)];
    ids_.push_back(0);
  }
  void step() {
    const uint64_t dice = rng_.below(100);
    if (dice < 55) return grow();
    if (dice < 90) return vote();
    if (dice < 96) return cut();
    prune();
  }
  void compare() {
    array_.update([&](Id id) { return model_.nodes.at(array_.root(id)).viable; });
    ASSERT_EQ(array_.live_nodes(), model_.nodes.size());
    ProtoArray::Count count;
    array_.begin_count(count);
    for (const Id id : ids_) {
      ASSERT_EQ(array_.live(id), array_.live(id) && model_.nodes.contains(array_.root(id)));
      if (!array_.live(id)) continue;
      const Root root = array_.root(id);
      ASSERT_EQ(array_.find(root), id);
      ASSERT_EQ(array_.weight(id), model_.weight(root));
      ASSERT_EQ(array_.root(array_.best_descendant(id)), model_.head(root));
      count.weight[array_.at(id)] = model_.nodes.at(root).own;
    }
    const Id start = any();
    const uint64_t least = 1 + rng_.below(300);
    ASSERT_EQ(array_.root(array_.count_up(count, start, least)),
              model_.head(array_.root(start), least));
    const Id other = any();
    ASSERT_EQ(array_.is_ancestor(start, other),
              model_.descends(array_.root(other), array_.root(start)));
  }

 private:
  Id any() {
    for (;;) {
      const Id id = ids_[rng_.below(ids_.size())];
      if (array_.live(id)) return id;
    }
  }
  void grow() {
    const Id parent = any();
    const Slot slot = array_.slot(parent) + 1 + rng_.below(3);
    const Root root = root_of(++made_);
    const Id id = array_.add(root, slot, parent);
    ASSERT_NE(id, kNone);
    ids_.push_back(id);
    model_.nodes[root] = {array_.root(parent), slot, 0, rng_.below(4) != 0};
  }
  void vote() {
    const Id id = ids_[rng_.below(ids_.size())];  // also one that is gone
    if (!array_.live(id)) return array_.add_weight(id, 7);
    Model::Node& node = model_.nodes.at(array_.root(id));
    const uint64_t weight = rng_.below(64);
    const bool more = rng_.below(2) == 0 || node.own < weight;
    more ? array_.add_weight(id, weight) : array_.take_weight(id, weight);
    node.own = more ? node.own + weight : node.own - weight;
  }
  void cut() {
    const Id id = any();
    if (array_.parent(id) == kNone) return;
    const Root top = array_.root(id);
    const Model before = model_;
    size_t removed = 0;
    array_.remove(id, [&](Id gone) {
      ASSERT_TRUE(before.descends(array_.root(gone), top));
      ++removed;
    });
    model_.keep([&](const Root& root) { return !before.descends(root, top); });
    ASSERT_EQ(removed, before.nodes.size() - model_.nodes.size());
  }
  void prune() {
    const Id id = any();
    const Root top = array_.root(id);
    const Model before = model_;
    size_t removed = 0;
    array_.prune(id, [&](Id) { ++removed; });
    model_.keep([&](const Root& root) { return before.descends(root, top); });
    ASSERT_EQ(removed, before.nodes.size() - model_.nodes.size());
  }

  Rng rng_;
  ProtoArray array_{4096, 1};
  Model model_;
  std::vector<Id> ids_;
  uint64_t made_ = 0;
};

TEST(ProtoArray, RandomTreesAgreeWithAPlainTree) {
  const char* replay = std::getenv("BEAMLINE_SEED");
  const uint64_t first = replay != nullptr ? std::strtoull(replay, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < first + (replay != nullptr ? 1 : 150); ++seed) {
    Pair pair(seed);
    for (int step = 0; step < 60; ++step) {
      pair.step();
      pair.compare();
      ASSERT_FALSE(::testing::Test::HasFatalFailure())
          << "replay: BEAMLINE_SEED=" << seed
          << " test_chain --gtest_filter=ProtoArray.RandomTreesAgreeWithAPlainTree";
    }
  }
}

// Long branches, where a look for an ancestor goes by jumps; what it jumps to may be pruned.
TEST(ProtoArray, AncestorsOfALongTreeAreThoseOfAWalkFromParentToParent) {
  constexpr uint64_t kSeed = 5;
  Rng rng(kSeed);
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  constexpr Id kNodes = 3000;
  ProtoArray array(kNodes);
  Slot slot = 0;
  for (Id i = 0; i < kNodes; ++i) {
    const Id back = rng.below(20) == 0 ? static_cast<Id>(rng.below(200)) : 0;
    const Id parent = i == 0 ? kNone : i - 1 - std::min(back, i - 1);
    slot = parent == kNone ? 1 : array.slot(parent) + 1 + rng.below(3);
    ASSERT_EQ(array.add(root_of(i), slot, parent), i);
  }
  const auto check = [&] {
    for (int n = 0; n < 1000; ++n) {
      const Id id = array.first() + static_cast<Id>(rng.below(array.size()));
      if (!array.live(id)) continue;
      const Slot at = rng.below(array.slot(id) + 2);
      const Id other = static_cast<Id>(rng.below(array.end()));
      Id expected = id;
      while (expected != kNone && array.slot(expected) > at) expected = array.parent(expected);
      ASSERT_EQ(array.ancestor_at(id, at), expected) << id << " at slot " << at;
      Id walk = id;
      while (walk != kNone && walk > other) walk = array.parent(walk);
      ASSERT_EQ(array.is_ancestor(other, id), array.live(other) && walk == other)
          << other << " of " << id;
    }
  };
  check();
  for (int prunes = 0; prunes < 8; ++prunes) {
    const Id tip = array.end() - 1;
    ASSERT_TRUE(array.live(tip));
    const Slot floor = array.slot(array.first());
    const Id root = array.ancestor_at(tip, floor + (array.slot(tip) - floor) / 3);
    array.prune(root, [](Id) {});
    ASSERT_EQ(array.first(), root);
    check();
  }
}

TEST(ProtoArray, EqualWeightGoesToTheLargerRoot) {
  ProtoArray array(8);
  const Id root = array.add(root_of(0), 0, kNone);
  const Root low = std::min(root_of(1), root_of(2));
  const Root high = std::max(root_of(1), root_of(2));
  for (const Root& first : {high, low}) {
    const Root& second = first == high ? low : high;
    array.add(first, 1, root);
    array.add(second, 1, root);
    array.update(kAlways);
    EXPECT_EQ(array.root(array.best_descendant(root)), high);
    array.add_weight(array.find(low), 1);
    array.update(kAlways);
    EXPECT_EQ(array.root(array.best_descendant(root)), low);
    array.remove(array.find(first), [](Id) {});
    array.remove(array.find(second), [](Id) {});
  }
}

TEST(ProtoArray, RefusesBeyondItsLimitAndHasRoomAgainAfterAPrune) {
  ProtoArray array(4);
  Id tip = array.add(root_of(0), 0, kNone);
  for (uint64_t i = 1; i < 4; ++i) tip = array.add(root_of(i), i, tip);
  EXPECT_TRUE(array.full());
  EXPECT_EQ(array.add(root_of(9), 9, tip), kNone);
  EXPECT_FALSE(array.contains(root_of(9)));
  array.prune(tip, [](Id) {});
  EXPECT_EQ(array.size(), 1u);
  EXPECT_EQ(array.parent(tip), kNone);
  EXPECT_NE(array.add(root_of(9), 9, tip), kNone);
}

// gloas: a block is pending, and below it stand its empty and its full node.
TEST(ProtoArray, ABlockMayHaveThreeNodes) {
  using Payload = ProtoArray::Payload;
  ProtoArray array(16);
  const Id root = array.add(root_of(0), 0, kNone);
  const Id pending = array.add(root_of(1), 1, root);
  const Id empty = array.add(root_of(1), 1, pending, Payload::empty);
  const Id full = array.add(root_of(1), 1, pending, Payload::full);
  EXPECT_EQ(array.find(root_of(1)), pending);
  EXPECT_EQ(array.find(root_of(1), Payload::empty), empty);
  EXPECT_EQ(array.find(root_of(1), Payload::full), full);
  EXPECT_EQ(array.find(root_of(0), Payload::full), kNone);
  array.update(kAlways);
  EXPECT_EQ(array.best_descendant(root), full);  // of equal ones the full
  const Id on_empty = array.add(root_of(2), 2, empty);
  array.add_weight(on_empty, 5);
  array.update(kAlways);
  EXPECT_EQ(array.best_descendant(root), on_empty);
  EXPECT_EQ(array.weight(pending), 5u);
  array.remove(pending, [](Id) {});
  EXPECT_EQ(array.find(root_of(1), Payload::full), kNone);
  EXPECT_EQ(array.live_nodes(), 1u);
}

}  // namespace
}  // namespace beamline::chain
