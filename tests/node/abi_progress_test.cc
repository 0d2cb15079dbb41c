// The C ABI: a block of the host's own, progress of its transfers, and the thread rules that the
// library sees to.
#include <array>

#include <unistd.h>

#include "tests/node/abi_host.h"

namespace beamline::node::testing {
namespace {

TEST(AbiOwnBlock, AnOwnBlockIsPublishedImportedAndBecomesTheHead) {
  bl_core_options options = default_options();
  options.import = BL_IMPORT_ASK;
  AbiHost host(options);
  ASSERT_EQ(host.give(bl_push_own_block, 0, name('B'), name('A'), 1), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_PUBLISH, 1));
  const Said publish = host.last(BL_COMMAND_PUBLISH);
  EXPECT_TRUE(same(publish.command.root, name('B')));
  EXPECT_EQ(publish.bytes, std::vector<uint8_t>(64, 'B'));
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT, 1));
  EXPECT_EQ(host.last(BL_COMMAND_IMPORT).reason, "own");
  ASSERT_EQ(bl_push_import_verdict(host.producer, host.last(BL_COMMAND_IMPORT).command.id,
                                   BL_VERDICT_VALID),
            BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_HEAD_CHANGED, 1));
  EXPECT_TRUE(same(host.stats().head_root, name('B')));
  // It has no sender: no verdict of the mesh, and nobody pays or is thanked.
  host.take();
  EXPECT_EQ(host.count(BL_COMMAND_GOSSIP_VERDICT), 0u);
  EXPECT_EQ(host.count(BL_COMMAND_REPORT_PEER), 0u);
}

TEST(AbiOwnBlock, AnOwnBlockThatDoesNotBuildOnTheChainIsDroppedAndCounted) {
  AbiHost host;
  ASSERT_EQ(host.give(bl_push_own_block, 0, name('X'), name('?'), 2), BL_OK);
  ASSERT_EQ(host.give(bl_push_own_block, 0, name('Y'), name('A'), 0), BL_OK);
  ASSERT_EQ(host.give(bl_push_own_block, 0, name('B'), name('A'), 1), BL_OK);
  ASSERT_EQ(host.give(bl_push_own_block, 0, name('B'), name('A'), 1), BL_OK);  // again
  ASSERT_EQ(host.give(bl_push_own_block, 0, name('C'), name('B'), 2), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_PUBLISH, 2));
  EXPECT_EQ(host.stats().head_slot, 2u);
  EXPECT_EQ(host.stats().own_refused, 3u);
  EXPECT_EQ(host.count(BL_COMMAND_REQUEST_BY_ROOT), 0u);
  EXPECT_EQ(host.stats().pending, 0u);
}

TEST(AbiOwnBlock, AnOwnBlockOfTheWrongShapeIsRefused) {
  AbiHost host;
  auto good = sized<bl_block>();
  const std::vector<uint8_t> bytes(64, 1);
  good.root = name('B');
  good.parent_root = name('A');
  good.slot = 1;
  good.signed_block = {bytes.data(), bytes.size(), nullptr, nullptr};
  using Wrong = void (*)(bl_block&);
  for (const Wrong wrong :
       {Wrong([](bl_block& b) { b.size = 8; }), Wrong([](bl_block& b) { b.version = 0; }),
        Wrong([](bl_block& b) { b.signed_block.data = nullptr; }),
        Wrong([](bl_block& b) { b.signed_block.size = (10u << 20) + 1; })}) {
    bl_block bad = good;
    wrong(bad);
    for (auto* push : {bl_push_own_block, bl_push_gossip_block, bl_push_chunk_block}) {
      EXPECT_EQ(push(host.producer, &bad), BL_INVALID_ARGUMENT);
      EXPECT_STRNE(bl_last_error(host.producer), "");
    }
  }
  EXPECT_EQ(bl_push_own_block(host.producer, nullptr), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_own_block(nullptr, &good), BL_INVALID_ARGUMENT);
  EXPECT_EQ(host.producer_stats().pushed, 0u);
  ASSERT_EQ(bl_push_own_block(host.producer, &good), BL_OK);
  EXPECT_STREQ(bl_last_error(host.producer), "");
}

