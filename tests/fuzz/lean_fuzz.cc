// Bytes are what happens to a lean chain: blocks and votes whose every field a stranger chose,
// ticks and jumps of the clock, bytes for a block, pruning. After each: the head builds on the
// justified block, what a validator would vote for passes our own checks, and a block of our
// proposer imports.
#include <vector>

#include "base/check.h"
#include "chain/lean/fork_choice.h"
#include "chain/lean/messages.h"
#include "tests/chain/lean_chain.h"

namespace beamline::chain::lean {
namespace {

using testing::LeanChain;
using testing::types;

constexpr size_t kValidators = 5;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}
  bool empty() const { return left_.empty(); }
  uint8_t byte() {
    if (left_.empty()) return 0;
    const uint8_t first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }
  uint64_t below(uint64_t bound) { return byte() % bound; }
  // Mostly small, sometimes at an end of the numbers.
  uint64_t number() {
    const uint8_t first = byte();
    if (first < 252) return first % 40;
    return first < 255 ? UINT64_MAX - first % 3 : kHistoricalRootsLimit + first % 3;
  }
  Bytes take(size_t size) {
    const Bytes part = left_.first(std::min(size, left_.size()));
    left_ = left_.subspan(part.size());
    return part;
  }

 private:
  Bytes left_;
};

class World {
 public:
  explicit World(Input& input)
      : input_(input), chain_(kValidators), importer_(types(), nullptr, {.states = 8}) {
    const auto& genesis = chain_.at(chain_.genesis);
    const StoreBlock anchor = *importer_.add_anchor(genesis.block, genesis.post);
    LeanForkChoiceConfig config;
    config.aggregator = true;
    config.limits.kept_slots = 6;
    config.limits.votes = 16;
    config.limits.blocks = 64;
    policy_.emplace(types(), config, anchor);
    roots_.push_back(anchor.root);
  }

  void run() {
    while (!input_.empty()) {
      switch (input_.below(6)) {
        case 0:
          block(false);
          break;
        case 1:
          block(true);
          break;
        case 2:
          vote();
          break;
        case 3:
          tick();
          break;
        case 4:
          raw();
          break;
        default:
          produce();
          break;
      }
      check();
    }
  }

 private:
  LeanCheckpoint point() {
    LeanCheckpoint checkpoint;
    const uint8_t which = input_.byte();
    if (which == 255) checkpoint.root.bytes.fill(input_.byte());
    if (which != 255) checkpoint.root = roots_[which % roots_.size()];
    const auto known = policy_->store().block(checkpoint.root);
    checkpoint.slot = known && which < 200 ? known->slot : input_.number();
    return checkpoint;
  }
  LeanAttestationData data() {
    LeanAttestationData data;
    data.head = point();
    data.target = input_.below(2) == 0 ? data.head : point();
    data.source = point();
    data.slot = input_.below(4) == 0 ? input_.number() : data.head.slot + input_.below(3);
    return data;
  }
  ssz::Bitlist voters() {
    ssz::Bitlist bits = ssz::Bitlist::of_length(input_.below(8));
    const uint8_t set = input_.byte();
    for (size_t i = 0; i < bits.length; ++i) bits.set(i, (set >> i & 1) != 0);
    return bits;
  }

  // A block on one of ours; with `good`, as a proposer makes it if the rules let it.
  void block(bool good) {
    const Root parent = roots_[input_.below(roots_.size())];
    const LeanState* const state = importer_.make_state(parent);
    if (state == nullptr) return;
    LeanBlock block;
    block.slot = good ? state->slot + 1 + input_.below(4) : input_.number();
    block.proposer_index = good || input_.below(8) != 0 ? block.slot % kValidators : input_.byte();
    block.parent_root = parent;
    for (uint64_t many = input_.below(11); many > 0; --many) {
      block.body.attestations.push_back({voters(), data()});
    }
    LeanState post = *state;
    StateTransition& transition = importer_.transition();
    const bool runs = transition.process_slots(post, block.slot).has_value() &&
                      transition.process_block(post, block).has_value();
    if (runs) block.state_root = *transition.root_of(post);
    const Result<Root> root = transition.root_of(block);
    if (!root) return;
    const Imported imported = importer_.import(*root, LeanChain::sign(block, as_bytes("proof")));
    BL_CHECK(runs || imported.verdict == Verdict::invalid_block);
    if (imported.verdict == Verdict::valid) told(imported);
  }
  void told(const Imported& imported) {
    ForkChoice::Block block;
    block.root = imported.summary.root;
    block.parent_root = imported.summary.parent_root;
    block.slot = imported.summary.slot;
    block.proposer = imported.summary.proposer;
    block.post = imported.post();
    const bool fresh = !policy_->contains(block.root);
    if (!policy_->on_block(block) || !fresh) return;  // no room, too old, or the same again
    for (const chain::Vote& vote : imported.votes) policy_->on_vote(vote, true);
    roots_.push_back(block.root);
  }

