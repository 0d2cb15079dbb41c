// The requests for blobs and columns, held against the SSZ types of the specification, and what a
// sidecar says it is of.
#include "codec/sidecar.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "codec/beacon_block.h"

namespace beamline {
namespace {

const BeaconTypes& types() {
  static const BeaconTypes kTypes(Preset::mainnet());
  return kTypes;
}
// The request's type, of the specification's containers.
const ssz::Type& request_type(SidecarKind kind) {
  static const ssz::Type kBlobs =
      ssz::list_of("ids", *types().find("BlobIdentifier", Fork::deneb), kMaxRequestBlobSidecars);
  static const ssz::Type kColumns = ssz::list_of(
      "ids", *types().find("DataColumnsByRootIdentifier", Fork::fulu), kMaxRequestDataBlocks);
  return kind == SidecarKind::blobs ? kBlobs : kColumns;
}
constexpr SidecarKind kBoth[] = {SidecarKind::blobs, SidecarKind::columns};

std::vector<SidecarIds> random_ids(Rng& rng) {
  std::vector<SidecarIds> wanted(1 + rng.below(5));
  for (SidecarIds& ids : wanted) {
    rng.fill(ids.block_root.bytes);
    ids.indices.resize(1 + rng.below(6));
    for (uint64_t& index : ids.indices) index = rng.below(200);
  }
  return wanted;
}

TEST(Sidecar, RequestsAreOfTheSpecificationsTypesAndComeBack) {
  Rng rng(1);
  for (const SidecarKind kind : kBoth) {
    EXPECT_EQ(decode_sidecar_request(kind, {})->size(), 0u);
    for (int i = 0; i < 200; ++i) {
      const auto wanted = random_ids(rng);
      const auto body = encode_sidecar_request(kind, wanted);
      ASSERT_TRUE(ssz::View::parse(request_type(kind), body).has_value());
      const auto back = decode_sidecar_request(kind, body);
      ASSERT_TRUE(back.has_value());
      EXPECT_EQ(*back, wanted);
      uint32_t count = 0;
      for (const SidecarIds& ids : wanted) count += static_cast<uint32_t>(ids.indices.size());
      EXPECT_EQ(count_sidecars(kind, body), count);
    }
  }
}

// Whatever comes: taken exactly where the specification's type takes it.
TEST(Sidecar, HostileRequestsAreRefusedWhereTheTypeRefusesThem) {
  const uint64_t seed = 20'261'121;
  SCOPED_TRACE(seed);
  Rng rng(seed);
  int taken = 0;
  for (const SidecarKind kind : kBoth) {
    for (int i = 0; i < 20'000; ++i) {
      auto body = encode_sidecar_request(kind, random_ids(rng));
      if (rng.below(3) == 0) body.resize(rng.below(body.size() + 10));
      for (uint64_t n = rng.below(3); n > 0 && !body.empty(); --n) {
        body[rng.below(std::min<size_t>(body.size(), 60))] = static_cast<uint8_t>(rng.below(256));
      }
      const bool valid = ssz::View::parse(request_type(kind), body).has_value();
      const auto decoded = decode_sidecar_request(kind, body);
      ASSERT_EQ(decoded.has_value(), valid) << i;
      ASSERT_EQ(count_sidecars(kind, body).has_value(), valid) << i;
      if (!valid) {
        EXPECT_EQ(decoded.error().fault, Fault::peer);
      }
      taken += valid ? 1 : 0;
    }
  }
  EXPECT_GT(taken, 1000);
}

TEST(Sidecar, RequestsOverTheLimitsAreRefused) {
  EXPECT_EQ(count_sidecars(SidecarKind::blobs, std::vector<uint8_t>(40 * 768)), 768u);
  EXPECT_EQ(count_sidecars(SidecarKind::blobs, std::vector<uint8_t>(40 * 769)).error().code,
            Code::too_long);
  std::vector<SidecarIds> many(128, {Root{}, std::vector<uint64_t>(128)});
  EXPECT_EQ(
      count_sidecars(SidecarKind::columns, encode_sidecar_request(SidecarKind::columns, many)),
      128u * 128u);
  std::vector<uint8_t> over(4 * 129 + 36 * 129);
  over[0] = static_cast<uint8_t>(4 * 129 % 256);
  over[1] = static_cast<uint8_t>(4 * 129 / 256);
  EXPECT_EQ(count_sidecars(SidecarKind::columns, over).error().code, Code::too_long);
}

TEST(Sidecar, ItsNameIsTheRootOfTheHeaderInsideAndItsIndex) {
  BeaconBlockHeader header;
  header.slot = 7;
  header.proposer_index = 3;
  header.parent_root.bytes[0] = 9;
  ssz::Hasher hasher;
  const auto encoded = ssz::encode_fixed(header);
  const Root root = hasher.hash_tree_root(ssz::View::trust(BeaconBlockHeader::ssz_type(), encoded));
  std::vector<uint8_t> column(356);
  column[0] = 77;
  for (const size_t offset : {8u, 12u, 16u}) column[offset] = 356 % 256, column[offset + 1] = 1;
  std::copy(encoded.begin(), encoded.end(), column.begin() + 20);
  const auto named = name_sidecar(types(), SidecarKind::columns, column, hasher);
  ASSERT_TRUE(named.has_value()) << to_string(named.error());
  EXPECT_EQ(named->block_root, root);
  EXPECT_EQ(named->index, 77u);
  std::vector<uint8_t> blob(131'928);
  blob[0] = 5;
  std::copy(encoded.begin(), encoded.end(), blob.begin() + 8 + 131'072 + 96);
  const auto of_blob = name_sidecar(types(), SidecarKind::blobs, blob, hasher);
  ASSERT_TRUE(of_blob.has_value());
  EXPECT_EQ(of_blob->block_root, root);
  EXPECT_EQ(of_blob->index, 5u);
  for (size_t size = 0; size < column.size(); ++size) {
    EXPECT_FALSE(
        name_sidecar(types(), SidecarKind::columns, Bytes(column).first(size), hasher).has_value());
  }
}

}  // namespace
}  // namespace beamline
