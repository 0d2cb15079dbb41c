// The store of a host of the C ABI: it keeps opaque records, and a core that was killed begins with
// what was acknowledged. What a disk has garbled is refused by name.
#include <chrono>
#include <map>
#include <thread>

#include "base/rng.h"
#include "tests/node/abi_lean.h"

namespace beamline::node::testing {
namespace {

using Record = std::pair<std::vector<uint8_t>, std::vector<uint8_t>>;

// A host's database.
struct Disk {
  void write(const Said& persist) {
    for (const auto& [key, value] : persist.records) {
      value.empty() ? void(records.erase(key)) : void(records[key] = value);
    }
  }
  // Options to begin with what is here. Valid until the next call.
  bl_core_options with(bl_core_options options) {
    given.assign(records.begin(), records.end());
    return with_given(options);
  }
  bl_core_options with_given(bl_core_options options) {
    next = 0;
    options.store = 1;
    options.restore_context = this;
    options.restore_next = [](void* context, bl_record* record) -> int32_t {
      Disk& disk = *static_cast<Disk*>(context);
      if (disk.next == disk.given.size()) return BL_EMPTY;
      const auto& [key, value] = disk.given[disk.next++];
      *record = {key.data(), key.size(), value.data(), value.size()};
      return BL_OK;
    };
    return options;
  }

  std::map<std::vector<uint8_t>, std::vector<uint8_t>> records;
  std::vector<Record> given;
  size_t next = 0;
};

// A host that writes what it is told, one transaction each, to its disk.
struct StoreHost : AbiHost {
  StoreHost(Disk& to, const bl_core_options& options) : AbiHost(to.with(options)), disk(to) {
    EXPECT_EQ(bl_push_peer_up(producer, peer), BL_OK);
  }
  // Until this is the head, and everything is written and acknowledged.
  void settle_at(const bl_root& head) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (bool settled = false; !settled; std::this_thread::yield()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end);
      take();
      write_all();
      const bl_core_stats now = stats();
      settled = same(now.head_root, head) && now.persisted == now.persists;
    }
  }
  void write_all() {
    uint64_t last = 0;
    for (; looked < said.size(); ++looked) {
      if (said[looked].command.kind != BL_COMMAND_PERSIST) continue;
      last = said[looked].command.id;
      disk.write(said[looked]);
    }
    if (last > 0) {
      EXPECT_EQ(bl_push_persisted(producer, last), BL_OK);
    }
  }
  Disk& disk;
  size_t looked = 0;
};

// The same each time: a store goes on with what it began with.
bl_core_options beacon_options() {
  static const bl_core_options kOptions = testing::beacon_options(20);
  return kOptions;
}

struct BeaconHost : StoreHost {
  explicit BeaconHost(Disk& to) : StoreHost(to, beacon_options()) {}
  void import(const bl_root& root, const bl_root& parent, uint64_t slot) {
    const size_t imports = count(BL_COMMAND_IMPORT);
    ASSERT_EQ(gossip(slot, root, parent, slot), BL_OK);
    ASSERT_TRUE(until_said(BL_COMMAND_IMPORT, imports + 1));
    auto result = sized<bl_import_result>();
    result.import = last(BL_COMMAND_IMPORT).command.id;
    result.justified.root = result.finalized.root = name('A');
    result.unrealized_justified = result.unrealized_finalized = result.justified;
    ASSERT_EQ(bl_push_import_result(producer, &result), BL_OK);
  }
  void balances() {
    const bl_checkpoint anchor{0, name('A')};
    const std::vector<uint64_t> each(64, 32);
    EXPECT_EQ(bl_push_justified_balances(producer, &anchor, each.data(), each.size(), 64 * 32),
              BL_OK);
  }
};

TEST(AbiStore, ABeaconCoreThatIsKilledBeginsWithTheHeadAndTheVotesThatWereAcknowledged) {
  Disk disk;
  {
    BeaconHost host(disk);
    host.balances();
    host.import(name('B'), name('A'), 10);
    host.import(name('C'), name('A'), 11);
    const uint64_t voters[] = {0, 1, 2, 3, 4};
    auto vote = sized<bl_vote>();
    vote.slot = 12;
    vote.head_root = name('B');
    vote.target = {1, name('A')};
    vote.validators = voters;
    vote.validator_count = 5;
    ASSERT_EQ(bl_push_own_vote(host.producer, &vote), BL_OK);
    host.settle_at(name('B'));  // C, the larger root, without votes
    // What follows is never written: the process dies.
    host.import(name('D'), name('B'), 13);
    ASSERT_TRUE(host.until([&] { return same(host.stats().head_root, name('D')); }));
  }
  BeaconHost again(disk);
  ASSERT_TRUE(again.until_said(BL_COMMAND_JUSTIFIED_CHANGED, 1));
  EXPECT_TRUE(same(again.last(BL_COMMAND_JUSTIFIED_CHANGED).command.root, name('A')));
  again.balances();
  again.settle_at(name('B'));
  EXPECT_EQ(again.stats().restored, 2u);
  // It goes on, and a third core has that too.
  again.import(name('D'), name('B'), 13);
  again.settle_at(name('D'));
  BeaconHost third(disk);
  third.balances();
  third.settle_at(name('D'));
  EXPECT_EQ(third.stats().restored, 3u);
}

