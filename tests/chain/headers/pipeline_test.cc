// The header pipeline at size: many peers near and far, some of whom stall and lie, while the head
// moves, the chain is reorganised and the machine crashes. A million headers where BEAMLINE_LONG is
// set; else the same, small.
#include "tests/chain/headers/sync_world.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

struct Scale {
  uint64_t headers = 0;
  size_t peers = 0;
  HeaderSyncLimits limits;
};

Scale scale_of(uint64_t headers, size_t peers) {
  Scale scale{headers, peers, {}};
  scale.limits.full_sync_below = 0;
  if (at_size()) return scale;
  scale.limits.request_first = 48;
  scale.limits.request_max = 256;
  scale.limits.scratch_headers = 4096;
  scale.limits.batch_headers = 256;
  return scale;
}

// One run: what happens when follows from the seed; what must hold is checked at every step of it.
class Pipeline {
 public:
  Pipeline(uint64_t seed, const Scale& scale)
      : scale_(scale), rng_(seed), world(seed, scale.headers, config_of(scale)) {
    world.duplicates = 1;
    world.per_header = microseconds(20);
    add_peers();
  }

  void run() {
    world.start();
    start_ = world.now.mono;
    // About three turns an answer, and as many events as there are, spread over them.
    const uint64_t turns = 2 * scale_.headers / scale_.limits.request_max;
    constexpr uint64_t kEvents = 24;
    for (uint64_t i = 0; i < kEvents && !world.finished; ++i) {
      const uint64_t stop = world.turns + 1 + rng_.below(2 * turns / kEvents);
      const bool ended = world.run(seconds(36'000), [&] { return at(stop); });
      if (ended || world.finished || ::testing::Test::HasFailure()) break;
      happen();
    }
    ASSERT_TRUE(world.run(seconds(36'000), [&] { return at(UINT64_MAX); }));
    note();
    expect_synced();
    print();
  }

 private:
  static HeaderSyncConfig config_of(const Scale& scale) {
    HeaderSyncConfig config;
    config.limits = scale.limits;
    return config;
  }
  void add_peers() {
    const size_t stalling = std::max<size_t>(1, scale_.peers / 20);
    const size_t lying = std::max<size_t>(1, scale_.peers / 50);
    constexpr HeaderManner kLies[] = {HeaderManner::forging, HeaderManner::broken,
                                      HeaderManner::garbage, HeaderManner::empty};
    for (size_t i = 0; i < scale_.peers; ++i) {
      HeaderManner manner = HeaderManner::honest;
      if (i % 10 == 4 && i / 10 < stalling) manner = HeaderManner::stalling;
      if (i % 10 == 7 && i / 10 < lying) manner = kLies[rng_.below(4)];
      world.add_peer(manner, milliseconds(20 + static_cast<int64_t>(rng_.below(281))));
    }
  }
  // The bounds hold at every turn.
  bool at(uint64_t stop) {
    const HeaderSyncStats& stats = world.sync->stats();
    EXPECT_LE(stats.scratch_peak, scale_.limits.scratch_headers);
    EXPECT_LE(world.channel.size(), scale_.limits.channel_batches);
    EXPECT_LE(world.largest_batch, scale_.limits.batch_headers + scale_.limits.request_max);
    EXPECT_LE(world.sync->durable_next(), world.log->next());
    return world.turns >= stop || ::testing::Test::HasFailure();
  }
  void happen() {
    switch (rng_.below(4)) {
      case 0:
      case 1: {
        note();
        const uint64_t acknowledged = world.log->checkpointed();
        world.restart();
        ++crashes_;
        walk_backs_ = 0;
        EXPECT_GE(world.log->next(), acknowledged);
        break;
      }
      case 2:
        world.reorg(world.chain.head(), 1 + rng_.below(200));
        ++moves_;
        break;
      default: {
        // Below the tip, and the tip's own range or a few of them; at most four in a life.
        const uint64_t tip = world.sync->tip().number;
        if (tip < 700 || walk_backs_ == 4) break;
        const uint64_t ancestor = tip - rng_.below(600);
        world.reorg(ancestor, world.chain.head() - ancestor + 1 + rng_.below(100));
        ++walk_backs_;
        ++reorgs_;
        break;
      }
    }
  }
  // Of the life that ends here.
  void note() {
    const HeaderSyncStats& stats = world.sync->stats();
    requests_ += stats.requests;
    received_ += stats.headers_received;
    hedges_ += stats.hedges;
    taken_back_ += stats.headers_taken_back;
    late_ += stats.late_answers;
    scratch_ = std::max(scratch_, stats.scratch_peak);
    unstored_ = std::max(unstored_, stats.bytes_peak);
  }
  void expect_synced() {
    ASSERT_TRUE(world.finished.has_value());
    EXPECT_EQ(world.finished->end, HeaderSyncEnd::synced) << name(world.finished->failure);
    ASSERT_EQ(world.updates.size(), 1u);
    EXPECT_EQ(world.updates[0].hash, world.chain.hashes.back());
    EXPECT_EQ(world.requests_after_end, 0u);
    EXPECT_EQ(world.dropped(HeaderManner::honest), 0u);
    world.expect_canonical();
  }
  void print() const {
    const double took = to_seconds(world.finished_at - start_);
    const uint64_t header = world.chain.encodings.back().size();
    std::printf(
        "%lu headers of %zu peers in %.1f s of virtual time: %lu crashes, %lu reorgs, %lu moves of "
        "the head; %lu requests, %lu of them second ones, %lu late answers, %lu headers received, "
        "%lu taken back; scratch at most %lu headers; at most %lu bytes at the store, %zu batches "
        "and %lu bytes in the channel, which stand for %lu bytes of headers\n",
        scale_.headers, scale_.peers, took, crashes_, reorgs_, moves_, requests_, hedges_, late_,
        received_, taken_back_, scratch_, unstored_, world.channel_peak,
        world.channel_peak * sizeof(HeadersStored), world.channel_headers_peak * header);
  }

  const Scale scale_;
  Rng rng_;
  SyncWorld world;
  MonoTime start_{};
  uint64_t crashes_ = 0, reorgs_ = 0, moves_ = 0, walk_backs_ = 0;
  uint64_t requests_ = 0, received_ = 0, hedges_ = 0, taken_back_ = 0, late_ = 0;
  uint64_t scratch_ = 0, unstored_ = 0;
};

TEST(HeaderPipeline, ManyPeersStallsLiesReorgsPivotMovesAndCrashesAtSize) {
  const char* set = std::getenv("BEAMLINE_SEED");
  const uint64_t first = set != nullptr ? std::strtoull(set, nullptr, 10) : 1;
  const uint64_t seeds = set != nullptr ? 1 : 2;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    for (const size_t peers : {size_t{10}, size_t{30}, size_t{100}}) {
      SCOPED_TRACE("replay: BEAMLINE_SEED=" + std::to_string(seed) + ", peers " +
                   std::to_string(peers));
      Pipeline(seed * 1000 + peers, scale_of(at_size() ? 1'000'000 : 15'000, peers)).run();
      if (HasFailure()) return;
    }
  }
}

// The store fails at each of its calls in turn: the sync ends once, as failed, and nothing was said
// to be stored that is not.
TEST(HeaderPipeline, AFailureAtEveryStepOfTheStoreIsOneEnd) {
  uint64_t failed = 0;
  for (uint64_t step = 0; step < 200; ++step) {
    SCOPED_TRACE(step);
    Scale scale = scale_of(600, 3);
    scale.limits.batch_headers = 64;
    scale.limits.request_first = scale.limits.request_max = 48;
    HeaderSyncConfig config;
    config.limits = scale.limits;
    SyncWorld world(step, scale.headers, config);
    for (int i = 0; i < 3; ++i) world.add_peer(HeaderManner::honest, milliseconds(20));
    world.start();
    world.disk.fail_after(step);
    ASSERT_TRUE(world.run(seconds(60)));
    ASSERT_TRUE(world.finished.has_value());
    if (world.finished->end == HeaderSyncEnd::synced) break;
    ++failed;
    EXPECT_EQ(world.finished->failure, HeaderSyncFailure::storage);
    EXPECT_TRUE(world.updates.empty());
    // What was acknowledged is there after the crash, and a later run ends the sync.
    const uint64_t acknowledged = world.log->checkpointed();
    world.restart();
    EXPECT_GE(world.log->next(), acknowledged);
    ASSERT_TRUE(world.run(seconds(60)));
    EXPECT_EQ(world.finished->end, HeaderSyncEnd::synced);
    world.expect_canonical();
  }
  EXPECT_GT(failed, 10u);
}

// A backward search from the tip, as a client makes it afterwards: what a peer has just above or at
// the tip has its parent in the store, so one request meets a canonical ancestor.
TEST(HeaderPipeline, ABackwardSearchMeetsACanonicalAncestorInItsFirstRequest) {
  HeaderSyncConfig config;
  config.limits.full_sync_below = 0;
  SyncWorld world(3, 5000, config);
  for (int i = 0; i < 3; ++i) world.add_peer(HeaderManner::honest, milliseconds(20));
  world.start();
  ASSERT_TRUE(world.run(seconds(60)));
  ASSERT_EQ(world.finished->end, HeaderSyncEnd::synced);
  const HeaderChain later = world.chain.fork(world.config.forks, 4990, 150, 8);
  // A request in reverse, of as many as are served at once.
  bool met = false;
  for (uint64_t number = later.head(); number + 1024 > later.head() && !met; --number) {
    const auto header = ExecutionHeader::decode(later.encodings[number - 1]);
    if (header->number - 1 >= world.log->next()) continue;
    const auto canonical = world.log->hash(header->number - 1);
    met = canonical.has_value() && *canonical == header->parent_hash;
  }
  EXPECT_TRUE(met);
}

}  // namespace
}  // namespace beamline::chain
