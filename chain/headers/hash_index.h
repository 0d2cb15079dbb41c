// From a header's hash to its number: runs of 65,536 headers, each a sorted file of fixed entries,
// written when the run is complete and durable, off the path of the sync. What no run covers yet is
// looked for in the log. Each candidate is checked against the log, which alone says what is
// canonical. A run ends with the hash of its last header: one whose headers were taken back shows
// by that, and is made again, as one is that is missing or cut.
//
// Not thread safe: the storage thread's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "chain/headers/header_log.h"

namespace beamline::chain {

class HashIndex {
 public:
  static constexpr uint64_t kRun = 65'536;

  // Both outlive it. Looks at which runs are there.
  static Result<HashIndex> open(StoreDirectory& directory, const HeaderLog& log);

  // Headers that were appended to the log, the first of number `first`: what is told here need not
  // be read back for the run it belongs to.
  void note(uint64_t first, std::span<const StoredHeader> headers);
  // Makes at most one run that the log's checkpoint completed. True: there may be another.
  Result<bool> extend();
  // The number of a canonical header, or nothing. Errors: io_error, bad_checksum (of the log).
  Result<std::optional<uint64_t>> find(const Hash256& hash);

  uint64_t covered() const { return log_->first() + kRun * runs_.size(); }

 private:
  HashIndex(StoreDirectory& directory, const HeaderLog& log) : directory_(&directory), log_(&log) {}
  Status trim();
  Result<std::vector<uint64_t>> read_back(uint64_t first) const;
  std::vector<uint64_t> take_noted(uint64_t first);
  Result<std::optional<uint64_t>> find_in(const StoreFile& run, uint64_t first,
                                          const Hash256& hash) const;

  StoreDirectory* directory_;
  const HeaderLog* log_;
  std::vector<std::unique_ptr<StoreFile>> runs_;
  uint64_t rewinds_ = UINT64_MAX;  // of the log, when the runs were looked at
  // Of headers in a row from noted_first_ on, the hashes' first eight bytes as big-endian numbers.
  std::vector<uint64_t> noted_;
  uint64_t noted_first_ = 0;
};

}  // namespace beamline::chain
