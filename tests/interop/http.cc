#include "tests/interop/http.h"

#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace beamline::interop {
namespace {

// The whole answer, headers first; HTTP/1.0, so that its end is the connection's.
std::string request(uint16_t port, const std::string& text) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 3, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
    char buffer[16'384];
    for (ssize_t n = 0; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
  }
  close(fd);
  return answer;
}

std::string head(const char* method, const std::string& path) {
  return std::string(method) + " " + path + " HTTP/1.0\r\nHost: 127.0.0.1\r\n" +
         "Accept: application/json\r\nContent-Length: 0\r\n\r\n";
}

}  // namespace

nlohmann::json get_json(uint16_t port, const std::string& path) {
  const std::string answer = request(port, head("GET", path));
  const size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos) return nullptr;
  auto json = nlohmann::json::parse(answer.substr(body + 4), nullptr, false);
  return json.is_discarded() ? nlohmann::json(nullptr) : json;
}

int post(uint16_t port, const std::string& path) {
  const std::string answer = request(port, head("POST", path));
  return answer.size() < 12 ? 0 : std::atoi(answer.c_str() + 9);
}

}  // namespace beamline::interop
