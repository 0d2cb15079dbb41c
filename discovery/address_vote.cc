#include "discovery/address_vote.h"

#include <algorithm>

#include "discovery/ip_limits.h"

namespace beamline::discovery {

AddressVote::AddressVote(const Config& config) : config_(config) {}

void AddressVote::vote(const Endpoint& voter, const Endpoint& claimed, Now now) {
  if (!is_usable(claimed)) {
    ++stats_.refused_unusable;
    return;
  }
  if (!relay_allowed(voter, claimed)) {
    ++stats_.refused_scope;
    return;
  }
  const uint64_t subnet = subnet_of(voter);
  const uint64_t key = subnet != 0 ? subnet : address_key(voter) ^ voter.port();
  const auto same = std::find_if(votes_.begin(), votes_.end(),
                                 [key](const Vote& vote) { return vote.voter == key; });
  if (same != votes_.end()) {
    votes_.erase(same);
  } else if (votes_.size() >= config_.max_voters) {
    votes_.erase(votes_.begin());
    ++stats_.displaced;
  }
  votes_.push_back({key, claimed, now.mono});
  ++stats_.votes;
}

std::optional<Endpoint> AddressVote::address(Now now) {
  std::erase_if(votes_, [&](const Vote& vote) { return vote.at + config_.window <= now.mono; });
  if (votes_.size() < config_.min_votes) return std::nullopt;
  for (const Vote& vote : votes_) {
    const auto agree =
        static_cast<size_t>(std::count_if(votes_.begin(), votes_.end(), [&](const Vote& other) {
          return other.claimed == vote.claimed;
        }));
    if (agree * 2 > votes_.size()) return vote.claimed;
  }
  return std::nullopt;
}

std::optional<Endpoint> AddressVote::poll_change(Now now) {
  const auto found = address(now);
  if (!found || *found == last_) return std::nullopt;
  last_ = *found;
  ++stats_.changes;
  return found;
}

}  // namespace beamline::discovery
