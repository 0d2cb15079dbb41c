// get_head and the application of votes: the beacon policy against the usual proto-array, which
// keeps each validator's vote twice and finds what moved by going through all of them when the head
// is asked for (the form of the field's larger clients), with a million validators.
#include <memory>
#include <numeric>
#include <utility>
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
constexpr uint64_t kCommitteesOfSlot = 64;
constexpr uint64_t kBalance = 32'000'000'000;
constexpr uint32_t kNone = UINT32_MAX;

Root root_of(uint64_t number) {
  return sha256(Bytes(reinterpret_cast<const uint8_t*>(&number), sizeof(number)));
}

enum class Order : bool { in_row, shuffled };

// Votes of a million validators by committees, with the voters alone. On the chain they are
// shuffled.
class Committees {
 public:
  explicit Committees(Order order = Order::in_row) : votes_(kValidators / kCommittee) {
    std::vector<ValidatorIndex> all(kValidators);
    std::iota(all.begin(), all.end(), ValidatorIndex{0});
    Rng rng(11);
    for (size_t i = all.size(); order == Order::shuffled && i > 1; --i) {
      std::swap(all[i - 1], all[rng.below(i)]);
    }
    for (size_t i = 0; i < votes_.size(); ++i) {
      const auto first = all.begin() + static_cast<ptrdiff_t>(i * kCommittee);
      votes_[i].validators.assign(first, first + kCommittee);
    }
  }
  Vote& at(uint64_t number) { return votes_[number % votes_.size()]; }

 private:
  std::vector<Vote> votes_;
};

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
  void cast(Vote& vote, uint32_t block) {
    vote.slot = epoch_ * 32;
    vote.head_root = shape_.roots[block];
    vote.target = {epoch_, shape_.roots[block]};
    BL_CHECK(choice_->on_vote(vote, false) == VoteResult::applied);
  }
  Root head() { return choice_->head().root; }

 private:
  void tick(Slot slot) { choice_->on_tick(WallTime{} + seconds(static_cast<int64_t>(slot))); }
  Shape shape_;
  std::unique_ptr<BeaconForkChoice> choice_;
  Epoch epoch_ = 0;
};

// Theirs.
class Deltas {
 public:
  explicit Deltas(uint32_t blocks) : shape_(blocks), messages_(kValidators), deltas_(blocks) {
    for (uint32_t i = 0; i < blocks; ++i) {
      nodes_.push_back({shape_.parents[i], kNone, kNone, 0});
      index_.emplace(shape_.roots[i], i);
    }
    for (uint32_t i = blocks; i-- > 1;) update_parent(nodes_[i].parent, i);
  }
  void next_epoch() { ++epoch_; }
  void cast(const Vote& vote, uint32_t block) {
    const uint32_t node = index_.find(shape_.roots[block])->second;
    for (const ValidatorIndex validator : vote.validators) {
      Message& message = messages_[validator];
      if (epoch_ > message.epoch) message = {message.current, node, epoch_};
    }
  }
  Root head() {
    for (Message& message : messages_) {
      if (message.current == message.next) continue;
      if (message.current != kNone) deltas_[message.current] -= static_cast<int64_t>(kBalance);
      deltas_[message.next] += static_cast<int64_t>(kBalance);
      message.current = message.next;
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
  struct Message {
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
  std::vector<Message> messages_;
  std::vector<int64_t> deltas_;
  std::unordered_map<Root, uint32_t, Hash256Hasher> index_;
  Epoch epoch_ = 0;
};

template <class Choice>
uint64_t vote_slot(Choice& choice, Committees& committees, uint32_t blocks, uint64_t slot) {
  choice.next_epoch();
  for (uint64_t c = 0; c < kCommitteesOfSlot; ++c) {
    const uint64_t number = slot * kCommitteesOfSlot + c;
    const uint32_t back = static_cast<uint32_t>(number * 2'654'435'761u >> 8) % 16;
    choice.cast(committees.at(number), blocks - 1 - back);
  }
  return kCommitteesOfSlot * kCommittee;
}

// A slot's votes; the head is asked for apart, so that what was put off is not hidden.
template <class Choice>
void run_votes(benchmark::State& state, Order order) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Choice choice(blocks);
  Committees committees(order);
  uint64_t slot = 0;
  uint64_t votes = 0;
  for (auto _ : state) votes += vote_slot(choice, committees, blocks, slot++);
  state.SetItemsProcessed(static_cast<int64_t>(votes));
}

// One committee's votes, and the head.
template <class Choice>
void BM_Head(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Choice choice(blocks);
  Committees committees;
  for (uint64_t slot = 0; slot < 31; ++slot) vote_slot(choice, committees, blocks, slot);
  uint64_t round = 0;
  for (auto _ : state) {
    choice.next_epoch();
    choice.cast(committees.at(round), blocks - 1 - static_cast<uint32_t>(round % 16));
    ++round;
    benchmark::DoNotOptimize(choice.head());
  }
}

// A slot's votes, and the head once.
template <class Choice>
void run_slot(benchmark::State& state, Order order) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Choice choice(blocks);
  Committees committees(order);
  uint64_t slot = 0;
  for (auto _ : state) {
    vote_slot(choice, committees, blocks, slot++);
    benchmark::DoNotOptimize(choice.head());
  }
}

template <class Choice>
void BM_Votes(benchmark::State& state) {
  run_votes<Choice>(state, Order::in_row);
}
template <class Choice>
void BM_ShuffledVotes(benchmark::State& state) {
  run_votes<Choice>(state, Order::shuffled);
}
template <class Choice>
void BM_Slot(benchmark::State& state) {
  run_slot<Choice>(state, Order::in_row);
}
template <class Choice>
void BM_ShuffledSlot(benchmark::State& state) {
  run_slot<Choice>(state, Order::shuffled);
}

// The two agree, or the numbers mean nothing.
void BM_Agree(benchmark::State& state) {
  const auto blocks = static_cast<uint32_t>(state.range(0));
  Ours ours(blocks);
  Deltas theirs(blocks);
  Committees committees(Order::shuffled);
  for (auto _ : state) {
    for (uint64_t slot = 0; slot < 40; ++slot) {
      vote_slot(ours, committees, blocks, slot);
      vote_slot(theirs, committees, blocks, slot);
      BL_CHECK(ours.head() == theirs.head());
    }
  }
}

void sizes(benchmark::internal::Benchmark* bench) { bench->Arg(100)->Arg(10'000)->Arg(100'000); }
BENCHMARK(BM_Votes<Ours>)->Apply(sizes);
BENCHMARK(BM_Votes<Deltas>)->Apply(sizes);
BENCHMARK(BM_ShuffledVotes<Ours>)->Apply(sizes);
BENCHMARK(BM_ShuffledVotes<Deltas>)->Apply(sizes);
BENCHMARK(BM_Head<Ours>)->Apply(sizes);
BENCHMARK(BM_Head<Deltas>)->Apply(sizes);
BENCHMARK(BM_Slot<Ours>)->Apply(sizes);
BENCHMARK(BM_Slot<Deltas>)->Apply(sizes);
BENCHMARK(BM_ShuffledSlot<Ours>)->Apply(sizes);
BENCHMARK(BM_ShuffledSlot<Deltas>)->Apply(sizes);
BENCHMARK(BM_Agree)->Arg(100)->Arg(10'000)->Iterations(1);

}  // namespace
}  // namespace beamline::chain
