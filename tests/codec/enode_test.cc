#include "codec/enode.h"

#include "codec/hex.h"

namespace beamline {
namespace {

// ethereum/go-ethereum params/bootnodes.go, a mainnet boot node.
constexpr const char* kBootNode =
    "enode://"
    "d860a01f9722d78051619d1e2351aba3f43f943f6f00718d1b9baa4101932a1f5011f16bb2b1bb35db20d6f"
    "e28fa0bf09636d26a87d31de9ec6203eeedb1f666@18.138.108.67:30303";
constexpr size_t kHostAt = 8 + 128 + 1;

std::string with_host(std::string_view host) {
  return std::string(kBootNode).substr(0, kHostAt) + std::string(host);
}

TEST(Enode, ThereAndBack) {
  const auto enode = Enode::parse(kBootNode);
  ASSERT_TRUE(enode) << to_string(enode.error());
  EXPECT_EQ(to_string(enode->tcp), "18.138.108.67:30303");
  EXPECT_EQ(enode->udp_port, 30303);
  EXPECT_EQ(enode->to_text(), kBootNode);
  const std::string other = with_host("[2001:db8::1]:30303?discport=30301");
  const auto six = Enode::parse(other);
  ASSERT_TRUE(six) << to_string(six.error());
  EXPECT_EQ(six->udp_port, 30301);
  EXPECT_EQ(six->to_text(), other);
  EXPECT_EQ(Enode::parse(with_host("10.0.0.1:1?discport=0"))->udp_port, 0);
}

TEST(Enode, BadTextNamesItsPlace) {
  const auto code = [](const std::string& text) { return Enode::parse(text).error().code; };
  EXPECT_EQ(code("enr:"), Code::bad_encoding);
  EXPECT_EQ(code("enode://"), Code::bad_encoding);
  EXPECT_EQ(code(std::string(300, 'a')), Code::too_long);
  std::string text = kBootNode;
  text[10] = 'x';
  EXPECT_EQ(code(text), Code::bad_encoding);
  text = kBootNode;
  text[10] = '1';  // no longer on the curve
  EXPECT_EQ(code(text), Code::bad_key);
  EXPECT_EQ(Enode::parse(with_host("node.example:30303")).error().offset, kHostAt);
  for (const char* host : {"", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:1?x=1",
                           "10.0.0.1:1?discport=", "10.0.0.1:1?discport=01",
                           "10.0.0.1:1?discport=1&x=2", "10.0.0.1:1/"}) {
    EXPECT_EQ(code(with_host(host)), Code::bad_encoding) << host;
  }
  EXPECT_EQ(code(with_host("10.0.0.1:1?discport=70000")), Code::out_of_range);
  EXPECT_EQ(code(with_host("10.0.0.1:1?discport=7000000000")), Code::out_of_range);
}

}  // namespace
}  // namespace beamline
