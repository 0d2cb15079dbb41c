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

Result<Recovered> SimStore::open(const BlockInfo& anchor) {
  blocks_.clear();
  states_.clear();
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
    Persist first;
    first.blocks.push_back({anchor, {}});
    first.head = BlockTree::Tip{anchor.root, anchor.slot};
    first.justified = first.finalized = Checkpoint{0, anchor.root};
    if (Status written = apply(first); !written) return std::unexpected(written.error());
    if (Status written = sync(); !written) return std::unexpected(written.error());
  }
  if (*first_anchor_ != anchor.root) return local_error(Code::mismatch, "store anchor");
  auto found = connect(blocks_, head_);
  if (!found) return found;
  found->justified = justified_;
  found->finalized = finalized_;
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
  for (const StoredBlock& stored : persist.blocks) {
    if (!first_anchor_) first_anchor_ = stored.block.root;
    if (blocks_.emplace(stored.block.root, stored).second) live_bytes_ += size_of(stored);
  }
  for (const auto& [root, state] : persist.states) states_[root] = state;
  for (const Root& root : persist.erased) {
    const auto it = blocks_.find(root);
    if (it == blocks_.end()) continue;
    live_bytes_ -= size_of(it->second);
    blocks_.erase(it);
    states_.erase(root);
  }
  if (persist.canonical) {
    canonical_.erase(canonical_.lower_bound(persist.canonical->from), canonical_.end());
    for (const auto& [slot, root] : persist.canonical->blocks) canonical_[slot] = root;
  }
  if (persist.head) head_ = *persist.head;
  if (persist.justified) justified_ = *persist.justified;
  if (persist.finalized) finalized_ = *persist.finalized;
}

Persist SimStore::all_live() const {
  Persist all;
  // The first block of the first record says what the store began with, here or not.
  StoredBlock first;
  first.block.root = *first_anchor_;
  if (!blocks_.contains(*first_anchor_)) all.erased.push_back(*first_anchor_);
  if (const auto it = blocks_.find(*first_anchor_); it != blocks_.end()) first = it->second;
  all.blocks.push_back(first);
  for (const auto& [root, stored] : blocks_) {
    if (root != *first_anchor_) all.blocks.push_back(stored);
  }
  for (const auto& [root, state] : states_) all.states.emplace_back(root, state);
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

}  // namespace beamline::chain
