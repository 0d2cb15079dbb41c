// Bytes and roots of beacon containers as @lodestar/types computes them: tests/vectors holds a few,
// and oracle_test.cc has many more made (tests/interop/ssz/beacon_ssz.mjs).

#include "base/rng.h"
#include "tests/codec/oracle.h"

namespace beamline {
namespace {

using namespace oracle;

std::vector<Vector> committed() {
  return load(BEAMLINE_SOURCE_DIR "/tests/vectors/beacon_ssz.txt");
}

TEST(BeaconOracle, ContainersOfEveryForkHaveLodestarsRoots) {
  const std::vector<Vector> vectors = committed();
  EXPECT_GE(vectors.size(), 60u);
  std::set<std::string> blocks;
  for (const Vector& vector : vectors) {
    check(vector);
    if (vector.container == "SignedBeaconBlock") blocks.insert(std::string(name(vector.fork)));
  }
  EXPECT_EQ(blocks.size(), 6u);  // fulu changed nothing in the block
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
  size_t count = 0;
  for (const Vector& vector : committed()) {
    SCOPED_TRACE(vector.text());
    const std::string& name = vector.container;
    const bool fulu = vector.fork >= Fork::fulu;
    ++count;
    if (name == "BeaconBlockHeader") {
      expect_round_trip<BeaconBlockHeader>(vector);
    } else if (name == "Checkpoint") {
      expect_round_trip<Checkpoint>(vector);
    } else if (name == "ForkData") {
      expect_round_trip<ForkData>(vector);
    } else if (name == "ENRForkID") {
      expect_round_trip<EnrForkId>(vector);
    } else if (name == "Status") {
      fulu ? expect_round_trip<StatusV2>(vector) : expect_round_trip<StatusV1>(vector);
    } else if (name == "Metadata") {
      fulu                          ? expect_round_trip<MetaDataV3>(vector)
      : vector.fork == Fork::phase0 ? expect_round_trip<MetaDataV1>(vector)
                                    : expect_round_trip<MetaDataV2>(vector);
    } else if (name == "BeaconBlocksByRangeRequest") {
      expect_round_trip<BlocksByRange>(vector);
    } else if (name == "BeaconBlocksByHeadRequest") {
      expect_round_trip<BlocksByHead>(vector);
    } else if (name == "BlobSidecarsByRangeRequest") {
      expect_round_trip<BlobSidecarsByRange>(vector);
    } else if (name == "Ping") {
      expect_round_trip<Ping>(vector);
    } else if (name == "Goodbye") {
      expect_round_trip<Goodbye>(vector);
    } else {
      --count;
    }
  }
  EXPECT_GE(count, 13u);
}

// A real block, cut short anywhere or with something behind it, is refused with a place.
TEST(BeaconOracle, EveryTruncationOfABlockIsATypedError) {
  for (const Vector& vector : committed()) {
    if (vector.preset != "minimal") continue;
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
    for (int i = 0; i < 500; ++i) {
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
