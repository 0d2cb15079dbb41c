// Bytes and roots of beacon containers as @lodestar/types computes them: tests/vectors holds a few,
// BEAMLINE_SSZ_ORACLE names a larger file of the same form (tests/vectors/beacon_ssz.mjs makes it).

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/rng.h"
#include "codec/beacon_block.h"
#include "codec/hex.h"
#include "codec/reqresp_messages.h"

namespace beamline {
namespace {

struct Vector {
  std::string preset, container;
  std::vector<uint8_t> bytes;
  Root root, block_root, body_root;
};

std::vector<Vector> load(const std::string& path) {
  std::vector<Vector> vectors;
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string bytes, root, block_root, body_root;
    Vector vector;
    words >> vector.preset >> vector.container >> bytes >> root >> block_root >> body_root;
    vector.bytes = *parse_hex(bytes, 1 << 24);
    vector.root = *parse_hash256(root);
    if (!block_root.empty()) {
      vector.block_root = *parse_hash256(block_root);
      vector.body_root = *parse_hash256(body_root);
    }
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

std::vector<Vector> committed() {
  return load(BEAMLINE_SOURCE_DIR "/tests/vectors/beacon_ssz.txt");
}

const BeaconTypes& types_of(const std::string& preset) {
  static const BeaconTypes mainnet(Preset::mainnet());
  static const BeaconTypes minimal(Preset::minimal());
  return preset == "minimal" ? minimal : mainnet;
}

const ssz::Type* type_of(const Vector& vector) {
  const std::string& name = vector.container;
  if (name == "SignedBeaconBlock") {
    return &types_of(vector.preset).signed_beacon_block(Fork::phase0);
  }
  if (name == "Attestation") return &types_of(vector.preset).attestation();
  if (name == "BeaconBlockHeader") return &BeaconBlockHeader::ssz_type();
  if (name == "Checkpoint") return &Checkpoint::ssz_type();
  if (name == "ForkData") return &ForkData::ssz_type();
  if (name == "Status") return &StatusV1::ssz_type();
  if (name == "MetaDataV1") return &MetaDataV1::ssz_type();
  if (name == "MetaDataV2") return &MetaDataV2::ssz_type();
  if (name == "BlocksByRange") return &BlocksByRange::ssz_type();
  if (name == "Ping") return &Ping::ssz_type();
  if (name == "Goodbye") return &Goodbye::ssz_type();
  return nullptr;
}

void check_all(const std::vector<Vector>& vectors) {
  ssz::Hasher hasher;
  for (const Vector& vector : vectors) {
    SCOPED_TRACE(vector.preset + " " + vector.container);
    const ssz::Type* type = type_of(vector);
    ASSERT_NE(type, nullptr);
    const auto view = ssz::View::parse(*type, vector.bytes);
    ASSERT_TRUE(view) << to_string(view.error());
    EXPECT_EQ(hasher.hash_tree_root(*view), vector.root);
    if (vector.container != "SignedBeaconBlock") continue;
    const auto block = SignedBlockView::parse(types_of(vector.preset), Fork::phase0, vector.bytes);
    ASSERT_TRUE(block);
    EXPECT_EQ(block->block_root(hasher), vector.block_root);
    EXPECT_EQ(block->body_root(hasher), vector.body_root);
    EXPECT_EQ(block->slot(), *SignedBlockView::peek_slot(vector.bytes));
    // The header with the body's root has the root of the block.
    const BeaconBlockHeader header{block->slot(), block->proposer_index(), block->parent_root(),
                                   block->state_root(), vector.body_root};
    EXPECT_EQ(*ssz::hash_tree_root(header, hasher), vector.block_root);
  }
}

TEST(BeaconOracle, BlocksAndMessagesHaveLodestarsRoots) {
  const std::vector<Vector> vectors = committed();
  EXPECT_GE(vectors.size(), 27u);
  check_all(vectors);
}

TEST(BeaconOracle, ManyValues) {
  const char* path = std::getenv("BEAMLINE_SSZ_ORACLE");
  if (path == nullptr) GTEST_SKIP() << "BEAMLINE_SSZ_ORACLE names no file";
  check_all(load(path));
}

template <class T>
void expect_round_trip(const Vector& vector) {
  const auto value = ssz::decode<T>(vector.bytes);
  ASSERT_TRUE(value);
  std::vector<uint8_t> again;
  ASSERT_TRUE(ssz::encode(*value, again));
  EXPECT_EQ(again, vector.bytes);
  const auto fixed = ssz::encode_fixed(*value);
  EXPECT_TRUE(equal(fixed, vector.bytes));
  ssz::Hasher hasher;
  EXPECT_EQ(*ssz::hash_tree_root(*value, hasher), vector.root);
}

TEST(BeaconOracle, OwnedMessagesComeBackAsTheSameBytes) {
  for (const Vector& vector : committed()) {
    SCOPED_TRACE(vector.preset + " " + vector.container);
    const std::string& name = vector.container;
    if (name == "BeaconBlockHeader") expect_round_trip<BeaconBlockHeader>(vector);
    if (name == "Checkpoint") expect_round_trip<Checkpoint>(vector);
    if (name == "ForkData") expect_round_trip<ForkData>(vector);
    if (name == "Status") expect_round_trip<StatusV1>(vector);
    if (name == "MetaDataV1") expect_round_trip<MetaDataV1>(vector);
    if (name == "MetaDataV2") expect_round_trip<MetaDataV2>(vector);
    if (name == "BlocksByRange") expect_round_trip<BlocksByRange>(vector);
    if (name == "Ping") expect_round_trip<Ping>(vector);
    if (name == "Goodbye") expect_round_trip<Goodbye>(vector);
  }
}

// A real block, cut short anywhere or with something behind it, is refused with a place.
TEST(BeaconOracle, EveryTruncationOfABlockIsATypedError) {
  for (const Vector& vector : committed()) {
    const ssz::Type& type = *type_of(vector);
    for (size_t size = 0; size < vector.bytes.size(); ++size) {
      // At its exact size, so that a read behind the end is seen.
      const std::vector<uint8_t> cut(vector.bytes.begin(),
                                     vector.bytes.begin() + static_cast<ptrdiff_t>(size));
      const auto view = ssz::View::parse(type, cut);
      if (view) {  // some other value of a type of variable size: then it is hashed as one
        EXPECT_FALSE(type.is_fixed());
        ssz::Hasher().hash_tree_root(*view);
        continue;
      }
      EXPECT_LE(view.error().offset, size);
      EXPECT_STRNE(view.error().field, "");
    }
  }
}

// What passes the check can be read in full: the walk of the hasher touches every byte.
TEST(BeaconOracle, DamagedBlocksAreRefusedOrReadable) {
  const uint64_t seed = 20;
  Rng rng(seed);
  ssz::Hasher hasher;
  size_t refused = 0, accepted = 0;
  for (const Vector& vector : committed()) {
    if (vector.container != "SignedBeaconBlock" && vector.container != "Attestation") continue;
    for (int i = 0; i < 2000; ++i) {
      std::vector<uint8_t> bytes = vector.bytes;
      for (int64_t n = rng.between(1, 4); n > 0; --n) {
        // Offsets are what matters: half of the damage goes where small numbers stand.
        size_t at = rng.below(bytes.size());
        if (rng.chance(1, 2)) {
          while (at > 0 && !(bytes[at] != 0 && at + 2 < bytes.size() && bytes[at + 2] == 0)) --at;
        }
        bytes[at] = static_cast<uint8_t>(rng.next());
      }
      if (rng.chance(1, 8)) bytes.resize(rng.below(bytes.size() + 1));
      bytes.shrink_to_fit();
      const auto view = ssz::View::parse(*type_of(vector), bytes);
      if (!view) {
        ++refused;
        ASSERT_LE(view.error().offset, bytes.size()) << "seed " << seed;
      } else {
        ++accepted;
        hasher.hash_tree_root(*view);
      }
    }
  }
  EXPECT_GT(refused, 1000u);
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace beamline
