// Lean's votes and head without finality, in a tree of many blocks: aggregates checked, taken and
// counted, and the head; against the specification's shape with a weight kept at each block. That
// one moves a changed vote along both branches up to where they meet, and walks down the heaviest
// children.
#include <algorithm>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "base/rng.h"
#include "chain/lean/store.h"
#include "crypto/sha256.h"

namespace beamline::chain::lean {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr uint32_t kValidators = kValidatorRegistryLimit;
constexpr uint32_t kAggregates = 4;  // a slot, of a part of the validators each
constexpr uint32_t kHeads = 16;      // the last blocks, which are voted for
constexpr uint32_t kPool = 512;      // votes that are kept
constexpr Slot kEver = 1u << 30;

// A chain with a fork of up to 8 blocks at every tenth.
struct Tree {
  explicit Tree(uint32_t blocks) {
    Rng rng(7);
    uint32_t tip = 0;
    for (uint32_t i = 0; i < blocks; ++i) {
      const bool fork = i != 0 && rng.below(10) == 0;
      const auto back = fork ? static_cast<uint32_t>(rng.below(std::min(tip + 1, 8u))) : 0;
      parents.push_back(i == 0 ? kNone : tip - back);
      if (!fork || rng.below(2) == 0) tip = i;
      roots.push_back(sha256(Bytes(reinterpret_cast<const uint8_t*>(&i), sizeof(i))));
    }
  }
  LeanCheckpoint checkpoint(uint32_t block) const { return {.root = roots[block], .slot = block}; }
  std::vector<uint32_t> parents;  // slots are places
  std::vector<Root> roots;
};

struct Aggregate {
  Vote vote;
  Proof proof;
};

// What comes in: in each round votes of a later slot for one of the last blocks.
class Aggregates {
 public:
  explicit Aggregates(const Tree& tree) : tree_(tree) {
    for (uint32_t part = 0; part < kAggregates; ++part) {
      ssz::Bitlist bits = ssz::Bitlist::of_length(kValidators);
      for (uint32_t i = part; i < kValidators; i += kAggregates) bits.set(i, true);
      proofs_.push_back(*Proof::make(std::move(bits), SharedBytes::copy(as_bytes("proof"))));
    }
  }
  Aggregate make(uint64_t number) {
    const auto blocks = static_cast<uint32_t>(tree_.roots.size());
    const auto back = static_cast<uint32_t>(number * 2'654'435'761u >> 8) % kHeads;
    Aggregate made;
    made.vote.data = {.slot = blocks + number / kAggregates,
                      .head = tree_.checkpoint(blocks - 1 - back),
                      .target = tree_.checkpoint(0),
                      .source = tree_.checkpoint(0)};
    std::memcpy(made.vote.root.bytes.data(), &number, sizeof(number));
    made.proof = proofs_[number % kAggregates];
    return made;
  }

 private:
  const Tree& tree_;
  std::vector<Proof> proofs_;
};

class Ours {
 public:
  explicit Ours(const Tree& tree) : store_(block(tree, 0), limits(), 1) {
    store_.on_tick(kEver, false);
    for (uint32_t i = 1; i < tree.roots.size(); ++i) BL_CHECK(store_.on_block(block(tree, i), {}));
  }
  void take(const Aggregate& aggregate) {
    BL_CHECK(store_.check_aggregate(aggregate.vote.data, aggregate.proof.voters));
    BL_CHECK(store_.add_proof(aggregate.vote, aggregate.proof));
  }
  const Root& head() {
    store_.accept_votes();
    return store_.head();
  }

