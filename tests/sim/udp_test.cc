#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/sim/raw.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

constexpr size_t kFront = 16 + sizeof(sockaddr_in6);  // io_uring_recvmsg_out and the address

struct Udp {
  explicit Udp(const Options& options = {}, uint32_t buffers = 64)
      : world(1, options),
        a(world, world.add_host(0x0a000001)),
        b(world, world.add_host(0x0a000002), buffers, 2048),
        to(world.net().endpoint(1, 9000)),
        from(*a.backend.open_udp(world.net().endpoint(0, 7000))),
        at(*b.backend.open_udp(to)) {
    receiving.then = [this](Completion& completion) {
      if (completion.result < 0) return;
      const MutableBytes all = completion.lease.bytes();
      ASSERT_GE(all.size(), kFront);
      sockaddr_storage name{};
      std::memcpy(&name, all.data() + 16, sizeof(sockaddr_in6));
      sender = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&name));
      std::memcpy(&flags, all.data() + 12, 4);
      got.emplace_back(as_text(all.subspan(kFront)));
    };
  }
  void receive() {
    receiving.op.args.pool = &b.pool;
    b.start(receiving, OpKind::recv_msg, at);
  }
  int32_t send(std::string text) {
    RawOp sending;
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_name = to.data();
    message.msg_namelen = to.size();
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    sending.op.args.message = &message;
    a.start(sending, OpKind::send_msg, from);
    EXPECT_TRUE(world.run_until([&] { return sending.ended; }, seconds(1)));
    return sending.last();
  }
  ~Udp() {
    b.cancel(receiving);
    EXPECT_TRUE(world.run_until([&] { return b.backend.in_flight() == 0; }, seconds(1)));
  }

  World world;
  RawOp receiving;
  Raw a, b;
  Endpoint to;
  Socket from, at;
  Endpoint sender;
  uint32_t flags = 0;
  std::vector<std::string> got;
};

TEST(SimUdp, DatagramsKeepTheirBoundsAndTheirSender) {
  Udp udp;
  udp.receive();
  EXPECT_EQ(udp.send("one"), 3);
  EXPECT_EQ(udp.send(""), 0);
  EXPECT_EQ(udp.send(std::string(4000, 'x')), 4000);
  udp.world.run_for(milliseconds(10));
  ASSERT_EQ(udp.got.size(), 3u);
  std::ranges::sort(udp.got);
  EXPECT_EQ(udp.got[0], "");
  EXPECT_EQ(udp.got[1], "one");
  EXPECT_EQ(udp.got[2], std::string(2048 - kFront, 'x'));  // cut to the buffer
  EXPECT_EQ(udp.sender, udp.world.net().endpoint(0, 7000));
  EXPECT_EQ(udp.send(std::string(65'508, 'x')), -EMSGSIZE);
  EXPECT_FALSE(udp.receiving.ended);
}

TEST(SimUdp, LossDuplicationAndReorderingHappenAtTheirRates) {
  Options options;
  options.link.loss = 200'000;
  options.link.duplicate = 100'000;
  options.link.reorder = 300'000;
  Udp udp(options);
  udp.receive();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(udp.send(std::to_string(i)), static_cast<int32_t>(std::to_string(i).size()));
    udp.world.run_for(microseconds(200));
  }
  udp.world.run_for(seconds(1));
  const NetworkStats& stats = udp.world.net().stats();
  EXPECT_NEAR(static_cast<double>(stats.datagrams_lost), 220, 60);
  EXPECT_NEAR(static_cast<double>(stats.datagrams_doubled), 100, 40);
  EXPECT_EQ(udp.got.size(), 1000 + stats.datagrams_doubled - stats.datagrams_lost);
  int backwards = 0;
  for (size_t i = 1; i < udp.got.size(); ++i) {
    if (std::stoi(udp.got[i]) < std::stoi(udp.got[i - 1])) ++backwards;
  }
  EXPECT_GT(backwards, 50);
}

TEST(SimUdp, WithoutABufferTheReceiveEndsAndNothingQueuedIsLost) {
  Udp udp({}, 2);
  EXPECT_EQ(udp.send("a"), 1);
  EXPECT_EQ(udp.send("b"), 1);
  EXPECT_EQ(udp.send("c"), 1);
  udp.world.run_for(milliseconds(10));
  udp.receive();
  ASSERT_TRUE(udp.world.run_until([&] { return udp.receiving.ended; }, seconds(1)));
  EXPECT_EQ(udp.receiving.last(), -ENOBUFS);
  EXPECT_EQ(udp.got.size(), 2u);
  udp.receive();
  udp.world.run_for(milliseconds(10));
  EXPECT_EQ(udp.got.size(), 3u);
}

TEST(SimUdp, AFullQueueAndAClosedPortDropAndCount) {
  Options options;
  options.udp_queue = 10;
  Udp udp(options);
  EXPECT_EQ(udp.send("12345678"), 8);
  EXPECT_EQ(udp.send("12345678"), 8);
  udp.world.run_for(milliseconds(10));
  EXPECT_EQ(udp.world.net().stats().datagrams_dropped, 1u);
  udp.to.set_port(9001);
  EXPECT_EQ(udp.send("x"), 1);
  udp.world.run_for(milliseconds(10));
  EXPECT_EQ(udp.world.net().stats().datagrams_dropped, 2u);
}

}  // namespace
}  // namespace beamline::sim
