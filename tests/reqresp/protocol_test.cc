#include "reqresp/protocol.h"

#include <set>

#include "tests/reqresp/bytes.h"

namespace beamline::reqresp {
namespace {

TEST(Protocol, EachRowIsFoundByItsIdAndByNoOther) {
  std::set<std::string_view> ids;
  for (const ProtocolInfo& row : protocols()) {
    EXPECT_EQ(find_protocol(row.id), &row);
    EXPECT_EQ(&info(row.protocol), &row);
    EXPECT_TRUE(ids.insert(row.id).second) << row.id;
    EXPECT_TRUE(row.id.starts_with("/eth2/beacon_chain/req/")) << row.id;
    EXPECT_TRUE(row.id.ends_with("/ssz_snappy")) << row.id;
    EXPECT_LE(row.chunk_max, kMaxPayload);
    EXPECT_LE(row.chunk_min, row.chunk_max);
  }
  EXPECT_EQ(ids.size(), kProtocolCount);
  EXPECT_EQ(find_protocol("/eth2/beacon_chain/req/status/1/SSZ_snappy"), nullptr);
  EXPECT_EQ(find_protocol("/eth2/beacon_chain/req/status/1/ssz_snappy "), nullptr);
  EXPECT_EQ(find_protocol(""), nullptr);
}

TEST(Protocol, BlocksAndSidecarsHaveAContextButInVersionOneOfThoseThatHaveTwo) {
  for (const ProtocolInfo& row : protocols()) {
    const bool blocks = row.id.find("blocks") != row.id.npos;
    const bool version_2 = row.id.find("/2/") != row.id.npos;
    const bool by_head = row.protocol == Protocol::blocks_by_head_v1;
    const bool sidecars = row.id.find("sidecars") != row.id.npos;
    EXPECT_EQ(row.has_context, sidecars || (blocks && (version_2 || by_head))) << row.id;
  }
}

TEST(Protocol, RequestSizesThatATypeDoesNotHaveAreRefused) {
  Rng rng(1);
  for (const ProtocolInfo& row : protocols()) {
    for (size_t size = 0; size <= 130; ++size) {
      const bool multiple =
          row.request_step != 0 && (size - row.request_min) % row.request_step == 0;
      const bool valid = size == row.request_min || (size > row.request_min && multiple);
      EXPECT_EQ(chunks_allowed(row, random_bytes(rng, size)).has_value(), valid)
          << row.id << " " << size;
    }
    const auto over = chunks_allowed(row, Buffer(row.request_max + 32));
    ASSERT_FALSE(over.has_value()) << row.id;
    EXPECT_EQ(over.error().code, Code::too_long);
    EXPECT_EQ(over.error().fault, Fault::peer);
  }
}

TEST(Protocol, TheRequestSaysHowManyChunksMayCome) {
  const ProtocolInfo& range = info(Protocol::blocks_by_range_v2);
  EXPECT_EQ(chunks_allowed(range, range_request(7, 0)), 0u);
  EXPECT_EQ(chunks_allowed(range, range_request(7, 64)), 64u);
  EXPECT_EQ(chunks_allowed(range, range_request(7, 1024)), 1024u);
  EXPECT_EQ(chunks_allowed(range, range_request(7, UINT64_MAX)), 1024u);
  EXPECT_EQ(chunks_allowed(info(Protocol::blocks_by_root_v1), Buffer(32 * 300)), 300u);
  EXPECT_EQ(chunks_allowed(info(Protocol::blob_sidecars_by_root_v1), Buffer(40 * 7)), 7u);
  const SidecarIds ids[] = {{Root{}, {1, 2, 3}}, {Root{}, {9}}};
  EXPECT_EQ(chunks_allowed(info(Protocol::data_column_sidecars_by_root_v1),
                           encode_sidecar_request(SidecarKind::columns, ids)),
            4u);
  EXPECT_EQ(chunks_allowed(info(Protocol::status_v1), Buffer(84)), 1u);
  EXPECT_EQ(chunks_allowed(info(Protocol::metadata_v2), {}), 1u);
}

TEST(Protocol, ResultBytesThatNobodyDefined) {
  EXPECT_EQ(result_code(0), ResultCode::success);
  EXPECT_EQ(result_code(1), ResultCode::invalid_request);
  EXPECT_EQ(result_code(2), ResultCode::server_error);
  EXPECT_EQ(result_code(3), ResultCode::resource_unavailable);
  EXPECT_EQ(result_code(139), ResultCode::rate_limited);
  for (int byte = 4; byte <= 255; ++byte) {
    if (byte == 139) continue;
    EXPECT_EQ(result_code(static_cast<uint8_t>(byte)),
              byte < 128 ? ResultCode::server_error : ResultCode::invalid_request)
        << byte;
  }
}

}  // namespace
}  // namespace beamline::reqresp
