// Receiving on one core: a process that only receives, and this one that sends and waits for a
// short answer after each batch. What counts is the receiver's CPU time.
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/echo_servers.h"
#include "loop/epoll.h"
#include "loop/ring.h"
#include "loop/tcp.h"
#include "loop/udp.h"

namespace beamline::bench {
namespace {

constexpr size_t kBatch = 1 << 20;   // bytes of a TCP batch
constexpr unsigned kDatagrams = 64;  // of a UDP batch
constexpr size_t kDatagram = 256;    // bytes

int64_t read_clock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// ---- Receivers: ours

std::unique_ptr<Reactor> make_reactor(bool epoll) {
  auto backend = epoll ? make_epoll() : make_ring();
  if (!backend) die("backend");
  return std::move(*Reactor::create(std::move(*backend)));
}

class Sink final : public ListenerHandler, public StreamHandler {
 public:
  explicit Sink(Reactor& reactor) : reactor_(reactor) {}
  StreamHandler* on_accept(TcpStream&) override { return this; }
  void on_data(TcpStream& stream, Lease lease) override {
    received_ += lease.size();
    if (received_ < kBatch) return;
    received_ -= kBatch;
    static_cast<void>(stream.write(as_bytes("k")));
  }
  void on_end(TcpStream& stream) override { stream.close(); }
  void on_closed(TcpStream&, const Error&) override { reactor_.stop(); }

 private:
  Reactor& reactor_;
  size_t received_ = 0;
};

void tcp_ours(const EchoSetup& setup, bool epoll) {
  const auto reactor = make_reactor(epoll);
  const auto tcp = std::move(*Tcp::create(*reactor));
  Sink sink(*reactor);
  const auto listener = tcp->listen(Endpoint::loopback(0), sink);
  if (!listener) die("listen");
  tell_port(setup, (*listener)->local().port());
  reactor->run();
}
void tcp_reactor(const EchoSetup& setup) { tcp_ours(setup, false); }
void tcp_reactor_epoll(const EchoSetup& setup) { tcp_ours(setup, true); }

class Count final : public UdpHandler {
 public:
  void on_datagram(UdpSocket& socket, const Endpoint& from, Lease payload) override {
    if (payload.empty()) return socket.reactor().stop();
    if (++received_ % kDatagrams == 0) static_cast<void>(socket.send(from, as_bytes("k")));
  }

 private:
  uint64_t received_ = 0;
};

void udp_ours(const EchoSetup& setup, bool epoll) {
  const auto reactor = make_reactor(epoll);
  Count count;
  const auto socket = UdpSocket::open(*reactor, Endpoint::loopback(0), count);
  if (!socket) die("udp");
  tell_port(setup, (*socket)->local().port());
  reactor->run();
}
void udp_reactor(const EchoSetup& setup) { udp_ours(setup, false); }
void udp_reactor_epoll(const EchoSetup& setup) { udp_ours(setup, true); }

// ---- Receivers: by hand

void wait_readable(int epoll) {
  epoll_event event;
  while (epoll_wait(epoll, &event, 1, -1) < 0) {
  }
}

int watch(int fd) {
  const int epoll = epoll_create1(0);
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
  return epoll;
}

void tcp_by_hand(const EchoSetup& setup) {
  const int fd = accept_one(listen_and_tell(setup), false);
  const int epoll = watch(fd);
  std::vector<char> buffer(65'536);
  for (size_t received = 0;;) {
    wait_readable(epoll);
    const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return;
    if (n > 0) received += static_cast<size_t>(n);
    if (received < kBatch) continue;
    received -= kBatch;
    if (send(fd, "k", 1, 0) != 1) die("send");
  }
}

void udp_by_hand(const EchoSetup& setup) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof local;
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), size) < 0) die("bind");
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  tell_port(setup, ntohs(local.sin_port));
  const int epoll = watch(fd);
  constexpr unsigned kAtOnce = 32;
  std::vector<char> buffers(kAtOnce * 1472);
  std::array<mmsghdr, kAtOnce> messages{};
  std::array<iovec, kAtOnce> parts{};
  std::array<sockaddr_in6, kAtOnce> names{};
  for (unsigned i = 0; i < kAtOnce; ++i) {
    parts[i] = {&buffers[i * 1472], 1472};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &names[i];
  }
  for (uint64_t received = 0;;) {
    wait_readable(epoll);
    for (mmsghdr& message : messages) message.msg_hdr.msg_namelen = sizeof names[0];
    const int n = recvmmsg(fd, messages.data(), kAtOnce, 0, nullptr);
    for (int i = 0; i < n; ++i) {
      const mmsghdr& message = messages[static_cast<size_t>(i)];
      if (message.msg_len == 0) return;
      if (++received % kDatagrams != 0) continue;
      sendto(fd, "k", 1, 0, static_cast<sockaddr*>(message.msg_hdr.msg_name),
             message.msg_hdr.msg_namelen);
    }
  }
}

