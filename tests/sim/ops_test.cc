// The contract of operations on the simulated backend.
#include <cerrno>

#include <gtest/gtest.h>
#include <sys/uio.h>

#include "tests/sim/raw.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

TEST(SimOps, StatesGoFromQueuedToInKernelToIdle) {
  World world(1);
  RawPair pair(world);
  pair.open();
  RawOp receiving;
  receiving.op.kind = OpKind::recv;
  receiving.op.socket = pair.far;
  receiving.op.args.pool = &pair.b.pool;
  pair.b.backend.submit(receiving.op);
  EXPECT_EQ(receiving.op.state, OpState::queued);
  EXPECT_NE(receiving.op.slot, Op::kNoSlot);
  pair.b.kick();
  world.run_for(milliseconds(1));
  EXPECT_EQ(receiving.op.state, OpState::in_kernel);
  pair.b.backend.cancel(receiving.op);
  EXPECT_EQ(receiving.op.state, OpState::canceling);
  pair.b.backend.cancel(receiving.op);  // again: nothing
  pair.b.kick();
  ASSERT_TRUE(world.run_until([&] { return receiving.ended; }, seconds(1)));
  EXPECT_EQ(receiving.op.state, OpState::idle);
  EXPECT_EQ(receiving.op.slot, Op::kNoSlot);
  EXPECT_EQ(receiving.results, std::vector<int32_t>{-ECANCELED});
  pair.b.backend.cancel(receiving.op);  // idle: nothing
  pair.finish({}, {});
}

TEST(SimOps, WithoutABufferTheReceiveEndsAndNoByteIsLost) {
  World world(1);
  RawPair pair(world, 2, 64);
  pair.open();
  std::vector<Lease> kept;
  RawOp receiving, sending;
  receiving.then = [&](Completion& completion) {
    if (completion.lease) kept.push_back(std::move(completion.lease));
  };
  pair.b.receive(receiving, pair.far);
  Rng rng(1);
  const std::vector<uint8_t> data = random_bytes(rng, 1000);
  pair.a.send(sending, pair.near, data);
  while (receiving.bytes.size() < data.size()) {
    ASSERT_TRUE(world.run_until([&] { return receiving.ended; }, seconds(1)));
    ASSERT_EQ(receiving.last(), -ENOBUFS);
    EXPECT_EQ(kept.size(), 2u);
    kept.clear();
    pair.b.kick();
    world.run_for(milliseconds(1));  // the turn gives the buffers back
    pair.b.receive(receiving, pair.far);
    world.run_for(milliseconds(1));
  }
  EXPECT_TRUE(equal(receiving.bytes, data));
  EXPECT_GE(pair.b.backend.stats().out_of_buffers, 7u);
  kept.clear();
  pair.finish({}, {&receiving});
}

TEST(SimOps, AFullCompletionQueueEndsTheMultishotWithGoodData) {
  Options options;
  options.cq_capacity = 2;
  World world(1, options);
  RawPair pair(world, 64, 64);
  pair.open();
  Rng rng(1);
  const std::vector<uint8_t> data = random_bytes(rng, 64 * 10);
  RawOp sending, receiving;
  pair.a.send(sending, pair.near, data);
  world.run_for(milliseconds(10));
  receiving.then = [&](Completion& completion) {
    EXPECT_EQ(completion.result, 64);
    if (!completion.more && receiving.bytes.size() < data.size()) {
      pair.b.receive(receiving, pair.far);
    }
  };
  pair.b.receive(receiving, pair.far);
  ASSERT_TRUE(world.run_until([&] { return receiving.bytes.size() == data.size(); }, seconds(1)));
  EXPECT_TRUE(equal(receiving.bytes, data));
  EXPECT_GE(pair.b.backend.stats().cq_overflow, 3u);
  receiving.then = nullptr;
  pair.finish({}, {&receiving});
}

