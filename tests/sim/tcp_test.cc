// TCP of the simulated network, through raw operations: it behaves as Linux does.
#include <cerrno>

#include <gtest/gtest.h>

#include "tests/sim/raw.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

TEST(SimTcp, ConnectAcceptSendReceive) {
  World world(1);
  RawPair pair(world);
  pair.open();
  EXPECT_EQ(pair.a.backend.remote_endpoint(pair.near), pair.to);
  EXPECT_EQ(pair.b.backend.local_endpoint(pair.far), pair.to);
  EXPECT_EQ(pair.b.backend.remote_endpoint(pair.far), pair.a.backend.local_endpoint(pair.near));
  RawOp receiving, sending;
  pair.b.receive(receiving, pair.far);
  pair.a.send(sending, pair.near, as_bytes("hello"));
  const MonoTime start = world.now();
  ASSERT_TRUE(world.run_until([&] { return receiving.bytes.size() == 5; }, seconds(1)));
  EXPECT_EQ(as_text(receiving.bytes), "hello");
  EXPECT_EQ(sending.last(), 5);
  EXPECT_GE(world.now() - start, world.options().link.latency_min);
  EXPECT_LE(world.now() - start, world.options().link.latency_max + milliseconds(1));
  EXPECT_FALSE(receiving.ended);  // multishot
  pair.finish({&sending}, {&receiving});
  EXPECT_EQ(receiving.last(), -ECANCELED);
}

TEST(SimTcp, RefusedUnknownAndBlocked) {
  Options options;
  options.connect_timeout = seconds(10);
  World world(1, options);
  Raw a(world, world.add_host(0x0a000001));
  Raw b(world, world.add_host(0x0a000002));
  RawOp refused, unknown, blocked;
  const Endpoint closed_port = world.net().endpoint(1, 9);
  const Endpoint nobody = Endpoint::v4(0x0a0000ff, 9000);
  a.connect(refused, *a.backend.open_tcp(AF_INET), closed_port);
  a.connect(unknown, *a.backend.open_tcp(AF_INET), nobody);
  const MonoTime start = world.now();
  ASSERT_TRUE(world.run_until([&] { return refused.ended; }, seconds(1)));
  EXPECT_EQ(refused.last(), -ECONNREFUSED);
  ASSERT_TRUE(world.run_until([&] { return unknown.ended; }, seconds(11)));
  EXPECT_EQ(unknown.last(), -ETIMEDOUT);
  EXPECT_GE(world.now() - start, seconds(10));
  // A partition that heals in time is only a delay.
  const Socket listener = *b.backend.listen_tcp(world.net().endpoint(1, 9000), 1);
  world.net().partition(0, 1);
  const Endpoint to = world.net().endpoint(1, 9000);
  a.connect(blocked, *a.backend.open_tcp(AF_INET), to);
  world.run_for(seconds(4));
  EXPECT_FALSE(blocked.ended);
  world.net().heal(0, 1);
  ASSERT_TRUE(world.run_until([&] { return blocked.ended; }, seconds(6)));
  EXPECT_EQ(blocked.last(), 0);
  b.backend.close(listener);
}

TEST(SimTcp, APortInUseNamesThePort) {
  World world(1);
  const HostId host = world.add_host(0x0a000001);
  SimBackend one(world, host), two(world, host);
  const Socket first = *one.listen_tcp(Endpoint::v4(INADDR_ANY, 9000), 16);
  const Result<Socket> second = two.listen_tcp(world.net().endpoint(host, 9000), 16);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::address_in_use);
  EXPECT_EQ(second.error().offset, 9000u);
  const Result<Socket> foreign = one.listen_tcp(Endpoint::v4(0x0a000009, 9001), 16);
  ASSERT_FALSE(foreign.has_value());
  EXPECT_EQ(foreign.error().code, Code::invalid_argument);
  one.close(first);
  EXPECT_TRUE(two.listen_tcp(world.net().endpoint(host, 9000), 16).has_value());
  const Result<Socket> any = two.listen_tcp(Endpoint::loopback(0), 16);
  ASSERT_TRUE(any.has_value());
  EXPECT_NE(two.local_endpoint(*any).port(), 0);
}

