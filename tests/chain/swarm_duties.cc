// What validators do in each slot, and what liars do instead.
#include <algorithm>

#include "tests/chain/swarm.h"

namespace beamline::chain::testing {

// ---- Validators

void Swarm::begin_slot(Slot slot) {
  after(options_.slot, [this, slot] { begin_slot(slot + 1); });
  const uint64_t per_epoch = options_.slots_per_epoch;
  if (slot % per_epoch == 0) {
    for (Node& node : nodes_) {
      node.seen_before = std::exchange(node.seen, {});
      node.votes_before = std::exchange(node.votes, {});
    }
    if (slot > 64 * per_epoch) book_.forget(slot - 64 * per_epoch);
  }
  if (quiet_) return;
  const auto proposer = static_cast<uint32_t>(rng_.below(nodes_.size()));
  if (nodes_[proposer].chain != nullptr) propose(proposer, slot);
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].liar && rng_.chance(1, 4)) {
      after(milliseconds(rng_.between(0, 6000)), [this, i, slot] { lie(i, slot); });
    }
  }
  after(options_.slot / 3, [this, slot] { vote(slot); });
}

void Swarm::propose(uint32_t index, Slot slot) {
  const Node& node = nodes_[index];
  const BlockTree::Tip head = node.chain->head();
  if (head.slot >= slot || book_.find(head.root) == nullptr) return;
  std::vector<std::shared_ptr<const Vote>> votes = node.votes_before;
  votes.insert(votes.end(), node.votes.begin(), node.votes.end());
  const BlockInfo block = book_.make(head.root, slot, index, votes).block;
  ++tally_.blocks;
  newest_[group_[index]] = block.root;
  if (!split_) newest_.fill(block.root);
  give(index, OwnBlock{block});
}

void Swarm::vote(Slot slot) {
  if (quiet_) return;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.chain == nullptr || i % options_.slots_per_epoch != slot % options_.slots_per_epoch) {
      continue;
    }
    const Root head = node.chain->head().root;
    if (book_.find(head) == nullptr || node.chain->head().slot > slot) continue;
    ++tally_.votes;
    auto message = std::make_shared<Gossip>();
    message->id = slot << 16 | i;
    message->vote = std::make_shared<const Vote>(book_.vote_for(head, slot, i));
    give(i, OwnVote{*message->vote});
    node.votes.push_back(message->vote);
    publish(i, message);
  }
}

// ---- Liars

bool Swarm::heard_of(uint32_t liar, const BlockInfo& block) const {
  return !split_ || block.slot <= split_at_ ||
         group_[liar] == group_[static_cast<size_t>(block.proposer)];
}

std::vector<BlockInfo> Swarm::honest_range(uint32_t liar, Slot start, uint64_t count) const {
  std::vector<BlockInfo> blocks;
  for (const auto* entry = book_.find(newest(liar).root); entry != nullptr;
       entry = book_.find(entry->block.parent_root)) {
    const Slot slot = entry->block.slot;
    if (slot < start || slot == 0) break;
    if (slot - start < count) blocks.push_back(entry->block);
  }
  std::ranges::reverse(blocks);
  return blocks;
}

void Swarm::lie(uint32_t index, Slot slot) {
  if (quiet_ || !nodes_[index].running) return;
  ++tally_.lies;
  const BlockInfo newest = this->newest(index);
  GossipPtr message;
  switch (rng_.below(5)) {
    case 0:  // an honest block whose proof does not hold
      message = message_of(BlockBook::forge(newest));
      break;
    case 1:  // a block that breaks the rules, well signed
      if (newest.slot >= slot) return;
      message = message_of(book_.make(newest.root, slot, index, {}, false).block);
      break;
    case 2:  // builds on what does not exist
      message = message_of(BlockBook::orphan(root_of(rng_.next()), slot, index));
      break;
    case 3: {  // a vote in somebody's name
      auto vote = std::make_shared<Gossip>();
      Vote forged =
          book_.vote_for(newest.root, std::max(slot, newest.slot), rng_.below(nodes_.size()));
      forged.proof =
          newest.signed_bytes.empty() ? SharedBytes::copy(as_bytes("x")) : newest.signed_bytes;
      vote->id = rng_.next();
      vote->vote = std::make_shared<const Vote>(std::move(forged));
      message = std::move(vote);
      break;
    }
    default:  // a head that is not
      for (const uint32_t peer : neighbours_[index]) send_status(index, peer);
      return;
  }
  if (message->block && message->block->signed_bytes.empty()) return;
  publish(index, message);
}

void Swarm::answer_falsely(uint32_t liar, uint32_t to, RequestId id,
                           std::vector<BlockInfo> answer) {
  ++tally_.lies;
  bool cut = false;
  switch (rng_.below(9)) {
    case 0:  // silence
      return;
    case 1:
      answer.clear();
      break;
    case 2:
      answer.insert(answer.begin(), BlockBook::orphan(root_of(rng_.next()), slot(), liar));
      break;
    case 3:
      if (!answer.empty()) answer.push_back(answer.front());
      break;
    case 4:
      answer.push_back(BlockBook::orphan(root_of(rng_.next()), 1 + slot(), liar));
      break;
    case 5:
      std::ranges::reverse(answer);
      break;
    case 6:
      for (BlockInfo& block : answer) block = BlockBook::forge(block);
      break;
    case 7:
      if (!answer.empty()) answer.erase(answer.begin() + static_cast<ptrdiff_t>(answer.size() / 2));
      break;
    default:
      cut = true;
      answer.resize(answer.size() / 2);
  }
  std::erase_if(answer, [](const BlockInfo& block) { return block.signed_bytes.empty(); });
  for (BlockInfo& block : answer) {
    send(liar, to, [this, liar, to, id, block = std::move(block)]() mutable {
      give(to, ChunkReceived{handle(liar, to), id, std::move(block)});
    });
  }
  send(liar, to, [this, liar, to, id, cut] {
    close(to, id);
    if (!cut) return give(to, RequestEnded{handle(liar, to), id});
    give(to, RequestFailed{handle(liar, to), id, {"stream", 0, Code::reset, Fault::network}});
  });
}

}  // namespace beamline::chain::testing
