// A host of the C ABI, for tests: zeroed structs, made-up blocks, and what the commands said.
#pragma once

#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>

#include "base/bytes.h"
#include "node/beamline.h"

namespace beamline::node::testing {

template <class T>
T sized() {
  T made{};
  made.size = sizeof made;
  made.version = BL_VERSION;
  return made;
}

inline bl_root name(char kind, uint32_t number = 0) {
  bl_root made{};
  made.bytes[0] = static_cast<uint8_t>(kind);
  std::memcpy(made.bytes + 1, &number, sizeof number);
  return made;
}
inline bool same(const bl_root& a, const bl_root& b) {
  return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

// A command with what it pointed to.
struct Said {
  bl_command command{};
  std::vector<bl_root> roots;
  std::vector<uint8_t> bytes;
  std::vector<uint64_t> indices;  // of the first block whose data is wanted
  std::string reason;
  std::vector<std::pair<std::vector<uint8_t>, std::vector<uint8_t>>> records;  // no value: it goes

  explicit Said(const bl_command& c) : command(c), reason(c.reason) {
    if (c.roots != nullptr) roots.assign(c.roots, c.roots + c.count);
    if (c.wanted != nullptr) {
      indices.assign(c.wanted->indices, c.wanted->indices + c.wanted->index_count);
    }
    for (size_t i = 0; c.records != nullptr && i < c.count; ++i) {
      const bl_record& record = c.records[i];
      auto& kept = records.emplace_back();
      kept.first.assign(record.key, record.key + record.key_size);
      if (record.value != nullptr) {
        kept.second.assign(record.value, record.value + record.value_size);
      }
    }
    if (c.bytes != nullptr) bytes.assign(c.bytes, c.bytes + c.bytes_size);
  }
};

inline bl_core_options default_options() {
  auto options = sized<bl_core_options>();
  options.chain = BL_CHAIN_BEACON;
  options.preset = BL_PRESET_MINIMAL;
  options.genesis_time_ms = 1'600'000'000'000;
  options.anchor_root = name('A');
  options.no_range_sync = 1;
  return options;
}

// The beacon chain's fork choice, with the host's verdicts. A slot takes an hour, and half of this
// one is over.
inline bl_core_options beacon_options(uint64_t slot) {
  constexpr uint64_t kSlotMs = 3'600'000;
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  bl_core_options options = default_options();
  options.fork_choice = BL_FORK_CHOICE_BEACON;
  options.import = BL_IMPORT_ASK;
  options.slot_ms = kSlotMs;
  options.genesis_time_ms = static_cast<uint64_t>(now) - slot * kSlotMs - kSlotMs / 2;
  return options;
}

class AbiHost {
 public:
  explicit AbiHost(const bl_core_options& options = default_options(),
                   const bl_producer_options* limits = nullptr) {
    EXPECT_EQ(bl_core_create(&options, &core), BL_OK);
    EXPECT_EQ(bl_producer_create(core, limits, &producer), BL_OK);
  }
  ~AbiHost() {
    bl_producer_destroy(producer);
    bl_core_destroy(core);
  }

  // A made-up block, whose bytes go when this returns.
  int32_t give(int32_t (*push)(bl_producer*, const bl_block*), uint64_t message,
               const bl_root& root, const bl_root& parent, uint64_t slot,
               bl_producer* by = nullptr) {
    std::vector<uint8_t> bytes(64, root.bytes[0]);
    auto block = sized<bl_block>();
    block.sender = peer;
    block.message = message;
    block.root = root;
    block.parent_root = parent;
    block.slot = slot;
    block.signed_block = {bytes.data(), bytes.size(), nullptr, nullptr};
    const int32_t result = push(by != nullptr ? by : producer, &block);
    std::fill(bytes.begin(), bytes.end(), uint8_t{0xdd});
    return result;
  }
  int32_t gossip(uint64_t message, const bl_root& root, const bl_root& parent, uint64_t slot) {
    return give(bl_push_gossip_block, message, root, parent, slot);
  }

  // Takes what waits, at most so many. False: there may be more.
  bool take(size_t most = SIZE_MAX) {
    auto command = sized<bl_command>();
    for (; most > 0 && bl_command_next(core, &command) == BL_OK; --most) said.emplace_back(command);
    return most > 0;
  }
  // Takes commands until `done()`; looks again now and then, because what is applied without a
  // command of its own shows in stats() alone.
  ::testing::AssertionResult until(const std::function<bool()>& done) {
    for (int idle = 0; idle < 2'000;) {
      // (A core under a flood may never be out of commands.)
      const bool all = take(256);
      if (done()) return ::testing::AssertionSuccess();
      if (!all) continue;
      pollfd waiting{.fd = bl_command_fd(core), .events = POLLIN, .revents = 0};
      idle = poll(&waiting, 1, 20) == 1 ? 0 : idle + 1;
    }
    return ::testing::AssertionFailure() << "nothing came after " << said.size() << " commands";
  }
  ::testing::AssertionResult until_said(uint32_t kind, size_t least) {
    return until([&] { return count(kind) >= least; });
  }
  size_t count(uint32_t kind) const {
    size_t found = 0;
    for (const Said& one : said) found += one.command.kind == kind;
    return found;
  }
  // The last of its kind. REQUIRES: count(kind) > 0.
  const Said& last(uint32_t kind) const {
    for (size_t i = said.size(); i-- > 0;) {
      if (said[i].command.kind == kind) return said[i];
    }
    ADD_FAILURE() << "no command of kind " << kind;
    return said.front();
  }
  bl_core_stats stats() const {
    auto stats = sized<bl_core_stats>();
    EXPECT_EQ(bl_core_get_stats(core, &stats), BL_OK);
    return stats;
  }
  bl_producer_stats producer_stats() const {
    auto stats = sized<bl_producer_stats>();
    EXPECT_EQ(bl_producer_get_stats(producer, &stats), BL_OK);
    return stats;
  }
  bool readable() const {
    pollfd waiting{.fd = bl_command_fd(core), .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, 0) == 1;
  }

  bl_core* core = nullptr;
  bl_producer* producer = nullptr;
  bl_peer peer{3, 1};
  std::vector<Said> said;
};

}  // namespace beamline::node::testing
