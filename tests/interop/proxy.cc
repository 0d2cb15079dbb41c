#include "tests/interop/proxy.h"

#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace beamline::interop {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

struct Pair {
  int client;
  int server;
};

// Moves what there is from one side to the other; false when a side is gone.
bool pass(int from, int to) {
  char buffer[65'536];
  const ssize_t n = recv(from, buffer, sizeof buffer, 0);
  return n > 0 && send(to, buffer, static_cast<size_t>(n), MSG_NOSIGNAL) == n;
}

}  // namespace

Proxy::Proxy(uint16_t target) : target_(target) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(listener_, 16);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  wake_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  stop_.store(true);
  eventfd_write(wake_, 1);
  thread_.join();
  close(listener_);
  close(wake_);
}

void Proxy::run() {
  std::vector<Pair> pairs;
  const auto drop = [&](size_t index) {
    close(pairs[index].client);
    close(pairs[index].server);
    pairs.erase(pairs.begin() + static_cast<ptrdiff_t>(index));
  };
  while (!stop_.load()) {
    std::vector<pollfd> polled = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const Pair& pair : pairs) {
      polled.push_back({pair.client, POLLIN, 0});
      polled.push_back({pair.server, POLLIN, 0});
    }
    ::poll(polled.data(), polled.size(), 50);
    if (polled[1].revents != 0) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(target_);
      const int one = 1;
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      pairs.push_back({client, server});
      if (cut_.load() ||
          connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        drop(pairs.size() - 1);
      }
      continue;
    }
    for (size_t i = (polled.size() - 2) / 2; i > 0; --i) {
      const short from_client = polled[2 * i].revents;
      const short from_server = polled[2 * i + 1].revents;
      const Pair pair = pairs[i - 1];
      const bool alive = !cut_.load() && (from_client == 0 || pass(pair.client, pair.server)) &&
                         (from_server == 0 || pass(pair.server, pair.client));
      if (!alive) drop(i - 1);
    }
  }
  while (!pairs.empty()) drop(pairs.size() - 1);
}

}  // namespace beamline::interop
