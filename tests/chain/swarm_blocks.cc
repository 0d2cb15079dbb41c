#include "tests/chain/swarm_blocks.h"

#include <algorithm>

namespace beamline::chain::testing {
namespace {

// root, proof, parent, slot, proposer.
constexpr size_t kParent = 33;
constexpr size_t kSlot = 65;
constexpr size_t kProposer = 73;
constexpr size_t kSize = 120;

SharedBytes encode(const BlockInfo& block, uint8_t proof) {
  return SharedBytes::build(kSize, [&](MutableBytes out) {
    std::fill(out.begin(), out.end(), uint8_t{7});
    std::copy(block.root.bytes.begin(), block.root.bytes.end(), out.begin());
    out[32] = proof;
    std::copy(block.parent_root.bytes.begin(), block.parent_root.bytes.end(), &out[kParent]);
    std::memcpy(&out[kSlot], &block.slot, 8);
    std::memcpy(&out[kProposer], &block.proposer, 8);
  });
}

BlockInfo make_info(const Root& parent, Slot slot, ValidatorIndex proposer, Bytes body) {
  std::vector<uint8_t> content(16 + body.size());
  std::memcpy(content.data(), &slot, 8);
  std::memcpy(content.data() + 8, &proposer, 8);
  std::ranges::copy(body, content.begin() + 16);
  BlockInfo block;
  block.root = sha256(parent.view(), content);
  block.parent_root = parent;
  block.slot = slot;
  block.proposer = proposer;
  block.signed_bytes = encode(block, 1);
  return block;
}

}  // namespace

BlockBook::BlockBook(uint32_t validators, uint64_t slots_per_epoch)
    : validators_(validators), slots_per_epoch_(slots_per_epoch) {
  BL_CHECK(validators <= kMostValidators);
  genesis_.root = root_of(0);
  Entry entry;
  entry.block = genesis_;
  entry.state.justified = entry.state.previous_justified =
      entry.state.finalized = {0, genesis_.root};
  entry.post = {entry.state.justified, entry.state.justified, entry.state.justified,
                entry.state.justified, Execution::none,       {}};
  by_slot_.emplace(0, genesis_.root);
  entries_.emplace(genesis_.root, std::move(entry));
}

const BlockBook::Entry* BlockBook::find(const Root& root) const {
  const auto it = entries_.find(root);
  return it == entries_.end() ? nullptr : &it->second;
}

BlockInfo BlockBook::decode(const SharedBytes& bytes) {
  const Bytes in = bytes.bytes();
  BlockInfo block;
  std::copy_n(in.begin(), 32, block.root.bytes.begin());
  std::copy_n(in.begin() + kParent, 32, block.parent_root.bytes.begin());
  std::memcpy(&block.slot, &in[kSlot], 8);
  std::memcpy(&block.proposer, &in[kProposer], 8);
  block.signed_bytes = bytes;
  return block;
}

BlockInfo BlockBook::forge(const BlockInfo& block) {
  BlockInfo forged = block;
  forged.signed_bytes = encode(block, 0);
  return forged;
}

BlockInfo BlockBook::orphan(const Root& parent, Slot slot, ValidatorIndex proposer) {
  return make_info(parent, slot, proposer, {});
}

Root BlockBook::ancestor(Root root, Slot slot) const {
  for (const Entry* entry = find(root); entry != nullptr && entry->block.slot > slot;
       entry = find(root)) {
    root = entry->block.parent_root;
  }
  return root;
}

// process_justification_and_finalization() at the end of `epoch`, over the chain that ends in
// `tip`.
void BlockBook::weigh(State& state, const Root& tip, Epoch epoch) const {
  const auto holds = [&](const Voters& voters) { return voters.count() * 3 >= validators_ * 2u; };
  const Checkpoint before_last = state.previous_justified;
  const Checkpoint last = state.justified;
  state.previous_justified = state.justified;
  const bool by_previous = epoch > 0 && holds(state.previous);
  const bool by_current = holds(state.current);
  if (by_previous && epoch - 1 > state.justified.number) {
    state.justified = {epoch - 1, ancestor(tip, start_of(epoch - 1))};
  }
  if (by_current && epoch > state.justified.number) {
    state.justified = {epoch, ancestor(tip, start_of(epoch))};
  }
  if (by_previous && before_last.number + 2 == epoch &&
      before_last.number > state.finalized.number) {
    state.finalized = before_last;
  }
  if (by_current && last.number + 1 == epoch && last.number > state.finalized.number) {
    state.finalized = last;
  }
}

// The state at the beginning of `to`, before a block in it.
BlockBook::State BlockBook::advance(const Entry& parent, Epoch to) const {
  State state = parent.state;
  for (Epoch epoch = epoch_of(parent.block.slot); epoch < to; ++epoch) {
    weigh(state, parent.block.root, epoch);
    state.previous = std::exchange(state.current, {});
    state.previous_included = std::exchange(state.current_included, {});
  }
  return state;
}

bool BlockBook::take(State& state, const Vote& vote, const Root& tip, Epoch epoch) const {
  const bool current = vote.target.number == epoch;
  if (!current && vote.target.number + 1 != epoch) return false;
  if (vote.source != (current ? state.justified : state.previous_justified)) return false;
  const ValidatorIndex voter = vote.validators.front();
  Voters& included = current ? state.current_included : state.previous_included;
  if (included.test(voter)) return false;
  included.set(voter);
  if (vote.target.root == ancestor(tip, start_of(vote.target.number))) {
    (current ? state.current : state.previous).set(voter);
  }
  return true;
}

Vote BlockBook::vote_for(const Root& head, Slot slot, ValidatorIndex validator) const {
  const Epoch epoch = epoch_of(slot);
  Vote vote;
  vote.slot = slot;
  vote.head_root = head;
  vote.source = advance(*find(head), epoch).justified;
  vote.target = {epoch, ancestor(head, start_of(epoch))};
  vote.validators = {validator};
  return vote;
}

const BlockBook::Entry& BlockBook::make(const Root& parent, Slot slot, ValidatorIndex proposer,
                                        const std::vector<VotePtr>& votes, bool valid) {
  const Entry* above = find(parent);
  BL_CHECK(above != nullptr && above->block.slot < slot);
  const Epoch epoch = epoch_of(slot);
  Entry entry;
  entry.state = advance(*above, epoch);
  std::vector<uint8_t> body;
  for (const VotePtr& vote : votes) {
    // What lies in its own epoch's first slot has itself for the target; nobody voted for it yet.
    if (vote->slot >= slot || !take(entry.state, *vote, parent, epoch)) continue;
    body.push_back(static_cast<uint8_t>(vote->validators.front()));
    body.insert(body.end(), vote->head_root.bytes.begin(), vote->head_root.bytes.begin() + 8);
    entry.votes.push_back(vote);
  }
  body.push_back(valid);
  entry.block = make_info(parent, slot, proposer, body);
  entry.valid = valid && above->valid;
  const Root root = entry.block.root;
  const auto [it, added] = entries_.emplace(root, std::move(entry));
  if (!added) return it->second;
  by_slot_.emplace(slot, root);
  Entry& made = it->second;
  State pulled_up = made.state;
  weigh(pulled_up, root, epoch);
  made.post.justified = made.state.justified;
  made.post.finalized = made.state.finalized;
  made.post.unrealized_justified = pulled_up.justified;
  made.post.unrealized_finalized = pulled_up.finalized;
  return made;
}

void BlockBook::forget(Slot below) {
  while (!by_slot_.empty() && by_slot_.begin()->first < below) {
    entries_.erase(by_slot_.begin()->second);
    by_slot_.erase(by_slot_.begin());
  }
}

}  // namespace beamline::chain::testing
