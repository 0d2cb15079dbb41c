#include "loop/udp.h"

#include <algorithm>

#include <sys/socket.h>
#include <unistd.h>

#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

class Inbound final : public UdpHandler {
 public:
  void on_datagram(UdpSocket& socket, const Endpoint& from, Lease payload) override {
    got.emplace_back(as_text(payload.bytes()));
    last_from = from;
    if (echo) {
      EXPECT_EQ(socket.send(from, payload.bytes()), SendResult::ok);
    }
    if (keep) kept.push_back(std::move(payload));
    if (close) socket.close();
  }
  void on_writable(UdpSocket&) override { ++writable; }
  std::vector<std::string> got;
  std::vector<Lease> kept;
  Endpoint last_from;
  int writable = 0;
  bool echo = false, close = false, keep = false;
};

class Udp : public RingTest {
 protected:
  std::unique_ptr<UdpSocket> open(UdpHandler& handler, const UdpOptions& options = {},
                                  const Endpoint& local = Endpoint::loopback(0)) {
    auto opened = UdpSocket::open(*reactor_, local, handler, options);
    EXPECT_TRUE(opened.has_value()) << to_string(opened.error());
    return std::move(*opened);
  }
  void TearDown() override {
    for (auto& socket : sockets_) socket->close();
    reactor_->shutdown();
    EXPECT_EQ(reactor_->backend().in_flight(), 0u);
    sockets_.clear();
  }
  UdpSocket& add(UdpHandler& handler, const UdpOptions& options = {}) {
    sockets_.push_back(open(handler, options));
    return *sockets_.back();
  }
  Inbound a_, b_;
  std::vector<std::unique_ptr<UdpSocket>> sockets_;
};

TEST_F(Udp, DatagramsKeepTheirBoundsAndNameTheirSender) {
  UdpSocket& a = add(a_);
  UdpSocket& b = add(b_);
  b_.echo = true;
  EXPECT_EQ(a.send(b.local(), as_bytes("one")), SendResult::ok);
  EXPECT_EQ(a.send(b.local(), as_bytes("")), SendResult::ok);
  const std::string largest(1472, 'x');
  EXPECT_EQ(a.send(b.local(), as_bytes(largest)), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return a_.got.size() == 3; }));
  EXPECT_EQ(b_.got, (std::vector<std::string>{"one", "", largest}));
  EXPECT_EQ(a_.got, b_.got);
  EXPECT_EQ(b_.last_from, a.local());
  EXPECT_EQ(a_.last_from, b.local());
  EXPECT_EQ(a.stats().sent, 3u);
  EXPECT_EQ(a.stats().batches, 1u);
  EXPECT_EQ(b.stats().bytes_in, 3u + 1472u);
}

TEST_F(Udp, BothFamilies) {
  const auto six = Endpoint::parse("[::1]:0");
  auto opened = UdpSocket::open(*reactor_, *six, a_, {});
  if (!opened) GTEST_SKIP() << "no IPv6 loopback";
  sockets_.push_back(std::move(*opened));
  UdpSocket& a = *sockets_.back();
  EXPECT_EQ(a.send(a.local(), as_bytes("to myself")), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return a_.got.size() == 1; }));
  EXPECT_EQ(a_.last_from, a.local());
}

TEST_F(Udp, ATruncatedDatagramIsDroppedAndCounted) {
  UdpSocket& a = add(a_, {.max_datagram = 4000});
  UdpSocket& b = add(b_, {.max_datagram = 100});
  EXPECT_EQ(b.send(a.local(), as_bytes(std::string(101, 'x'))), SendResult::too_long);
  EXPECT_EQ(a.send(b.local(), as_bytes(std::string(4000, 'x'))), SendResult::ok);
  EXPECT_EQ(a.send(b.local(), as_bytes(std::string(101, 'x'))), SendResult::ok);
  EXPECT_EQ(a.send(b.local(), as_bytes(std::string(100, 'y'))), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return b_.got.size() == 1 && b.stats().truncated == 2; }));
  EXPECT_EQ(b_.got[0], std::string(100, 'y'));
  EXPECT_EQ(b.stats().refused_long, 1u);
}

TEST_F(Udp, AFullQueueRefusesAndSaysWhenThereIsRoom) {
  UdpSocket& a = add(a_, {.send_slots = 4});
  UdpSocket& b = add(b_);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(a.send(b.local(), as_bytes("x")), SendResult::ok);
  EXPECT_EQ(a.send(b.local(), as_bytes("x")), SendResult::full);
  EXPECT_TRUE(a.send_space().empty());
  EXPECT_EQ(a.stats().refused_full, 2u);
  ASSERT_TRUE(turn_until([&] { return a_.writable == 1 && b_.got.size() == 4; }));
  EXPECT_EQ(a.free_slots(), 4u);
  const MutableBytes space = a.send_space();
  ASSERT_GE(space.size(), 2u);
  space[0] = 'o';
  space[1] = 'k';
  a.commit(b.local(), 2);
  ASSERT_TRUE(turn_until([&] { return b_.got.size() == 5; }));
  EXPECT_EQ(b_.got.back(), "ok");
}

