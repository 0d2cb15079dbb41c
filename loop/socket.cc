#include "loop/socket.h"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace beamline::socket {
namespace {

int type_flags(Mode mode) {
  return SOCK_CLOEXEC | (mode == Mode::non_blocking ? SOCK_NONBLOCK : 0);
}

void enable(int fd, int level, int option) {
  const int one = 1;
  setsockopt(fd, level, option, &one, sizeof one);
}

std::unexpected<Error> fail(int fd, const char* step, const Endpoint& local) {
  const int err = errno;
  if (fd >= 0) ::close(fd);
  if (err == EADDRINUSE) return local_error(Code::address_in_use, "port", local.port());
  if (err == EADDRNOTAVAIL || err == EACCES) {
    return local_error(Code::invalid_argument, "address", local.port());
  }
  return local_error(Code::io_error, step, err);
}

}  // namespace

Result<Socket> listen_tcp(const Endpoint& local, uint32_t backlog, Mode mode) {
  if (local.empty()) return local_error(Code::invalid_argument, "address");
  const int fd = ::socket(local.family(), SOCK_STREAM | type_flags(mode), 0);
  if (fd < 0) return fail(fd, "socket", local);
  enable(fd, SOL_SOCKET, SO_REUSEADDR);
  enable(fd, IPPROTO_TCP, TCP_NODELAY);  // accepted sockets inherit it
  if (bind(fd, local.data(), local.size()) < 0) return fail(fd, "bind", local);
  const int queue = static_cast<int>(std::min<uint32_t>(backlog, INT_MAX));
  if (::listen(fd, queue) < 0) return fail(fd, "listen", local);
  return Socket{fd};
}

Result<Socket> open_tcp(sa_family_t family, Mode mode) {
  const int fd = ::socket(family, SOCK_STREAM | type_flags(mode), 0);
  if (fd < 0) return fail(fd, "socket", {});
  enable(fd, IPPROTO_TCP, TCP_NODELAY);
  return Socket{fd};
}

Result<Socket> open_udp(const Endpoint& local, Mode mode) {
  if (local.empty()) return local_error(Code::invalid_argument, "address");
  const int fd = ::socket(local.family(), SOCK_DGRAM | type_flags(mode), 0);
  if (fd < 0) return fail(fd, "socket", local);
  if (bind(fd, local.data(), local.size()) < 0) return fail(fd, "bind", local);
  return Socket{fd};
}

Endpoint local_endpoint(Socket socket) {
  Endpoint endpoint;
  socklen_t size = Endpoint::capacity();
  return getsockname(socket.fd, endpoint.data(), &size) == 0 ? endpoint : Endpoint{};
}

Endpoint remote_endpoint(Socket socket) {
  Endpoint endpoint;
  socklen_t size = Endpoint::capacity();
  return getpeername(socket.fd, endpoint.data(), &size) == 0 ? endpoint : Endpoint{};
}

}  // namespace beamline::socket
