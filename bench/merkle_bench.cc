// One level of a Merkle tree: SHA-256 of pairs of hashes.
#include <array>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include "base/rng.h"
#include "crypto/sha256.h"

namespace beamline {
namespace {

constexpr size_t kPairs = 1024;  // 64 KiB: a level that stays in the second-level cache

std::vector<uint8_t> random_level() {
  std::vector<uint8_t> level(kPairs * 64);
  Rng(1).fill(level);
  return level;
}

void set_items(benchmark::State& state) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(kPairs));
}

void BM_MerkleOurs(benchmark::State& state) {
  const std::vector<uint8_t> in = random_level();
  std::vector<uint8_t> out(kPairs * 32);
  for (auto _ : state) {
    sha256_pairs(in.data(), out.data(), kPairs);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  set_items(state);
}
BENCHMARK(BM_MerkleOurs);

// OpenSSL at its best: the algorithm fetched once, one context for all.
void BM_MerkleOpenSsl(benchmark::State& state) {
  const std::vector<uint8_t> in = random_level();
  std::vector<uint8_t> out(kPairs * 32);
  EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  if (md == nullptr || context == nullptr) {
    state.SkipWithError("no SHA256 in OpenSSL");
    return;
  }
  for (auto _ : state) {
    for (size_t i = 0; i < kPairs; ++i) {
      EVP_DigestInit_ex2(context, md, nullptr);
      EVP_DigestUpdate(context, in.data() + i * 64, 64);
      EVP_DigestFinal_ex(context, out.data() + i * 32, nullptr);
    }
    benchmark::ClobberMemory();
  }
  set_items(state);
  EVP_MD_CTX_free(context);
  EVP_MD_free(md);
}
BENCHMARK(BM_MerkleOpenSsl);

}  // namespace
}  // namespace beamline