  void vote() {
    chain::Vote vote;
    const LeanAttestationData data = this->data();
    vote.slot = data.slot;
    vote.head_root = data.head.root;
    vote.head_slot = data.head.slot;
    vote.target = {data.target.slot, data.target.root};
    vote.source = {data.source.slot, data.source.root};
    vote.aggregate = input_.below(2) == 0;
    for (uint64_t many = input_.below(5); many > 0; --many)
      vote.validators.push_back(input_.number());
    const VoteResult judged = policy_->check_vote(vote);
    const VoteResult result = policy_->on_vote(vote, false);
    BL_CHECK(judged == result || judged == VoteResult::not_newer || result == VoteResult::too_many);
  }

  void tick() {
    const auto interval = static_cast<int64_t>(input_.below(12));
    wall_ = wall_ + kInterval * (input_.below(16) == 0 ? interval * 1000 : interval);
    policy_->on_tick(wall_);
    if (!policy_->aggregation_due()) return;
    testing::NoProver prover;
    std::vector<std::pair<Vote, Proof>> made;
    for (const Aggregation& work : policy_->take_aggregations()) {
      made.emplace_back(work.vote, *aggregate(prover, work));
    }
    policy_->finish_aggregations(made);
  }

  void raw() {
    const SharedBytes bytes = SharedBytes::copy(input_.take(input_.byte()));
    (void)decoder_.attestation(bytes);
    (void)decoder_.aggregate(bytes);
    const Result<BlockInfo> info = decoder_.block(bytes);
    const Imported imported = importer_.import(info ? info->root : roots_[0], bytes);
    if (imported.verdict == Verdict::valid) told(imported);
  }

  void produce() {
    const Slot slot =
        std::max(policy_->store().time() / kIntervalsPerSlot, policy_->store().head_slot()) + 1;
    if (slot > kHistoricalRootsLimit / 2) return;
    const Result<Proposal> proposal = policy_->prepare_proposal(slot, slot % kValidators);
    BL_CHECK(proposal);
    const LeanState* const state = importer_.make_state(proposal->parent_root);
    if (state == nullptr) return;
    testing::NoProver prover;
    const auto made = produce_block(importer_.transition(), LeanState(*state), *proposal, &prover);
    BL_CHECK(made);
    const Root root = *importer_.transition().root_of(made->block);
    const Imported imported =
        importer_.import(root, LeanChain::sign(made->block, as_bytes("proof")));
    BL_CHECK(imported.verdict == Verdict::valid);
    told(imported);
  }

  void check() {
    std::vector<Root> removed;
    policy_->prune(removed);
    importer_.forget(removed);
    for (const Root& root : removed) std::erase(roots_, root);
    const Store& store = policy_->store();
    BL_CHECK(store.contains(policy_->head().root));
    const ProtoArray& tree = store.tree();
    const auto justified = tree.find(store.latest_justified().root);
    BL_CHECK(justified != ProtoArray::kNone);
    BL_CHECK(tree.is_ancestor(justified, tree.find(store.head())));
    BL_CHECK(store.contains(store.latest_finalized().root));
    BL_CHECK(!roots_.empty() && roots_.size() == tree.live_nodes());
    const Slot slot = store.time() / kIntervalsPerSlot;
    const LeanAttestationData own = policy_->attestation_data(std::max(slot, store.head_slot()));
    if (const Status status = store.check_data(own); !status) {
      // The clock may be behind the head, and the head's source before what was pruned.
      BL_CHECK(status.error().fault == Fault::local);
    }
  }

  Input& input_;
  LeanChain chain_;
  Importer importer_;
  MessageDecoder decoder_{types()};
  std::optional<LeanForkChoice> policy_;
  std::vector<Root> roots_;
  WallTime wall_{};
};

}  // namespace
}  // namespace beamline::chain::lean

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  beamline::chain::lean::Input input(data, size);
  beamline::chain::lean::World(input).run();
  return 0;
}
