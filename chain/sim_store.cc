#include "chain/sim_store.h"

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "codec/crc32c.h"

namespace beamline::chain {
namespace {

// Of a record: the length of its payload, and a checksum of length and payload.
constexpr size_t kHeader = 8;
constexpr size_t kSector = 512;
constexpr size_t kCompactFrom = 64 * 1024;

size_t size_of(const StoredBlock& stored) { return 320 + stored.block.signed_bytes.size(); }

void put_u32(uint8_t* to, uint32_t value) { std::memcpy(to, &value, 4); }
uint32_t get_u32(const uint8_t* from) {
  uint32_t value = 0;
  std::memcpy(&value, from, 4);
  return value;
}

}  // namespace

Result<Recovered> SimStore::open(const StoreAnchor& anchor) {
  blocks_.clear();
  archive_.clear();
  states_.clear();
  records_.clear();
  canonical_.clear();
  first_anchor_.reset();
  live_bytes_ = 0;
  // Up to the first record that is not whole: what lies behind was not synced.
  size_t at = 0;
  while (log_.size() - at >= kHeader) {
    const size_t length = get_u32(&log_[at]);
    if (length > log_.size() - at - kHeader) break;
    const Bytes payload(&log_[at + kHeader], length);
    if (crc32c(payload, crc32c(Bytes(&log_[at], 4))) != get_u32(&log_[at + 4])) break;
    auto persist = decode_persist(payload);
    if (!persist) break;
    replay(*persist);
    at += kHeader + length;
  }
  if (at < synced_) return local_error(Code::bad_checksum, "store log");
  log_.resize(at);
  synced_ = at;
  open_ = true;
  if (!first_anchor_) {
    if (Status written = apply(first_persist(anchor)); !written) {
      return std::unexpected(written.error());
    }
    if (Status written = sync(); !written) return std::unexpected(written.error());
  }
  if (*first_anchor_ != anchor.block.root) return local_error(Code::mismatch, "store anchor");
  auto found = connect(blocks_, head_);
  if (!found) return found;
  found->justified = justified_;
  found->finalized = finalized_;
  found->last = last_;
  for (const auto& [key, bytes] : records_) found->records.push_back({key, bytes});
  found->oldest = canonical_.empty() ? found->anchor.block.slot : canonical_.begin()->first;
  return found;
}

Status SimStore::apply(const Persist& persist) {
  if (!open_ || writes_++ >= fail_at_) {
    open_ = false;
    return local_error(Code::io_error, "store write", fail_errno_);
  }
  append(persist);
  replay(persist);
  return {};
}

Status SimStore::sync() {
  if (!open_ || writes_++ >= fail_at_) {
    open_ = false;
    return local_error(Code::io_error, "store sync", fail_errno_);
  }
  synced_ = log_.size();
  if (log_.size() > kCompactFrom && log_.size() > live_bytes_ * 4) compact();
  return {};
}

void SimStore::append(const Persist& persist) {
  const std::vector<uint8_t> payload = encode(persist);
  const size_t at = log_.size();
  log_.resize(at + kHeader + payload.size());
  put_u32(&log_[at], static_cast<uint32_t>(payload.size()));
  std::memcpy(&log_[at + kHeader], payload.data(), payload.size());
  put_u32(&log_[at + 4], crc32c(payload, crc32c(Bytes(&log_[at], 4))));
}

void SimStore::replay(const Persist& persist) {
  last_ = persist.id;
  for (const StoredBlock& stored : persist.blocks) {
    if (!first_anchor_) first_anchor_ = stored.block.root;
    if (blocks_.emplace(stored.block.root, stored).second) live_bytes_ += size_of(stored);
  }
  for (const auto& [root, state] : persist.states) states_[root] = state;
  for (const Root& root : persist.erased) erase(root);
  for (const Root& root : persist.dropped_states) states_.erase(root);
  for (const Root& root : persist.archived) {
    auto node = blocks_.extract(root);
    if (!node.empty()) archive_.insert(std::move(node));
    states_.erase(root);
  }
  for (const PolicyRecord& record : persist.records) {
    if (record.bytes.empty()) {
      records_.erase(record.key);
    } else {
      records_[record.key] = record.bytes;
    }
  }
  if (persist.canonical) {
    canonical_.erase(canonical_.lower_bound(persist.canonical->from), canonical_.end());
    for (const auto& [slot, root] : persist.canonical->blocks) canonical_[slot] = root;
  }
  if (persist.head) head_ = *persist.head;
  if (persist.justified) justified_ = *persist.justified;
  if (persist.finalized) finalized_ = *persist.finalized;
  if (persist.archive_from) cut_archive(*persist.archive_from);
}

void SimStore::erase(const Root& root) {
  const auto it = blocks_.find(root);
  if (it == blocks_.end()) return;
  live_bytes_ -= size_of(it->second);
  blocks_.erase(it);
  states_.erase(root);
}

void SimStore::cut_archive(Slot from) {
  while (!canonical_.empty() && canonical_.begin()->first < from) {
    const auto it = archive_.find(canonical_.begin()->second);
    if (it == archive_.end()) return;  // of the tree
    live_bytes_ -= size_of(it->second);
    archive_.erase(it);
    canonical_.erase(canonical_.begin());
  }
}

Persist SimStore::all_live() const {
  Persist all;
  all.id = last_;
  // The first block of the first record says what the store began with, here or not.
  StoredBlock first;
  first.block.root = *first_anchor_;
  const bool archived = archive_.contains(*first_anchor_);
  if (!archived && !blocks_.contains(*first_anchor_)) all.erased.push_back(*first_anchor_);
  if (archived) first = archive_.at(*first_anchor_);
  if (const auto it = blocks_.find(*first_anchor_); it != blocks_.end()) first = it->second;
  all.blocks.push_back(first);
  for (const auto* kind : {&blocks_, &archive_}) {
    for (const auto& [root, stored] : *kind) {
      if (root != *first_anchor_) all.blocks.push_back(stored);
    }
  }
  for (const auto& [root, stored] : archive_) all.archived.push_back(root);
  for (const auto& [root, state] : states_) all.states.emplace_back(root, state);
  for (const auto& [key, bytes] : records_) all.records.push_back({key, bytes});
  all.canonical.emplace();
  all.canonical->blocks.assign(canonical_.begin(), canonical_.end());
  all.head = head_;
  all.justified = justified_;
  all.finalized = finalized_;
  return all;
}

void SimStore::compact() {
  const Persist all = all_live();
  log_.clear();
  append(all);
  synced_ = log_.size();
  ++compactions_;
}

void SimStore::crash(Rng& rng) {
  open_ = false;
  const size_t loose = log_.size() - synced_;
  log_.resize(synced_ + rng.below(loose + 1));
  // Some of what is left never reached the disk.
  for (size_t at = synced_; at < log_.size(); at += kSector) {
    if (!rng.chance(1, 4)) continue;
    const size_t size = std::min(kSector, log_.size() - at);
    std::memset(&log_[at], static_cast<int>(rng.below(2) * 0xff), size);
  }
  heal();
}

Result<std::optional<SharedBytes>> SimStore::state(const Root& block) {
  const auto it = states_.find(block);
  if (it == states_.end()) return std::nullopt;
  return it->second;
}

Result<std::optional<Root>> SimStore::canonical(Slot slot) {
  const auto it = canonical_.find(slot);
  if (it == canonical_.end()) return std::nullopt;
  return it->second;
}

Result<std::optional<ReadBlock>> SimStore::block(const Root& root) {
  if (fail_reads_ != 0) return local_error(Code::io_error, "store read", fail_reads_);
  for (const auto* kind : {&blocks_, &archive_}) {
    const auto it = kind->find(root);
    if (it == kind->end() || it->second.block.signed_bytes.empty()) continue;
    const BlockInfo& block = it->second.block;
    return ReadBlock{root, block.parent_root, block.slot, block.signed_bytes};
  }
  return std::nullopt;
}

Result<std::vector<std::pair<Slot, Root>>> SimStore::canonical_range(Slot from, Slot end,
                                                                     size_t max) {
  std::vector<std::pair<Slot, Root>> found;
  for (auto it = canonical_.lower_bound(from);
       it != canonical_.end() && it->first < end && found.size() < max; ++it) {
    found.push_back(*it);
  }
  return found;
}

}  // namespace beamline::chain
