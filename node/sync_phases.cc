#include "node/sync_phases.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "base/check.h"

namespace beamline::node {
namespace {

constexpr const char* kFile = "phases.log";

std::string seconds_text(uint64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%" PRIu64 ".%03u s", ms / 1000,
                static_cast<unsigned>(ms % 1000));
  return text;
}

}  // namespace

Result<SyncPhases> SyncPhases::open(chain::StoreDirectory& directory, bool fresh) {
  auto file = directory.open(kFile);
  if (!file) return std::unexpected(file.error());
  SyncPhases phases(std::move(*file));
  if (fresh) {
    if (Status cut = phases.file_->truncate(0); !cut) return std::unexpected(cut.error());
    return phases;
  }
  std::vector<uint8_t> bytes(std::min<uint64_t>(phases.file_->size(), 1u << 20));
  const auto read = phases.file_->read(0, bytes);
  if (!read) return std::unexpected(read.error());
  phases.read({bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(*read)});
  return phases;
}

// Lines: `begin MS NAME`, `end MS COUNT NAME`, `outcome WORD`. What a crash cut is not a line.
void SyncPhases::read(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) return;
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    uint64_t ms = 0;
    uint64_t count = 0;
    int used = 0;
    if (std::sscanf(line.c_str(), "begin %" SCNu64 " %n", &ms, &used) == 1 && used > 0) {
      phases_.push_back({.name = line.substr(static_cast<size_t>(used)), .begun_ms = ms});
    } else if (std::sscanf(line.c_str(), "end %" SCNu64 " %" SCNu64 " %n", &ms, &count, &used) ==
                   2 &&
               used > 0) {
      const std::string name = line.substr(static_cast<size_t>(used));
      for (SyncPhase& phase : phases_) {
        if (phase.name != name || phase.duration_ms || ms < phase.begun_ms) continue;
        phase.duration_ms = ms - phase.begun_ms;
        phase.count = count;
      }
    } else if (line.starts_with("outcome ")) {
      outcome_ = line.substr(8);
    }
  }
}

Status SyncPhases::write(const std::string& line) {
  if (Status written = file_->append(as_bytes(line)); !written) return written;
  return file_->sync();
}

Status SyncPhases::begin(std::string_view name, uint64_t now_ms) {
  BL_CHECK(std::find(std::begin(kSyncPhases), std::end(kSyncPhases), name) !=
           std::end(kSyncPhases));
  const std::string line = "begin " + std::to_string(now_ms) + " " + std::string(name) + "\n";
  read(line);
  return write(line);
}

Status SyncPhases::end(std::string_view name, uint64_t count, uint64_t now_ms) {
  const std::string line = "end " + std::to_string(now_ms) + " " + std::to_string(count) + " " +
                           std::string(name) + "\n";
  read(line);
  return write(line);
}

Status SyncPhases::outcome(std::string_view what) {
  const std::string line = "outcome " + std::string(what) + "\n";
  read(line);
  return write(line);
}

std::string report_text(const SyncPhases& phases, uint64_t now_ms) {
  if (phases.phases().empty()) return "no sync was begun here\n";
  std::string text = "phase               count        start        duration\n";
  const uint64_t zero = phases.phases().front().begun_ms;
  for (const std::string_view name : kSyncPhases) {
    for (const SyncPhase& phase : phases.phases()) {
      if (phase.name != name) continue;
      char line[160];
      const std::string took =
          phase.duration_ms ? seconds_text(*phase.duration_ms) : std::string("unfinished");
      std::snprintf(line, sizeof line, "%-18s %8s %12s %15s\n", phase.name.c_str(),
                    phase.duration_ms ? std::to_string(phase.count).c_str() : "-",
                    ("+" + seconds_text(phase.begun_ms - zero)).c_str(), took.c_str());
      text += line;
    }
  }
  const std::string ago = seconds_text(now_ms > zero ? now_ms - zero : 0);
  text += "begun " + ago + " ago; outcome: ";
  text += phases.outcome().empty() ? "none: it was killed, or still runs" : phases.outcome();
  return text + "\n";
}

}  // namespace beamline::node
