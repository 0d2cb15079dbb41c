// Peer scores of gossipsub v1.1: the counters behind P1 to P4 per topic and P7 (with P5 as a number
// of the application), and the weighted sum that the router's thresholds are compared with.
//
// Scores decide, so they are fixed-point integers: the same events give the same score on every
// machine. Source: libp2p/specs gossipsub v1.1, "Peer Scoring".
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace beamline::gossip {

// A number with 24 fractional bits; every operation saturates.
struct Fixed {
  static constexpr int kBits = 24;
  int64_t raw = 0;

  static constexpr Fixed from(int64_t whole) { return Fixed{saturate(__int128{whole} << kBits)}; }
  // numerator / denominator; for weights and decays. REQUIRES: denominator != 0.
  static constexpr Fixed ratio(int64_t numerator, int64_t denominator) {
    return Fixed{saturate((__int128{numerator} << kBits) / denominator)};
  }
  constexpr int64_t whole() const { return raw >> kBits; }

  friend constexpr auto operator<=>(Fixed, Fixed) = default;
  friend constexpr Fixed operator+(Fixed a, Fixed b) {
    return Fixed{saturate(__int128{a.raw} + b.raw)};
  }
  friend constexpr Fixed operator-(Fixed a, Fixed b) {
    return Fixed{saturate(__int128{a.raw} - b.raw)};
  }
  friend constexpr Fixed operator*(Fixed a, Fixed b) {
    return Fixed{saturate((__int128{a.raw} * b.raw) >> kBits)};
  }

 private:
  static constexpr int64_t saturate(__int128 value) {
    return value > INT64_MAX   ? INT64_MAX
           : value < INT64_MIN ? INT64_MIN
                               : static_cast<int64_t>(value);
  }
};

// Of one topic. The defaults suit beacon_block; P3 is off until a rate is known (weight 0).
struct TopicScoreParams {
  Fixed weight = Fixed::ratio(1, 2);
  // P1, time in mesh.
  Fixed mesh_time_weight = Fixed::ratio(324, 10'000);
  Duration mesh_time_quantum = seconds(12);
  Fixed mesh_time_cap = Fixed::from(300);
  // P2, first deliveries.
  Fixed first_weight = Fixed::from(1);
  Fixed first_decay = Fixed::ratio(994, 1000);
  Fixed first_cap = Fixed::from(23);
  // P3 and P3b, deliveries in the mesh, and their deficit at the time of a prune.
  Fixed mesh_weight = {};
  Fixed mesh_decay = Fixed::ratio(993, 1000);
  Fixed mesh_threshold = {};
  Fixed mesh_cap = Fixed::from(100);
  Duration mesh_activation = seconds(384);
  Duration mesh_window = seconds(2);  // near-first: after the verdict
  Fixed failure_weight = {};
  Fixed failure_decay = Fixed::ratio(993, 1000);
  // P4, invalid messages; squared.
  Fixed invalid_weight = Fixed::from(-215);
  Fixed invalid_decay = Fixed::ratio(9971, 10'000);
};

struct ScoreParams {
  Fixed gossip_threshold = Fixed::from(-4000);
  Fixed publish_threshold = Fixed::from(-8000);
  Fixed graylist_threshold = Fixed::from(-16'000);
  Fixed opportunistic_graft_threshold = Fixed::from(5);
  Fixed topic_cap = Fixed::from(54);  // of the sum over topics; negative sums are not capped
  Fixed application_weight = Fixed::from(1);
  // P7, behaviour: the square of what exceeds the threshold.
  Fixed behaviour_weight = Fixed::ratio(-159, 10);
  Fixed behaviour_threshold = Fixed::from(6);
  Fixed behaviour_decay = Fixed::ratio(986, 1000);
  Duration decay_interval = seconds(12);
  Fixed decay_to_zero = Fixed::ratio(1, 100);
};

// The counters of one peer. Topic parameters are passed in, because topics are the router's.
class PeerScore {
 public:
  struct TopicCounters {
    uint16_t topic = 0;
    bool in_mesh = false;
    MonoTime grafted;
    Fixed first;
    Fixed mesh;
    Fixed failure;
    Fixed invalid;
  };

  void grafted(uint16_t topic, MonoTime now);
  // Left the mesh, for whatever reason: the deficit of deliveries becomes sticky (P3b).
  void pruned(uint16_t topic, const TopicScoreParams& params, MonoTime now);
  // First to deliver a message that was accepted (P2, and P3 in the mesh).
  void delivered_first(uint16_t topic, const TopicScoreParams& params);
  // Delivered it too, while it was being validated or within the window after (P3).
  void delivered_near_first(uint16_t topic, const TopicScoreParams& params);
  // Delivered a message that was rejected (P4).
  void delivered_invalid(uint16_t topic);
  // Misbehaved (P7).
  void penalize(int64_t count = 1) { behaviour_ = behaviour_ + Fixed::from(count); }
  void set_application(Fixed score) { application_ = score; }

  // One decay interval. `topics` is indexed by topic.
  void decay(const ScoreParams& params, const TopicScoreParams* const* topics);
  Fixed total(const ScoreParams& params, const TopicScoreParams* const* topics, MonoTime now) const;

  Fixed behaviour() const { return behaviour_; }
  // Of a topic; zeros if it has none.
  TopicCounters counters(uint16_t topic) const;

 private:
  TopicCounters& at(uint16_t topic);

  std::vector<TopicCounters> topics_;  // sorted by topic, only those with history
  Fixed behaviour_;
  Fixed application_;
};

}  // namespace beamline::gossip
