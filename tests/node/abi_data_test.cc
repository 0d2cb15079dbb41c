// The C ABI: a block whose blobs or columns are missing waits, its sidecars are asked for, pushed,
// verified by the host, and the block is asked about again.
#include <array>
#include <atomic>

#include "tests/node/abi_host.h"

namespace beamline::node::testing {
namespace {

constexpr bl_peer kOther{4, 1};

bl_core_options ask_options() {
  bl_core_options options = default_options();
  options.import = BL_IMPORT_ASK;
  return options;
}

// A block B of the host's peer, whose import is asked for; another peer is there.
struct DataHost : AbiHost {
  explicit DataHost(const bl_core_options& options = ask_options()) : AbiHost(options) {
    EXPECT_EQ(bl_push_peer_up(producer, peer), BL_OK);
    EXPECT_EQ(bl_push_peer_up(producer, kOther), BL_OK);
    EXPECT_EQ(gossip(1, name('B'), name('A'), 1), BL_OK);
  }
  // Waits for the `nth` question about the block, and says what it lacks.
  void answer(size_t nth, const std::vector<uint64_t>& missing) {
    ASSERT_TRUE(until_said(BL_COMMAND_IMPORT, nth));
    auto result = sized<bl_import_result>();
    result.import = last(BL_COMMAND_IMPORT).command.id;
    result.verdict = missing.empty() ? BL_VERDICT_VALID : BL_VERDICT_DATA_MISSING;
    result.missing = missing.data();
    result.missing_count = missing.size();
    ASSERT_EQ(bl_push_import_result(producer, &result), BL_OK) << bl_last_error(producer);
  }
  // The `nth` request for data: what it names of B.
  std::vector<uint64_t> asked(size_t nth) {
    if (!until([&] { return requests.size() >= nth; })) return {};
    return requests[nth - 1].second;
  }
  // As AbiHost::take(), and keeps what requests for data name.
  ::testing::AssertionResult until(const std::function<bool()>& done) {
    return AbiHost::until([&] {
      for (; seen < said.size(); ++seen) {
        if (said[seen].command.kind != BL_COMMAND_REQUEST_DATA) continue;
        requests.emplace_back(said[seen].command, said[seen].indices);
      }
      return done();
    });
  }
  int32_t sidecar(const bl_command& request, uint64_t index, const bl_root& root = name('B')) {
    auto event = sized<bl_sidecar>();
    const std::vector<uint8_t> bytes(50, static_cast<uint8_t>(index));
    event.peer = request.peer;
    event.request = request.id;
    event.block_root = root;
    event.index = index;
    event.bytes = {bytes.data(), bytes.size(), nullptr, nullptr};
    return bl_push_sidecar(producer, &event);
  }
  size_t seen = 0;
  std::vector<std::pair<bl_command, std::vector<uint64_t>>> requests;
};

TEST(AbiData, ABlockWithMissingDataIsImportedWhenItsSidecarsCame) {
  DataHost host;
  host.answer(1, {0, 3, 5});
  EXPECT_EQ(host.asked(1), (std::vector<uint64_t>{0, 3, 5}));
  const bl_command request = host.requests[0].first;
  EXPECT_EQ(request.count, 1u);
  EXPECT_EQ(request.peer.index, host.peer.index);  // who sent the block
  for (const uint64_t index : {3u, 0u, 5u}) ASSERT_EQ(host.sidecar(request, index), BL_OK);
  ASSERT_EQ(bl_request_ended(host.producer, request.peer, request.id), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT_DATA, 3));
  const Said last = host.last(BL_COMMAND_IMPORT_DATA);
  EXPECT_TRUE(same(last.command.root, name('B')));
  EXPECT_EQ(last.command.count, 5u);
  EXPECT_EQ(last.bytes, std::vector<uint8_t>(50, 5));
  EXPECT_EQ(last.command.peer.index, host.peer.index);
  for (const Said& one : host.said) {
    if (one.command.kind != BL_COMMAND_IMPORT_DATA) continue;
    ASSERT_EQ(bl_push_data_verdict(host.producer, one.command.id, BL_VERDICT_VALID), BL_OK);
  }
  host.answer(2, {});
  ASSERT_TRUE(host.until_said(BL_COMMAND_HEAD_CHANGED, 1));
  const bl_core_stats stats = host.stats();
  EXPECT_TRUE(same(stats.head_root, name('B')));
  EXPECT_EQ(stats.blocks_without_data, 1u);
  EXPECT_EQ(stats.data_requested, 3u);
  EXPECT_EQ(stats.data_received, 3u);
  EXPECT_EQ(stats.data_invalid, 0u);
  EXPECT_EQ(stats.charges, 0u);
  EXPECT_EQ(stats.pending, 0u);
}

TEST(AbiData, ADataVerdictChargesTheSidecarsSenderAndItIsAskedElsewhere) {
  DataHost host;
  host.answer(1, {0, 1});
  host.asked(1);
  const bl_command first = host.requests[0].first;
  ASSERT_EQ(host.sidecar(first, 0), BL_OK);
  ASSERT_EQ(bl_request_ended(host.producer, first.peer, first.id), BL_OK);
  EXPECT_EQ(host.asked(2), std::vector<uint64_t>{1});
  const bl_command second = host.requests[1].first;
  EXPECT_EQ(second.peer.index, kOther.index);
  ASSERT_EQ(host.sidecar(second, 1), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT_DATA, 2));
  const bl_command bad = host.last(BL_COMMAND_IMPORT_DATA).command;
  EXPECT_EQ(bad.peer.index, kOther.index);
  ASSERT_EQ(bl_push_data_verdict(host.producer, bad.id, BL_VERDICT_INVALID_BYTES), BL_OK);
  ASSERT_EQ(bl_request_ended(host.producer, second.peer, second.id), BL_OK);
  host.answer(2, {1});
  EXPECT_EQ(host.asked(3), std::vector<uint64_t>{1});
  size_t charged = 0;
  for (const Said& one : host.said) {
    if (one.command.kind != BL_COMMAND_REPORT_PEER || one.reason != "invalid_data") continue;
    ++charged;
    EXPECT_EQ(one.command.peer.index, kOther.index);
  }
  EXPECT_EQ(charged, 1u);
  EXPECT_EQ(host.requests[2].first.peer.index, host.peer.index);
  EXPECT_EQ(host.stats().data_invalid, 1u);
}

