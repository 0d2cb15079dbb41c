// The C ABI from the inside: events in, commands out, errors, versions, who owns the bytes.
#include <array>
#include <atomic>
#include <thread>

#include <pthread.h>

#include "base/rng.h"
#include "codec/beacon_block.h"
#include "codec/snappy.h"
#include "codec/snappy_frame.h"
#include "codec/uvarint.h"
#include "tests/node/abi_host.h"

namespace beamline::node::testing {
namespace {

constexpr const char* kTopic = "/eth2/01020304/beacon_block/ssz_snappy";

bl_root root_of(const Root& root) {
  bl_root made;
  std::memcpy(made.bytes, root.bytes.data(), sizeof made.bytes);
  return made;
}

// A block as its bytes, and its root.
struct RealBlock {
  std::vector<uint8_t> ssz;
  bl_root root{};
};
RealBlock real_block(const bl_root& parent, uint64_t slot) {
  static const BeaconTypes types(Preset::minimal());
  EmptyBlock block;
  block.slot = slot;
  block.parent_root = Root::load(parent.bytes);
  RealBlock made{encode_empty_block(block), {}};
  ssz::Hasher hasher;
  const auto view = SignedBlockView::trust(types, Fork::phase0, made.ssz);
  made.root = root_of(view.block_root(hasher));
  return made;
}

std::vector<uint8_t> frames(Bytes ssz) {
  std::vector<uint8_t> out;
  append_uvarint(ssz.size(), out);
  append_snappy_frames(ssz, out);
  return out;
}

bl_bytes borrowed(Bytes bytes) { return {bytes.data(), bytes.size(), nullptr, nullptr}; }

bl_gossip gossip_of(const AbiHost& host, Bytes payload, uint64_t message) {
  auto event = sized<bl_gossip>();
  event.sender = host.peer;
  event.message = message;
  event.topic = kTopic;
  event.topic_size = std::strlen(kTopic);
  event.payload = borrowed(payload);
  return event;
}

bl_chunk chunk_of(const AbiHost& host, Bytes payload, uint64_t request) {
  auto event = sized<bl_chunk>();
  event.peer = host.peer;
  event.request = request;
  event.payload = borrowed(payload);
  return event;
}

TEST(Abi, GossipFromTheWireIsDecodedHashedAndBecomesTheHead) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  const RealBlock block = real_block(name('A'), 1);
  const SharedBytes packed = snappy_compress(block.ssz);
  const bl_gossip event = gossip_of(host, packed, 77);
  ASSERT_EQ(bl_push_gossip(host.producer, &event), BL_OK) << bl_last_error(host.producer);
  ASSERT_TRUE(host.until_said(BL_COMMAND_HEAD_CHANGED, 1));
  EXPECT_TRUE(same(host.last(BL_COMMAND_HEAD_CHANGED).command.root, block.root));
  ASSERT_TRUE(host.until_said(BL_COMMAND_GOSSIP_VERDICT, 1));
  const bl_command verdict = host.last(BL_COMMAND_GOSSIP_VERDICT).command;
  EXPECT_EQ(verdict.id, 77u);
  EXPECT_EQ(verdict.result, BL_GOSSIP_ACCEPT);
  EXPECT_EQ(verdict.peer.index, host.peer.index);
  EXPECT_TRUE(same(host.stats().head_root, block.root));
}

TEST(Abi, ChunksFromTheWireAnswerTheRequest) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  const RealBlock parent = real_block(name('A'), 1);
  const RealBlock child = real_block(parent.root, 2);
  bl_gossip event = gossip_of(host, child.ssz, 1);
  event.encoding = BL_ENCODING_SSZ;
  ASSERT_EQ(bl_push_gossip(host.producer, &event), BL_OK) << bl_last_error(host.producer);
  ASSERT_TRUE(host.until_said(BL_COMMAND_REQUEST_BY_ROOT, 1));
  const Said request = host.last(BL_COMMAND_REQUEST_BY_ROOT);
  ASSERT_EQ(request.roots.size(), 1u);
  EXPECT_TRUE(same(request.roots[0], parent.root));
  const bl_chunk chunk = chunk_of(host, frames(parent.ssz), request.command.id);
  const auto wire = frames(parent.ssz);
  bl_chunk whole = chunk;
  whole.payload = borrowed(wire);
  ASSERT_EQ(bl_push_chunk(host.producer, &whole), BL_OK) << bl_last_error(host.producer);
  ASSERT_EQ(bl_request_ended(host.producer, host.peer, request.command.id), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 2));
  EXPECT_EQ(host.stats().head_slot, 2u);
}

