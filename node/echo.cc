// `beamline echo`: the loop at work, on a machine of the user's.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

#include "loop/reactor_thread.h"
#include "node/backend_option.h"
#include "node/commands.h"
#include "node/echo_pair.h"
#include "node/program_log.h"

namespace beamline {
namespace {

struct EchoOptions {
  uint64_t port = 0;
  uint64_t connections = 16;
  uint64_t seconds = 10;
  uint64_t size = 64;
};

class ServerProgram final : public ReactorProgram {
 public:
  explicit ServerProgram(const EchoOptions& options) : options_(options) {}
  Status on_start(Reactor& reactor) override {
    auto tcp = Tcp::create(reactor, echo_tcp_options(static_cast<uint32_t>(options_.connections),
                                                     static_cast<uint32_t>(options_.size)));
    if (!tcp) return std::unexpected(tcp.error());
    tcp_ = std::move(*tcp);
    const auto port = static_cast<uint16_t>(options_.port);
    const auto listener = tcp_->listen(Endpoint::loopback(port), server_);
    if (!listener) return std::unexpected(listener.error());
    local = (*listener)->local();
    return {};
  }
  void on_stop(Reactor&) override { tcp_.reset(); }

  Endpoint local;

 private:
  const EchoOptions& options_;
  EchoServer server_;
  std::unique_ptr<Tcp> tcp_;
};

class ClientProgram final : public ReactorProgram {
 public:
  ClientProgram(const EchoOptions& options, const Endpoint& server)
      : clients(static_cast<uint32_t>(options.connections), static_cast<uint32_t>(options.size)),
        options_(options),
        server_(server) {}
  Status on_start(Reactor& reactor) override {
    auto tcp = Tcp::create(reactor, echo_tcp_options(static_cast<uint32_t>(options_.connections),
                                                     static_cast<uint32_t>(options_.size)));
    if (!tcp) return std::unexpected(tcp.error());
    tcp_ = std::move(*tcp);
    return clients.start(*tcp_, server_);
  }
  void on_stop(Reactor&) override { tcp_.reset(); }

  EchoClients clients;

 private:
  const EchoOptions& options_;
  const Endpoint server_;
  std::unique_ptr<Tcp> tcp_;
};

int fail(const Error& error) {
  if (error.code == Code::address_in_use) {
    std::fprintf(stderr, "beamline echo: port %u is in use; choose another with --port\n",
                 error.offset);
  } else if (error.code == Code::invalid_argument && std::strcmp(error.field, "address") == 0) {
    std::fprintf(stderr, "beamline echo: this user may not listen on port %u\n", error.offset);
  } else if (error.code == Code::io_error && error.offset != 0) {
    std::fprintf(stderr, "beamline echo: %s: %s\n", error.field,
                 std::strerror(static_cast<int>(error.offset)));
  } else {
    std::fprintf(stderr, "beamline echo: %s\n", to_string(error).c_str());
  }
  return kExitFailure;
}

double micro(Duration d) { return static_cast<double>(d.ns) * 1e-3; }

void print_line(const std::string& label, const LatencyCounts& counts, double elapsed,
                const EchoOptions& options) {
  const double rate = static_cast<double>(counts.total()) / elapsed;
  std::printf(
      "%-8s %10.0f msg/s  %8.1f MB/s each way   p50 %7.1f us  p99 %7.1f us  p99.9 %7.1f us\n",
      label.c_str(), rate, rate * static_cast<double>(options.size) * 1e-6,
      micro(counts.percentile(500'000)), micro(counts.percentile(990'000)),
      micro(counts.percentile(999'000)));
  std::fflush(stdout);
}

MonoTime clock_now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return {now.tv_sec * 1'000'000'000 + now.tv_nsec};
}

// Waits until then; true when a signal asks for the end.
bool interrupted(const sigset_t& signals, MonoTime until) {
  for (;;) {
    const Duration left = until - clock_now();
    if (left <= Duration{}) return false;
    const timespec timeout{left.ns / 1'000'000'000, left.ns % 1'000'000'000};
    if (sigtimedwait(&signals, nullptr, &timeout) > 0) return true;
  }
}

void watch(const EchoClients& clients, const EchoOptions& options, const sigset_t& signals) {
  const MonoTime start = clock_now();
  const LatencyCounts first = clients.latencies().read();
  LatencyCounts before = first;
  MonoTime before_at = start;
  for (uint64_t second = 1; second <= options.seconds && !clients.failed(); ++second) {
    if (interrupted(signals, start + seconds(static_cast<int64_t>(second)))) break;
    const LatencyCounts counts = clients.latencies().read();
    const MonoTime at = clock_now();
    print_line(std::to_string(second) + " s", counts.since(before), to_seconds(at - before_at),
               options);
    before = counts;
    before_at = at;
  }
  const LatencyCounts all = clients.latencies().read().since(first);
  print_line("total", all, to_seconds(clock_now() - start), options);
  std::printf("%llu messages of %llu bytes echoed on %llu connections\n",
              static_cast<unsigned long long>(all.total()),
              static_cast<unsigned long long>(options.size),
              static_cast<unsigned long long>(options.connections));
}

}  // namespace

int echo_command(Arguments arguments) {
  EchoOptions options;
  CommandOptions declared("echo");
  declared.number("--port", options.port, 0, 65'535, "of the server on loopback; 0 picks one");
  declared.number("--connections", options.connections, 1, 4096, "at the same time");
  declared.number("--seconds", options.seconds, 1, 86'400, "to run");
  declared.number("--size", options.size, 1, 65'536, "bytes of a message");
  BackendOption backend;
  backend.declare(declared);
  if (const auto status = declared.parse_or_explain(arguments)) return *status;
  if (const auto status = backend.resolve("echo")) return *status;

  // Blocked before the threads begin, so that this one alone takes them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const ProgramLog log;
  const auto make_backend = backend.maker();
  ServerProgram server(options);
  ReactorThread server_thread;
  if (Status up = server_thread.start("echo-server", make_backend, server); !up) {
    return fail(up.error());
  }
  ClientProgram client(options, server.local);
  ReactorThread client_thread;
  if (Status up = client_thread.start("echo-client", make_backend, client); !up) {
    return fail(up.error());
  }
  std::printf("echo on %s by %s: %llu connections, messages of %llu bytes\n",
              to_string(server.local).c_str(), backend.name(),
              static_cast<unsigned long long>(options.connections),
              static_cast<unsigned long long>(options.size));
  std::fflush(stdout);
  watch(client.clients, options, signals);
  client_thread.stop();
  server_thread.stop();
  return client.clients.failed() ? fail(client.clients.error()) : 0;
}

}  // namespace beamline
