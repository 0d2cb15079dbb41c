#include "gossip/score.h"

#include <algorithm>

namespace beamline::gossip {
namespace {

Fixed decayed(Fixed value, Fixed factor, Fixed to_zero) {
  const Fixed next = value * factor;
  return next < to_zero ? Fixed{} : next;
}

Fixed square(Fixed value) { return value * value; }

Fixed deficit(const PeerScore::TopicCounters& c, const TopicScoreParams& p, MonoTime now) {
  const bool active = c.in_mesh && now - c.grafted > p.mesh_activation;
  return active && c.mesh < p.mesh_threshold ? square(p.mesh_threshold - c.mesh) : Fixed{};
}

}  // namespace

PeerScore::TopicCounters& PeerScore::at(uint16_t topic) {
  const auto it = std::ranges::lower_bound(topics_, topic, {}, &TopicCounters::topic);
  if (it != topics_.end() && it->topic == topic) return *it;
  TopicCounters fresh;
  fresh.topic = topic;
  return *topics_.insert(it, fresh);
}

PeerScore::TopicCounters PeerScore::counters(uint16_t topic) const {
  const auto it = std::ranges::lower_bound(topics_, topic, {}, &TopicCounters::topic);
  if (it != topics_.end() && it->topic == topic) return *it;
  return {};
}

void PeerScore::grafted(uint16_t topic, MonoTime now) {
  TopicCounters& c = at(topic);
  c.in_mesh = true;
  c.grafted = now;
}

void PeerScore::pruned(uint16_t topic, const TopicScoreParams& params, MonoTime now) {
  TopicCounters& c = at(topic);
  c.failure = c.failure + deficit(c, params, now);
  c.in_mesh = false;
}

void PeerScore::delivered_first(uint16_t topic, const TopicScoreParams& params) {
  TopicCounters& c = at(topic);
  c.first = std::min(c.first + Fixed::from(1), params.first_cap);
  if (c.in_mesh) c.mesh = std::min(c.mesh + Fixed::from(1), params.mesh_cap);
}

void PeerScore::delivered_near_first(uint16_t topic, const TopicScoreParams& params) {
  TopicCounters& c = at(topic);
  if (c.in_mesh) c.mesh = std::min(c.mesh + Fixed::from(1), params.mesh_cap);
}

void PeerScore::delivered_invalid(uint16_t topic) {
  TopicCounters& c = at(topic);
  c.invalid = c.invalid + Fixed::from(1);
}

void PeerScore::decay(const ScoreParams& params, const TopicScoreParams* const* topics) {
  const Fixed zero = params.decay_to_zero;
  for (TopicCounters& c : topics_) {
    const TopicScoreParams& p = *topics[c.topic];
    c.first = decayed(c.first, p.first_decay, zero);
    c.mesh = decayed(c.mesh, p.mesh_decay, zero);
    c.failure = decayed(c.failure, p.failure_decay, zero);
    c.invalid = decayed(c.invalid, p.invalid_decay, zero);
  }
  std::erase_if(topics_, [](const TopicCounters& c) {
    return !c.in_mesh && c.first == Fixed{} && c.mesh == Fixed{} && c.failure == Fixed{} &&
           c.invalid == Fixed{};
  });
  behaviour_ = decayed(behaviour_, params.behaviour_decay, zero);
}

Fixed PeerScore::total(const ScoreParams& params, const TopicScoreParams* const* topics,
                       MonoTime now) const {
  Fixed sum;
  for (const TopicCounters& c : topics_) {
    const TopicScoreParams& p = *topics[c.topic];
    Fixed topic;
    if (c.in_mesh) {
      const Fixed quanta = Fixed::from((now - c.grafted).ns / p.mesh_time_quantum.ns);
      topic = topic + std::min(quanta, p.mesh_time_cap) * p.mesh_time_weight;
    }
    topic = topic + c.first * p.first_weight;
    topic = topic + deficit(c, p, now) * p.mesh_weight;
    topic = topic + c.failure * p.failure_weight;
    topic = topic + square(c.invalid) * p.invalid_weight;
    sum = sum + topic * p.weight;
  }
  sum = std::min(sum, params.topic_cap);
  sum = sum + application_ * params.application_weight;
  if (behaviour_ > params.behaviour_threshold) {
    sum = sum + square(behaviour_ - params.behaviour_threshold) * params.behaviour_weight;
  }
  return sum;
}

}  // namespace beamline::gossip