TEST(Abi, BytesThatDoNotDecodeAreMalformedCountedAndExplained) {
  AbiHost host;
  const RealBlock block = real_block(name('A'), 1);
  const SharedBytes packed = snappy_compress(block.ssz);
  const auto wire = frames(block.ssz);
  uint64_t malformed = 0;
  for (size_t size = 0; size < packed.size(); ++size) {
    const bl_gossip event = gossip_of(host, packed.bytes().first(size), 1);
    EXPECT_EQ(bl_push_gossip(host.producer, &event), BL_MALFORMED) << size;
    EXPECT_NE(std::string(bl_last_error(host.producer)), "");
    ++malformed;
  }
  for (size_t size = 0; size < wire.size(); ++size) {
    const bl_chunk event = chunk_of(host, Bytes(wire).first(size), 1);
    EXPECT_EQ(bl_push_chunk(host.producer, &event), BL_MALFORMED) << size;
    ++malformed;
  }
  // One byte too many; a length beyond what any block may have.
  auto long_wire = wire;
  long_wire.push_back(0);
  const std::vector<uint8_t> huge = {0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0x06, 0, 0};
  for (const auto& payload : {long_wire, huge}) {
    const bl_chunk event = chunk_of(host, payload, 1);
    EXPECT_EQ(bl_push_chunk(host.producer, &event), BL_MALFORMED);
    ++malformed;
  }
  EXPECT_EQ(host.producer_stats().malformed, malformed);
  EXPECT_EQ(host.producer_stats().pushed, 0u);
}

TEST(Abi, RandomBytesInEveryEncodingDoNoHarm) {
  const uint64_t seed = 20'261'121;
  SCOPED_TRACE(seed);
  Rng rng(seed);
  AbiHost host;
  const RealBlock block = real_block(name('A'), 1);
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> bytes = rng.below(2) == 0 ? block.ssz : frames(block.ssz);
    if (rng.below(3) == 0) bytes.resize(rng.below(bytes.size() + 1));
    for (uint64_t n = rng.below(4); n > 0 && !bytes.empty(); --n) {
      bytes[rng.below(bytes.size())] = static_cast<uint8_t>(rng.below(256));
    }
    bl_gossip gossip = gossip_of(host, bytes, 1);
    gossip.encoding = static_cast<uint32_t>(rng.below(5));
    bl_chunk chunk = chunk_of(host, bytes, 1);
    chunk.encoding = static_cast<uint32_t>(rng.below(5));
    for (const int32_t result :
         {bl_push_gossip(host.producer, &gossip), bl_push_chunk(host.producer, &chunk)}) {
      EXPECT_TRUE(result == BL_OK || result == BL_FULL || result == BL_MALFORMED ||
                  result == BL_INVALID_ARGUMENT)
          << bl_result_name(result);
    }
    host.take();
  }
}

TEST(Abi, TopicsThatTheCoreDoesNotTakeAreUnsupported) {
  AbiHost host;
  const std::vector<uint8_t> bytes = {0};
  for (const std::string topic :
       {"", "/eth2/01020304/voluntary_exit/ssz_snappy", "/leanconsensus/devnet0/block/ssz_snappy",
        "/eth2/01020304/beacon_attestation_3/ssz_snappy", "garbage"}) {
    bl_gossip event = gossip_of(host, bytes, 1);
    event.topic = topic.data();
    event.topic_size = topic.size();
    EXPECT_EQ(bl_push_gossip(host.producer, &event), BL_UNSUPPORTED) << topic;
  }
}

