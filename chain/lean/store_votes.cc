// The store's votes: what is let in, the three pools, and aggregation.

#include <algorithm>

#include "chain/lean/store.h"

namespace beamline::chain::lean {

bool Store::is_ancestor(const LeanCheckpoint& ancestor, const LeanCheckpoint& descendant) const {
  const Id id = known(descendant.root);
  if (id == ProtoArray::kNone || ancestor.slot > descendant.slot) return false;
  const Id top = array_.ancestor_at(id, ancestor.slot);
  return top != ProtoArray::kNone && array_.slot(top) == ancestor.slot &&
         array_.root(top) == ancestor.root;
}

Status Store::check_data(const LeanAttestationData& data) const {
  const auto& [slot, head, target, source] = data;
  const Id source_id = known(source.root);
  if (source_id == ProtoArray::kNone) return reject(Rejection::unknown_source_block);
  const Id target_id = known(target.root);
  if (target_id == ProtoArray::kNone) return reject(Rejection::unknown_target_block);
  const Id head_id = known(head.root);
  if (head_id == ProtoArray::kNone) return reject(Rejection::unknown_head_block);

  if (source.slot > target.slot) return reject(Rejection::source_after_target);
  if (head.slot < target.slot) return reject(Rejection::head_older_than_target);
  if (array_.slot(source_id) != source.slot) return reject(Rejection::source_slot_mismatch);
  if (array_.slot(target_id) != target.slot) return reject(Rejection::target_slot_mismatch);
  if (array_.slot(head_id) != head.slot) return reject(Rejection::head_slot_mismatch);
  if (!is_ancestor(source, target)) return reject(Rejection::source_not_ancestor_of_target);
  if (!is_ancestor(target, head)) return reject(Rejection::target_not_ancestor_of_head);

  if (slot < head.slot) return reject(Rejection::attestation_slot_before_head);
  // In slots, which a slot near 2^64 does not overflow.
  const Interval horizon = std::max(time_, time_ + kGossipDisparityIntervals);
  if (slot > horizon / kIntervalsPerSlot) {
    return reject(Rejection::attestation_too_far_in_future);
  }
  return {};
}

Status Store::check_attestation(const LeanAttestationData& data, ValidatorIndex validator) const {
  if (Status status = check_data(data); !status) return status;
  if (validator >= summary(known(data.target.root)).validators) {
    return reject(Rejection::validator_not_in_state);
  }
  return {};
}

Status Store::check_aggregate(const LeanAttestationData& data, const ValidatorSet& voters) const {
  if (Status status = check_data(data); !status) return status;
  if (voters.empty()) return reject(Rejection::empty_aggregation_bits);
  if (voters.bound() > summary(known(data.target.root)).validators) {
    return reject(Rejection::validator_not_in_state);
  }
  return {};
}

Status Store::add_signature(const Vote& vote, ValidatorIndex validator,
                            const SharedBytes& signature) {
  SignaturePool::Entry* const known_vote = signatures_.find(vote.root);
  if (known_vote != nullptr && known_vote->content.contains(validator)) return {};
  if ((known_vote == nullptr && signatures_.size() >= limits_.votes) ||
      signature_bytes_ + signature.size() > limits_.signature_bytes) {
    ++stats_.votes_refused;
    return local_error(Code::full, "signatures");
  }
  signatures_.append(vote).content.emplace(validator, signature);
  signature_bytes_ += signature.size();
  ++stats_.signatures;
  return {};
}

// False: no room. What is there already needs none.
bool Store::put(ProofPool& pool, const Vote& vote, const Proof& proof, uint64_t& bytes) {
  const ProofPool::Entry* const entry = pool.find(vote.root);
  const bool room = entry == nullptr ? pool.size() < limits_.votes
                                     : entry->content.list.size() < limits_.proofs_per_vote;
  const bool here = entry != nullptr &&
                    std::ranges::find(entry->content.list, proof) != entry->content.list.end();
  if (here) return true;
  if (!room || bytes + proof.bytes.size() > limits_.proof_bytes) {
    ++stats_.votes_refused;
    return false;
  }
  pool.append(vote).content.add(proof);
  bytes += proof.bytes.size();
  return true;
}

Status Store::add_proof(const Vote& vote, const Proof& proof) {
  if (!put(new_proofs_, vote, proof, new_bytes_)) return local_error(Code::full, "proofs");
  ++stats_.proofs;
  return {};
}

Status Store::add_counted_proof(const Vote& vote, const Proof& proof) {
  if (known_proofs_.find(vote.root) == nullptr) make_room_for_counted(1);
  if (!put(known_proofs_, vote, proof, known_bytes_)) return local_error(Code::full, "proofs");
  ++stats_.proofs;
  return {};
}

// The counted pool has no way to refuse: without finality it fills up. What goes first is what has
// no proof (a block named it), then the oldest.
void Store::make_room_for_counted(size_t votes) {
  while (known_proofs_.size() != 0 && known_proofs_.size() + votes > limits_.votes) {
    const ProofPool::Entry* oldest = nullptr;
    bool bare = false;
    for (const auto& [place, entry] : known_proofs_.entries()) {
      const bool is_bare = entry.content.list.empty();
      if (oldest != nullptr && bare && !is_bare) continue;
      if (oldest != nullptr && bare == is_bare && entry.vote.data.slot >= oldest->vote.data.slot) {
        continue;
      }
      oldest = &entry;
      bare = is_bare;
    }
    for (const Proof& proof : oldest->content.list) known_bytes_ -= proof.bytes.size();
    known_proofs_.erase(Root(oldest->vote.root));
    ++stats_.votes_evicted;
  }
}

void Store::count_bytes() {
  const auto of_proofs = [](const ProofPool& pool) {
    uint64_t bytes = 0;
    for (const auto& [place, entry] : pool.entries()) {
      for (const Proof& proof : entry.content.list) bytes += proof.bytes.size();
    }
    return bytes;
  };
  new_bytes_ = of_proofs(new_proofs_);
  known_bytes_ = of_proofs(known_proofs_);
  signature_bytes_ = 0;
  for (const auto& [place, entry] : signatures_.entries()) {
    for (const auto& [validator, signature] : entry.content) signature_bytes_ += signature.size();
  }
}

// Each validator's vote of the highest slot; of two for one slot the one that came first into the
// pool. A vote whose head is not above the finalised block does not count. Votes are looked at from
// the highest slot down, so that each validator is counted once.
void Store::count_votes(const ProofPool& pool, std::vector<Support>& support) {
  support.clear();
  ranked_.clear();
  for (const auto& [place, entry] : pool.entries()) {
    if (entry.content.list.empty() || entry.vote.data.head.slot <= latest_finalized_.slot) continue;
    ranked_.push_back({entry.vote.data.slot, place, &entry});
  }
  std::ranges::sort(ranked_, [](const Ranked& a, const Ranked& b) {
    return a.slot != b.slot ? a.slot > b.slot : a.place < b.place;
  });
  ValidatorSet covered;
  for (const Ranked& ranked : ranked_) {
    const ValidatorSet& voters = ranked.entry->content.voters;
    if (covered.contains_all(voters)) continue;
    const auto fresh = static_cast<uint32_t>(voters.count_without(covered));
    covered.merge(voters);
    const Id id = known(ranked.entry->vote.data.head.root);
    if (id != ProtoArray::kNone) support.push_back({id, fresh});
  }
}

void Store::accept_votes() {
  for (const auto& [place, entry] : new_proofs_.entries()) {
    if (known_proofs_.find(entry.vote.root) == nullptr) {
      make_room_for_counted(1);
      known_proofs_.append(entry.vote);
    }
    for (const Proof& proof : entry.content.list) {
      put(known_proofs_, entry.vote, proof, known_bytes_);
    }
  }
  new_proofs_.clear();
  new_bytes_ = 0;
  update_head();
}

// A vote whose head is not above the finalised block, on its chain, can never count again.
bool Store::is_stale(const LeanAttestationData& data) const {
  if (data.head.slot <= latest_finalized_.slot) return true;
  // While finality is back below where a pruned branch left, its votes are still their validators'
  // latest: they keep older ones from counting.
  const auto cut = cut_heads_.find(data.head.root);
  return !is_ancestor(latest_finalized_, cut == cut_heads_.end() ? data.head : cut->second);
}

void Store::remember_cut_heads(const std::vector<bool>& kept) {
  // The last of its branch that stays; nothing where it stays itself, or was gone before.
  const auto last_kept = [&](const Root& root) -> std::optional<LeanCheckpoint> {
    Id id = known(root);
    if (id == ProtoArray::kNone || kept[array_.at(id)]) return std::nullopt;
    while (id != ProtoArray::kNone && !kept[array_.at(id)]) id = array_.parent(id);
    if (id == ProtoArray::kNone) return std::nullopt;
    return LeanCheckpoint{.root = array_.root(id), .slot = array_.slot(id)};
  };
  for (auto& [head, point] : cut_heads_) point = last_kept(point.root).value_or(point);
  const auto look = [&](const auto& pool) {
    for (const auto& [place, entry] : pool.entries()) {
      const Root& head = entry.vote.data.head.root;
      if (const auto point = last_kept(head)) cut_heads_[head] = *point;
    }
  };
  look(signatures_);
  look(new_proofs_);
  look(known_proofs_);
}

// Those that no vote names any more.
void Store::forget_cut_heads() {
  if (cut_heads_.empty()) return;
  std::map<Root, LeanCheckpoint> named;
  const auto look = [&](const auto& pool) {
    for (const auto& [place, entry] : pool.entries()) {
      const auto cut = cut_heads_.find(entry.vote.data.head.root);
      if (cut != cut_heads_.end()) named.insert(*cut);
    }
  };
  look(signatures_);
  look(new_proofs_);
  look(known_proofs_);
  cut_heads_ = std::move(named);
}

void Store::prune_votes() {
  const auto stale = [&](const auto& entry) { return is_stale(entry.vote.data); };
  stats_.votes_pruned += signatures_.erase_if(stale);
  stats_.votes_pruned += new_proofs_.erase_if(stale);
  stats_.votes_pruned += known_proofs_.erase_if(stale);
  forget_cut_heads();
  count_bytes();
}

void Store::lead_with(std::span<const Vote> votes) {
  make_room_for_counted(votes.size());
  known_proofs_.lead_with(votes);
}

void Store::seed_votes(std::span<const Vote> votes) {
  std::vector<Vote> fresh;
  for (const Vote& vote : votes) {
    if (!is_stale(vote.data)) fresh.push_back(vote);
  }
  lead_with(fresh);
}

std::vector<Aggregation> Store::aggregations() const {
  std::vector<Aggregation> all;
  const auto consider = [&](const Vote& vote) {
    std::vector<const Proof*> chosen;
    ValidatorSet covered;
    for (const ProofPool* pool : {&new_proofs_, &known_proofs_}) {
      const ProofPool::Entry* const entry = pool->find(vote.root);
      if (entry != nullptr) select_proofs(entry->content.list, chosen, covered);
    }
    Aggregation one{.vote = vote, .children = {}, .signatures = {}};
    for (const Proof* proof : chosen) one.children.push_back(*proof);
    if (const SignaturePool::Entry* const entry = signatures_.find(vote.root)) {
      for (const auto& [validator, signature] : entry->content) {
        if (!covered.contains(validator)) one.signatures.push_back({validator, signature});
      }
    }
    // One proof alone stands as it is.
    if (one.signatures.empty() && one.children.size() < 2) return;
    all.push_back(std::move(one));
  };
  for (const auto& [place, entry] : new_proofs_.entries()) consider(entry.vote);
  for (const auto& [place, entry] : signatures_.entries()) {
    if (new_proofs_.find(entry.vote.root) == nullptr) consider(entry.vote);
  }
  return all;
}

void Store::finish_aggregations(std::span<const std::pair<Vote, Proof>> aggregates) {
  new_proofs_.clear();
  new_bytes_ = 0;
  for (const auto& [vote, proof] : aggregates) {
    put(new_proofs_, vote, proof, new_bytes_);
    signatures_.erase(vote.root);
  }
  count_bytes();
}

void Store::run_prover(Prover& prover, std::vector<std::pair<Vote, Proof>>* aggregates) {
  std::vector<std::pair<Vote, Proof>> made;
  for (const Aggregation& aggregation : aggregations()) {
    Result<Proof> proof = aggregate(prover, aggregation);
    if (!proof) {
      ++stats_.proofs_failed;
      continue;
    }
    made.emplace_back(aggregation.vote, *std::move(proof));
  }
  finish_aggregations(made);
  if (aggregates != nullptr) aggregates->insert(aggregates->end(), made.begin(), made.end());
}

}  // namespace beamline::chain::lean