TEST(AbiData, ASidecarThatWasNotAskedForEndsTheRequestAndIsCharged) {
  DataHost host;
  host.answer(1, {0});
  host.asked(1);
  ASSERT_EQ(host.sidecar(host.requests[0].first, 0, name('Z')), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_CANCEL_REQUEST, 1));
  ASSERT_TRUE(host.until_said(BL_COMMAND_REPORT_PEER, 1));
  EXPECT_EQ(host.last(BL_COMMAND_REPORT_PEER).reason, "unrequested_root");
  EXPECT_EQ(host.asked(2), std::vector<uint64_t>{0});
  EXPECT_EQ(host.requests[1].first.peer.index, kOther.index);
}

TEST(AbiData, DataThatCameByTheMeshEndsTheWait) {
  DataHost host;
  host.answer(1, {2});
  host.asked(1);
  const bl_root root = name('B'), unknown = name('Z');
  ASSERT_EQ(bl_push_data_available(host.producer, &unknown), BL_OK);
  ASSERT_EQ(bl_push_data_available(host.producer, &root), BL_OK);
  host.answer(2, {});
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 1));
  // What still comes is late, and nobody's fault.
  ASSERT_EQ(host.sidecar(host.requests[0].first, 2), BL_OK);
  ASSERT_EQ(bl_request_ended(host.producer, host.peer, host.requests[0].first.id), BL_OK);
  ASSERT_EQ(host.gossip(2, name('C'), name('B'), 2), BL_OK);
  host.answer(3, {});
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 2));
  EXPECT_EQ(host.stats().charges, 0u);
}

