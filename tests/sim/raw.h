// Raw operations on a simulated backend, for tests: an operation with its results, and the loop
// that a reactor would run.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "loop/sim/backend.h"

namespace beamline::sim {

class Raw;

// Keeps every result; `then` runs after each.
struct RawOp {
  RawOp() {
    op.owner = this;
    op.callback = [](Op& done, Completion&& completion) {
      auto& self = *static_cast<RawOp*>(done.owner);
      self.results.push_back(completion.result);
      self.ended = !completion.more;
      const Bytes got = completion.lease.bytes();
      self.bytes.insert(self.bytes.end(), got.begin(), got.end());
      if (self.then) self.then(completion);
    };
  }
  int32_t last() const { return results.empty() ? INT32_MIN : results.back(); }

  Op op;
  std::vector<int32_t> results;
  std::vector<uint8_t> bytes;
  bool ended = false;
  std::function<void(Completion&)> then;
};

class Raw final : public Runnable {
 public:
  Raw(World& world, HostId host, uint32_t buffers = 64, uint32_t buffer_size = 4096)
      : backend(world, host), pool(1, buffers, buffer_size) {
    EXPECT_TRUE(backend.add_pool(pool).has_value());
    backend.recycle(pool);
    backend.attach(this);
  }
  ~Raw() { backend.attach(nullptr); }

  void turn() override {
    ++turns;
    std::array<Event, 16> events;
    const size_t count = backend.reap(events);
    for (size_t i = 0; i < count; ++i) {
      Op& op = *events[i].op;
      Completion completion{.result = events[i].result, .more = events[i].more, .lease = {}};
      if (events[i].has_buffer) {
        completion.lease = op.args.pool->lease(events[i].buffer, 0, events[i].buffer_size);
      }
      if (!events[i].more) op.state = OpState::idle;
      op.callback(op, std::move(completion));
    }
    backend.recycle(pool);
    backend.enter(deadline);
  }

  // Each submits and lets the backend take it.
  void start(RawOp& raw, OpKind kind, Socket socket) {
    raw.op.kind = kind;
    raw.op.socket = socket;
    raw.ended = false;
    backend.submit(raw.op);
    kick();
  }
  void accept(RawOp& raw, Socket socket) { start(raw, OpKind::accept, socket); }
  void connect(RawOp& raw, Socket socket, const Endpoint& to) {
    raw.op.args.endpoint = &to;
    start(raw, OpKind::connect, socket);
  }
  void receive(RawOp& raw, Socket socket) {
    raw.op.args.pool = &pool;
    start(raw, OpKind::recv, socket);
  }
  void send(RawOp& raw, Socket socket, Bytes bytes) {
    raw.op.args.send = {bytes.data(), static_cast<uint32_t>(bytes.size())};
    start(raw, OpKind::send, socket);
  }
  void shutdown(RawOp& raw, Socket socket, bool write_only) {
    raw.op.args.write_only = write_only;
    start(raw, OpKind::shutdown, socket);
  }
  void cancel(RawOp& raw) {
    backend.cancel(raw.op);
    kick();
  }
  // What is submitted outside a turn needs one.
  void kick() { backend.waker()->wake(); }

  SimBackend backend;
  BufferPool pool;
  MonoTime deadline = MonoTime::never();
  uint64_t turns = 0;
};

inline std::vector<uint8_t> random_bytes(Rng& rng, size_t size) {
  std::vector<uint8_t> bytes(size);
  rng.fill(bytes);
  return bytes;
}

// Two hosts, a listener on the second, and one connection between them, open at both ends.
struct RawPair {
  explicit RawPair(World& in, uint32_t buffers = 64, uint32_t buffer_size = 4096)
      : world(in),
        a(in, in.add_host(0x0a000001), buffers, buffer_size),
        b(in, in.add_host(0x0a000002), buffers, buffer_size),
        to(in.net().endpoint(b.backend.host(), 9000)) {}

  void open() {
    listener = *b.backend.listen_tcp(to, 16);
    b.accept(accepting, listener);
    near = *a.backend.open_tcp(AF_INET);
    a.connect(connecting, near, to);
    ASSERT_TRUE(world.run_until([&] { return connecting.ended && !accepting.results.empty(); },
                                seconds(30)));
    ASSERT_EQ(connecting.last(), 0);
    ASSERT_GE(accepting.last(), 0);
    far = {accepting.results.back()};
  }
  // Ends what is still in flight; then everything can be destroyed.
  void finish(std::vector<RawOp*> ops_a, std::vector<RawOp*> ops_b) {
    for (RawOp* raw : ops_a) a.cancel(*raw);
    for (RawOp* raw : ops_b) b.cancel(*raw);
    b.cancel(accepting);
    a.cancel(connecting);
    EXPECT_TRUE(world.run_until([&] { return a.backend.in_flight() + b.backend.in_flight() == 0; },
                                seconds(1)));
  }

  World& world;
  RawOp accepting, connecting;
  Raw a, b;
  Endpoint to;
  Socket listener, near, far;
};

}  // namespace beamline::sim
