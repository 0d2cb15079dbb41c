// Keccak-256 of ours against Crypto++'s.
#include <array>
#include <vector>

#include <benchmark/benchmark.h>
#include <cryptopp/keccak.h>

#include "base/rng.h"
#include "crypto/keccak.h"

namespace beamline {
namespace {

void set_bytes(benchmark::State& state, size_t size) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(size));
}

std::vector<uint8_t> random_bytes(size_t size) {
  std::vector<uint8_t> bytes(size);
  Rng(uint64_t{1}).fill(bytes);
  return bytes;
}

void BM_KeccakOurs(benchmark::State& state) {
  const std::vector<uint8_t> data = random_bytes(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(keccak256(data));
  set_bytes(state, data.size());
}
BENCHMARK(BM_KeccakOurs)->Arg(32)->Arg(136)->Arg(1024)->Arg(65536);

void BM_KeccakCryptoPp(benchmark::State& state) {
  const std::vector<uint8_t> data = random_bytes(static_cast<size_t>(state.range(0)));
  CryptoPP::Keccak_256 hash;
  std::array<uint8_t, 32> out;
  for (auto _ : state) {
    hash.CalculateDigest(out.data(), data.data(), data.size());
    benchmark::DoNotOptimize(out);
  }
  set_bytes(state, data.size());
}
BENCHMARK(BM_KeccakCryptoPp)->Arg(32)->Arg(136)->Arg(1024)->Arg(65536);

// 1,024 block headers of 600 bytes.
constexpr size_t kHeaders = 1024;
constexpr size_t kHeaderSize = 600;

void BM_KeccakMany(benchmark::State& state) {
  const std::vector<uint8_t> data = random_bytes(kHeaders * kHeaderSize);
  std::vector<Bytes> headers;
  for (size_t i = 0; i < kHeaders; ++i) {
    headers.push_back(Bytes(data).subspan(i * kHeaderSize, kHeaderSize));
  }
  std::vector<Hash256> hashes(kHeaders);
  for (auto _ : state) {
    keccak256_many(headers, hashes);
    benchmark::DoNotOptimize(hashes.data());
  }
  set_bytes(state, data.size());
}
BENCHMARK(BM_KeccakMany);

void BM_KeccakManyCryptoPp(benchmark::State& state) {
  const std::vector<uint8_t> data = random_bytes(kHeaders * kHeaderSize);
  CryptoPP::Keccak_256 hash;
  std::vector<Hash256> hashes(kHeaders);
  for (auto _ : state) {
    for (size_t i = 0; i < kHeaders; ++i) {
      hash.CalculateDigest(hashes[i].bytes.data(), data.data() + i * kHeaderSize, kHeaderSize);
    }
    benchmark::DoNotOptimize(hashes.data());
  }
  set_bytes(state, data.size());
}
BENCHMARK(BM_KeccakManyCryptoPp);

}  // namespace
}  // namespace beamline