TEST(AbiStore, ALeanCoreThatIsKilledBeginsWithItsHeadFinalityAndStates) {
  LeanWorld world;
  Disk disk;
  struct Host : StoreHost {
    Host(Disk& to, LeanWorld& lean) : StoreHost(to, lean.options()), world(lean) {}
    void block(const Root& root) {
      const SharedBytes& ssz = world.chain.at(root).bytes;
      auto event = sized<bl_gossip>();
      constexpr std::string_view kTopic = "/leanconsensus/devnet0/block/ssz_snappy";
      event.sender = peer;
      event.topic = kTopic.data();
      event.topic_size = kTopic.size();
      event.payload = {ssz.data(), ssz.size(), nullptr, nullptr};
      event.encoding = BL_ENCODING_SSZ;
      ASSERT_EQ(bl_push_gossip(producer, &event), BL_OK);
      settle_at(c_root(root));
    }
    LeanWorld& world;
  };
  Root tip = world.chain.genesis;
  const auto next = [&](Slot slot) {
    std::vector<LeanAggregatedAttestation> votes;
    if (slot > 1) votes.push_back(LeanChain::cast(world.chain.vote_for(tip, slot - 1), 4));
    tip = world.chain.add(tip, slot, std::move(votes));
    return tip;
  };
  {
    Host host(disk, world);
    for (Slot slot = 1; slot <= 6; ++slot) host.block(next(slot));
  }
  Host again(disk, world);
  again.settle_at(c_root(tip));
  EXPECT_EQ(again.stats().restored, 6u);
  bl_snapshot* snapshot = nullptr;
  ASSERT_EQ(bl_snapshot_acquire(again.core, &snapshot), BL_OK);
  auto summary = sized<bl_snapshot_summary>();
  ASSERT_EQ(bl_snapshot_get_summary(snapshot, &summary), BL_OK);
  bl_snapshot_release(snapshot);
  EXPECT_EQ(summary.finalized_number, world.chain.at(tip).post.latest_finalized.slot);
  EXPECT_GT(summary.finalized_number, 0u);
  again.block(next(7));  // whose parent's state is made again
}

// A power cut between any two transactions, some of them acknowledged.
TEST(AbiStore, ACrashAfterAnyTransactionLeavesAChainThatTheCoreWasIn) {
  bl_core_options options = default_options();
  options.import = BL_IMPORT_ACCEPT;
  Disk all;
  std::vector<Disk> cuts;
  {
    StoreHost host(all, options);
    bl_root tip = name('A');
    for (uint32_t slot = 1; slot <= 40; ++slot) {
      const bl_root root = name('a', slot);
      ASSERT_EQ(host.gossip(slot, root, tip, slot), BL_OK);
      ASSERT_TRUE(host.until([&] { return host.stats().head_slot == slot; }));
      if (slot % 3 != 0) tip = root;
    }
    bl_core_stop(host.core);
    // What was not taken before the end is there after it.
    host.take();
    for (const Said& said : host.said) {
      if (said.command.kind != BL_COMMAND_PERSIST) continue;
      all.write(said);
      cuts.push_back(all);
    }
    EXPECT_EQ(bl_push_persisted(host.producer, 1), BL_CLOSED);
  }
  ASSERT_EQ(cuts.size(), 40u);
  uint64_t before = 0;
  for (Disk& disk : cuts) {
    StoreHost again(disk, options);
    const bl_core_stats stats = again.stats();
    EXPECT_GE(stats.head_slot, before);
    EXPECT_EQ(stats.restored + 1, disk.records.size() - 3);  // all blocks; head and checkpoints
    before = stats.head_slot;
  }
  EXPECT_EQ(before, 40u);
}

// A disk with votes, states and three blocks.
Disk lean_disk(LeanWorld& world) {
  Disk disk;
  StoreHost host(disk, world.options());
  Root tip = world.chain.genesis;
  for (Slot slot = 1; slot <= 3; ++slot) {
    tip = world.chain.add(tip, slot);
    const auto& made = world.chain.at(tip);
    auto block = sized<bl_block>();
    block.root = c_root(tip);
    block.parent_root = c_root(made.block.parent_root);
    block.slot = slot;
    block.proposer = made.block.proposer_index;
    block.signed_block = {made.bytes.data(), made.bytes.size(), nullptr, nullptr};
    EXPECT_EQ(bl_push_own_block(host.producer, &block), BL_OK);
    host.settle_at(block.root);
  }
  return disk;
}

