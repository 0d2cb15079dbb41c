// The formats of codec/ against the work that they cannot avoid: a copy of the bytes, raw snappy.
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "base/rng.h"
#include "codec/beacon_types.h"
#include "codec/rlp.h"
#include "codec/snappy.h"
#include "codec/snappy_frame.h"

namespace beamline {
namespace {

void set_bytes(benchmark::State& state, size_t size) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(size));
}

// How many elements a list of this name has in a full mainnet block of today.
size_t list_length(std::string_view name) {
  if (name == "transactions") return 250;
  if (name == "transaction") return 500;
  if (name == "attestations") return 8;
  if (name == "withdrawals" || name == "bls_to_execution_changes") return 16;
  if (name == "blob_kzg_commitments") return 21;
  if (name == "extra_data") return 20;
  return name == "deposits" ? 4 : 0;
}

void append_offset(size_t offset, std::vector<uint8_t>& out) {
  const auto word = static_cast<uint32_t>(offset);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&word);
  out.insert(out.end(), bytes, bytes + sizeof(word));
}

// Random bytes of the type, lists as long as list_length() says.
std::vector<uint8_t> random_value(const ssz::Type& type, Rng& rng) {
  if (type.plain || (type.element != nullptr && type.element->plain)) {
    const size_t count = list_length(type.name);
    std::vector<uint8_t> bytes(type.is_fixed() ? type.fixed_size
                                               : count * type.element->fixed_size);
    rng.fill(bytes);
    return bytes;
  }
  if (type.kind == ssz::Kind::bitlist) {  // the committees of a slot
    std::vector<uint8_t> bits(30'000 / 8 + 1, 0xff);
    bits.back() = 1;
    return bits;
  }
  const bool container = type.kind == ssz::Kind::container;
  const size_t count = container ? type.fields.size() : list_length(type.name);
  std::vector<std::vector<uint8_t>> parts(count);
  size_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    const ssz::Type& child = container ? *type.fields[i].type : *type.element;
    parts[i] = random_value(child, rng);
    offset += child.is_fixed() ? parts[i].size() : ssz::kOffsetSize;
  }
  std::vector<uint8_t> out, tail;
  for (size_t i = 0; i < count; ++i) {
    const ssz::Type& child = container ? *type.fields[i].type : *type.element;
    if (!child.is_fixed()) append_offset(offset + tail.size(), out);
    std::vector<uint8_t>& to = child.is_fixed() ? out : tail;
    to.insert(to.end(), parts[i].begin(), parts[i].end());
  }
  out.insert(out.end(), tail.begin(), tail.end());
  return out;
}

const BeaconTypes& mainnet() {
  static const BeaconTypes types(Preset::mainnet());
  return types;
}

const ssz::Type& block_type() { return mainnet().signed_beacon_block(Fork::fulu); }

const std::vector<uint8_t>& full_block() {
  static const std::vector<uint8_t> bytes = [] {
    Rng rng(uint64_t{1});
    return random_value(block_type(), rng);
  }();
  return bytes;
}

void BM_BlockRoot(benchmark::State& state) {
  const auto view = ssz::View::parse(block_type(), full_block());
  BL_CHECK(view.has_value());
  ssz::Hasher hasher;
  for (auto _ : state) benchmark::DoNotOptimize(hasher.hash_tree_root(view->field(0)));
  set_bytes(state, full_block().size());
}
BENCHMARK(BM_BlockRoot);

void BM_BlockParse(benchmark::State& state) {
  for (auto _ : state) {
    const auto view = ssz::View::parse(block_type(), full_block());
    BL_CHECK(view.has_value());
    benchmark::DoNotOptimize(view->bytes().data());
  }
  set_bytes(state, full_block().size());
}
BENCHMARK(BM_BlockParse);

void BM_BlockCopy(benchmark::State& state) {
  std::vector<uint8_t> out(full_block().size());
  for (auto _ : state) {
    std::memcpy(out.data(), full_block().data(), out.size());
    benchmark::ClobberMemory();
  }
  set_bytes(state, out.size());
}
BENCHMARK(BM_BlockCopy);

void BM_FrameEncode(benchmark::State& state) {
  std::vector<uint8_t> out;
  for (auto _ : state) {
    out.clear();
    append_snappy_frames(full_block(), out);
    benchmark::DoNotOptimize(out.data());
  }
  set_bytes(state, full_block().size());
}
BENCHMARK(BM_FrameEncode);

void BM_RawEncode(benchmark::State& state) {
  std::vector<uint8_t> out(snappy_max_compressed(full_block().size()));
  for (auto _ : state) benchmark::DoNotOptimize(snappy_compress_into(full_block(), out));
  set_bytes(state, full_block().size());
}
BENCHMARK(BM_RawEncode);

