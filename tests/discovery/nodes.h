// Nodes for the tests of discovery: ids without keys, addresses by number, and a clock.
#pragma once

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/time.h"
#include "discovery/node_id.h"
#include "discovery/node_record.h"

namespace beamline::discovery {

inline Now at(Duration since_start) {
  const Duration base = seconds(1'000'000);
  return Now{MonoTime{} + base + since_start, WallTime::from_unix(1'700'000'000) + since_start};
}

inline NodeId random_id(Rng& rng) {
  NodeId id;
  rng.fill(id.bytes);
  return id;
}

// A public address of a /24 of its own for each `network` below 2^20.
inline Endpoint address(uint32_t network, uint8_t host = 1, uint16_t port = 30303) {
  return Endpoint::v4(0x20000000u + (network << 8) + host, port);
}

inline NodeRecord node(const NodeId& id, const Endpoint& udp) {
  NodeRecord record;
  record.id = id;
  record.udp = udp;
  record.tcp_port = udp.port();
  record.protocols = kSpeaksV4;
  return record;
}

// Signed, as far as table and pool can see.
inline NodeRecord with_seq(NodeRecord record, uint64_t seq) {
  record.seq = seq;
  record.enr = SharedBytes::copy(as_bytes("record"));
  return record;
}

// Seeds of a property test: few in the short tier, more with BEAMLINE_LONG; one, from
// BEAMLINE_SEED, to replay a failure.
template <class Run>
void for_seeds(uint64_t few, uint64_t many, Run&& run) {
  if (const char* only = std::getenv("BEAMLINE_SEED")) {
    run(std::strtoull(only, nullptr, 10));
    return;
  }
  const uint64_t count = std::getenv("BEAMLINE_LONG") == nullptr ? few : many;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    SCOPED_TRACE("replay with BEAMLINE_SEED=" + std::to_string(seed));
    run(seed);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace beamline::discovery
