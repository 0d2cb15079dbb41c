#include "loop/sim/world.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "base/check.h"
#include "loop/sim/backend.h"
#include "loop/sim/network.h"

namespace beamline::sim {
namespace {

uint64_t mix(uint64_t hash, uint64_t value) {
  // The finaliser of splitmix64 over the running hash: any changed bit changes about half.
  uint64_t x = hash ^ (value + 0x9e37'79b9'7f4a'7c15ull + (hash << 6) + (hash >> 2));
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11ebull;
  return x ^ (x >> 31);
}

}  // namespace

const char* name(Record record) {
  switch (record) {
    case Record::turn:
      return "turn";
    case Record::wake:
      return "wake";
    case Record::completion:
      return "completion";
    case Record::segment:
      return "segment";
    case Record::datagram:
      return "datagram";
    case Record::reset:
      return "reset";
    case Record::partition:
      return "partition";
    case Record::user:
      return "user";
  }
  return "unknown";
}

World::World(uint64_t seed, const Options& options)
    : seed_(seed),
      options_(options),
      rng_(seed),
      ties_(rng_.fork()),
      net_(std::make_unique<Network>(*this)) {
  BL_CHECK(options_.turn_cost.ns > 0);
  BL_CHECK(options_.segment > 0 && options_.send_buffer > 0 && options_.receive_buffer > 0);
  if (options_.partition_gap.ns > 0) plan_partition();
}

World::~World() {
  for (const SimBackend* backend : backends_) BL_CHECK(backend == nullptr);
}

HostId World::add_host(uint32_t host_order_address) {
  const HostId host = hosts();
  clocks_.push_back({options_.wall_start, now_, 0});
  net_->add_host(host, host_order_address);
  return host;
}

Now World::now(HostId host) const {
  const WallClock& clock = clocks_[host];
  const int64_t passed = (now_ - clock.since).ns;
  const auto gained = static_cast<__int128>(passed) * clock.parts_per_million / 1'000'000;
  return {now_, clock.base + Duration{passed + static_cast<int64_t>(gained)}};
}

void World::step_wall(HostId host, Duration by) {
  clocks_[host].base = now(host).wall + by;
  clocks_[host].since = now_;
}

void World::skew_wall(HostId host, int64_t parts_per_million) {
  BL_CHECK(parts_per_million > -1'000'000);
  step_wall(host, {});
  clocks_[host].parts_per_million = parts_per_million;
}

bool World::later(const Entry& a, const Entry& b) {
  if (a.time != b.time) return a.time > b.time;
  if (a.tie != b.tie) return a.tie > b.tie;
  return a.sequence > b.sequence;
}

void World::push(MonoTime time, Action action, bool background) {
  BL_CHECK(time != MonoTime::never());
  if (!background) ++foreground_;
  heap_.push_back({std::max(time, now_), next_tie(), sequence_++, std::move(action), background});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

bool World::step() { return step_before(MonoTime::never()); }

bool World::step_before(MonoTime end) {
  if (heap_.empty() || heap_.front().time > end) {
    if (end != MonoTime::never()) now_ = std::max(now_, end);
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Entry entry = std::move(heap_.back());
  heap_.pop_back();
  now_ = std::max(now_, entry.time);
  ++steps_;
  if (!entry.background) --foreground_;
  entry.action();
  return true;
}

void World::run_until(MonoTime time) {
  BL_CHECK(time != MonoTime::never());
  while (step_before(time)) {
  }
}

bool World::run_until_idle(Duration limit) {
  const MonoTime end = now_ + limit;
  while (foreground_ > 0) {
    if (!step_before(end)) return false;
  }
  return true;
}

void World::calm() {
  options_.link.loss = options_.link.duplicate = options_.link.reorder = 0;
  options_.completion_delay = options_.wake_delay = options_.schedule_delay = {};
  options_.short_read = options_.short_write = options_.reset = options_.drop_more = 0;
  options_.accept_error = options_.partial_submit = options_.spurious_turn = 0;
  options_.cancel_late = 0;
  options_.partition_gap = {};
  net_->calm();
}

void World::record(Record what, uint64_t a, uint64_t b, uint64_t c) {
  digest_ = mix(digest_, static_cast<uint64_t>(now_.ns));
  digest_ = mix(digest_, static_cast<uint64_t>(what));
  digest_ = mix(mix(mix(digest_, a), b), c);
  if (options_.trace) {
    std::fprintf(stderr, "%14.6f ms %-10s %" PRIu64 " %" PRIu64 " %" PRIi64 "\n",
                 static_cast<double>(now_.ns - 1'000'000'000) * 1e-6, name(what), a, b,
                 static_cast<int64_t>(c));
  }
}

bool World::chance(Rate rate) {
  if (rate == 0) return false;
  return tape_.empty() ? rng_.chance(rate, kAlways) : draw(0, 255) * kAlways < 256ull * rate;
}

Duration World::up_to(Duration most) {
  if (most.ns <= 0) return {};
  return {static_cast<int64_t>(draw(0, static_cast<uint64_t>(most.ns)))};
}

uint64_t World::draw(uint64_t low, uint64_t high) {
  if (tape_.empty()) return low + rng_.below(high - low + 1);
  uint64_t value = 0;
  for (uint64_t range = high - low; range > 0 && !tape_.empty(); range >>= 8) {
    value = value << 8 | tape_.front();
    tape_ = tape_.subspan(1);
  }
  return low + value % (high - low + 1);
}

// At equal times, what happens first.
uint64_t World::next_tie() { return tape_.empty() ? ties_.next() : draw(0, 255); }

uint32_t World::add_backend(SimBackend* backend) {
  backends_.push_back(backend);
  return static_cast<uint32_t>(backends_.size() - 1);
}

void World::request_turn(SimBackend& backend, MonoTime earliest) {
  if (earliest == MonoTime::never()) return;
  const MonoTime time = std::max({earliest, backend.busy_until_, now_});
  if (backend.turn_at_ <= time) return;
  backend.turn_at_ = time;
  const uint64_t request = ++backend.turn_request_;
  const uint32_t index = backend.index_;
  push(
      time + up_to(options_.schedule_delay), [this, index, request] { run_turn(index, request); },
      false);
}

void World::run_turn(uint32_t index, uint64_t request) {
  SimBackend* backend = backends_[index];
  // A later request, for an earlier time, has taken the place of this one.
  if (backend == nullptr || backend->turn_request_ != request) return;
  backend->turn_at_ = MonoTime::never();
  if (backend->runnable_ == nullptr || backend->in_turn_ || backend->sleeping_) return;
  record(Record::turn, index);
  backend->begin_turn();
  backend->runnable_->turn();
  if (backends_[index] == backend) backend->end_turn();
}

void World::sleep(SimBackend& backend, MonoTime deadline) {
  while (!backend.has_reason() && now_ < deadline) {
    // Nothing can ever wake this reactor: somebody lost a wake-up.
    BL_CHECK(!heap_.empty() || deadline != MonoTime::never());
    if (!step_before(deadline)) return;
  }
}

void World::plan_partition() {
  const Duration gap{
      static_cast<int64_t>(draw(1, 2 * static_cast<uint64_t>(options_.partition_gap.ns)))};
  push(
      now_ + gap,
      [this] {
        if (options_.partition_gap.ns == 0) return;
        plan_partition();
        if (hosts() < 2) return;
        const auto a = static_cast<HostId>(draw(0, hosts() - 1));
        const auto b = static_cast<HostId>((a + draw(1, hosts() - 1)) % hosts());
        net_->partition(a, b);
        push(now_ + up_to(options_.partition_length), [this, a, b] { net_->heal(a, b); }, true);
      },
      true);
}

}  // namespace beamline::sim