// ---- The sender

class Receiver {
 public:
  Receiver(EchoServe serve, int type) : type_(type) {
    std::array<int, 2> port_pipe;
    if (pipe(port_pipe.data()) < 0) die("pipe");
    process_ = fork();
    if (process_ == 0) {
      close(port_pipe[0]);
      alarm(60);  // never outlives a sender that died
      serve({.port_pipe = port_pipe[1], .connections = 1});
      _exit(0);
    }
    close(port_pipe[1]);
    uint16_t port = 0;
    if (read(port_pipe[0], &port, sizeof port) != sizeof port) die("no port");
    close(port_pipe[0]);
    clock_getcpuclockid(process_, &clock_);
    fd_ = socket(AF_INET, type, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) die("connect");
  }
  ~Receiver() {
    if (type_ == SOCK_DGRAM && send(fd_, "", 0, 0) < 0) die("end");
    close(fd_);
    waitpid(process_, nullptr, 0);
  }
  void stream_batch() {
    for (size_t sent = 0; sent < kBatch;) {
      const ssize_t n = send(fd_, data_.data(), std::min(data_.size(), kBatch - sent), 0);
      if (n <= 0) die("send");
      sent += static_cast<size_t>(n);
    }
    answer();
  }
  void datagram_batch() {
    std::array<mmsghdr, kDatagrams> messages{};
    iovec part{data_.data(), kDatagram};
    for (mmsghdr& message : messages) {
      message.msg_hdr.msg_iov = &part;
      message.msg_hdr.msg_iovlen = 1;
    }
    if (sendmmsg(fd_, messages.data(), kDatagrams, 0) != static_cast<int>(kDatagrams)) die("send");
    answer();
  }
  int64_t cpu() const { return read_clock(clock_); }

 private:
  void answer() {
    char byte = 0;
    if (recv(fd_, &byte, 1, 0) != 1) die("recv");
  }
  const int type_;
  pid_t process_ = 0;
  clockid_t clock_{};
  int fd_ = -1;
  std::vector<char> data_ = std::vector<char>(65'536);
};

void receive(benchmark::State& state, EchoServe serve, int type) {
  Receiver receiver(serve, type);
  const bool stream = type == SOCK_STREAM;
  const auto batch = [&] { stream ? receiver.stream_batch() : receiver.datagram_batch(); };
  for (int i = 0; i < 20; ++i) batch();
  const int64_t cpu = receiver.cpu();
  for (auto _ : state) batch();
  const double units = static_cast<double>(state.iterations()) *
                       (stream ? static_cast<double>(kBatch) / 1024 : kDatagrams);
  state.counters["receiver_cpu_ns"] = static_cast<double>(receiver.cpu() - cpu) / units;
}

void BM_SinkReactor(benchmark::State& s) { receive(s, tcp_reactor, SOCK_STREAM); }
void BM_SinkReactorEpoll(benchmark::State& s) { receive(s, tcp_reactor_epoll, SOCK_STREAM); }
void BM_SinkByHand(benchmark::State& s) { receive(s, tcp_by_hand, SOCK_STREAM); }
void BM_UdpReactor(benchmark::State& s) { receive(s, udp_reactor, SOCK_DGRAM); }
void BM_UdpReactorEpoll(benchmark::State& s) { receive(s, udp_reactor_epoll, SOCK_DGRAM); }
void BM_UdpByHand(benchmark::State& s) { receive(s, udp_by_hand, SOCK_DGRAM); }
BENCHMARK(BM_SinkReactor)->UseRealTime();
BENCHMARK(BM_SinkReactorEpoll)->UseRealTime();
BENCHMARK(BM_SinkByHand)->UseRealTime();
BENCHMARK(BM_UdpReactor)->UseRealTime();
BENCHMARK(BM_UdpReactorEpoll)->UseRealTime();
BENCHMARK(BM_UdpByHand)->UseRealTime();

}  // namespace
}  // namespace beamline::bench