TEST(SimOps, ACancellationWinsOrLosesAgainstTheResult) {
  int won = 0;
  int lost = 0;
  for_each_seed(60, [&](uint64_t seed) {
    Options options;
    options.cancel_late = kAlways;
    options.drop_more = kAlways;
    const Replay replay(seed, options);
    World world(seed, traced(options));
    RawPair pair(world);
    pair.open();
    RawOp receiving, sending;
    pair.b.receive(receiving, pair.far);
    world.run_for(milliseconds(1));
    pair.a.send(sending, pair.near, as_bytes("race"));
    pair.b.cancel(receiving);
    ASSERT_TRUE(world.run_until([&] { return receiving.ended; }, seconds(1)));
    ASSERT_EQ(receiving.results.size(), 1u);
    ASSERT_TRUE(receiving.last() == 4 || receiving.last() == -ECANCELED);
    ++(receiving.last() == 4 ? lost : won);
    pair.finish({}, {});
  });
  if (won + lost > 1) {
    EXPECT_GT(won, 5);
    EXPECT_GT(lost, 5);
  }
}

TEST(SimOps, AGatheredSendArrivesWholeAndInOrder) {
  World world(1);
  RawPair pair(world);
  pair.open();
  RawOp receiving, sending;
  pair.b.receive(receiving, pair.far);
  std::string one = "one ", two = "two ", three = "three";
  std::array<iovec, 3> parts{{{one.data(), 4}, {two.data(), 4}, {three.data(), 5}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  sending.op.args.message = &message;
  pair.a.start(sending, OpKind::send_msg, pair.near);
  ASSERT_TRUE(world.run_until([&] { return receiving.bytes.size() == 13; }, seconds(1)));
  EXPECT_EQ(as_text(receiving.bytes), "one two three");
  EXPECT_EQ(sending.last(), 13);
  pair.finish({}, {&receiving});
}

TEST(SimOps, WrongSocketsAnswerAsTheKernelDoes) {
  World world(1);
  Raw raw(world, world.add_host(0x0a000001));
  const Socket fresh = *raw.backend.open_tcp(AF_INET);
  const Socket listener = *raw.backend.listen_tcp(world.net().endpoint(0, 9000), 1);
  EXPECT_FALSE(raw.backend.open_tcp(AF_INET6).has_value());
  RawOp receiving, sending, accepting, closing;
  raw.receive(receiving, fresh);
  raw.send(sending, fresh, as_bytes("x"));
  raw.shutdown(closing, fresh, true);
  raw.accept(accepting, listener);
  world.run_for(milliseconds(1));
  EXPECT_EQ(receiving.last(), -ENOTCONN);
  EXPECT_EQ(sending.last(), -EPIPE);
  EXPECT_EQ(closing.last(), -ENOTCONN);
  EXPECT_FALSE(accepting.ended);
  RawOp stopping;
  raw.shutdown(stopping, listener, false);
  world.run_for(milliseconds(1));
  EXPECT_EQ(accepting.last(), -EINVAL);
  raw.backend.close(fresh);
  EXPECT_EQ(*raw.backend.open_tcp(AF_INET), fresh);  // the lowest free number, as in the kernel
}

// ---- What the backend does not let pass.

void touch_what_was_submitted() {
  World world(1);
  RawPair pair(world);
  pair.open();
  std::vector<uint8_t> data(10);
  RawOp sending;
  pair.a.send(sending, pair.near, data);
  data[3] = 1;
  world.run_for(seconds(1));
}

void close_under_an_operation() {
  World world(1);
  RawPair pair(world);
  pair.open();
  RawOp receiving;
  pair.b.receive(receiving, pair.far);
  pair.b.backend.close(pair.far);
}

void send_twice_at_once() {
  Options options;
  options.send_buffer = options.receive_buffer = 2;
  World world(1, options);
  RawPair pair(world);
  pair.open();
  std::array<RawOp, 4> sends;
  for (RawOp& sending : sends) {
    pair.a.send(sending, pair.near, as_bytes("xx"));
    if (&sending < &sends[2]) world.run_for(seconds(1));
  }
  world.run_for(seconds(1));
}

void exceed_the_limit() {
  Options options;
  options.max_ops = 1;
  World world(1, options);
  Raw raw(world, world.add_host(0x0a000001));
  std::array<RawOp, 2> accepts;
  for (RawOp& accepting : accepts) {
    raw.accept(accepting, *raw.backend.listen_tcp(world.net().endpoint(0, 0), 1));
  }
}

TEST(SimOpsDeathTest, MisuseAborts) {
  EXPECT_DEATH(touch_what_was_submitted(), "fingerprint");
  EXPECT_DEATH(close_under_an_operation(), "ops == 0");
  EXPECT_DEATH(send_twice_at_once(), "sending == kNone");
  EXPECT_DEATH(exceed_the_limit(), "first_free_");
}

}  // namespace
}  // namespace beamline::sim
