// From hashes to numbers, across runs, rewinds and crashes.
#include "chain/headers/hash_index.h"

#include <gtest/gtest.h>

#include "crypto/keccak.h"
#include "tests/chain/headers/sim_files.h"

namespace beamline::chain {
namespace {

using testing::SimDisk;

Hash256 hash_of(uint64_t number, uint64_t branch) {
  uint8_t bytes[16];
  std::memcpy(bytes, &number, 8);
  std::memcpy(bytes + 8, &branch, 8);
  return keccak256(Bytes(bytes, 16));
}

// Headers of one byte, named by their number and branch. `told`: the index hears of them.
void append(HeaderLog& log, uint64_t count, uint64_t branch, HashIndex* told = nullptr) {
  const std::vector<uint8_t> byte{0x01};
  while (count > 0) {
    std::vector<StoredHeader> headers;
    for (uint64_t i = 0; i < std::min<uint64_t>(count, 8000); ++i) {
      headers.push_back({byte, hash_of(log.next() + i, branch)});
    }
    if (told != nullptr) told->note(log.next(), headers);
    ASSERT_TRUE(log.append(headers).has_value());
    count -= headers.size();
  }
  ASSERT_TRUE(log.checkpoint().has_value());
}

void expect_found(HashIndex& index, uint64_t number, uint64_t branch) {
  const auto found = index.find(hash_of(number, branch));
  ASSERT_TRUE(found.has_value()) << to_string(found.error());
  EXPECT_EQ(*found, number);
}

TEST(HeaderHashIndex, FindsInRunsAndInTheTail) {
  SimDisk disk(1);
  HeaderLog log = *HeaderLog::open(disk);
  HashIndex index = *HashIndex::open(disk, log);
  append(log, 2 * HashIndex::kRun + 5000, 0);
  EXPECT_TRUE(*index.extend());
  EXPECT_TRUE(*index.extend());
  EXPECT_FALSE(*index.extend());
  EXPECT_EQ(index.covered(), 1 + 2 * HashIndex::kRun);
  for (uint64_t number = 1; number < log.next(); number += 7919) expect_found(index, number, 0);
  for (const uint64_t edge : {uint64_t{1}, HashIndex::kRun, HashIndex::kRun + 1, log.next() - 1}) {
    expect_found(index, edge, 0);
  }
  EXPECT_EQ(*index.find(hash_of(5, 1)), std::nullopt);
}

// What was told of headers and what is read back makes the same files: told from the start, from
// the middle of a run, and over a rewind.
TEST(HeaderHashIndex, RunsOfNotedHeadersAreThoseReadBack) {
  SimDisk told_disk(1), read_disk(1);
  HeaderLog told_log = *HeaderLog::open(told_disk), read_log = *HeaderLog::open(read_disk);
  HashIndex told = *HashIndex::open(told_disk, told_log);
  HashIndex read = *HashIndex::open(read_disk, read_log);
  const auto extend = [&] {
    while (*told.extend()) {
    }
    while (*read.extend()) {
    }
    ASSERT_EQ(told.covered(), read.covered());
  };
  const auto both = [&](uint64_t count, uint64_t branch, bool tell) {
    append(told_log, count, branch, tell ? &told : nullptr);
    append(read_log, count, branch);
    extend();
  };
  both(HashIndex::kRun + 5000, 0, true);
  both(1000, 0, false);  // a gap in what was told
  both(2 * HashIndex::kRun, 0, true);
  for (HeaderLog* log : {&told_log, &read_log}) {
    ASSERT_TRUE(log->rewind(2 * HashIndex::kRun - 77).has_value());
  }
  extend();
  both(2 * HashIndex::kRun, 1, true);
  ASSERT_EQ(told.covered(), 1 + 3 * HashIndex::kRun);
  for (const char* name : {"hashes-000000.idx", "hashes-000001.idx", "hashes-000002.idx"}) {
    EXPECT_EQ(told_disk.bytes(name), read_disk.bytes(name)) << name;
  }
  for (uint64_t number = 1; number < 2 * HashIndex::kRun - 77; number += 4999) {
    expect_found(told, number, 0);
  }
  for (uint64_t number = 2 * HashIndex::kRun; number < told_log.next(); number += 4999) {
    expect_found(told, number, 1);
  }
}

TEST(HeaderHashIndex, HeadersThatWereTakenBackAreNotFound) {
  SimDisk disk(2);
  HeaderLog log = *HeaderLog::open(disk);
  HashIndex index = *HashIndex::open(disk, log);
  append(log, HashIndex::kRun + 10, 0);
  ASSERT_TRUE(*index.extend());
  ASSERT_TRUE(log.rewind(HashIndex::kRun - 99).has_value());
  append(log, 1000, 7);
  EXPECT_EQ(*index.find(hash_of(HashIndex::kRun - 50, 0)), std::nullopt);
  expect_found(index, HashIndex::kRun - 100, 0);
  expect_found(index, HashIndex::kRun - 50, 7);  // it replaced one that a run knows
  expect_found(index, HashIndex::kRun + 500, 7);
}

TEST(HeaderHashIndex, ARunThatACrashCutIsMadeAgain) {
  SimDisk disk(3);
  {
    HeaderLog log = *HeaderLog::open(disk);
    append(log, HashIndex::kRun + 1, 0);
    HashIndex index = *HashIndex::open(disk, log);
    disk.fail_after(2);  // the file is made, and its bytes are not all written
    EXPECT_FALSE(index.extend().has_value());
  }
  disk.crash();
  HeaderLog log = *HeaderLog::open(disk);
  HashIndex index = *HashIndex::open(disk, log);
  EXPECT_EQ(index.covered(), 1u);
  ASSERT_TRUE(*index.extend());
  expect_found(index, 4711, 0);
}

}  // namespace
}  // namespace beamline::chain
