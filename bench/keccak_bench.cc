// Keccak-256 of ours against Crypto++'s, Botan's, and a sponge on nettle's permutation (nettle has
// SHA-3's padding only). A library that this build did not find is reported as absent.
#include <array>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>
#include <cryptopp/keccak.h>
#ifdef HAVE_BOTAN
#include <botan/keccak.h>
#endif
#ifdef HAVE_NETTLE
#include <nettle/sha3.h>
#endif

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

// The sponge around a permutation, for those that come alone.
template <class Permute>
void sponge(Permute permute, Bytes data, uint8_t* out) {
  constexpr size_t kRate = 136;
  std::array<uint64_t, 25> state{};
  auto* const bytes = reinterpret_cast<uint8_t*>(state.data());
  const auto absorb = [&](const uint8_t* block) {
    for (size_t i = 0; i < kRate / 8; ++i) {
      uint64_t lane = 0;
      std::memcpy(&lane, block + 8 * i, 8);
      state[i] ^= lane;
    }
    permute(state.data());
  };
  for (; data.size() >= kRate; data = data.subspan(kRate)) absorb(data.data());
  std::array<uint8_t, kRate> last{};
  if (!data.empty()) std::memcpy(last.data(), data.data(), data.size());
  last[data.size()] = 0x01;
  last[kRate - 1] |= 0x80;
  absorb(last.data());
  std::memcpy(out, bytes, 32);
}

// Each rival: a name for the message where it is absent, and a hash of 32 bytes.
struct CryptoPp {
  static constexpr const char* kAbsent = nullptr;
  CryptoPP::Keccak_256 hash;
  void operator()(Bytes data, uint8_t* out) { hash.CalculateDigest(out, data.data(), data.size()); }
};

struct Botan {
#ifdef HAVE_BOTAN
  static constexpr const char* kAbsent = nullptr;
  ::Botan::Keccak_1600 hash{256};
  void operator()(Bytes data, uint8_t* out) {
    hash.update(data.data(), data.size());
    hash.final(out);
  }
#else
  static constexpr const char* kAbsent = "absent: Botan (libbotan-2-dev)";
  void operator()(Bytes, uint8_t*) {}
#endif
};

struct Nettle {
#ifdef HAVE_NETTLE
  static constexpr const char* kAbsent = nullptr;
  void operator()(Bytes data, uint8_t* out) {
    const auto permute = [](uint64_t* lanes) {
      // The library's state is these 25 lanes and nothing else.
      static_assert(sizeof(sha3_state) == 200);
      sha3_permute(reinterpret_cast<sha3_state*>(lanes));
    };
    sponge(permute, data, out);
  }
#else
  static constexpr const char* kAbsent = "absent: nettle (nettle-dev)";
  void operator()(Bytes, uint8_t*) {}
#endif
};

// Ours without this CPU's extensions.
struct Scalar {
  static constexpr const char* kAbsent = nullptr;
  void operator()(Bytes data, uint8_t* out) { sponge(scalar(), data, out); }
  static auto scalar() -> void (*)(uint64_t*) {
    for (const KeccakImplementation& one : keccak_implementations()) {
      if (std::strcmp(one.name, "scalar") == 0) return one.permute;
    }
    return nullptr;
  }
};

template <class Hash>
bool ready(benchmark::State& state, Hash& hash) {
  if (Hash::kAbsent != nullptr) {
    state.SkipWithError(Hash::kAbsent);
    return false;
  }
  const std::vector<uint8_t> data = random_bytes(1000);
  Hash256 out;
  hash(data, out.bytes.data());
  if (out == keccak256(data)) return true;
  state.SkipWithError("not Keccak-256");
  return false;
}

template <class Hash>
void BM_Keccak(benchmark::State& state) {
  const std::vector<uint8_t> data = random_bytes(static_cast<size_t>(state.range(0)));
  Hash hash;
  if (!ready(state, hash)) return;
  std::array<uint8_t, 32> out;
  for (auto _ : state) {
    hash(data, out.data());
    benchmark::DoNotOptimize(out);
  }
  set_bytes(state, data.size());
}
BENCHMARK_TEMPLATE(BM_Keccak, CryptoPp)->Arg(32)->Arg(136)->Arg(1024)->Arg(65536);
BENCHMARK_TEMPLATE(BM_Keccak, Botan)->Arg(32)->Arg(136)->Arg(1024)->Arg(65536);
BENCHMARK_TEMPLATE(BM_Keccak, Nettle)->Arg(32)->Arg(136)->Arg(1024)->Arg(65536);
BENCHMARK_TEMPLATE(BM_Keccak, Scalar)->Arg(1024);

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

template <class Hash>
void BM_KeccakOneByOne(benchmark::State& state) {
  const std::vector<uint8_t> data = random_bytes(kHeaders * kHeaderSize);
  Hash hash;
  if (!ready(state, hash)) return;
  std::vector<Hash256> hashes(kHeaders);
  for (auto _ : state) {
    for (size_t i = 0; i < kHeaders; ++i) {
      hash(Bytes(data).subspan(i * kHeaderSize, kHeaderSize), hashes[i].bytes.data());
    }
    benchmark::DoNotOptimize(hashes.data());
  }
  set_bytes(state, data.size());
}
BENCHMARK_TEMPLATE(BM_KeccakOneByOne, CryptoPp);
BENCHMARK_TEMPLATE(BM_KeccakOneByOne, Botan);
BENCHMARK_TEMPLATE(BM_KeccakOneByOne, Nettle);

}  // namespace
}  // namespace beamline
