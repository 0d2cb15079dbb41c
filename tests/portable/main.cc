// What of crypto/ and codec/ needs no library, compiled for another machine and run on it: known
// answers, and the oracle's vectors. No GoogleTest, which would have to be there for that machine.
//
//   main BEACON_SSZ_TXT    prints what failed, and at the end a digest of what must not depend on
//                          the machine

#include <cstdio>
#include <string_view>

#include "base/rng.h"
#include "codec/base32.h"
#include "codec/base58.h"
#include "codec/base64url.h"
#include "codec/crc32c.h"
#include "codec/rlp.h"
#include "codec/uvarint.h"
#include "crypto/keccak.h"
#include "crypto/keccak_rounds.h"
#include "crypto/sha256.h"
#include "tests/codec/oracle_lines.h"

namespace beamline {

// Crypto++ is not there for the other machine; the fallback is never reached.
void keccak_internal::cryptopp_permute(uint64_t* state) { scalar_permute(state); }

namespace {

int failures = 0;

void expect(bool right, const char* what) {
  if (right) return;
  ++failures;
  std::printf("failed: %s\n", what);
}

void check_hashes(Rng& rng) {
  expect(to_hex(sha256(as_bytes("abc")).view()) ==
             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "sha256");
  expect(to_hex(keccak256({}).view()) ==
             "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
         "keccak256");
  expect(crc32c(as_bytes("123456789")) == 0xe3069283, "crc32c");
  for (size_t count = 0; count < 20; ++count) {
    std::vector<uint8_t> pairs(64 * count), hashes(32 * count), message(count * 37);
    rng.fill(pairs);
    rng.fill(message);
    sha256_pairs(pairs.data(), hashes.data(), count);
    std::vector<Bytes> messages(count, message);
    std::vector<Hash256> many(count);
    keccak256_many(messages, many);
    for (size_t i = 0; i < count; ++i) {
      const Hash256 one = sha256(Bytes(pairs).subspan(64 * i, 64));
      expect(equal(one.view(), Bytes(hashes).subspan(32 * i, 32)), "sha256_pairs");
      expect(many[i] == keccak256(message), "keccak256_many");
    }
  }
}

void check_formats(Rng& rng) {
  for (size_t size = 0; size < 100; ++size) {
    std::vector<uint8_t> bytes(size), encoded;
    rng.fill(bytes);
    expect(*parse_base64url(to_base64url(bytes)) == bytes, "base64url");
    expect(*parse_base32(to_base32(bytes)) == bytes, "base32");
    expect(*parse_base58(to_base58(bytes)) == bytes, "base58");
    const uint64_t number = rng.next() >> rng.below(64);
    rlp::Writer writer(encoded);
    const auto mark = writer.begin_list();
    writer.string(bytes);
    writer.uint(number);
    writer.end_list(mark);
    rlp::Reader list = *rlp::parse_list(encoded, "list");
    expect(equal(*list.string("string"), bytes) && *list.uint("uint") == number && list.at_end(),
           "rlp");
    encoded.clear();
    append_uvarint(number, encoded);
    expect(read_uvarint(encoded).value == number, "uvarint");
  }
}

void check_containers(const char* path) {
  const std::vector<oracle::Vector> vectors = oracle::load(path);
  expect(vectors.size() > 50, path);
  ssz::Hasher hasher;
  for (const oracle::Vector& vector : vectors) {
    const ssz::Type* const type = oracle::type_of(vector);
    const auto view = ssz::View::parse(*type, vector.bytes);
    expect(view && hasher.hash_tree_root(*view) == vector.root, vector.text().c_str());
  }
}

}  // namespace
}  // namespace beamline

int main(int count, char** arguments) {
  using namespace beamline;
  Rng rng(uint64_t{1});
  check_hashes(rng);
  check_formats(rng);
  check_containers(count > 1 ? arguments[1] : "");
  std::vector<uint8_t> stream(10'000);
  rng.fill(stream);
  std::printf("sha256 %s, keccak %s, digest %s\n", sha256_implementation().name,
              keccak_implementation().name, to_hex(sha256(stream).view()).c_str());
  return failures == 0 ? 0 : 1;
}