void BM_FrameDecode(benchmark::State& state) {
  std::vector<uint8_t> framed, out(full_block().size());
  append_snappy_frames(full_block(), framed);
  SnappyFrameDecoder decoder;
  for (auto _ : state) {
    decoder.start(out);
    BL_CHECK(decoder.feed(framed).has_value() && decoder.done());
  }
  set_bytes(state, out.size());
}
BENCHMARK(BM_FrameDecode);

void BM_RawDecode(benchmark::State& state) {
  const SharedBytes compressed = snappy_compress(full_block());
  std::vector<uint8_t> out(full_block().size());
  for (auto _ : state) BL_CHECK(snappy_uncompress_into(compressed, out).has_value());
  set_bytes(state, out.size());
}
BENCHMARK(BM_RawDecode);

// 1,024 block headers as they are since Cancun, one after the other.
const std::vector<uint8_t>& headers() {
  static const std::vector<uint8_t> bytes = [] {
    Rng rng(uint64_t{2});
    std::vector<uint8_t> out;
    rlp::Writer writer(out);
    for (uint64_t number = 20'000'000; number < 20'001'024; ++number) {
      const auto random = [&](size_t size) {
        std::vector<uint8_t> field(size);
        rng.fill(field);
        writer.string(field);
      };
      const auto mark = writer.begin_list();
      for (const size_t size : {32u, 32u, 20u, 32u, 32u, 32u, 256u}) random(size);
      for (const uint64_t value : {uint64_t{0}, number, uint64_t{36'000'000},
                                   15'000'000 + rng.below(1'000'000), 1'700'000'000 + number}) {
        writer.uint(value);
      }
      for (const size_t size : {20u, 32u, 8u}) random(size);
      writer.uint(7'000'000'000 + rng.below(1'000'000'000));
      random(32);
      writer.uint(131'072 * rng.below(7));
      writer.uint(rng.below(100'000'000));
      random(32);
      writer.end_list(mark);
    }
    return out;
  }();
  return bytes;
}

struct Header {
  Bytes hashes[7];
  uint64_t numbers[5];
  Bytes extra, mix, nonce;
  uint64_t base_fee, blob_gas, excess;
  Bytes withdrawals_root, beacon_root;
};

// False when a field is not of its kind; each is checked as a header's reader has to.
bool read_header(rlp::Reader& reader, Header& header) {
  Result<rlp::Reader> list = reader.list("header");
  if (!list) return false;
  constexpr size_t kSizes[] = {32, 32, 20, 32, 32, 32, 256};
  bool good = true;
  const auto fixed = [&](Bytes& field, size_t size) {
    const Result<Bytes> bytes = list->fixed("hash", size);
    good = good && bytes.has_value();
    if (bytes) field = *bytes;
  };
  const auto number = [&](uint64_t& field) {
    const Result<uint64_t> value = list->uint("number");
    good = good && value.has_value();
    if (value) field = *value;
  };
  for (size_t i = 0; i < 7; ++i) fixed(header.hashes[i], kSizes[i]);
  for (uint64_t& field : header.numbers) number(field);
  fixed(header.extra, 20);
  fixed(header.mix, 32);
  fixed(header.nonce, 8);
  number(header.base_fee);
  fixed(header.withdrawals_root, 32);
  number(header.blob_gas);
  number(header.excess);
  fixed(header.beacon_root, 32);
  return good && list->at_end();
}

void BM_RlpHeaders(benchmark::State& state) {
  Header header{};
  for (auto _ : state) {
    rlp::Reader reader(headers());
    while (!reader.at_end()) BL_CHECK(read_header(reader, header));
    benchmark::DoNotOptimize(&header);
  }
  set_bytes(state, headers().size());
}
BENCHMARK(BM_RlpHeaders);

void BM_HeadersCopy(benchmark::State& state) {
  std::vector<uint8_t> out(headers().size());
  for (auto _ : state) {
    std::memcpy(out.data(), headers().data(), out.size());
    benchmark::ClobberMemory();
  }
  set_bytes(state, out.size());
}
BENCHMARK(BM_HeadersCopy);

void BM_RlpIntegers(benchmark::State& state) {
  Rng rng(uint64_t{3});
  std::vector<uint8_t> items;
  rlp::Writer writer(items);
  for (int i = 0; i < 10'000; ++i) writer.uint(rng.next() >> rng.below(64));
  for (auto _ : state) {
    uint64_t sum = 0;
    rlp::Reader reader(items);
    while (!reader.at_end()) sum += *reader.uint("number");
    benchmark::DoNotOptimize(sum);
  }
  set_bytes(state, items.size());
}
BENCHMARK(BM_RlpIntegers);

}  // namespace
}  // namespace beamline
