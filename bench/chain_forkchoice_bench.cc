// get_head and the application of votes: the beacon policy against the usual proto-array, which
// keeps each validator's vote twice and finds what moved by going through all of them when the head
// is asked for (the form of the field's larger clients), with a million validators.
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "base/rng.h"
#include "chain/beacon_fork_choice.h"
#include "crypto/sha256.h"

namespace beamline::chain {
namespace {

constexpr uint64_t kValidators = 1'000'000;
constexpr uint64_t kCommittee = 512;
constexpr uint64_t kCommittees = 64;  // of a slot
constexpr uint64_t kBalance = 32'000'000'000;
constexpr uint32_t kNone = UINT32_MAX;

Root root_of(uint64_t number) {
  return sha256(Bytes(reinterpret_cast<const uint8_t*>(&number), sizeof(number)));
}

// A chain with a fork of up to 8 blocks at every tenth.
struct Shape {
  explicit Shape(uint32_t blocks) {
    Rng rng(7);
    uint32_t tip = 0;
    parents.push_back(kNone);
    while (parents.size() < blocks) {
      const auto next = static_cast<uint32_t>(parents.size());
      const bool fork = rng.below(10) == 0;
      parents.push_back(fork ? tip - static_cast<uint32_t>(rng.below(std::min(tip + 1, 8u))) : tip);
      tip = fork && rng.below(2) == 0 ? tip : next;
    }
    for (uint32_t i = 0; i < blocks; ++i) roots.push_back(root_of(i));
  }
  std::vector<uint32_t> parents;  // slots are places
  std::vector<Root> roots;
};

// Ours.
class Ours {
 public:
  explicit Ours(uint32_t blocks) : shape_(blocks) {
    BeaconConfig config;
    config.slot_duration = seconds(1);
    config.max_validators = kValidators;
    choice_ = std::make_unique<BeaconForkChoice>(
        config, BeaconForkChoice::Anchor{shape_.roots[0], 0, 0, Execution::valid, {}});
    const Checkpoint genesis{0, shape_.roots[0]};
    BL_CHECK(choice_->on_justified_balances(genesis, std::vector<uint64_t>(kValidators, kBalance),
                                            kValidators * kBalance));
    tick(blocks);
    for (uint32_t i = 1; i < blocks; ++i) {
      ForkChoice::Block block;
      block.root = shape_.roots[i];
      block.parent_root = shape_.roots[shape_.parents[i]];
      block.slot = i;
      block.post.justified = block.post.finalized = genesis;
      block.post.unrealized_justified = block.post.unrealized_finalized = genesis;
      BL_CHECK(choice_->on_block(block));
    }
    epoch_ = blocks / 32 + 1;
  }
  // A slot of a later epoch each time, so that every vote is newer.
  void next_epoch() {
    ++epoch_;
    tick(epoch_ * 32 + 1);
  }
  void vote(uint64_t first, uint64_t count, uint32_t block) {
    vote_.slot = epoch_ * 32;
    vote_.head_root = shape_.roots[block];
    vote_.target = {epoch_, shape_.roots[block]};
    vote_.validators.resize(count);
    for (uint64_t i = 0; i < count; ++i) vote_.validators[i] = (first + i) % kValidators;
    BL_CHECK(choice_->on_vote(vote_, false) == VoteResult::applied);
  }
  Root head() { return choice_->head().root; }

 private:
  void tick(Slot slot) { choice_->on_tick(WallTime{} + seconds(static_cast<int64_t>(slot))); }
  Shape shape_;
  std::unique_ptr<BeaconForkChoice> choice_;
  Epoch epoch_ = 0;
  Vote vote_;
};

// Theirs.
class Deltas {
 public:
  explicit Deltas(uint32_t blocks) : shape_(blocks), votes_(kValidators), deltas_(blocks) {
    for (uint32_t i = 0; i < blocks; ++i) {
      nodes_.push_back({shape_.parents[i], kNone, kNone, 0});
      index_.emplace(shape_.roots[i], i);
    }
    for (uint32_t i = blocks; i-- > 1;) update_parent(nodes_[i].parent, i);
  }
  void next_epoch() { ++epoch_; }
  void vote(uint64_t first, uint64_t count, uint32_t block) {
    const uint32_t node = index_.find(shape_.roots[block])->second;
    for (uint64_t i = 0; i < count; ++i) {
      Vote& vote = votes_[(first + i) % kValidators];
      if (epoch_ > vote.epoch) vote = {vote.current, node, epoch_};
    }
  }
  Root head() {
    for (Vote& vote : votes_) {
      if (vote.current == vote.next) continue;
      if (vote.current != kNone) deltas_[vote.current] -= static_cast<int64_t>(kBalance);
      deltas_[vote.next] += static_cast<int64_t>(kBalance);
      vote.current = vote.next;
    }
    for (auto i = static_cast<uint32_t>(nodes_.size()); i-- > 0;) {
      nodes_[i].weight += deltas_[i];
      if (nodes_[i].parent != kNone) deltas_[nodes_[i].parent] += deltas_[i];
      deltas_[i] = 0;
    }
    for (auto i = static_cast<uint32_t>(nodes_.size()); i-- > 1;)
      update_parent(nodes_[i].parent, i);
    const uint32_t best = nodes_[0].best_descendant;
    return shape_.roots[best == kNone ? 0 : best];
  }

