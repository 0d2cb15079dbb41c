#include "bench/chain_flood.h"

#include <ctime>

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/rng.h"
#include "codec/snappy.h"
#include "crypto/sha256.h"
#include "tests/chain/blocks.h"

namespace beamline::bench {
namespace {

constexpr size_t kBlockBytes = 32 * 1024;
constexpr size_t kSiblings = 8;  // of each slot: what can be verified side by side
// More than a second can take, also where all wait for a parent and none is verified.
constexpr size_t kFloodBlocks = 64 * 1024;

int64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

MonoTime mono_now() { return MonoTime{read_clock(CLOCK_MONOTONIC)}; }
Now clock_now() { return {mono_now(), WallTime::from_unix(1'000'000'000)}; }

void verify() {
  const int64_t end = read_clock(CLOCK_THREAD_CPUTIME_ID) + kVerification.ns;
  while (read_clock(CLOCK_THREAD_CPUTIME_ID) < end) {
    for (volatile int spin = 0; spin < 1000;) spin = spin + 1;
  }
}

void encode(const SharedBytes& bytes) { BL_CHECK(snappy_compress(bytes.bytes()).size() != 0); }

chain::ChainConfig Flood::config() {
  chain::ChainConfig config = chain::testing::make_config();
  config.import = chain::ChainConfig::Import::ask;
  config.limits.serve_rate = 1024;
  return config;
}

Flood::Flood() {
  using chain::testing::make_block;
  served_ = chain::testing::make_chain(config().anchor.root, 1, kServedBlocks, kBlockBytes);
  Root parent = served_.back().root;
  for (Slot slot = kServedBlocks + 1; flood_.size() < kFloodBlocks; ++slot) {
    for (size_t i = 0; i < kSiblings; ++i) flood_.push_back(make_block(parent, slot, i + 1));
    parent = flood_[flood_.size() - kSiblings].root;
  }
  // Half of it compresses away, as a block's attestations do.
  compressed_ = snappy_compress(SharedBytes::build(kBlockBytes, [](MutableBytes out) {
                                  Rng rng(1);
                                  for (size_t i = 0; i < out.size(); ++i) {
                                    out[i] = i % 64 < 32 ? static_cast<uint8_t>(rng.next()) : 0;
                                  }
                                }).bytes());
}

const chain::BlockInfo* Flood::next() {
  const size_t index = taken_.fetch_add(1, std::memory_order_relaxed);
  return index < flood_.size() ? &flood_[index] : nullptr;
}

chain::BlockInfo Flood::decode(const chain::BlockInfo& block) const {
  chain::BlockInfo decoded = block;
  decoded.signed_bytes = *snappy_uncompress(compressed_.bytes(), kBlockBytes);
  BL_CHECK(sha256(decoded.signed_bytes.bytes()) != block.root);  // hashed, and not left out
  return decoded;
}

void prepare(chain::Chain& chain, const Flood& flood) {
  const auto give = [&](chain::Event event) {
    BL_CHECK(chain.handle(clock_now(), std::move(event)).has_value());
  };
  for (uint32_t peer = 0; peer < kPeers; ++peer) give(chain::PeerUp{{peer, 1}});
  for (const chain::BlockInfo& block : flood.served()) {
    give(chain::OwnBlock{block});
    chain.end_of_turn(clock_now());
    while (auto command = chain.poll_command()) {
      if (const auto* ask = std::get_if<chain::ImportBlock>(&*command)) {
        give(chain::ImportVerdict{ask->import, chain::Verdict::valid});
      }
    }
  }
  BL_CHECK(chain.tree().contains(flood.served().back().root));
}

chain::IncomingByRange ask_all(chain::PeerHandle peer, chain::ServeId serve) {
  return {peer, serve, 1, kServedBlocks};
}

}  // namespace beamline::bench