TEST(Abi, MisuseIsAnInvalidArgument) {
  AbiHost host;
  bl_core* core = nullptr;
  EXPECT_EQ(bl_core_create(nullptr, &core), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_producer_create(nullptr, nullptr, nullptr), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_peer_up(nullptr, host.peer), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_gossip(host.producer, nullptr), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_chunk(host.producer, nullptr), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_gossip_block(host.producer, nullptr), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_request_failed(host.producer, host.peer, 1, 0), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_request_failed(host.producer, host.peer, 1, 7), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_import_verdict(host.producer, 1, 5), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_incoming_by_root(host.producer, host.peer, 1, nullptr, 2), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_command_next(host.core, nullptr), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_command_fd(nullptr), -1);
  bl_core_stop(nullptr);
  bl_core_destroy(nullptr);
  bl_producer_destroy(nullptr);
  bl_producer_reclaim(nullptr);
  EXPECT_STREQ(bl_result_name(BL_FULL), "BL_FULL");
  EXPECT_STREQ(bl_result_name(99), "unknown");
  using Wrong = void (*)(bl_core_options&);
  for (const Wrong wrong : {Wrong([](bl_core_options& o) { o.chain = 0; }),
                            Wrong([](bl_core_options& o) { o.preset = 2; }),
                            Wrong([](bl_core_options& o) { o.backend = 3; }),
                            Wrong([](bl_core_options& o) { o.import = 9; }),
                            Wrong([](bl_core_options& o) { o.version = 0; }),
                            Wrong([](bl_core_options& o) { o.size = 8; }),
                            Wrong([](bl_core_options& o) { o.fork_count = 1; }),
                            Wrong([](bl_core_options& o) { o.anchor_size = 5; }),
                            Wrong([](bl_core_options& o) { o.peers = 1025; }),
                            Wrong([](bl_core_options& o) { o.command_capacity = 1; }),
                            Wrong([](bl_core_options& o) { o.slot_ms = UINT64_MAX; })}) {
    bl_core_options options = default_options();
    wrong(options);
    EXPECT_EQ(bl_core_create(&options, &core), BL_INVALID_ARGUMENT);
  }
  EXPECT_EQ(core, nullptr);
}

// An older header's struct ends earlier; a later one's may go on, if it asks for nothing new.
TEST(Abi, StructsOfOlderAndLaterVersionsAreUnderstood) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  ASSERT_EQ(host.gossip(5, name('B'), name('A'), 1), BL_OK);
  pollfd waiting{.fd = bl_command_fd(host.core), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&waiting, 1, 20'000), 1);
  auto command = sized<bl_command>();
  std::memset(&command.source, 0x5a, sizeof command.source);
  command.size = offsetof(bl_command, source);
  ASSERT_EQ(bl_command_next(host.core, &command), BL_OK);
  EXPECT_EQ(command.source.number, 0x5a5a5a5a5a5a5a5au);
  EXPECT_EQ(command.size, offsetof(bl_command, source));
  struct Later {
    bl_chunk chunk = sized<bl_chunk>();
    uint64_t more = 0;
  } later;
  later.chunk.size = sizeof later;
  EXPECT_EQ(bl_push_chunk(host.producer, &later.chunk), BL_MALFORMED);
  later.more = 1;
  EXPECT_EQ(bl_push_chunk(host.producer, &later.chunk), BL_INVALID_ARGUMENT);
}

// zeam issue 695: the bytes of a push were read after its producer had freed them.
TEST(Abi, AProducerThatFreesItsBytesAsSoonAsPushReturns) {
  bl_core_options options = default_options();
  options.import = BL_IMPORT_ASK;
  AbiHost host(options);
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  const RealBlock block = real_block(name('A'), 1);
  for (const uint32_t encoding : {uint32_t{BL_ENCODING_SNAPPY}, uint32_t{BL_ENCODING_SSZ}}) {
    const RealBlock next = real_block(name('A'), encoding);
    const SharedBytes packed = snappy_compress(next.ssz);
    const bool plain = encoding == BL_ENCODING_SSZ;
    auto bytes = std::make_unique<std::vector<uint8_t>>(
        plain ? next.ssz : std::vector<uint8_t>(packed.data(), packed.data() + packed.size()));
    bl_gossip event = gossip_of(host, *bytes, encoding);
    event.encoding = encoding;
    ASSERT_EQ(bl_push_gossip(host.producer, &event), BL_OK);
    std::fill(bytes->begin(), bytes->end(), uint8_t{0xdd});
    bytes.reset();
    ASSERT_TRUE(host.until([&] {
      return host.count(BL_COMMAND_IMPORT) > 0 &&
             same(host.last(BL_COMMAND_IMPORT).command.root, next.root);
    }));
    EXPECT_EQ(host.last(BL_COMMAND_IMPORT).bytes, next.ssz);
  }
}

