// When to look up, and what: our own id at the start, random targets while peers or contacts are
// few (every 500 ms while they bring new nodes, rising to 10 s while they do not), buckets that
// nothing touched, and a refresh each half hour.
//
// Thread rule: one thread. Sans-IO.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/rng.h"
#include "base/time.h"
#include "discovery/table.h"

namespace beamline::discovery {

struct LookupScheduleConfig {
  size_t max_at_once = 3;
  Duration shortest = milliseconds(500);
  Duration longest = seconds(10);
  Duration refresh = seconds(1800);
};

class LookupSchedule {
 public:
  LookupSchedule(const LookupScheduleConfig& config, Now now)
      : config_(config), next_(now.mono), next_refresh_(now.mono) {}

  // The target of a look-up to start now. `wanted`: are peers (or candidates) missing?
  std::optional<NodeId> poll(Table& table, bool wanted, Now now, Rng& rng);
  // Each one that poll() gave ends once. `answered`: how many nodes answered it; with none our own
  // id is looked up again soon. `fresh`: how many of those it brought were new; with none the next
  // random one comes later.
  void finished(size_t answered, size_t fresh, Now now);
  size_t running() const { return running_; }
  MonoTime next_deadline(const Table& table, bool wanted) const;

 private:
  LookupScheduleConfig config_;
  size_t running_ = 0;
  Duration interval_{};
  MonoTime next_;
  MonoTime next_refresh_;
};

}  // namespace beamline::discovery