TEST(SimTcp, TwoReactorsOfAHostTalkOverLoopback) {
  World world(1);
  const HostId host = world.add_host(0x0a000001);
  Raw a(world, host), b(world, host);
  const Socket listener = *b.backend.listen_tcp(Endpoint::loopback(9000), 16);
  const Endpoint to = Endpoint::loopback(9000);
  RawOp accepting, connecting;
  b.accept(accepting, listener);
  a.connect(connecting, *a.backend.open_tcp(AF_INET), to);
  ASSERT_TRUE(world.run_until([&] { return !accepting.results.empty(); }, seconds(1)));
  EXPECT_EQ(connecting.last(), 0);
  EXPECT_TRUE(b.backend.remote_endpoint({accepting.last()}).is_loopback());
  b.cancel(accepting);
  ASSERT_TRUE(world.run_until([&] { return accepting.ended; }, seconds(1)));
}

TEST(SimTcp, HalfCloseKeepsTheOtherDirectionOpen) {
  World world(1);
  RawPair pair(world);
  pair.open();
  RawOp a_receives, b_receives, sending, closing, answer;
  pair.a.receive(a_receives, pair.near);
  pair.b.receive(b_receives, pair.far);
  pair.a.send(sending, pair.near, as_bytes("question"));
  ASSERT_TRUE(world.run_until([&] { return sending.ended; }, seconds(1)));
  pair.a.shutdown(closing, pair.near, true);
  ASSERT_TRUE(world.run_until([&] { return b_receives.ended; }, seconds(1)));
  EXPECT_EQ(as_text(b_receives.bytes), "question");  // all of it before the end
  EXPECT_EQ(b_receives.last(), 0);
  pair.b.send(answer, pair.far, as_bytes("answer"));
  ASSERT_TRUE(world.run_until([&] { return a_receives.bytes.size() == 6; }, seconds(1)));
  RawOp refused;
  pair.a.send(refused, pair.near, as_bytes("more"));
  ASSERT_TRUE(world.run_until([&] { return refused.ended; }, seconds(1)));
  EXPECT_EQ(refused.last(), -EPIPE);
  pair.finish({&a_receives}, {});
}

TEST(SimTcp, AFullWindowStopsTheSenderUntilThePeerReads) {
  Options options;
  options.send_buffer = 1000;
  options.receive_buffer = 2000;
  World world(1, options);
  RawPair pair(world);
  pair.open();
  Rng rng(1);
  const std::vector<uint8_t> data = random_bytes(rng, 5000);
  size_t sent = 0;
  RawOp sending;
  sending.then = [&](Completion& completion) {
    ASSERT_GT(completion.result, 0);
    sent += static_cast<size_t>(completion.result);
    if (sent < data.size()) pair.a.send(sending, pair.near, Bytes(data).subspan(sent));
  };
  pair.a.send(sending, pair.near, data);
  world.run_for(seconds(10));
  EXPECT_EQ(sent, 3000u);  // both buffers, and not a byte more
  RawOp receiving;
  pair.b.receive(receiving, pair.far);
  ASSERT_TRUE(world.run_until([&] { return receiving.bytes.size() == 5000; }, seconds(10)));
  EXPECT_TRUE(equal(receiving.bytes, data));
  pair.finish({}, {&receiving});
}

TEST(SimTcp, ClosingWithUnreadBytesResetsThePeer) {
  World world(1);
  RawPair pair(world);
  pair.open();
  RawOp sending, receiving;
  pair.a.receive(receiving, pair.near);
  pair.a.send(sending, pair.near, as_bytes("unread"));
  world.run_for(milliseconds(10));
  pair.b.backend.close(pair.far);
  ASSERT_TRUE(world.run_until([&] { return receiving.ended; }, seconds(1)));
  EXPECT_EQ(receiving.last(), -ECONNRESET);
  RawOp late;
  pair.a.send(late, pair.near, as_bytes("late"));
  ASSERT_TRUE(world.run_until([&] { return late.ended; }, seconds(1)));
  EXPECT_EQ(late.last(), -EPIPE);
  pair.finish({}, {});
}

