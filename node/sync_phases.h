// How a sync went, phase by phase: lines in a file of the data directory, written and synced as
// phases begin and end, so that a run that was killed still tells. `beamline sync-report` reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chain/headers/store_file.h"

namespace beamline::node {

// The phases of a state sync, in the order of the report; headers run beside all others.
inline constexpr std::string_view kSyncPhases[] = {
    "headers",           "account ranges", "account insertion", "storage ranges",
    "storage insertion", "state healing",  "storage healing",   "bytecodes"};

struct SyncPhase {
  std::string name;
  uint64_t begun_ms = 0;                               // since the Unix epoch
  std::optional<uint64_t> duration_ms = std::nullopt;  // nothing: it did not end
  uint64_t count = 0;                                  // of what it fetched or wrote
};

class SyncPhases {
 public:
  // The file is made anew when `fresh`: the report is of the last sync.
  static Result<SyncPhases> open(chain::StoreDirectory& directory, bool fresh);

  // Blocks for the disk. `name` is one of kSyncPhases. REQUIRES: not begun, or ended.
  Status begin(std::string_view name, uint64_t now_ms);
  // REQUIRES: begun.
  Status end(std::string_view name, uint64_t count, uint64_t now_ms);
  // How the sync ended, in a word.
  Status outcome(std::string_view what);

  const std::vector<SyncPhase>& phases() const { return phases_; }
  const std::string& outcome() const { return outcome_; }  // empty: it did not end

 private:
  explicit SyncPhases(std::unique_ptr<chain::StoreFile> file) : file_(std::move(file)) {}
  Status write(const std::string& line);
  void read(const std::string& text);

  std::unique_ptr<chain::StoreFile> file_;
  std::vector<SyncPhase> phases_;
  std::string outcome_;
};

// The table that sync-report prints.
std::string report_text(const SyncPhases& phases, uint64_t now_ms);

}  // namespace beamline::node
