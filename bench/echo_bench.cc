// TCP echo of 64 bytes on one core: the server in a process of its own, the client in this one. The
// client sends on every connection, then waits for every answer: a burst is an iteration.
#include <array>
#include <ctime>
#include <vector>

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/echo_servers.h"

namespace beamline::bench {
namespace {

constexpr size_t kMessage = 64;

int64_t read_clock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// A server process with its connections. They end with this object.
class Server {
 public:
  Server(EchoServe serve, int connections) {
    std::array<int, 2> port_pipe;
    if (pipe(port_pipe.data()) < 0) die("pipe");
    process_ = fork();
    if (process_ == 0) {
      close(port_pipe[0]);
      alarm(60);  // never outlives a client that died
      serve({.port_pipe = port_pipe[1], .connections = connections});
      _exit(0);
    }
    close(port_pipe[1]);
    uint16_t port = 0;
    if (read(port_pipe[0], &port, sizeof port) != sizeof port) die("no port");
    close(port_pipe[0]);
    clock_getcpuclockid(process_, &clock_);
    for (int i = 0; i < connections; ++i) sockets_.push_back(connect_to(port));
  }
  ~Server() {
    for (const int socket : sockets_) close(socket);
    waitpid(process_, nullptr, 0);
  }

  void burst() {
    for (const int socket : sockets_) {
      if (send(socket, out_.data(), kMessage, 0) != kMessage) die("send");
    }
    for (const int socket : sockets_) {
      if (recv(socket, in_.data(), kMessage, MSG_WAITALL) != kMessage) die("recv");
    }
  }
  int64_t cpu() const { return read_clock(clock_); }

 private:
  static int connect_to(uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) die("connect");
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
  }

  pid_t process_ = 0;
  clockid_t clock_{};
  std::vector<int> sockets_;
  std::array<char, kMessage> out_{}, in_{};
};

void echo(benchmark::State& state, EchoServe serve) {
  const auto connections = static_cast<int>(state.range(0));
  Server server(serve, connections);
  for (const int64_t end = read_clock(CLOCK_MONOTONIC) + 20'000'000;
       read_clock(CLOCK_MONOTONIC) < end;) {
    server.burst();
  }
  const int64_t cpu = server.cpu();
  for (auto _ : state) server.burst();
  const auto messages = static_cast<double>(state.iterations()) * connections;
  state.SetItemsProcessed(static_cast<int64_t>(messages));
  state.counters["server_cpu_ns"] = static_cast<double>(server.cpu() - cpu) / messages;
}

void BM_EchoReactor(benchmark::State& state) { echo(state, serve_reactor); }
void BM_EchoReactorEpoll(benchmark::State& state) { echo(state, serve_reactor_epoll); }
void BM_EchoRaw(benchmark::State& state) { echo(state, serve_raw); }
void BM_EchoEpoll(benchmark::State& state) { echo(state, serve_epoll); }
void BM_EchoLibuv(benchmark::State& state) { echo(state, serve_libuv); }
BENCHMARK(BM_EchoReactor)->Arg(1)->Arg(16)->Arg(64)->UseRealTime();
BENCHMARK(BM_EchoReactorEpoll)->Arg(1)->Arg(16)->Arg(64)->UseRealTime();
BENCHMARK(BM_EchoRaw)->Arg(1)->Arg(16)->Arg(64)->UseRealTime();
BENCHMARK(BM_EchoEpoll)->Arg(1)->Arg(16)->Arg(64)->UseRealTime();
BENCHMARK(BM_EchoLibuv)->Arg(1)->Arg(16)->Arg(64)->UseRealTime();

}  // namespace
}  // namespace beamline::bench