struct Released {
  std::atomic<int> times{0};
  std::string thread;
  static void release(void* context, const uint8_t*, size_t) {
    auto* self = static_cast<Released*>(context);
    char thread[16] = {};
    pthread_getname_np(pthread_self(), thread, sizeof thread);
    self->thread = thread;
    self->times.fetch_add(1);
  }
};

TEST(Abi, BytesThatAreGivenAreReleasedOnceAndNeverOnTheCoresThread) {
  Released kept, refused, decompressed;
  const RealBlock block = real_block(name('A'), 1);
  const SharedBytes packed = snappy_compress(block.ssz);
  const std::vector<uint8_t> garbage(50, 1);
  {
    AbiHost host;
    ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
    bl_gossip event = gossip_of(host, garbage, 1);
    event.encoding = BL_ENCODING_SSZ;
    event.payload.release = Released::release;
    event.payload.context = &refused;
    EXPECT_EQ(bl_push_gossip(host.producer, &event), BL_MALFORMED);

    event = gossip_of(host, packed, 2);
    event.payload.release = Released::release;
    event.payload.context = &decompressed;
    EXPECT_EQ(bl_push_gossip(host.producer, &event), BL_OK);
    EXPECT_EQ(decompressed.times, 1);

    const RealBlock next = real_block(block.root, 2);
    event = gossip_of(host, next.ssz, 3);
    event.encoding = BL_ENCODING_SSZ;
    event.payload.release = Released::release;
    event.payload.context = &kept;
    ASSERT_EQ(bl_push_gossip(host.producer, &event), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 2));
    // The store serves from the very bytes: no copy was made, so they are not released.
    ASSERT_EQ(bl_push_incoming_by_root(host.producer, host.peer, 9, &next.root, 1), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_RESPOND_CHUNK, 1));
    EXPECT_EQ(host.last(BL_COMMAND_RESPOND_CHUNK).command.bytes, next.ssz.data());
    EXPECT_EQ(kept.times, 0);
    bl_producer_destroy(host.producer);
    host.producer = nullptr;
    bl_core_stop(host.core);
  }
  EXPECT_EQ(kept.times, 1);
  EXPECT_NE(kept.thread, "bl-core");
  EXPECT_EQ(refused.times, 0);
}

TEST(Abi, PeersAreServedByRootByRangeAndByHead) {
  const RealBlock anchor = real_block(name('0'), 0);
  bl_core_options options = default_options();
  options.anchor_root = anchor.root;
  options.anchor_bytes = anchor.ssz.data();
  options.anchor_size = anchor.ssz.size();
  AbiHost host(options);
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  ASSERT_EQ(host.gossip(1, name('B'), anchor.root, 1), BL_OK);
  const bl_root head = name('B'), unknown = name('?');
  const std::array roots = {anchor.root, unknown};
  ASSERT_EQ(bl_push_incoming_by_root(host.producer, host.peer, 10, roots.data(), 2), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_RESPOND_END, 1));
  EXPECT_EQ(host.last(BL_COMMAND_RESPOND_CHUNK).bytes, anchor.ssz);
  ASSERT_EQ(bl_push_incoming_by_range(host.producer, host.peer, 11, 1, 5), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_RESPOND_END, 2));
  EXPECT_EQ(host.last(BL_COMMAND_RESPOND_CHUNK).command.slot, 1u);
  ASSERT_EQ(bl_push_incoming_by_head(host.producer, host.peer, 12, &head, 2), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_RESPOND_END, 3));
  EXPECT_EQ(host.count(BL_COMMAND_RESPOND_CHUNK), 4u);
  ASSERT_EQ(bl_push_incoming_by_range(host.producer, host.peer, 13, 1, 0), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_RESPOND_ERROR, 1));
  EXPECT_EQ(host.last(BL_COMMAND_RESPOND_ERROR).command.result, 1);
  ASSERT_EQ(bl_push_response_written(host.producer, host.peer, 11, 1), BL_OK);
  ASSERT_EQ(bl_push_incoming_cancelled(host.producer, host.peer, 12), BL_OK);
}

