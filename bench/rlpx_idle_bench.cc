// What an idle session with eth costs: 10,000 of them between two processes over loopback, after
// Ping and Pong. Bytes are the growth of the resident memory from before there was a reactor, so
// with slots, streams and buffers, over the number of sessions.
#include <cstdio>
#include <memory>
#include <optional>

#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "bench/resident.h"
#include "loop/ring.h"
#include "node/eth_host.h"

namespace beamline::node {
namespace {

using bench::resident_bytes;

constexpr uint32_t kSessions = 10'000;
constexpr uint32_t kPending = 128;  // handshakes at once
constexpr Duration kQuiet = seconds(5);

secp256k1::SecretKey key_of(uint64_t seed) {
  Rng rng(seed);
  return secp256k1::SecretKey::generate(rng);
}

// One end. Stops its reactor when all sessions are there and were quiet for a while.
class End final : public EthHandler {
 public:
  explicit End(uint64_t seed) : before_(resident_bytes()), key_(key_of(seed)), rng_(seed) {
    auto backend = make_ring({});
    if (!backend) return;
    reactor = std::move(*Reactor::create(std::move(*backend)));
    TcpOptions tcp;
    tcp.max_streams = kSessions;
    tcp_ = std::move(*Tcp::create(*reactor, tcp));
    Hash256 genesis;
    genesis.bytes[0] = 1;
    forks_.emplace(*eth::ForkFilter::make(genesis, 0, {}, {}));
    local_.forks = &*forks_;
    local_.status.genesis = local_.status.range.latest_hash = genesis;
    local_.status.fork_id = forks_->at({});
    EthHostOptions options;
    options.rlpx.session.key = &key_;
    options.rlpx.session.ping_interval = seconds(3);
    options.rlpx.session.handshake_timeout = seconds(30);
    options.rlpx.max_connections = options.rlpx.max_inbound = kSessions;
    host.emplace(*reactor, *tcp_, options, local_, static_cast<EthHandler&>(*this), rng_);
  }
  void dial(const Endpoint& to) {
    to_ = to;
    for (uint32_t i = 0; i < kPending; ++i) dial_next();
  }
  double bytes_each() const { return (resident_bytes() - before_) / kSessions; }
  // Of the other's handshake; nobody else's matters here.
  static secp256k1::PublicKey server() { return key_of(2).public_key(); }

  std::unique_ptr<Reactor> reactor;
  std::optional<EthHost> host;
  uint32_t ready = 0;  // their Status was good

 private:
  void on_peer(EthConnection&) override {
    dial_next();
    if (++ready == kSessions) reactor->arm_in(quiet_, kQuiet);
  }
  void on_event(EthConnection&, const eth::EthEvent&) override {}
  void on_gone(EthConnection&, const rlpx::Closed&) override { reactor->stop(); }
  void on_dial_failed(const rlpx::Connection&, const rlpx::Closed&) override { reactor->stop(); }
  void dial_next() {
    if (to_.empty() || dialled_ == kSessions) return;
    ++dialled_;
    BL_CHECK(host->dial(to_, server()).has_value());
  }

  const double before_;
  const secp256k1::SecretKey key_;
  Rng rng_;
  std::optional<eth::ForkFilter> forks_;
  eth::Local local_;
  std::unique_ptr<Tcp> tcp_;
  Endpoint to_;
  uint32_t dialled_ = 0;
  Timer quiet_{[](Timer& timer) { static_cast<End*>(timer.owner)->reactor->stop(); }, this};
};

// Serves until it was quiet, says what that cost, and waits to be ended.
[[noreturn]] void serve(int tell) {
  End end(2);
  uint16_t port = 0;
  if (end.reactor) port = (*end.host->listen(Endpoint::loopback(0)))->local().port();
  BL_CHECK(::write(tell, &port, sizeof port) == sizeof port);
  if (port == 0) ::_exit(1);
  double bytes = 0;
  while (!end.reactor->stopping()) end.reactor->turn();
  if (end.ready == kSessions && end.host->peers() == kSessions) bytes = end.bytes_each();
  BL_CHECK(::write(tell, &bytes, sizeof bytes) == sizeof bytes);
  for (;;) ::pause();
}

void measure(benchmark::State& state) {
  int ends[2];
  BL_CHECK(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) serve(ends[1]);
  ::close(ends[1]);
  uint16_t port = 0;
  BL_CHECK(::read(ends[0], &port, sizeof port) == sizeof port);
  {
    End end(1);
    double there = 0;
    if (port != 0 && end.reactor) {
      end.dial(Endpoint::loopback(port));
      while (!end.reactor->stopping()) end.reactor->turn();
      if (end.ready == kSessions && end.host->peers() == kSessions) {
        state.counters["bytes_dialled"] = end.bytes_each();
        if (::read(ends[0], &there, sizeof there) != sizeof there) there = 0;
      }
      state.counters["bytes_accepted"] = there;
      state.counters["sessions"] = static_cast<double>(end.host->peers());
      ::kill(child, SIGKILL);
      end.reactor->shutdown();
    }
    if (there == 0) state.SkipWithError("not all sessions came up");
  }
  ::close(ends[0]);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

void BM_IdleSessions(benchmark::State& state) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  for (auto _ : state) {
    if (files.rlim_cur < kSessions + 64) {
      state.SkipWithError("absent: the limit of open files is under 10,064");
    } else {
      measure(state);
    }
  }
}
BENCHMARK(BM_IdleSessions)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);

}  // namespace
}  // namespace beamline::node
