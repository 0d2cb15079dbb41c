#include "base/endpoint.h"

namespace beamline {
namespace {

TEST(Endpoint, TextBothWays) {
  for (const char* text : {"127.0.0.1:9000", "0.0.0.0:0", "[::1]:65535", "[2001:db8::1]:30303"}) {
    const Result<Endpoint> endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(to_string(*endpoint), text);
    EXPECT_EQ(Endpoint::from_address(endpoint->address(), endpoint->port()), *endpoint);
    EXPECT_EQ(Endpoint::from_sockaddr(endpoint->data()), *endpoint);
  }
}

TEST(Endpoint, BadTextNamesWhatIsWrong) {
  for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                           "127.0.0.1:9000x", ":", "localhost"}) {
    const Result<Endpoint> endpoint = Endpoint::parse(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_STREQ(endpoint.error().field, "port") << text;
  }
  for (const char* text : {":9000", "256.0.0.1:1", "::1:9000", "[127.0.0.1]:1", "[::1:9000"}) {
    const Result<Endpoint> endpoint = Endpoint::parse(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_STREQ(endpoint.error().field, "address") << text;
  }
}

TEST(Endpoint, KnowsLoopback) {
  EXPECT_TRUE(Endpoint::loopback(1).is_loopback());
  EXPECT_TRUE(Endpoint::parse("127.9.9.9:1")->is_loopback());
  EXPECT_TRUE(Endpoint::parse("[::1]:1")->is_loopback());
  EXPECT_FALSE(Endpoint::parse("128.0.0.1:1")->is_loopback());
}

}  // namespace
}  // namespace beamline
