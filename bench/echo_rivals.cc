#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "bench/echo_servers.h"

namespace beamline::bench {

void die(const char* what) {
  std::perror(what);
  _exit(1);
}

void tell_port(const EchoSetup& setup, uint16_t port) {
  if (write(setup.port_pipe, &port, sizeof port) != sizeof port) die("pipe");
}

int listen_and_tell(const EchoSetup& setup) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof local;
  if (bind(listener, reinterpret_cast<sockaddr*>(&local), size) < 0) die("bind");
  if (listen(listener, 512) < 0) die("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&local), &size);
  tell_port(setup, ntohs(local.sin_port));
  return listener;
}

int accept_one(int listener, bool blocking) {
  const int fd = accept4(listener, nullptr, nullptr, blocking ? 0 : SOCK_NONBLOCK);
  if (fd < 0) die("accept");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

void serve_epoll(const EchoSetup& setup) {
  const int listener = listen_and_tell(setup);
  const int poll = epoll_create1(0);
  for (int i = 0; i < setup.connections; ++i) {
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.fd = accept_one(listener, false);
    epoll_ctl(poll, EPOLL_CTL_ADD, interest.data.fd, &interest);
  }
  static std::array<char, 65'536> bytes;
  std::array<epoll_event, 256> events;
  int open = setup.connections;
  while (open > 0) {
    const int count = epoll_wait(poll, events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      const ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
      if (n > 0 && send(fd, bytes.data(), static_cast<size_t>(n), MSG_NOSIGNAL) == n) continue;
      close(fd);
      --open;
    }
  }
}

namespace {
int libuv_open = 0;
std::array<char, 65'536> libuv_bytes;

void libuv_allocate(uv_handle_t*, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(libuv_bytes.data(), libuv_bytes.size());
}
void libuv_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buffer) {
  if (n == 0) return;
  uv_buf_t out = uv_buf_init(buffer->base, static_cast<unsigned>(n > 0 ? n : 0));
  if (n > 0 && uv_try_write(stream, &out, 1) == n) return;
  uv_close(reinterpret_cast<uv_handle_t*>(stream), nullptr);
  if (--libuv_open == 0) uv_stop(stream->loop);
}
}  // namespace

void serve_libuv(const EchoSetup& setup) {
  const int listener = listen_and_tell(setup);
  uv_loop_t loop;
  uv_loop_init(&loop);
  libuv_open = setup.connections;
  std::vector<uv_tcp_t> streams(static_cast<size_t>(setup.connections));
  for (uv_tcp_t& stream : streams) {
    uv_tcp_init(&loop, &stream);
    uv_tcp_open(&stream, accept_one(listener, false));
    uv_read_start(reinterpret_cast<uv_stream_t*>(&stream), libuv_allocate, libuv_read);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
}

}  // namespace beamline::bench
