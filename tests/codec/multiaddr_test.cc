#include "codec/multiaddr.h"

#include "base/rng.h"
#include "codec/hex.h"

namespace beamline {
namespace {

struct Known {
  const char* text;
  const char* bytes;
};

// As @multiformats/multiaddr 13.0.3 encodes them.
constexpr Known kKnown[] = {
    {"/ip4/127.0.0.1/tcp/9000/p2p/16Uiu2HAmL2L52n3n2kyCw9Xc2vj6QX4eFGPvQk7EzJ3S5fHQ1xYd",
     "047f000001062328a50327002508021221036d794d7698c896e854851912272fd561b9f7b2567cf6ba01293785d6"
     "b2ff60d6"},
    {"/ip6/2001:db8::1/udp/9001/quic-v1", "2920010db800000000000000000000000191022329cd03"},
    {"/dns4/example.org/tcp/443", "360b6578616d706c652e6f72670601bb"},
    {"/ip4/1.2.3.4/tcp/9000/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
     "0401020304062328a5032212209dff3b17d74cf4d38a50d8b6383e92d181a10395a5e73a726dcccbd21bf6f0b9"},
    {"/ip4/10.1.2.3/udp/65535/quic-v1/p2p/12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcqzMFHZnnsTzqD",
     "040a0102039102ffffcd03a50326002408011220ece68f984e95f22f8bc3b14d0790ad62e0c5294b0e4b987e0288"
     "3217f0dfb780"},
};

TEST(Multiaddr, TextAndBytesAsOthersHaveThem) {
  for (const Known& known : kKnown) {
    SCOPED_TRACE(known.text);
    const auto from_text = Multiaddr::parse_text(known.text);
    ASSERT_TRUE(from_text) << to_string(from_text.error());
    EXPECT_EQ(to_hex(from_text->bytes()), known.bytes);
    const auto from_bytes = Multiaddr::parse(*parse_hex(known.bytes));
    ASSERT_TRUE(from_bytes);
    EXPECT_EQ(from_bytes->to_text(), known.text);
    EXPECT_EQ(*from_bytes, *from_text);
  }
}

TEST(Multiaddr, EndpointsAndPeer) {
  const auto tcp = *Multiaddr::parse_text(kKnown[0].text);
  ASSERT_TRUE(tcp.tcp_endpoint());
  EXPECT_EQ(tcp.tcp_endpoint()->port(), 9000);
  EXPECT_EQ(tcp.tcp_endpoint()->family(), AF_INET);
  EXPECT_EQ(to_hex(tcp.tcp_endpoint()->address()), "7f000001");
  EXPECT_FALSE(tcp.quic_endpoint());
  ASSERT_TRUE(tcp.peer_id());
  EXPECT_EQ(Multiaddr::tcp(*tcp.tcp_endpoint(), *tcp.peer_id()), tcp);
  const auto quic = *Multiaddr::parse_text(kKnown[4].text);
  ASSERT_TRUE(quic.quic_endpoint());
  EXPECT_FALSE(quic.tcp_endpoint());
  EXPECT_EQ(Multiaddr::quic(*quic.quic_endpoint(), *quic.peer_id()), quic);
  const auto named = *Multiaddr::parse_text(kKnown[2].text);
  EXPECT_FALSE(named.tcp_endpoint());
  EXPECT_FALSE(named.peer_id());
  ASSERT_EQ(named.parts().size(), 2u);
  EXPECT_EQ(as_text(named.parts()[0].value), "example.org");
}

Code code_of(std::string_view text) {
  const auto parsed = Multiaddr::parse_text(text);
  EXPECT_FALSE(parsed) << text;
  return parsed ? Code::io_error : parsed.error().code;
}

TEST(Multiaddr, BadTextIsATypedError) {
  EXPECT_EQ(code_of(""), Code::bad_encoding);
  EXPECT_EQ(code_of("ip4/1.2.3.4"), Code::bad_encoding);
  EXPECT_EQ(code_of("/"), Code::unsupported);
  EXPECT_EQ(code_of("/ip4"), Code::truncated);
  EXPECT_EQ(code_of("/ip4/1.2.3"), Code::bad_encoding);
  EXPECT_EQ(code_of("/ip4/1.2.3.4/"), Code::unsupported);
  EXPECT_EQ(code_of("/ip4/1.2.3.4/tcp/65536"), Code::out_of_range);
  EXPECT_EQ(code_of("/ip4/1.2.3.4/tcp/0080"), Code::bad_encoding);
  EXPECT_EQ(code_of("/ip4/1.2.3.4/tcp/"), Code::bad_encoding);
  EXPECT_EQ(code_of("/ip4/1.2.3.4/tcp/-1"), Code::bad_encoding);
  EXPECT_EQ(code_of("/ip6/::g"), Code::bad_encoding);
  EXPECT_EQ(code_of("/ip6/" + std::string(100, '1')), Code::too_long);
  EXPECT_EQ(code_of("/dns4/"), Code::bad_encoding);
  EXPECT_EQ(code_of("/dns4/a b"), Code::bad_encoding);
  EXPECT_EQ(code_of("/dns4/" + std::string(129, 'a')), Code::bad_encoding);
  EXPECT_EQ(code_of("/onion/x"), Code::unsupported);
  EXPECT_EQ(code_of("/p2p/notbase58!"), Code::bad_encoding);
  EXPECT_EQ(code_of("/" + std::string(600, 'a')), Code::too_long);
  EXPECT_EQ(code_of("/quic-v1/quic-v1/quic-v1/quic-v1/quic-v1/quic-v1/quic-v1/quic-v1/quic-v1"),
            Code::too_long);
}

TEST(Multiaddr, BadBytesAreTypedErrors) {
  const auto code = [](std::string_view hex) {
    const auto parsed = Multiaddr::parse(*parse_hex(hex));
    EXPECT_FALSE(parsed) << hex;
    return parsed ? Code::io_error : parsed.error().code;
  };
  EXPECT_EQ(code(""), Code::truncated);
  EXPECT_EQ(code("04"), Code::truncated);
  EXPECT_EQ(code("047f0000"), Code::truncated);
  EXPECT_EQ(code("8400"
                 "7f000001"),
            Code::non_canonical);
  EXPECT_EQ(code("ffffff"), Code::too_long);
  EXPECT_EQ(code("07"), Code::unsupported);
  EXPECT_EQ(code("360561"), Code::truncated);
  EXPECT_EQ(code("3600"), Code::bad_encoding);
  EXPECT_EQ(code("36022f2f"), Code::bad_encoding);  // slashes in a name
  EXPECT_EQ(code("a5030101"), Code::truncated);
  EXPECT_EQ(Multiaddr::parse(std::vector<uint8_t>(257)).error().code, Code::too_long);
}

TEST(Multiaddr, WhatIsAcceptedComesBackThroughItsText) {
  const uint64_t seed = 52;
  Rng rng(seed);
  size_t accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::vector<uint8_t> bytes = *parse_hex(kKnown[rng.below(std::size(kKnown))].bytes);
    for (uint64_t n = rng.below(3); n > 0; --n) {
      bytes[rng.below(bytes.size())] = static_cast<uint8_t>(rng.next());
    }
    if (rng.chance(1, 4)) bytes.resize(rng.below(bytes.size() + 1));
    const auto parsed = Multiaddr::parse(bytes);
    if (!parsed) continue;
    ++accepted;
    const auto again = Multiaddr::parse_text(parsed->to_text());
    ASSERT_TRUE(again) << parsed->to_text() << " seed " << seed;
    ASSERT_EQ(*again, *parsed) << "seed " << seed;
  }
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace beamline