TEST(AbiData, SidecarsAndVerdictsOfTheWrongShapeAreRefused) {
  DataHost host;
  host.answer(1, {0});
  host.asked(1);
  const std::vector<uint8_t> bytes(50, 1);
  auto good = sized<bl_sidecar>();
  good.peer = host.peer;
  good.request = host.requests[0].first.id;
  good.block_root = name('B');
  good.bytes = {bytes.data(), bytes.size(), nullptr, nullptr};
  const uint64_t pushed = host.producer_stats().pushed;
  using Wrong = void (*)(bl_sidecar&);
  for (const Wrong wrong :
       {Wrong([](bl_sidecar& s) { s.size = 8; }), Wrong([](bl_sidecar& s) { s.version = 0; }),
        Wrong([](bl_sidecar& s) { s.bytes.data = nullptr; }),
        Wrong([](bl_sidecar& s) { s.bytes.size = (1u << 20) + 1; })}) {
    bl_sidecar bad = good;
    wrong(bad);
    EXPECT_EQ(bl_push_sidecar(host.producer, &bad), BL_INVALID_ARGUMENT);
    EXPECT_STRNE(bl_last_error(host.producer), "");
  }
  EXPECT_EQ(bl_push_sidecar(host.producer, nullptr), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_sidecar(nullptr, &good), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_data_verdict(host.producer, 1, 5), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_data_verdict(nullptr, 1, BL_VERDICT_VALID), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_data_available(host.producer, nullptr), BL_INVALID_ARGUMENT);
  auto result = sized<bl_import_result>();
  const std::vector<uint64_t> many(129);
  result.verdict = 5;
  EXPECT_EQ(bl_push_import_result(host.producer, &result), BL_INVALID_ARGUMENT);
  result.verdict = BL_VERDICT_DATA_MISSING;
  result.missing_count = 1;
  EXPECT_EQ(bl_push_import_result(host.producer, &result), BL_INVALID_ARGUMENT);
  result.missing = many.data();
  result.missing_count = many.size();
  EXPECT_EQ(bl_push_import_result(host.producer, &result), BL_INVALID_ARGUMENT);
  EXPECT_EQ(host.producer_stats().pushed, pushed);
  // A verdict that nobody waits for is counted.
  const uint64_t stale = host.stats().stale_events;
  ASSERT_EQ(bl_push_data_verdict(host.producer, 999, BL_VERDICT_INVALID_BYTES), BL_OK);
  ASSERT_EQ(bl_push_sidecar(host.producer, &good), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT_DATA, 1));
  EXPECT_EQ(host.stats().stale_events, stale + 1);
  EXPECT_EQ(host.stats().charges, 0u);
}

TEST(AbiData, ASidecarsBytesThatAreGivenAreReleasedOnce) {
  static std::atomic<int> released;
  released = 0;
  std::vector<uint8_t> bytes(1000, 7);
  {
    DataHost host;
    host.answer(1, {0});
    host.asked(1);
    auto event = sized<bl_sidecar>();
    event.peer = host.peer;
    event.request = host.requests[0].first.id;
    event.block_root = name('B');
    event.bytes = {bytes.data(), bytes.size(),
                   [](void*, const uint8_t*, size_t) { released.fetch_add(1); }, nullptr};
    ASSERT_EQ(bl_push_sidecar(host.producer, &event), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT_DATA, 1));
    EXPECT_EQ(host.last(BL_COMMAND_IMPORT_DATA).command.bytes, bytes.data());  // no copy was made
  }
  EXPECT_EQ(released, 1);
}

TEST(AbiData, AWorkersImportResultNamesWhatIsMissing) {
  static std::atomic<int> calls;
  calls = 0;
  bl_core_options options = default_options();
  options.import = BL_IMPORT_WORKERS;
  options.verify_block = [](void*, const bl_block*) -> uint32_t { return BL_VERDICT_VALID; };
  options.import_block_result = [](void*, const bl_block*, bl_import_result* result) -> uint32_t {
    static const uint64_t kMissing[] = {1, 2};
    if (calls.fetch_add(1) > 0) return BL_VERDICT_VALID;
    result->missing = kMissing;
    result->missing_count = 2;
    return BL_VERDICT_DATA_MISSING;
  };
  DataHost host(options);
  EXPECT_EQ(host.asked(1), (std::vector<uint64_t>{1, 2}));
  for (const uint64_t index : {1u, 2u}) {
    ASSERT_EQ(host.sidecar(host.requests[0].first, index), BL_OK);
  }
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT_DATA, 2));
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 1));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace beamline::node::testing