 private:
  struct Node {
    uint32_t parent, best_child, best_descendant;
    int64_t weight;
  };
  struct Vote {
    uint32_t current = kNone;
    uint32_t next = kNone;
    Epoch epoch = 0;
  };
  void update_parent(uint32_t parent, uint32_t child) {
    Node& above = nodes_[parent];
    const Node& node = nodes_[child];
    const uint32_t best = above.best_child;
    const bool wins =
        best == kNone || best == child || node.weight > nodes_[best].weight ||
        (node.weight == nodes_[best].weight && shape_.roots[child] > shape_.roots[best]);
    if (!wins) return;
    above.best_child = child;
    above.best_descendant = node.best_descendant == kNone ? child : node.best_descendant;
  }

  Shape shape_;
  std::vector<Node> nodes_;
  std::vector<Vote> votes_;
  std::vector<int64_t> deltas_;
  std::unordered_map<Root, uint32_t, Hash256Hasher> index_;
  Epoch epoch_ = 0;
};

template <class Choice>
uint64_t vote_slot(Choice& choice, uint32_t blocks, uint64_t slot) {
  choice.next_epoch();
  for (uint64_t c = 0; c < kCommittees; ++c) {
    const uint64_t number = slot * kCommittees + c;
    const uint32_t back = static_cast<uint32_t>(number * 2'654'435'761u >> 8) % 16;
    choice.vote(number * kCommittee, kCommittee, blocks - 1 - back);
  }
  return kCommittees * kCommittee;
}

// A slot's votes; the head is asked for apart, so that what was put off is not hidden.
template <class Choice>
void BM_Votes(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Choice choice(blocks);
  uint64_t slot = 0;
  uint64_t votes = 0;
  for (auto _ : state) votes += vote_slot(choice, blocks, slot++);
  state.SetItemsProcessed(static_cast<int64_t>(votes));
}

// One committee's votes, and the head.
template <class Choice>
void BM_Head(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Choice choice(blocks);
  for (uint64_t slot = 0; slot < 31; ++slot) vote_slot(choice, blocks, slot);  // everybody, once
  uint64_t round = 0;
  for (auto _ : state) {
    choice.next_epoch();
    choice.vote(round * kCommittee, kCommittee, blocks - 1 - static_cast<uint32_t>(round % 16));
    ++round;
    benchmark::DoNotOptimize(choice.head());
  }
}

// A slot's votes, and the head once.
template <class Choice>
void BM_Slot(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Choice choice(blocks);
  uint64_t slot = 0;
  for (auto _ : state) {
    vote_slot(choice, blocks, slot++);
    benchmark::DoNotOptimize(choice.head());
  }
}

// The two agree, or the numbers mean nothing.
void BM_Agree(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Ours ours(blocks);
  Deltas theirs(blocks);
  for (auto _ : state) {
    for (uint64_t slot = 0; slot < 40; ++slot) {
      vote_slot(ours, blocks, slot);
      vote_slot(theirs, blocks, slot);
      BL_CHECK(ours.head() == theirs.head());
    }
  }
}

void sizes(benchmark::internal::Benchmark* bench) { bench->Arg(100)->Arg(10'000)->Arg(100'000); }
BENCHMARK(BM_Votes<Ours>)->Apply(sizes);
BENCHMARK(BM_Votes<Deltas>)->Apply(sizes);
BENCHMARK(BM_Head<Ours>)->Apply(sizes);
BENCHMARK(BM_Head<Deltas>)->Apply(sizes);
BENCHMARK(BM_Slot<Ours>)->Apply(sizes);
BENCHMARK(BM_Slot<Deltas>)->Apply(sizes);
BENCHMARK(BM_Agree)->Arg(100)->Arg(10'000)->Iterations(1);

}  // namespace
}  // namespace beamline::chain
