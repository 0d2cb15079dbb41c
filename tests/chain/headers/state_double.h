// A state download that takes its time and downloads nothing: a snap sync's phases, by the clock.
// It starts with the first batch of headers. Ranges and insertion need no pivot: what they fetch is
// of whatever root the peers have. When they are done and the headers are all there, the pivot is
// chosen, and what changed meanwhile is healed. A batch is taken in its time, but for the last one,
// which is taken when the state is whole: the one fork-choice update waits for both.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "chain/headers/header_sync.h"

namespace beamline::chain::testing {

class StateDouble {
 public:
  struct Phase {
    std::string_view name;
    int64_t from = 0, to = 0;  // in thousandths of the whole
    std::optional<MonoTime> begun = std::nullopt, ended = std::nullopt;
  };
  // A phase begins, or ends with what it fetched or wrote.
  using OnPhase = std::function<void(MonoTime, std::string_view name, std::optional<uint64_t>)>;

  // `whole`: what it would take alone.
  explicit StateDouble(Duration whole, OnPhase on_phase = nullptr)
      : whole_(whole), on_phase_(std::move(on_phase)) {}

  void stored(MonoTime now, const HeadersStored& batch) {
    if (!started) {
      started = now;
      for (size_t i = 0; i < kHealing; ++i) plan(i, now);
      ready_at_ = now + part(kRanges);
    }
    batches_.push_back({batch, now + kBatchTime});
  }
  // A pivot that is gone is chosen anew.
  void taken_back(MonoTime now, uint64_t number) {
    if (!head_ || head_->number < number) return;
    head_.reset();
    stop_healing(now);
  }
  void head_reached(MonoTime now, const HeadReached& head) {
    if (pivot_at) stop_healing(now);
    head_ = head;
    advance(now);
  }
  // How many batches it has taken since it was last asked.
  size_t advance(MonoTime now) {
    step(now);
    if (started && head_ && !pivot_at && now >= ready_at_) {
      pivot_at = now;
      ++pivots;
      for (size_t i = kHealing; i < phases.size(); ++i) plan(i, now);
      done_at_ = now + part(kWhole - kRanges);
      step(now);
    }
    if (pivot_at && !done && now >= done_at_) done = now;
    while (!batches_.empty() && batches_.front().at <= now && !holds(batches_.front().batch)) {
      batches_.pop_front();
      ++taken_;
    }
    return std::exchange(taken_, 0);
  }
  MonoTime deadline() const {
    MonoTime next = steps_.empty() ? MonoTime::never() : steps_.begin()->first;
    if (started && head_ && !pivot_at) next = std::min(next, ready_at_);
    if (pivot_at && !done) next = std::min(next, done_at_);
    if (!batches_.empty() && !holds(batches_.front().batch)) {
      next = std::min(next, batches_.front().at);
    }
    return next;
  }
  const Phase& phase(std::string_view name) const {
    return *std::ranges::find(phases, name, &Phase::name);
  }

  std::optional<MonoTime> started, pivot_at, done;
  uint64_t pivots = 0;
  std::vector<Phase> phases = {{"account ranges", 0, 400},    {"account insertion", 50, 450},
                               {"storage ranges", 450, 850},  {"storage insertion", 500, 970},
                               {"bytecodes", 700, 970},       {"state healing", 970, 990},
                               {"storage healing", 990, 1000}};

 private:
  static constexpr size_t kHealing = 5;  // the first phase that needs the pivot
  static constexpr int64_t kRanges = 970;
  static constexpr int64_t kWhole = 1000;
  static constexpr Duration kBatchTime = milliseconds(1);
  struct Waiting {
    HeadersStored batch;
    MonoTime at;
  };
  struct Step {
    size_t phase = 0;
    bool end = false;
  };

  Duration part(int64_t thousandths) const { return whole_ * thousandths / kWhole; }
  void plan(size_t i, MonoTime now) {
    const int64_t base = i < kHealing ? 0 : kRanges;
    steps_.emplace(now + part(phases[i].from - base), Step{i, false});
    steps_.emplace(now + part(phases[i].to - base), Step{i, true});
  }
  void step(MonoTime now) {
    while (!steps_.empty() && steps_.begin()->first <= now) {
      const auto [at, step] = *steps_.begin();
      steps_.erase(steps_.begin());
      (step.end ? phases[step.phase].ended : phases[step.phase].begun) = at;
      if (on_phase_) say(at, phases[step.phase], step.end);
    }
  }
  void say(MonoTime at, const Phase& phase, bool end) {
    const auto took = static_cast<uint64_t>(end ? to_seconds(at - *phase.begun) * 1000 : 0);
    on_phase_(at, phase.name, end ? std::optional(took) : std::nullopt);
  }
  void stop_healing(MonoTime now) {
    step(now);
    for (size_t i = kHealing; i < phases.size(); ++i) {
      Phase& phase = phases[i];
      if (phase.begun && !phase.ended && on_phase_) say(now, phase, true);
      phase.begun = phase.ended = std::nullopt;
    }
    std::erase_if(steps_, [](const auto& entry) { return entry.second.phase >= kHealing; });
    pivot_at = done = std::nullopt;
  }
  bool holds(const HeadersStored& batch) const {
    return !done && head_ && batch.first + batch.count > head_->number;
  }

  Duration whole_;
  OnPhase on_phase_;
  std::multimap<MonoTime, Step> steps_;
  std::deque<Waiting> batches_;
  std::optional<HeadReached> head_;
  MonoTime ready_at_{}, done_at_{};
  size_t taken_ = 0;
};

}  // namespace beamline::chain::testing
