#include "loop/sim/options.h"

#include "base/rng.h"

namespace beamline::sim {
namespace {

Rate some(Rng& rng, Rate most) {
  if (rng.chance(1, 2)) return 0;
  return static_cast<Rate>(rng.between(1, most));
}

Duration some(Rng& rng, Duration most) {
  if (rng.chance(1, 2)) return {};
  return {rng.between(1, most.ns)};
}

// A power of two in [2^low, 2^high].
uint32_t power(Rng& rng, int low, int high) {
  return uint32_t{1} << static_cast<uint32_t>(rng.between(low, high));
}

void put(std::string& out, const char* field, int64_t value, int64_t standard) {
  if (value == standard) return;
  if (!out.empty()) out += ' ';
  out += field;
  out += '=';
  out += std::to_string(value);
}

}  // namespace

Options Options::swarm(uint64_t seed) {
  Rng rng(seed ^ 0x5377'6172'6d00'0000ull);
  Options options;
  options.link.latency_min = {rng.between(1'000, 2'000'000)};
  options.link.latency_max = options.link.latency_min + some(rng, milliseconds(5));
  if (rng.chance(1, 3)) options.link.bandwidth = uint64_t{1} << rng.between(18, 30);
  options.link.loss = some(rng, 50'000);
  options.link.duplicate = some(rng, 50'000);
  options.link.reorder = some(rng, 100'000);
  options.send_buffer = power(rng, 8, 17);
  options.receive_buffer = power(rng, 8, 17);
  options.segment = power(rng, 6, 14);
  options.cq_capacity = power(rng, 3, 12);
  options.completion_delay = some(rng, milliseconds(1));
  options.wake_delay = some(rng, milliseconds(1));
  options.schedule_delay = some(rng, milliseconds(1));
  options.short_read = some(rng, kAlways);
  options.short_write = some(rng, kAlways);
  options.reset = some(rng, 2'000);
  options.drop_more = some(rng, 200'000);
  options.accept_error = some(rng, 200'000);
  options.partial_submit = some(rng, 300'000);
  options.spurious_turn = some(rng, 100'000);
  options.cancel_late = some(rng, 500'000);
  if (rng.chance(1, 3)) {
    options.partition_gap = {rng.between(200'000'000, 5'000'000'000)};
    options.partition_length = {rng.between(1'000'000, 3'000'000'000)};
  }
  return options;
}

std::string to_string(const Options& o) {
  const Options d;
  std::string out;
  put(out, "latency_min", o.link.latency_min.ns, d.link.latency_min.ns);
  put(out, "latency_max", o.link.latency_max.ns, d.link.latency_max.ns);
  put(out, "bandwidth", static_cast<int64_t>(o.link.bandwidth), 0);
  put(out, "loss", o.link.loss, 0);
  put(out, "duplicate", o.link.duplicate, 0);
  put(out, "reorder", o.link.reorder, 0);
  put(out, "send_buffer", o.send_buffer, d.send_buffer);
  put(out, "receive_buffer", o.receive_buffer, d.receive_buffer);
  put(out, "segment", o.segment, d.segment);
  put(out, "retransmit", o.retransmit.ns, d.retransmit.ns);
  put(out, "stall_timeout", o.stall_timeout.ns, d.stall_timeout.ns);
  put(out, "connect_timeout", o.connect_timeout.ns, d.connect_timeout.ns);
  put(out, "max_ops", o.max_ops, d.max_ops);
  put(out, "cq_capacity", o.cq_capacity, d.cq_capacity);
  put(out, "udp_queue", o.udp_queue, d.udp_queue);
  put(out, "turn_cost", o.turn_cost.ns, d.turn_cost.ns);
  put(out, "completion_delay", o.completion_delay.ns, 0);
  put(out, "wake_delay", o.wake_delay.ns, 0);
  put(out, "schedule_delay", o.schedule_delay.ns, 0);
  put(out, "short_read", o.short_read, 0);
  put(out, "short_write", o.short_write, 0);
  put(out, "reset", o.reset, 0);
  put(out, "drop_more", o.drop_more, 0);
  put(out, "accept_error", o.accept_error, 0);
  put(out, "partial_submit", o.partial_submit, 0);
  put(out, "spurious_turn", o.spurious_turn, 0);
  put(out, "cancel_late", o.cancel_late, 0);
  put(out, "partition_gap", o.partition_gap.ns, 0);
  put(out, "partition_length", o.partition_length.ns, 0);
  return out.empty() ? "defaults" : out;
}

}  // namespace beamline::sim