TEST_F(Udp, WithoutABufferItWaitsForOneAndGoesOn) {
  UdpSocket& a = add(a_, {.send_slots = 64});
  UdpSocket& b = add(b_, {.buffer_count = 4});
  b_.keep = true;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(a.send(b.local(), as_bytes("x")), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return b.stats().starved > 0; }));
  EXPECT_EQ(b_.got.size(), 4u);
  b_.keep = false;
  b_.kept.clear();
  ASSERT_TRUE(turn_until([&] { return b_.got.size() == 20; }));
}

TEST_F(Udp, ASendThatCannotGoIsCountedAndTheNextOneGoes) {
  UdpSocket& a = add(a_);
  UdpSocket& b = add(b_);
  EXPECT_EQ(a.send(*Endpoint::parse("[::1]:9"), as_bytes("wrong family")), SendResult::ok);
  EXPECT_EQ(a.send(b.local(), as_bytes("x")), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return b_.got.size() == 1 && a.free_slots() == 256; }));
  EXPECT_EQ(a.stats().send_errors, 1u);
}

// An ICMP error ends the kernel's multishot with ECONNREFUSED; unconnected sockets see it when
// IP_RECVERR is set.
TEST_F(Udp, AnIcmpErrorDoesNotMakeItDeaf) {
  UdpSocket& a = add(a_);
  UdpSocket& b = add(b_);
  const int on = 1;
  // The backend's socket, found by its address, because only the test needs its number.
  int fd = -1;
  for (int i = 3; i < 256 && fd < 0; ++i) {
    Endpoint local;
    socklen_t size = Endpoint::capacity();
    if (getsockname(i, local.data(), &size) == 0 && local == a.local()) fd = i;
  }
  ASSERT_GE(fd, 0);
  ASSERT_EQ(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
  const auto nobody = open(b_, {}, own_loopback());
  const Endpoint closed = nobody->local();
  nobody->close();
  ASSERT_TRUE(turn_until([&] { return nobody->quiet(); }));
  EXPECT_EQ(a.send(closed, as_bytes("x")), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return a.stats().receive_errors + a.stats().send_errors > 0; }));
  EXPECT_EQ(b.send(a.local(), as_bytes("still there")), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return a_.got.size() == 1; }));
}

TEST_F(Udp, ItClosesFromItsOwnCallbackAndFreesThePort) {
  UdpSocket& a = add(a_);
  auto b = open(b_, {}, own_loopback());
  b_.close = true;
  const Endpoint port = b->local();
  EXPECT_EQ(a.send(port, as_bytes("x")), SendResult::ok);
  ASSERT_TRUE(turn_until([&] { return b->quiet(); }));
  EXPECT_EQ(b->send(a.local(), as_bytes("x")), SendResult::closed);
  EXPECT_EQ(b_.got.size(), 1u);
  b.reset();
  b_.close = false;
  sockets_.push_back(open(b_, {}, port));
}

TEST_F(Udp, WhatIsQueuedWhenItClosesIsCounted) {
  UdpSocket& a = add(a_);
  UdpSocket& b = add(b_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(a.send(b.local(), as_bytes("x")), SendResult::ok);
  a.close();
  EXPECT_EQ(a.stats().dropped_closing, 3u);
  ASSERT_TRUE(turn_until([&] { return a.quiet(); }));
  EXPECT_TRUE(b_.got.empty());
}

TEST_F(Udp, WrongOptionsAndPortsAreNamed) {
  const auto field = [&](const UdpOptions& options) {
    const auto opened = UdpSocket::open(*reactor_, Endpoint::loopback(0), a_, options);
    return opened ? std::string("none") : std::string(opened.error().field);
  };
  EXPECT_EQ(field({.max_datagram = 0}), "max_datagram");
  EXPECT_EQ(field({.max_datagram = 65'508}), "max_datagram");
  EXPECT_EQ(field({.buffer_count = 3}), "buffer_count");
  EXPECT_EQ(field({.send_slots = 0}), "send_slots");
  UdpSocket& a = add(a_);
  const auto second = UdpSocket::open(*reactor_, a.local(), b_, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::address_in_use);
  EXPECT_EQ(second.error().offset, a.local().port());
}

}  // namespace
}  // namespace beamline