 private:
  static StoreLimits limits() {
    StoreLimits limits;
    limits.votes = kPool;
    return limits;
  }
  static StoreBlock block(const Tree& tree, uint32_t i) {
    return {.root = tree.roots[i],
            .parent_root = i == 0 ? Root{} : tree.roots[tree.parents[i]],
            .slot = i,
            .proposer = 0,
            .justified = tree.checkpoint(0),
            .finalized = tree.checkpoint(0),
            .validators = kValidators};
  }
  Store store_;
};

class Straight {
 public:
  explicit Straight(const Tree& tree) : tree_(tree), latest_(kValidators) {
    for (uint32_t i = 0; i < tree.roots.size(); ++i) {
      nodes_.push_back({.parent = tree.parents[i], .slot = i});
      if (i != 0) {
        Node& parent = nodes_[tree.parents[i]];
        nodes_[i].next_sibling = parent.first_child;
        parent.first_child = i;
      }
      index_.emplace(tree.roots[i], i);
    }
  }
  void take(const Aggregate& aggregate) {
    const LeanAttestationData& data = aggregate.vote.data;
    const uint32_t source = index_.at(data.source.root);
    const uint32_t target = index_.at(data.target.root);
    const uint32_t head = index_.at(data.head.root);
    BL_CHECK(data.source.slot <= data.target.slot && data.target.slot <= data.head.slot);
    BL_CHECK(nodes_[source].slot == data.source.slot && nodes_[target].slot == data.target.slot &&
             nodes_[head].slot == data.head.slot);
    BL_CHECK(ancestor(target, data.source.slot) == source);
    BL_CHECK(ancestor(head, data.target.slot) == target);
    BL_CHECK(data.slot >= data.head.slot && data.slot <= kEver);
    BL_CHECK(!aggregate.proof.voters.empty() && aggregate.proof.voters.bound() <= kValidators);
    pending_.push_back(aggregate);
  }
  const Root& head() {
    for (Aggregate& aggregate : pending_) {
      count(aggregate);
      pool_[aggregate.vote.root].push_back(std::move(aggregate.proof));
      order_.push_back(aggregate.vote.root);
      if (order_.size() <= kPool) continue;
      pool_.erase(order_.front());
      order_.pop_front();
    }
    pending_.clear();
    uint32_t at = 0;
    for (uint32_t child = nodes_[at].first_child; child != kNone; child = nodes_[at].first_child) {
      for (at = child; child != kNone; child = nodes_[child].next_sibling) {
        const bool tie = nodes_[child].weight == nodes_[at].weight;
        const bool wins =
            tie ? tree_.roots[child] > tree_.roots[at] : nodes_[child].weight > nodes_[at].weight;
        if (wins) at = child;
      }
    }
    BL_CHECK(ancestor(at, 0) == 0);  // what is final there
    return tree_.roots[at];
  }

 private:
  struct Node {
    uint32_t parent = kNone;
    uint32_t first_child = kNone;
    uint32_t next_sibling = kNone;
    uint32_t weight = 0;
    Slot slot = 0;
  };
  struct Latest {
    uint32_t node = kNone;
    Slot slot = 0;
  };
  uint32_t ancestor(uint32_t node, Slot slot) const {
    while (nodes_[node].slot > slot) node = nodes_[node].parent;
    return node;
  }
  void count(const Aggregate& aggregate) {
    const LeanAttestationData& data = aggregate.vote.data;
    const uint32_t node = index_.at(data.head.root);
    aggregate.proof.voters.for_each([&](ValidatorIndex validator) {
      Latest& latest = latest_[validator];
      if (latest.node != kNone && latest.slot >= data.slot) return;
      move(latest.node, node);
      latest = {node, data.slot};
    });
  }
  // Blocks of higher slots come later: of two, the later one steps up, until they meet.
  void move(uint32_t from, uint32_t to) {
    while (from != to) {
      if (from == kNone || (to != kNone && to > from)) {
        ++nodes_[to].weight;
        to = nodes_[to].parent;
      } else {
        --nodes_[from].weight;
        from = nodes_[from].parent;
      }
    }
  }

  const Tree& tree_;
  std::vector<Node> nodes_;
  std::vector<Latest> latest_;
  std::unordered_map<Root, uint32_t, Hash256Hasher> index_;
  std::vector<Aggregate> pending_;
  std::unordered_map<Root, std::vector<Proof>, Hash256Hasher> pool_;
  std::deque<Root> order_;
};

template <class Choice>
void run(benchmark::State& state, uint32_t aggregates) {
  const Tree tree(static_cast<uint32_t>(state.range(0)));
  Aggregates come(tree);
  Choice choice(tree);
  uint64_t number = 0;
  for (; number < 2 * kPool; ++number) {
    choice.take(come.make(number));
    if (number % kAggregates == kAggregates - 1) choice.head();
  }
  for (auto _ : state) {
    for (uint32_t i = 0; i < aggregates; ++i) choice.take(come.make(number++));
    benchmark::DoNotOptimize(choice.head());
  }
}

// An aggregate, and the head.
template <class Choice>
void BM_Head(benchmark::State& state) {
  run<Choice>(state, 1);
}
// All of a slot's, and the head.
template <class Choice>
void BM_Slot(benchmark::State& state) {
  run<Choice>(state, kAggregates);
}

// The two agree, or the numbers mean nothing.
void BM_Agree(benchmark::State& state) {
  const Tree tree(static_cast<uint32_t>(state.range(0)));
  Aggregates come(tree);
  Ours ours(tree);
  Straight straight(tree);
  for (auto _ : state) {
    for (uint64_t number = 0; number < 3 * kPool; ++number) {
      ours.take(come.make(number));
      straight.take(come.make(number));
      BL_CHECK(ours.head() == straight.head());
    }
  }
}

void sizes(benchmark::internal::Benchmark* bench) { bench->Arg(100)->Arg(10'000); }
BENCHMARK(BM_Head<Ours>)->Apply(sizes);
BENCHMARK(BM_Head<Straight>)->Apply(sizes);
BENCHMARK(BM_Slot<Ours>)->Apply(sizes);
BENCHMARK(BM_Slot<Straight>)->Apply(sizes);
BENCHMARK(BM_Agree)->Apply(sizes)->Iterations(1);

}  // namespace
}  // namespace beamline::chain::lean