// Two requests at the same time: one whose transfer is live, one of a peer that is silent. The
// deadline ends the silent one alone.
TEST(AbiProgress, RequestProgressKeepsALiveTransferFromItsDeadline) {
  bl_core_options options = default_options();
  options.progress_timeout_ms = 2'000;
  AbiHost host(options);
  const bl_peer live = host.peer, silent = {4, 1};
  ASSERT_EQ(bl_push_peer_up(host.producer, live), BL_OK);
  ASSERT_EQ(host.gossip(1, name('X'), name('P'), 2), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_REQUEST_BY_ROOT, 1));
  const uint64_t request = host.last(BL_COMMAND_REQUEST_BY_ROOT).command.id;
  ASSERT_EQ(bl_push_peer_up(host.producer, silent), BL_OK);
  auto status = sized<bl_peer_status>();
  status.peer = silent;
  status.head_root = name('H');
  status.head_slot = 9;
  ASSERT_EQ(bl_push_peer_status(host.producer, &status), BL_OK);
  while (host.count(BL_COMMAND_CANCEL_REQUEST) == 0) {
    ASSERT_EQ(bl_request_progress(host.producer, live, request), BL_OK);
    pollfd waiting{.fd = bl_command_fd(host.core), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, 20);
    host.take();
  }
  EXPECT_EQ(host.last(BL_COMMAND_CANCEL_REQUEST).command.peer.index, silent.index);
  EXPECT_EQ(host.count(BL_COMMAND_CANCEL_REQUEST), 1u);
  ASSERT_TRUE(host.until_said(BL_COMMAND_REPORT_PEER, 1));
  EXPECT_EQ(host.last(BL_COMMAND_REPORT_PEER).reason, "silent");
  // What the live one brings is taken.
  ASSERT_EQ(host.give(bl_push_chunk_block, request, name('P'), name('A'), 1), BL_OK);
  ASSERT_EQ(bl_request_ended(host.producer, live, request), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 2));
  EXPECT_EQ(host.stats().late_chunks, 0u);
}

TEST(AbiProgress, ProgressOfARequestThatIsNoneOrOfAnotherPeerDoesNothing) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  EXPECT_EQ(bl_request_progress(nullptr, host.peer, 1), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_request_progress(host.producer, host.peer, 77), BL_OK);
  EXPECT_EQ(bl_request_progress(host.producer, {9, 9}, 1), BL_OK);
  ASSERT_EQ(host.gossip(1, name('B'), name('A'), 1), BL_OK);
  ASSERT_TRUE(host.until([&] { return host.stats().head_slot == 1; }));
  EXPECT_EQ(host.stats().stale_events, 1u);
  EXPECT_EQ(host.stats().charges, 0u);
}

// TSan's runtime and death tests do not go together.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BEAMLINE_NO_DEATH
#endif
#endif
#if !defined(BEAMLINE_NO_DEATH) && !defined(__SANITIZE_THREAD__)
TEST(AbiThreadDeathTest, ACoreThatIsDestroyedBeforeItsProducerAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        bl_core* core = nullptr;
        bl_producer* producer = nullptr;
        const bl_core_options options = default_options();
        bl_core_create(&options, &core);
        bl_producer_create(core, nullptr, &producer);
        bl_core_destroy(core);
      },
      "producers");
}

TEST(AbiThreadDeathTest, ACoreThatIsStoppedFromItsOwnCallbackAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        static bl_core* core = nullptr;
        bl_core_options options = default_options();
        options.on_command = [](void*, const bl_command*) { bl_core_stop(core); };
        AbiHost host(options);
        core = host.core;
        bl_push_peer_up(host.producer, host.peer);
        host.gossip(1, name('B'), name('A'), 1);
        for (;;) pause();
      },
      "check failed");
}
#endif

}  // namespace
}  // namespace beamline::node::testing
