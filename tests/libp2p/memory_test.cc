// What a connection costs while nothing happens, and that data passes without allocations.
#include <cstdlib>
#include <new>

#include <malloc.h>

#include "libp2p/connection.h"
#include "tests/libp2p/pair.h"

namespace {
struct Heap {
  size_t bytes = 0;        // live, with what malloc rounds up
  size_t allocations = 0;  // ever
} g_heap;
}  // namespace

[[gnu::noinline]] void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  g_heap.bytes += malloc_usable_size(memory) + 8;
  ++g_heap.allocations;
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) g_heap.bytes -= malloc_usable_size(memory) + 8;
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace beamline::libp2p {
namespace {

// Two connections in step, without the test's own bookkeeping: one buffer each way.
struct Loop {
  explicit Loop(MuxerKind kind, uint64_t seed) : a(seed, only(kind)), b(seed + 1, only(kind)) {}

  void connect() {
    dialler = std::make_unique<Connection>(*a.node, Role::dialler, now, b.node->peer_id());
    listener = std::make_unique<Connection>(*b.node, Role::listener, now);
    run();
  }
  void run() {
    while (move(*dialler, *listener) || move(*listener, *dialler)) {
    }
  }
  bool move(Connection& from, Connection& to) {
    const size_t size = from.poll_transmit(buffer);
    if (size == 0) return false;
    // In two parts, so that a frame is put together.
    for (const MutableBytes part : {MutableBytes(buffer).first(size / 2),
                                    MutableBytes(buffer).subspan(size / 2, size - size / 2)}) {
      EXPECT_TRUE(to.receive(now, part).has_value());
      Event event;
      while (to.poll_event(event)) received += event.data.size();
    }
    Event event;
    while (from.poll_event(event)) {
    }
    return true;
  }

  TestNode a;
  TestNode b;
  Now now{{0}, {0}};
  std::vector<uint8_t> buffer = std::vector<uint8_t>(128 * 1024);
  std::unique_ptr<Connection> dialler;
  std::unique_ptr<Connection> listener;
  size_t received = 0;
};

class ConnectionMemory : public testing::TestWithParam<MuxerKind> {};
INSTANTIATE_TEST_SUITE_P(Muxers, ConnectionMemory,
                         testing::Values(MuxerKind::yamux, MuxerKind::mplex),
                         [](const auto& param) {
                           return param.param == MuxerKind::yamux ? "yamux" : "mplex";
                         });

TEST_P(ConnectionMemory, IdleConnectionIsSmall) {
  Loop loop(GetParam(), 50);
  loop.connect();  // what the nodes keep is made by the first
  std::vector<std::unique_ptr<Connection>> kept;
  constexpr size_t kPairs = 50;
  kept.reserve(4 * kPairs);
  kept.push_back(std::move(loop.dialler));
  kept.push_back(std::move(loop.listener));
  const size_t before = g_heap.bytes;
  for (size_t i = 0; i < kPairs; ++i) {
    loop.connect();
    const std::array proposals{loop.a.sink};  // gossip: one stream each way, that stay
    for (Connection* side : {loop.dialler.get(), loop.listener.get()}) {
      const Result<StreamId> stream = side->open(loop.now, proposals);
      ASSERT_TRUE(stream.has_value());
      loop.run();
      EXPECT_EQ(side->write(*stream, as_bytes("subscriptions")), 13u);
      loop.run();
    }
    kept.push_back(std::move(loop.dialler));
    kept.push_back(std::move(loop.listener));
  }
  const size_t each = (g_heap.bytes - before) / (2 * kPairs);
  RecordProperty("bytes", static_cast<int>(each));
  std::printf("idle connection: %zu bytes, of them the object %zu\n", each, sizeof(Connection));
  EXPECT_LE(each, 2048u);
}

TEST_P(ConnectionMemory, DataPassesWithoutAllocations) {
  Loop loop(GetParam(), 60);
  loop.connect();
  const std::array proposals{loop.a.sink};
  const StreamId stream = loop.dialler->open(loop.now, proposals).value();
  loop.run();
  const SharedBytes block = SharedBytes::copy(as_bytes(std::string(100'000, 'x')));
  const auto round = [&] {
    EXPECT_EQ(loop.dialler->write(stream, block), block.size());
    loop.run();
  };
  round();
  loop.received = 0;
  const size_t before = g_heap.allocations;
  for (int i = 0; i < 100; ++i) round();
  EXPECT_EQ(g_heap.allocations, before);
  EXPECT_EQ(loop.received, 100 * block.size());
}

TEST_P(ConnectionMemory, EndedConnectionHoldsAlmostNothing) {
  Loop loop(GetParam(), 70);
  loop.connect();
  loop.listener->transport_closed({"tcp", 0, Code::reset, Fault::network});
  const size_t before = g_heap.bytes;
  loop.listener.reset();
  EXPECT_LE(before - g_heap.bytes, sizeof(Connection) + 128);
}

}  // namespace
}  // namespace beamline::libp2p