TEST(Abi, WorkerVerdictsDecideWhatIsImported) {
  bl_core_options options = default_options();
  options.import = BL_IMPORT_ASK;
  AbiHost host(options);
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  ASSERT_EQ(host.gossip(1, name('B'), name('A'), 1), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT, 1));
  auto result = sized<bl_import_result>();
  result.import = host.last(BL_COMMAND_IMPORT).command.id;
  result.justified.root = result.finalized.root = name('A');
  auto vote = sized<bl_vote>();
  const std::array<uint64_t, 2> validators = {1, 2};
  vote.validators = validators.data();
  vote.validator_count = 2;
  result.votes = &vote;
  result.vote_count = 1;
  ASSERT_EQ(bl_push_import_result(host.producer, &result), BL_OK) << bl_last_error(host.producer);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 1));
  ASSERT_EQ(host.gossip(2, name('C'), name('B'), 2), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORT, 2));
  ASSERT_EQ(bl_push_import_verdict(host.producer, host.last(BL_COMMAND_IMPORT).command.id,
                                   BL_VERDICT_INVALID_BLOCK),
            BL_OK);
  ASSERT_TRUE(host.until([&] { return host.count(BL_COMMAND_GOSSIP_VERDICT) == 2; }));
  EXPECT_EQ(host.last(BL_COMMAND_GOSSIP_VERDICT).command.result, BL_GOSSIP_REJECT);
  EXPECT_EQ(host.last(BL_COMMAND_GOSSIP_VERDICT).reason, "invalid_block");
  EXPECT_EQ(host.stats().imported, 1u);
}

// 4 readers, one of them slow, while the head moves on.
TEST(Abi, SnapshotsAreWholeAndOutliveTheCore) {
  bl_snapshot* slow = nullptr;
  {
    AbiHost host;
    ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
    ASSERT_EQ(host.gossip(1, name('B', 1), name('A'), 1), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_HEAD_CHANGED, 1));
    while (bl_snapshot_acquire(host.core, &slow) == BL_EMPTY) std::this_thread::yield();
    std::atomic<bool> stop{false};
    std::array<std::thread, 3> readers;
    for (auto& reader : readers) {
      reader = std::thread([&] {
        while (!stop.load()) {
          bl_snapshot* snapshot = nullptr;
          ASSERT_EQ(bl_snapshot_acquire(host.core, &snapshot), BL_OK);
          auto summary = sized<bl_snapshot_summary>();
          ASSERT_EQ(bl_snapshot_get_summary(snapshot, &summary), BL_OK);
          auto node = sized<bl_tree_node>();
          ASSERT_EQ(bl_snapshot_get_node(snapshot, summary.tree_nodes - 1, &node), BL_OK);
          EXPECT_TRUE(same(node.root, summary.head_root));
          EXPECT_EQ(node.slot, summary.head_slot);
          EXPECT_EQ(bl_snapshot_get_node(snapshot, summary.tree_nodes, &node), BL_EMPTY);
          bl_snapshot_release(snapshot);
          std::this_thread::yield();
        }
      });
    }
    for (uint32_t i = 2; i <= 200; ++i) {
      ASSERT_EQ(host.gossip(i, name('B', i), name('B', i - 1), i), BL_OK);
    }
    ASSERT_TRUE(host.until([&] { return host.stats().head_slot == 200; }));
    stop = true;
    for (auto& reader : readers) reader.join();
  }
  auto summary = sized<bl_snapshot_summary>();
  ASSERT_EQ(bl_snapshot_get_summary(slow, &summary), BL_OK);
  EXPECT_LT(summary.head_slot, 200u);
  auto peer = sized<bl_peer_view>();
  if (summary.peers > 0) {
    ASSERT_EQ(bl_snapshot_get_peer(slow, 0, &peer), BL_OK);
    EXPECT_EQ(peer.peer.index, 3u);
  }
  EXPECT_EQ(bl_snapshot_get_peer(slow, summary.peers, &peer), BL_EMPTY);
  bl_snapshot_release(slow);
  bl_snapshot_release(nullptr);
}

