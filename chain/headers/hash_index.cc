#include "chain/headers/hash_index.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace beamline::chain {
namespace {

// Eight bytes of the hash, then the number within the run: enough to be right nearly always, and
// the log has the last word.
constexpr size_t kPrefix = 8;
constexpr size_t kEntry = kPrefix + 2;
using Entry = std::array<uint8_t, kEntry>;
constexpr uint64_t kRunBytes = HashIndex::kRun * kEntry + Hash256::kSize;

std::string run_name(size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "hashes-%06zu.idx", index);
  return name;
}

}  // namespace

Result<HashIndex> HashIndex::open(StoreDirectory& directory, const HeaderLog& log) {
  HashIndex index(directory, log);
  const auto names = directory.list();
  if (!names) return std::unexpected(names.error());
  while (std::binary_search(names->begin(), names->end(), run_name(index.runs_.size()))) {
    auto file = directory.open(run_name(index.runs_.size()));
    if (!file) return std::unexpected(file.error());
    if ((*file)->size() != kRunBytes) break;  // a crash cut it short
    index.runs_.push_back(std::move(*file));
  }
  if (Status trimmed = index.trim(); !trimmed) return std::unexpected(trimmed.error());
  return index;
}

// Drops the runs whose last header the log does not have any more. Headers are taken back from some
// number on, so they are the last ones.
Status HashIndex::trim() {
  if (rewinds_ == log_->stats().rewinds) return {};
  rewinds_ = log_->stats().rewinds;
  while (!runs_.empty()) {
    Hash256 recorded;
    const auto read = runs_.back()->read(kRunBytes - Hash256::kSize, recorded.bytes);
    if (!read) return std::unexpected(read.error());
    if (covered() <= log_->next()) {
      const auto last = log_->hash(covered() - 1);
      if (!last) return std::unexpected(last.error());
      if (*last == recorded) break;
    }
    runs_.pop_back();
  }
  return {};
}

Result<bool> HashIndex::extend() {
  if (Status trimmed = trim(); !trimmed) return std::unexpected(trimmed.error());
  const uint64_t first = covered();
  if (log_->checkpointed() < first + kRun) return false;
  std::vector<Entry> entries;
  entries.reserve(kRun);
  std::vector<uint8_t> headers;
  std::vector<Hash256> hashes;
  while (entries.size() < kRun) {
    headers.clear();
    hashes.clear();
    const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(kRun - entries.size(), 4096));
    const auto read = log_->read(first + entries.size(), wanted, 8u << 20, headers, &hashes);
    if (!read) return std::unexpected(read.error());
    for (const Hash256& hash : hashes) {
      Entry entry;
      std::copy_n(hash.bytes.begin(), kPrefix, entry.begin());
      entry[kPrefix] = static_cast<uint8_t>(entries.size() >> 8);
      entry[kPrefix + 1] = static_cast<uint8_t>(entries.size());
      entries.push_back(entry);
    }
  }
  std::sort(entries.begin(), entries.end());
  auto file = directory_->open(run_name(runs_.size()));
  if (!file) return std::unexpected(file.error());
  if (Status cut = (*file)->truncate(0); !cut) return std::unexpected(cut.error());
  std::vector<uint8_t> bytes;
  bytes.reserve(kRunBytes);
  for (const Entry& entry : entries) bytes.insert(bytes.end(), entry.begin(), entry.end());
  bytes.insert(bytes.end(), hashes.back().bytes.begin(), hashes.back().bytes.end());
  if (Status written = (*file)->append(bytes); !written) return std::unexpected(written.error());
  if (Status synced = (*file)->sync(); !synced) return std::unexpected(synced.error());
  runs_.push_back(std::move(*file));
  return true;
}

// Binary search by the prefix, then the log.
Result<std::optional<uint64_t>> HashIndex::find_in(const StoreFile& run, uint64_t first,
                                                   const Hash256& hash) const {
  const Bytes wanted = hash.view().first(kPrefix);
  uint64_t low = 0;
  uint64_t high = kRun;
  Entry entry;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    const auto read = run.read(middle * kEntry, entry);
    if (!read) return std::unexpected(read.error());
    if (std::lexicographical_compare(entry.begin(), entry.begin() + kPrefix, wanted.begin(),
                                     wanted.end())) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (; low < kRun; ++low) {
    const auto read = run.read(low * kEntry, entry);
    if (!read) return std::unexpected(read.error());
    if (!std::equal(wanted.begin(), wanted.end(), entry.begin())) break;
    const uint64_t number = first + (uint64_t{entry[kPrefix]} << 8 | entry[kPrefix + 1]);
    if (number >= log_->next()) continue;  // taken back
    const auto canonical = log_->hash(number);
    if (!canonical) return std::unexpected(canonical.error());
    if (*canonical == hash) return number;
  }
  return std::nullopt;
}

Result<std::optional<uint64_t>> HashIndex::find(const Hash256& hash) {
  if (Status trimmed = trim(); !trimmed) return std::unexpected(trimmed.error());
  // What is asked for is nearly always recent: the tail first, then the newest run.
  std::vector<uint8_t> headers;
  std::vector<Hash256> hashes;
  for (uint64_t number = covered(); number < log_->next();) {
    headers.clear();
    hashes.clear();
    const auto read = log_->read(number, 4096, 8u << 20, headers, &hashes);
    if (!read) return std::unexpected(read.error());
    const auto found = std::find(hashes.begin(), hashes.end(), hash);
    if (found != hashes.end()) return number + static_cast<uint64_t>(found - hashes.begin());
    number += *read;
  }
  for (size_t i = runs_.size(); i-- > 0;) {
    const auto found = find_in(*runs_[i], log_->first() + kRun * i, hash);
    if (!found || *found) return found;
  }
  return std::nullopt;
}

}  // namespace beamline::chain
