// What chains say, carried out in the swarm's world.
#include <algorithm>

#include "tests/chain/swarm.h"

namespace beamline::chain::testing {

void Swarm::carry_out(uint32_t node, Command&& command) {
  std::visit([&](auto&& what) { on(node, std::move(what)); }, std::move(command));
}

// ---- Requests: by the link to the other's chain, or to a liar.

void Swarm::open(uint32_t node, RequestId id) {
  ++tally_.requests;
  mix(id);
  open_[{node, id}].since = now_;
}

void Swarm::close(uint32_t node, RequestId id) {
  const auto it = open_.find({node, id});
  if (it == open_.end()) return;
  ++tally_.ended;
  tally_.longest_request = std::max(tally_.longest_request, now_ - it->second.since);
  open_.erase(it);
}

// Its requests end with the peer.
void Swarm::close_all(uint32_t node, uint32_t peer) {
  std::vector<RequestId> ids;
  for (auto it = open_.lower_bound({node, 0}); it != open_.end() && it->first.first == node; ++it) {
    if (it->second.peer == peer) ids.push_back(it->first.second);
  }
  for (const RequestId id : ids) close(node, id);
}

void Swarm::on(uint32_t node, RequestByRoot&& request) {
  const uint32_t peer = request.peer.index;
  open(node, request.request);
  open_[{node, request.request}].peer = peer;
  if (!link(node, peer).up) return;
  send(node, peer, [this, node, peer, request = std::move(request)]() mutable {
    if (!nodes_[peer].liar) {
      return give(peer,
                  IncomingByRoot{handle(node, peer), request.request, std::move(request.roots)});
    }
    std::vector<BlockInfo> honest;
    for (const Root& root : request.roots) {
      const auto* entry = book_.find(root);
      if (entry != nullptr && heard_of(peer, entry->block)) honest.push_back(entry->block);
    }
    answer_falsely(peer, node, request.request, std::move(honest));
  });
}

void Swarm::on(uint32_t node, RequestByRange&& request) {
  const uint32_t peer = request.peer.index;
  open(node, request.request);
  open_[{node, request.request}].peer = peer;
  send(node, peer, [this, node, peer, request] {
    if (!nodes_[peer].liar) {
      return give(peer, IncomingByRange{handle(node, peer), request.request, request.start_slot,
                                        request.count});
    }
    answer_falsely(peer, node, request.request,
                   honest_range(peer, request.start_slot, request.count));
  });
}

void Swarm::on(uint32_t node, CancelRequest&& cancel) {
  const uint32_t peer = cancel.peer.index;
  close(node, cancel.request);
  send(node, peer, [this, node, peer, id = cancel.request] {
    give(peer, IncomingCancelled{handle(node, peer), id});
  });
}

void Swarm::on(uint32_t node, RespondChunk&& chunk) {
  const uint32_t to = chunk.peer.index;
  send(node, to, [this, node, to, id = chunk.serve, bytes = std::move(chunk.signed_bytes)] {
    give(to, ChunkReceived{handle(node, to), id, BlockBook::decode(bytes)});
    send(to, node, [this, node, to, id] { give(node, ResponseWritten{handle(to, node), id, 1}); });
  });
}

void Swarm::on(uint32_t node, RespondEnd&& end) {
  const uint32_t to = end.peer.index;
  send(node, to, [this, node, to, id = end.serve] {
    close(to, id);
    give(to, RequestEnded{handle(node, to), id});
  });
}

void Swarm::on(uint32_t node, RespondError&& error) {
  const uint32_t to = error.peer.index;
  send(node, to, [this, node, to, id = error.serve] {
    close(to, id);
    const Error remote{"answer", 0, Code::remote_error, Fault::network};
    give(to, RequestFailed{handle(node, to), id, remote});
  });
}

// ---- The mesh

Swarm::GossipPtr Swarm::message_of(BlockInfo block) const {
  auto message = std::make_shared<Gossip>();
  std::memcpy(&message->id, block.root.bytes.data(), 8);
  message->id += block.signed_bytes.bytes()[32];
  message->block = std::move(block);
  return message;
}

void Swarm::publish(uint32_t from, const GossipPtr& message) {
  nodes_[from].seen.insert(message->id);
  for (const uint32_t peer : neighbours_[from]) {
    send(from, peer, [this, from, peer, message] { receive(peer, from, message); });
  }
}

void Swarm::receive(uint32_t to, uint32_t from, const GossipPtr& message) {
  Node& node = nodes_[to];
  if (node.chain == nullptr) return;
  if (node.seen.contains(message->id) || node.seen_before.contains(message->id)) return;
  node.seen.insert(message->id);
  const VerdictId verdict = node.next_verdict++;
  node.owed.emplace(verdict, message);
  if (message->block) {
    give(to, GossipBlock{handle(from, to), verdict, *message->block});
  } else {
    give(to, GossipVote{handle(from, to), verdict, *message->vote});
  }
}

void Swarm::on(uint32_t node, GossipVerdict&& verdict) {
  const auto it = nodes_[node].owed.find(verdict.verdict);
  BL_CHECK(it != nodes_[node].owed.end() && "each message has one verdict");
  const GossipPtr message = std::move(it->second);
  nodes_[node].owed.erase(it);
  mix(message->id + static_cast<uint64_t>(verdict.reason));
  if (verdict.result != GossipResult::accept) return;
  if (message->vote) nodes_[node].votes.push_back(message->vote);
  publish(node, message);
}

void Swarm::on(uint32_t node, PublishBlock&& block) {
  publish(node, message_of(BlockBook::decode(block.signed_bytes)));
}

// ---- Peers

void Swarm::on(uint32_t, ReportPeer&& report) {
  mix(static_cast<uint64_t>(report.score));
  if (nodes_[report.peer.index].liar) return;
  tally_.lowest_honest_score = std::min(tally_.lowest_honest_score, report.score);
}

void Swarm::on(uint32_t node, DisconnectPeer&& leave) {
  const uint32_t peer = leave.peer.index;
  if (leave.reason == DisconnectReason::low_score) {
    ++(nodes_[peer].liar ? tally_.liars_banned : tally_.honest_banned);
    link(node, peer).banned_until = now_ + seconds(120);
  }
  after({}, [this, node, peer, generation = leave.peer.generation] {
    if (link(node, peer).generation == generation) disconnect(node, peer);
  });
}

// ---- The client and the store

void Swarm::on(uint32_t node, ImportBlock&& import) {
  const Duration work = milliseconds(rng_.between(5, 60));
  after(work, node, [this, node, import = std::move(import)] {
    ImportVerdict verdict;
    verdict.import = import.import;
    const BlockBook::Entry* entry = book_.find(import.block.root);
    if (BlockBook::is_forged(import.block)) {
      verdict.verdict = Verdict::invalid_bytes;
    } else if (entry == nullptr || !entry->valid) {
      verdict.verdict = Verdict::invalid_block;
    } else if (rng_.chance(1, 100)) {
      verdict.verdict = Verdict::try_again;
    } else {
      verdict.post = entry->post;
      for (const auto& vote : entry->votes) verdict.votes.push_back(*vote);
    }
    give(node, std::move(verdict));
  });
}

void Swarm::on(uint32_t node, VerifyVote&& vote) {
  after(milliseconds(2), node, [this, node, vote = std::move(vote)]() mutable {
    // A vote with a proof is a liar's.
    const Verdict verdict = vote.vote.proof.empty() ? Verdict::valid : Verdict::invalid_bytes;
    give(node, VoteVerdict{vote.id, verdict, std::move(vote.vote)});
  });
}

void Swarm::on(uint32_t node, JustifiedChanged&& justified) {
  after(milliseconds(1), node, [this, node, checkpoint = justified.checkpoint] {
    give(node, JustifiedBalances{checkpoint, std::vector<uint64_t>(options_.nodes, 32),
                                 32 * options_.nodes});
  });
}

void Swarm::on(uint32_t, HeadChanged&& head) {
  uint64_t word = 0;
  std::memcpy(&word, head.root.bytes.data(), 8);
  mix(word);
  tally_.reorgs += head.reorg;
}

void Swarm::on(uint32_t, BlockImported&& block) {
  ++tally_.imported;
  const BlockBook::Entry* entry = book_.find(block.root);
  BL_CHECK(entry != nullptr && entry->valid && "only what is valid is imported");
}

void Swarm::persist(uint32_t index) {
  Node& node = nodes_[index];
  for (Persist& persist : node.chain->take_persists()) {
    const PersistId id = persist.id;
    BL_CHECK(node.store.apply(persist));
    // What was applied meanwhile is synced with it.
    if (std::exchange(node.syncing, true)) continue;
    after(milliseconds(rng_.between(1, 40)), [this, index, id, life = node.life] {
      Node& self = nodes_[index];
      self.syncing = false;
      if (!self.running || self.life != life) return;
      BL_CHECK(self.store.sync());
      give(index, Persisted{id});
    });
  }
}

}  // namespace beamline::chain::testing