TEST(SimTcp, ClosingInOrderDeliversEverythingFirst) {
  Options options;
  options.link.bandwidth = 1'000'000;
  World world(1, options);
  RawPair pair(world);
  pair.open();
  Rng rng(1);
  const std::vector<uint8_t> data = random_bytes(rng, 60'000);
  RawOp sending, receiving;
  pair.a.send(sending, pair.near, data);
  ASSERT_TRUE(world.run_until([&] { return sending.ended; }, seconds(1)));
  ASSERT_EQ(sending.last(), 60'000);
  pair.a.backend.close(pair.near);
  const MonoTime start = world.now();
  pair.b.receive(receiving, pair.far);
  ASSERT_TRUE(world.run_until([&] { return receiving.ended; }, seconds(1)));
  EXPECT_TRUE(equal(receiving.bytes, data));
  EXPECT_EQ(receiving.last(), 0);
  EXPECT_GE(world.now() - start, milliseconds(55));  // 60 kB at 1 MB/s
  pair.b.backend.close(pair.far);
  pair.finish({}, {});
  world.run_for(seconds(1));
  EXPECT_EQ(world.net().connections(), 0u);
}

TEST(SimTcp, APartitionStallsThenTimesOutAndTheOtherSideLearnsLater) {
  Options options;
  options.stall_timeout = seconds(5);
  World world(1, options);
  RawPair pair(world);
  pair.open();
  RawOp a_receives, b_receives, sending;
  pair.a.receive(a_receives, pair.near);
  pair.b.receive(b_receives, pair.far);
  world.run_for(milliseconds(10));
  world.net().partition(0, 1);
  pair.a.send(sending, pair.near, as_bytes("lost"));
  world.run_for(seconds(4));
  EXPECT_EQ(sending.last(), 4);  // the kernel took it
  EXPECT_FALSE(a_receives.ended);
  ASSERT_TRUE(world.run_until([&] { return a_receives.ended; }, seconds(20)));
  EXPECT_EQ(a_receives.last(), -ETIMEDOUT);
  EXPECT_FALSE(b_receives.ended);
  world.net().heal_all();
  world.run_for(seconds(60));
  EXPECT_FALSE(b_receives.ended);  // half open, for ever
  RawOp late;
  pair.b.send(late, pair.far, as_bytes("anybody?"));
  ASSERT_TRUE(world.run_until([&] { return b_receives.ended; }, seconds(1)));
  EXPECT_EQ(b_receives.last(), -ECONNRESET);
  pair.finish({}, {});
}

TEST(SimTcp, APartitionThatHealsInTimeLosesNothing) {
  World world(1);
  RawPair pair(world);
  pair.open();
  RawOp receiving, sending;
  pair.b.receive(receiving, pair.far);
  world.net().partition(0, 1);
  pair.a.send(sending, pair.near, as_bytes("patience"));
  world.run_for(seconds(10));
  EXPECT_TRUE(receiving.bytes.empty());
  world.net().heal_all();
  ASSERT_TRUE(world.run_until([&] { return receiving.bytes.size() == 8; }, seconds(10)));
  EXPECT_EQ(as_text(receiving.bytes), "patience");
  pair.finish({}, {&receiving});
}

TEST(SimTcp, AnInjectedResetEndsBothSides) {
  World world(1);
  RawPair pair(world);
  pair.open();
  RawOp a_receives, b_receives;
  pair.a.receive(a_receives, pair.near);
  pair.b.receive(b_receives, pair.far);
  world.run_for(milliseconds(10));
  world.net().reset_connections(0, 1);
  ASSERT_TRUE(world.run_until([&] { return a_receives.ended && b_receives.ended; }, seconds(1)));
  EXPECT_EQ(a_receives.last(), -ECONNRESET);
  EXPECT_EQ(b_receives.last(), -ECONNRESET);
  pair.finish({}, {});
}

TEST(SimTcp, AFullBacklogDelaysConnectsAndAClosedListenerResetsThem) {
  World world(1);
  Raw a(world, world.add_host(0x0a000001));
  Raw b(world, world.add_host(0x0a000002));
  const Endpoint to = world.net().endpoint(1, 9000);
  const Socket listener = *b.backend.listen_tcp(to, 2);
  std::array<RawOp, 3> connects;
  std::array<RawOp, 3> receives;
  std::array<Socket, 3> sockets;
  for (size_t i = 0; i < 3; ++i) {
    sockets[i] = *a.backend.open_tcp(AF_INET);
    a.connect(connects[i], sockets[i], to);
  }
  world.run_for(milliseconds(500));
  EXPECT_EQ(connects[0].ended + connects[1].ended + connects[2].ended, 2);
  EXPECT_GE(world.net().stats().backlog_full, 1u);
  for (size_t i = 0; i < 3; ++i) {
    if (connects[i].ended) a.receive(receives[i], sockets[i]);
  }
  b.backend.close(listener);
  world.run_for(seconds(10));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(connects[i].ended);
    if (connects[i].last() == 0) {
      EXPECT_EQ(receives[i].last(), -ECONNRESET);
    } else {
      EXPECT_EQ(connects[i].last(), -ECONNREFUSED);
    }
  }
  EXPECT_EQ(a.backend.in_flight(), 0u);
}

}  // namespace
}  // namespace beamline::sim
