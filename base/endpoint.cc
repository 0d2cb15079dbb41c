#include "base/endpoint.h"

#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace beamline {

Endpoint Endpoint::v4(uint32_t host_order_address, uint16_t port) {
  Endpoint endpoint;
  endpoint.storage_.v4.sin_family = AF_INET;
  endpoint.storage_.v4.sin_port = htons(port);
  endpoint.storage_.v4.sin_addr.s_addr = htonl(host_order_address);
  return endpoint;
}

Endpoint Endpoint::v6(const in6_addr& address, uint16_t port, uint32_t scope) {
  Endpoint endpoint;
  endpoint.storage_.v6.sin6_family = AF_INET6;
  endpoint.storage_.v6.sin6_port = htons(port);
  endpoint.storage_.v6.sin6_addr = address;
  endpoint.storage_.v6.sin6_scope_id = scope;
  return endpoint;
}

Endpoint Endpoint::from_address(Bytes address, uint16_t port) {
  if (address.size() == sizeof(in_addr)) {
    in_addr four;
    std::memcpy(&four, address.data(), sizeof four);
    return v4(ntohl(four.s_addr), port);
  }
  if (address.size() != sizeof(in6_addr)) return {};
  in6_addr six;
  std::memcpy(&six, address.data(), sizeof six);
  return v6(six, port);
}

Endpoint Endpoint::from_sockaddr(const sockaddr* address) {
  Endpoint endpoint;
  if (address->sa_family == AF_INET) {
    std::memcpy(&endpoint.storage_.v4, address, sizeof(sockaddr_in));
  } else if (address->sa_family == AF_INET6) {
    std::memcpy(&endpoint.storage_.v6, address, sizeof(sockaddr_in6));
  }
  return endpoint;
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return local_error(Code::invalid_argument, "port");
  const std::string_view digits = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
    return local_error(Code::invalid_argument, "port");
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  char buffer[INET6_ADDRSTRLEN];
  if (host.size() >= sizeof buffer) return local_error(Code::invalid_argument, "address");
  std::memcpy(buffer, host.data(), host.size());
  buffer[host.size()] = '\0';
  in_addr four;
  if (!bracketed && inet_pton(AF_INET, buffer, &four) == 1) return v4(ntohl(four.s_addr), port);
  in6_addr six;
  if (bracketed && inet_pton(AF_INET6, buffer, &six) == 1) return v6(six, port);
  return local_error(Code::invalid_argument, "address");
}

uint16_t Endpoint::port() const {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(storage_.v6.sin6_port);
  return 0;
}

void Endpoint::set_port(uint16_t port) {
  if (family() == AF_INET) storage_.v4.sin_port = htons(port);
  if (family() == AF_INET6) storage_.v6.sin6_port = htons(port);
}

Bytes Endpoint::address() const {
  if (family() == AF_INET) {
    return {reinterpret_cast<const uint8_t*>(&storage_.v4.sin_addr), sizeof(in_addr)};
  }
  if (family() == AF_INET6) {
    return {reinterpret_cast<const uint8_t*>(&storage_.v6.sin6_addr), sizeof(in6_addr)};
  }
  return {};
}

bool Endpoint::is_loopback() const {
  if (family() == AF_INET) return (ntohl(storage_.v4.sin_addr.s_addr) >> 24) == 127;
  return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&storage_.v6.sin6_addr);
}

socklen_t Endpoint::size() const {
  if (family() == AF_INET) return sizeof(sockaddr_in);
  return family() == AF_INET6 ? sizeof(sockaddr_in6) : 0;
}

bool operator==(const Endpoint& a, const Endpoint& b) {
  return a.family() == b.family() && a.port() == b.port() && equal(a.address(), b.address());
}

std::string to_string(const Endpoint& endpoint) {
  if (endpoint.empty()) return "none";
  char buffer[INET6_ADDRSTRLEN] = "";
  inet_ntop(endpoint.family(), endpoint.address().data(), buffer, sizeof buffer);
  const std::string port = std::to_string(endpoint.port());
  if (endpoint.family() == AF_INET6) return std::string("[") + buffer + "]:" + port;
  return std::string(buffer) + ":" + port;
}

}  // namespace beamline
