// Our own address as others see it: each PONG says where our PING came from. A majority of voters
// of different networks decides; one network has one vote.
//
// Thread rule: one thread. Sans-IO. One instance per address family. As geth's netutil.IPTracker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/endpoint.h"
#include "base/time.h"

namespace beamline::discovery {

class AddressVote {
 public:
  struct Config {
    size_t max_voters = 128;  // oldest out
    size_t min_votes = 10;    // before anything is believed
    Duration window = seconds(300);
  };
  struct Stats {
    uint64_t votes = 0, refused_unusable = 0, refused_scope = 0, displaced = 0, changes = 0;
  };

  AddressVote() : AddressVote(Config{}) {}
  explicit AddressVote(const Config& config);

  // `voter` says that we are at `claimed`. Loopback or LAN counts only from such voters.
  void vote(const Endpoint& voter, const Endpoint& claimed, Now now);
  // What more than half of the votes within the window name; nullopt without a majority or below
  // min_votes.
  std::optional<Endpoint> address(Now now);
  // The same, once per change: what the next version of our record should say.
  std::optional<Endpoint> poll_change(Now now);
  size_t voters() const { return votes_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  struct Vote {
    uint64_t voter;  // its network
    Endpoint claimed;
    MonoTime at;
  };
  Config config_;
  std::vector<Vote> votes_;
  Endpoint last_;
  Stats stats_;
};

}  // namespace beamline::discovery