TEST(AbiStore, AGarbledRecordIsMalformedWhereverTheDamageIs) {
  LeanWorld world;
  Disk disk = lean_disk(world);
  const std::vector<Record> good(disk.records.begin(), disk.records.end());
  ASSERT_GE(good.size(), 8u);  // four blocks, a state, the head and two checkpoints
  const bl_core_options options = world.options();
  bl_core* core = nullptr;
  const auto refused = [&](int32_t as) {
    const bl_core_options given = disk.with_given(options);
    EXPECT_EQ(bl_core_create(&given, &core), as);
    ASSERT_EQ(core, nullptr);
  };
  for (size_t i = 0; i < good.size(); ++i) {
    for (const bool in_key : {true, false}) {
      const size_t size = in_key ? good[i].first.size() : good[i].second.size();
      for (size_t at = 0; at < size; at += 1 + size / 40) {
        disk.given = good;
        auto& bytes = in_key ? disk.given[i].first : disk.given[i].second;
        bytes[at] ^= static_cast<uint8_t>(1u << (at % 8));
        ASSERT_NO_FATAL_FAILURE(refused(BL_MALFORMED)) << i << " at " << at;
        bytes = in_key ? good[i].first : good[i].second;
        bytes.resize(at);
        ASSERT_NO_FATAL_FAILURE(refused(BL_MALFORMED)) << i << " cut at " << at;
      }
    }
    disk.given = good;
    disk.given.push_back(good[i]);  // twice
    ASSERT_NO_FATAL_FAILURE(refused(BL_MALFORMED)) << i;
  }
  // The head, a checkpoint, the head's block or the only state is lost.
  for (const char* lost : {"mhead", "mjustified", "mfinalized", "s"}) {
    disk.given = good;
    std::erase_if(disk.given, [&](const Record& record) {
      return std::string(record.first.begin(), record.first.end()).starts_with(lost);
    });
    ASSERT_EQ(disk.given.size() + 1, good.size());
    ASSERT_NO_FATAL_FAILURE(refused(BL_MALFORMED)) << lost;
  }
  disk.given = good;
  std::erase_if(disk.given, [](const Record& record) { return record.first[0] == 'b'; });
  ASSERT_NO_FATAL_FAILURE(refused(BL_MALFORMED));
  // Whole, it is taken.
  disk.given = good;
  const bl_core_options given = disk.with_given(options);
  ASSERT_EQ(bl_core_create(&given, &core), BL_OK);
  bl_core_destroy(core);
}

TEST(AbiStore, AStoreOfAnotherAnchorAndMisuseAreRefusedByName) {
  bl_core_options options = default_options();
  Disk disk;
  {
    StoreHost host(disk, options);
    ASSERT_EQ(host.gossip(1, name('B'), name('A'), 1), BL_OK);
    host.settle_at(name('B'));
    EXPECT_EQ(bl_push_persisted(host.producer, 77), BL_OK);  // no such id: counted
    ASSERT_EQ(host.gossip(2, name('C'), name('B'), 2), BL_OK);
    host.settle_at(name('C'));
    EXPECT_GE(host.stats().stale_events, 1u);
  }
  bl_core* core = nullptr;
  const auto refused = [&](int32_t as, auto change) {
    bl_core_options given = disk.with(options);
    change(given);
    EXPECT_EQ(bl_core_create(&given, &core), as);
    EXPECT_EQ(core, nullptr);
  };
  refused(BL_INVALID_ARGUMENT, [](bl_core_options& o) { o.anchor_root = name('X'); });
  refused(BL_INVALID_ARGUMENT, [](bl_core_options& o) { o.store = 0; });
  refused(BL_INVALID_ARGUMENT, [](bl_core_options& o) { o.store = 2; });
  // The host's own errors come back.
  refused(BL_SYSTEM, [](bl_core_options& o) {
    o.restore_next = [](void*, bl_record*) -> int32_t { return BL_SYSTEM; };
  });
  refused(BL_MALFORMED, [](bl_core_options& o) {
    o.restore_next = [](void*, bl_record*) -> int32_t { return BL_OK; };  // no bytes
  });
  // A host that was built with version 2 has no store.
  bl_core_options old = disk.with(options);
  old.version = 2;
  old.size = offsetof(bl_core_options, store);
  ASSERT_EQ(bl_core_create(&old, &core), BL_OK);
  auto stats = sized<bl_core_stats>();
  EXPECT_EQ(bl_core_get_stats(core, &stats), BL_OK);
  EXPECT_TRUE(same(stats.head_root, name('A')));
  bl_core_destroy(core);
}

}  // namespace
}  // namespace beamline::node::testing
