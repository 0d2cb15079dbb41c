// Receiving on one core: a process that only receives, and this one that sends and waits for a
// short answer after each batch. What counts is the receiver's CPU time.
//
// How much a receiver finds when it wakes is the scheduler's choice where a wake takes the core
// from the sender at once, and differs from one receiver to the next by chance of its speed. So
// receivers run as SCHED_BATCH: they get the core when the sender waits, with all of what it sent,
// as a network card delivers packets in batches. The benchmarks named Preempt do without.
#include <array>
#include <ctime>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/receive_servers.h"
#include "loop/epoll.h"
#include "loop/ring.h"
#include "loop/tcp.h"
#include "loop/udp.h"

namespace beamline::bench {
namespace {

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

// ---- The sender

class Receiver {
 public:
  Receiver(EchoServe serve, int type, bool preempts) : type_(type) {
    std::array<int, 2> port_pipe;
    if (pipe(port_pipe.data()) < 0) die("pipe");
    process_ = fork();
    if (process_ == 0) {
      close(port_pipe[0]);
      const sched_param none{};
      if (!preempts && sched_setscheduler(0, SCHED_BATCH, &none) < 0) die("SCHED_BATCH");
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

void receive(benchmark::State& state, EchoServe serve, int type, bool preempts) {
  Receiver receiver(serve, type, preempts);
  const bool stream = type == SOCK_STREAM;
  const auto batch = [&] { stream ? receiver.stream_batch() : receiver.datagram_batch(); };
  for (int i = 0; i < 20; ++i) batch();
  const int64_t cpu = receiver.cpu();
  for (auto _ : state) batch();
  const double units = static_cast<double>(state.iterations()) *
                       (stream ? static_cast<double>(kBatch) / 1024 : kDatagrams);
  state.counters["receiver_cpu_ns"] = static_cast<double>(receiver.cpu() - cpu) / units;
}

#define BEAMLINE_RECEIVE(name, serve, type)                                               \
  void BM_##name(benchmark::State& state) { receive(state, serve, type, false); }         \
  void BM_##name##Preempt(benchmark::State& state) { receive(state, serve, type, true); } \
  BENCHMARK(BM_##name)->UseRealTime();                                                    \
  BENCHMARK(BM_##name##Preempt)->UseRealTime()

BEAMLINE_RECEIVE(SinkReactor, tcp_reactor, SOCK_STREAM);
BEAMLINE_RECEIVE(SinkReactorEpoll, tcp_reactor_epoll, SOCK_STREAM);
BEAMLINE_RECEIVE(SinkEpoll, sink_epoll, SOCK_STREAM);
BEAMLINE_RECEIVE(SinkRaw, sink_raw, SOCK_STREAM);
BEAMLINE_RECEIVE(SinkLibuv, sink_libuv, SOCK_STREAM);
BEAMLINE_RECEIVE(UdpReactor, udp_reactor, SOCK_DGRAM);
BEAMLINE_RECEIVE(UdpReactorEpoll, udp_reactor_epoll, SOCK_DGRAM);
BEAMLINE_RECEIVE(UdpEpoll, udp_epoll, SOCK_DGRAM);

}  // namespace
}  // namespace beamline::bench
