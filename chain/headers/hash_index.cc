#include "chain/headers/hash_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>

namespace beamline::chain {
namespace {

// Eight bytes of the hash, then the number within the run: enough to be right nearly always, and
// the log has the last word.
constexpr size_t kPrefix = 8;
constexpr size_t kEntry = kPrefix + 2;
using Entry = std::array<uint8_t, kEntry>;
constexpr size_t kMaxNoted = 3 * HashIndex::kRun;
constexpr uint64_t kRunBytes = HashIndex::kRun * kEntry + Hash256::kSize;

std::string run_name(size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "hashes-%06zu.idx", index);
  return name;
}

uint64_t prefix_of(const Hash256& hash) {
  uint64_t prefix = 0;
  std::memcpy(&prefix, hash.bytes.data(), kPrefix);
  return std::byteswap(prefix);
}

// The entries of a run's file. Hashes are spread evenly: by their first two bytes they lie in
// buckets of one or two, and whoever can make them not so only gets a sort.
std::vector<uint8_t> sorted_entries(std::span<const uint64_t> prefixes) {
  std::vector<uint32_t> starts((1 << 16) + 1);
  for (const uint64_t prefix : prefixes) ++starts[(prefix >> 48) + 1];
  for (size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
  std::vector<std::pair<uint64_t, uint16_t>> sorted(prefixes.size());
  std::vector<uint32_t> next(starts.begin(), starts.end() - 1);
  for (size_t i = 0; i < prefixes.size(); ++i) {
    sorted[next[prefixes[i] >> 48]++] = {prefixes[i], static_cast<uint16_t>(i)};
  }
  const auto at = [&](size_t i) { return sorted.begin() + static_cast<ptrdiff_t>(starts[i]); };
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    if (starts[i + 1] - starts[i] > 1) std::sort(at(i), at(i + 1));
  }
  std::vector<uint8_t> bytes(prefixes.size() * kEntry);
  uint8_t* to = bytes.data();
  for (const auto& [prefix, number] : sorted) {
    const uint64_t first = std::byteswap(prefix);
    std::memcpy(to, &first, kPrefix);
    to[kPrefix] = static_cast<uint8_t>(number >> 8);
    to[kPrefix + 1] = static_cast<uint8_t>(number);
    to += kEntry;
  }
  return bytes;
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
  noted_.clear();
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

void HashIndex::note(uint64_t first, std::span<const StoredHeader> headers) {
  const bool follows = !noted_.empty() && first == noted_first_ + noted_.size();
  if (!follows || noted_.size() + headers.size() > kMaxNoted) {
    noted_.clear();
    noted_first_ = first;
  }
  for (const StoredHeader& header : headers) noted_.push_back(prefix_of(header.hash));
}

// What note() would have noted of the run at `first`.
Result<std::vector<uint64_t>> HashIndex::read_back(uint64_t first) const {
  std::vector<uint64_t> prefixes;
  prefixes.reserve(kRun);
  std::vector<uint8_t> headers;
  std::vector<Hash256> hashes;
  while (prefixes.size() < kRun) {
    headers.clear();
    hashes.clear();
    const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(kRun - prefixes.size(), 4096));
    const auto read = log_->read(first + prefixes.size(), wanted, 8u << 20, headers, &hashes);
    if (!read) return std::unexpected(read.error());
    for (const Hash256& hash : hashes) prefixes.push_back(prefix_of(hash));
  }
  return prefixes;
}

// The same from what was noted; nothing where that has a gap.
std::vector<uint64_t> HashIndex::take_noted(uint64_t first) {
  const auto end =
      noted_.begin() + static_cast<ptrdiff_t>(std::clamp<uint64_t>(first + kRun, noted_first_,
                                                                   noted_first_ + noted_.size()) -
                                              noted_first_);
  const bool whole = noted_first_ <= first && first + kRun <= noted_first_ + noted_.size();
  std::vector<uint64_t> prefixes;
  if (whole) prefixes.assign(end - kRun, end);
  noted_first_ += static_cast<uint64_t>(end - noted_.begin());
  noted_.erase(noted_.begin(), end);
  return prefixes;
}

Result<bool> HashIndex::extend() {
  if (Status trimmed = trim(); !trimmed) return std::unexpected(trimmed.error());
  const uint64_t first = covered();
  if (log_->checkpointed() < first + kRun) return false;
  std::vector<uint64_t> prefixes = take_noted(first);
  if (prefixes.empty()) {
    auto read = read_back(first);
    if (!read) return std::unexpected(read.error());
    prefixes = std::move(*read);
  }
  std::vector<uint8_t> bytes = sorted_entries(prefixes);
  const auto last = log_->hash(first + kRun - 1);
  if (!last) return std::unexpected(last.error());
  bytes.insert(bytes.end(), last->bytes.begin(), last->bytes.end());
  auto file = directory_->open(run_name(runs_.size()));
  if (!file) return std::unexpected(file.error());
  if (Status cut = (*file)->truncate(0); !cut) return std::unexpected(cut.error());
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