TEST(Abi, VerifyCallbacksRunOnWorkersNeverOnTheCoresThread) {
  struct Client {
    std::atomic<int> verified{0};
    std::atomic<int> imported{0};
    std::atomic<bool> on_core{false};
    static uint32_t verify(void* context, const bl_block* block) {
      auto* self = static_cast<Client*>(context);
      self->look();
      self->verified.fetch_add(1);
      return block->root.bytes[0] == 'W' ? BL_VERDICT_INVALID_BLOCK : BL_VERDICT_VALID;
    }
    static uint32_t import(void* context, const bl_block* block) {
      auto* self = static_cast<Client*>(context);
      self->look();
      EXPECT_EQ(block->signed_block.size, 64u);
      EXPECT_EQ(block->signed_block.data[0], block->root.bytes[0]);
      self->imported.fetch_add(1);
      return BL_VERDICT_VALID;
    }
    void look() {
      char thread[16] = {};
      pthread_getname_np(pthread_self(), thread, sizeof thread);
      if (std::string(thread) == "bl-core") on_core = true;
    }
  } client;
  bl_core_options options = default_options();
  options.import = BL_IMPORT_WORKERS;
  bl_core* none = nullptr;
  EXPECT_EQ(bl_core_create(&options, &none), BL_INVALID_ARGUMENT);  // without a callback
  options.verify_block = Client::verify;
  options.import_block = Client::import;
  options.worker_context = &client;
  AbiHost host(options);
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  for (uint32_t i = 1; i <= 20; ++i) {
    ASSERT_EQ(host.gossip(i, name('B', i), i == 1 ? name('A') : name('B', i - 1), i), BL_OK);
  }
  ASSERT_EQ(host.gossip(21, name('W'), name('A'), 30), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_GOSSIP_VERDICT, 21));
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 20));
  EXPECT_EQ(host.stats().head_slot, 20u);
  EXPECT_EQ(client.verified, 21);
  EXPECT_EQ(client.imported, 20);
  EXPECT_FALSE(client.on_core);
  EXPECT_EQ(host.count(BL_COMMAND_IMPORT), 0u);
}

TEST(Abi, TheDescriptorIsReadableWhileCommandsWaitAndOnlyThen) {
  AbiHost host;
  EXPECT_FALSE(host.readable());
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  for (uint32_t i = 1; i <= 50; ++i) {
    ASSERT_EQ(host.gossip(i, name('B', i), i == 1 ? name('A') : name('B', i - 1), i), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_GOSSIP_VERDICT, i));
    auto command = sized<bl_command>();
    while (bl_command_next(host.core, &command) == BL_OK) {
    }
    EXPECT_FALSE(host.readable() && bl_command_next(host.core, &command) == BL_EMPTY &&
                 host.readable());
  }
}

TEST(Abi, CommandsComeThroughACallbackOnAThreadOfTheLibrarys) {
  struct Heard {
    std::atomic<uint64_t> head{0};
    std::atomic<bool> wrong_thread{false};
  } heard;
  bl_core_options options = default_options();
  options.on_command_context = &heard;
  options.on_command = [](void* context, const bl_command* command) {
    auto* self = static_cast<Heard*>(context);
    char thread[16] = {};
    pthread_getname_np(pthread_self(), thread, sizeof thread);
    if (std::string(thread) != "bl-commands") self->wrong_thread = true;
    if (command->kind != BL_COMMAND_HEAD_CHANGED) return;
    self->head.store(command->slot);
    self->head.notify_all();
  };
  AbiHost host(options);
  EXPECT_EQ(bl_command_fd(host.core), -1);
  auto command = sized<bl_command>();
  EXPECT_EQ(bl_command_next(host.core, &command), BL_INVALID_ARGUMENT);
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  ASSERT_EQ(host.gossip(1, name('B'), name('A'), 7), BL_OK);
  heard.head.wait(0);
  EXPECT_EQ(heard.head.load(), 7u);
  EXPECT_FALSE(heard.wrong_thread.load());
}

TEST(Abi, AfterAStopPushesAreClosedAndTheCommandsCanStillBeTaken) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  ASSERT_EQ(host.gossip(1, name('B'), name('A'), 1), BL_OK);
  bl_core_stop(host.core);
  bl_core_stop(host.core);
  EXPECT_EQ(host.gossip(2, name('C'), name('B'), 2), BL_CLOSED);
  EXPECT_EQ(bl_push_peer_down(host.producer, host.peer), BL_CLOSED);
  bl_producer* late = nullptr;
  EXPECT_EQ(bl_producer_create(host.core, nullptr, &late), BL_CLOSED);
  host.take();
  // It was applied: what it means is told in the turn that applied it, or it was kept.
  EXPECT_EQ(host.stats().events, 2u);
  EXPECT_EQ(host.stats().imported + host.stats().cached, 1u);
}

}  // namespace
}  // namespace beamline::node::testing
