// Snapshots across threads: a flood of publications, readers, and one reader that is slow.
#include "loop/published.h"

#include <thread>

#include <gtest/gtest.h>

#include "tests/threads.h"

namespace beamline {
namespace {

// All of it must be of one publication. The sum is what a torn read would break.
struct Value {
  uint64_t number = 0;
  std::vector<uint64_t> body;
  uint64_t sum = 0;

  void write(uint64_t n) {
    number = n;
    body.clear();
    sum = 0;
    for (uint64_t i = 0; i < 8 + n % 57; ++i) {
      body.push_back(n * 31 + i);
      sum += body.back();
    }
  }
  bool whole() const {
    uint64_t actual = 0;
    for (const uint64_t part : body) actual += part;
    return actual == sum && body.size() == 8 + number % 57;
  }
};

TEST(PublishedSnapshot, NothingIsThereBeforeTheFirst) {
  Published<int> published;
  EXPECT_FALSE(published.reader().acquire());
}

TEST(PublishedSnapshot, ASlowReaderMakesPublishingSkipAndCount) {
  Published<Value> published;
  const auto reader = published.reader();
  std::vector<Published<Value>::Ref> held;
  for (uint64_t number = 1; number <= 8; ++number) {
    ASSERT_TRUE(published.publish([&](Value& value) { value.write(number); }));
    held.push_back(reader.acquire());
  }
  // All eight are held: no ninth.
  bool called = false;
  EXPECT_FALSE(published.publish([&](Value&) { called = true; }));
  EXPECT_FALSE(called);
  EXPECT_EQ(published.skipped(), 1u);
  EXPECT_EQ(published.held(), 7u);
  for (uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(held[i]->number, i + 1);
    EXPECT_TRUE(held[i]->whole());
  }
  // One lets go: there is room again.
  held.erase(held.begin() + 3);
  EXPECT_TRUE(published.publish([&](Value& value) { value.write(9); }));
  EXPECT_EQ(reader.acquire()->number, 9u);
  EXPECT_FALSE(published.publish([&](Value& value) { value.write(10); }));
}

TEST(PublishedSnapshot, OutlivesItsOwner) {
  auto published = std::make_unique<Published<Value>>();
  published->publish([](Value& value) { value.write(7); });
  const auto reader = published->reader();
  auto held = reader.acquire();
  published.reset();
  EXPECT_EQ(held->number, 7u);
  EXPECT_EQ(reader.acquire()->number, 7u);
  auto moved = std::move(held);
  EXPECT_FALSE(held);
  EXPECT_TRUE(moved->whole());
}

TEST(PublishedSnapshot, FourReadersUnderAFloodOneOfThemSlowNeverTorn) {
  constexpr uint64_t kValues = kTsan ? 4'000 : 8'000;
  Published<Value> published;
  std::atomic<bool> over{false};
  std::atomic<uint64_t> torn{0}, older{0}, changed{0}, reads{0};
  std::vector<std::thread> readers;
  for (int id = 0; id < 4; ++id) {
    readers.emplace_back([&, id, reader = published.reader()] {
      uint64_t last = 0;
      std::vector<Published<Value>::Ref> kept;
      std::vector<uint64_t> numbers;
      while (!over.load(std::memory_order_relaxed)) {
        auto now = reader.acquire();
        if (!now) {
          rest();
          continue;
        }
        if (!now->whole()) ++torn;
        if (now->number < last) ++older;
        last = now->number;
        ++reads;
        if (id != 0) {
          std::this_thread::yield();
          continue;
        }
        // The slow one holds what it read, up to all of them, and lets go at last.
        numbers.push_back(now->number);
        kept.push_back(std::move(now));
        if (kept.size() < 16) continue;
        for (size_t i = 0; i < kept.size(); ++i) {
          if (kept[i]->number != numbers[i] || !kept[i]->whole()) ++changed;
        }
        kept.clear();
        numbers.clear();
      }
    });
  }
  for (uint64_t number = 1; number <= kValues; ++number) {
    published.publish([&](Value& value) { value.write(number); });
    EXPECT_LE(published.held(), 7u);
    if (number % 64 == 0) std::this_thread::yield();
  }
  while (reads < 1000) rest();
  over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0u);
  EXPECT_EQ(older, 0u);
  EXPECT_EQ(changed, 0u);
  EXPECT_EQ(published.published() + published.skipped(), kValues);
}

}  // namespace
}  // namespace beamline
