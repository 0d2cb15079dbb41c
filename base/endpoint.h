// An IP address and port, in the form that the kernel takes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <netinet/in.h>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

// A value; 32 bytes. Default-constructed it is empty (family() == AF_UNSPEC).
class Endpoint {
 public:
  Endpoint() = default;
  static Endpoint v4(uint32_t host_order_address, uint16_t port);
  static Endpoint v6(const in6_addr& address, uint16_t port, uint32_t scope = 0);
  static Endpoint loopback(uint16_t port) { return v4(INADDR_LOOPBACK, port); }
  // From 4 or 16 bytes in network order. Empty for another number of bytes.
  static Endpoint from_address(Bytes address, uint16_t port);
  // From what the kernel filled in. Empty for a family other than IPv4 and IPv6.
  static Endpoint from_sockaddr(const sockaddr* address);
  // "127.0.0.1:9000" or "[::1]:9000". The port is required. Fault::local: it is a user's input.
  static Result<Endpoint> parse(std::string_view text);

  sa_family_t family() const { return storage_.any.sa_family; }
  bool empty() const { return family() == AF_UNSPEC; }
  uint16_t port() const;
  void set_port(uint16_t port);
  // 4 or 16 bytes in network order; empty for an empty endpoint.
  Bytes address() const;
  bool is_loopback() const;
  const sockaddr* data() const { return &storage_.any; }
  sockaddr* data() { return &storage_.any; }
  socklen_t size() const;
  static constexpr socklen_t capacity() { return sizeof(sockaddr_in6); }

  friend bool operator==(const Endpoint& a, const Endpoint& b);

 private:
  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  Storage storage_{};
};

std::string to_string(const Endpoint& endpoint);

}  // namespace beamline
