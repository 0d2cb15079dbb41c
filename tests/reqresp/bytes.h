// Bodies, chunks and times that the tests of this folder share.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "base/time.h"
#include "codec/sidecar.h"
#include "reqresp/chunk.h"
#include "reqresp/protocol.h"

namespace beamline::reqresp {

using Buffer = std::vector<uint8_t>;

inline Buffer random_bytes(Rng& rng, size_t size) {
  Buffer bytes(size);
  rng.fill(bytes);
  return bytes;
}

// Half of it compresses well, half not at all.
inline Buffer block_like(Rng& rng, size_t size) {
  Buffer bytes(size, 0x5a);
  rng.fill(std::span(bytes).first(size / 2));
  return bytes;
}

inline Buffer to_buffer(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

inline void append(Buffer& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

inline void append_u64(Buffer& to, uint64_t value) {
  for (int i = 0; i < 8; ++i) to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

inline Buffer range_request(uint64_t start, uint64_t count) {
  Buffer body;
  append_u64(body, start);
  append_u64(body, count);
  append_u64(body, 1);
  return body;
}

// A request body that `protocol` has; for lists with `count` items.
inline Buffer valid_request(Protocol protocol, Rng& rng, uint64_t count) {
  const ProtocolInfo& row = info(protocol);
  if (protocol == Protocol::blocks_by_head_v1) {
    Buffer body = random_bytes(rng, 32);
    append_u64(body, count);
    return body;
  }
  if (row.count == Count::field) return range_request(rng.below(1000), count);
  if (row.count == Count::columns) {
    SidecarIds ids{Root{}, std::vector<uint64_t>(count)};
    rng.fill(ids.block_root.bytes);
    return encode_sidecar_request(SidecarKind::columns, std::span(&ids, 1));
  }
  return random_bytes(rng, row.request_min + row.request_step * count);
}

inline Now at(Duration since_start) {
  return {MonoTime{1'000'000'000'000} + since_start,
          WallTime::from_unix(1'700'000'000) + since_start};
}

// Runs `body(rng)` for `count` seeds, or for BEAMLINE_SEED alone; a failure prints its seed.
template <class Body>
void for_seeds(uint64_t count, Body&& body) {
  const char* fixed = std::getenv("BEAMLINE_SEED");
  const uint64_t first = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < first + (fixed != nullptr ? 1 : count); ++seed) {
    SCOPED_TRACE(testing::Message() << "replay: BEAMLINE_SEED=" << seed);
    Rng rng(seed);
    body(rng);
  }
}

}  // namespace beamline::reqresp
