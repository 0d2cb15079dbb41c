// A header sync of a million valid headers from a peer in a process of its own, over eth on
// loopback: each verified, and stored durably. Against hashing and appending the same headers, and
// nothing else.
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "loop/ring.h"
#include "node/header_task.h"
#include "node/posix_files.h"
#include "tests/chain/headers/headers.h"

namespace beamline::node {
namespace {

namespace chain_test = beamline::chain::testing;

constexpr uint64_t kHeaders = 1'000'000;
constexpr uint32_t kBatch = 2048;    // as the sync's
constexpr uint32_t kCheckpoint = 8;  // batches: the sync has no more with the store

// As on mainnet, where blooms and roots do not compress: what is zero in the tests' headers is
// random here.
class SyntheticChain final : public eth::ChainSource {
 public:
  SyntheticChain() {
    const auto bytes = chain_test::genesis_fields().encode();
    genesis = parent_of(bytes);
    chain::ParentHeader parent = genesis;
    bytes_.reserve(kHeaders * 600);
    Rng rng(uint64_t{9});
    for (uint64_t i = 0; i < kHeaders; ++i) {
      auto header = chain_test::child_fields(forks, parent).encode();
      rng.fill(MutableBytes(header).subspan(kStateRoot, 32));
      rng.fill(MutableBytes(header).subspan(kBloom, 256));
      parent = parent_of(header);
      bytes_.insert(bytes_.end(), header.begin(), header.end());
      ends_.push_back(bytes_.size());
    }
    tip = parent;
  }
  std::optional<uint64_t> number_of(const Hash256& hash) const override {
    if (hash != tip.hash) return std::nullopt;
    return kHeaders;
  }
  Bytes header(uint64_t number) const override {
    if (number == 0 || number > kHeaders) return {};
    const size_t begin = number == 1 ? 0 : ends_[number - 2];
    return Bytes(bytes_).subspan(begin, ends_[number - 1] - begin);
  }
  Bytes body(uint64_t) const override { return {}; }
  Bytes receipts(uint64_t) const override { return {}; }

  const chain::HeaderForks forks = chain_test::all_forks();
  chain::ParentHeader genesis, tip;

 private:
  static constexpr size_t kStateRoot = 3 + 2 * 33 + 21 + 1;
  static constexpr size_t kBloom = 3 + 2 * 33 + 21 + 3 * 33 + 3;
  static chain::ParentHeader parent_of(Bytes bytes) {
    const auto header = ExecutionHeader::decode(bytes);
    BL_CHECK(header.has_value());
    return chain::ParentHeader::of(*header, header->hash());
  }
  std::vector<uint8_t> bytes_;
  std::vector<uint64_t> ends_;
};

const SyntheticChain& synthetic() {
  static const SyntheticChain chain;
  return chain;
}

// An empty directory beside the program, so on the disk that is measured.
class Directory {
 public:
  Directory()
      : path_(std::filesystem::read_symlink("/proc/self/exe").parent_path() /
              ("headers-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
    directory_ = std::move(*open_directory(path_.string()));
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  chain::StoreDirectory& operator*() { return *directory_; }

 private:
  std::filesystem::path path_;
  std::unique_ptr<chain::StoreDirectory> directory_;
};

const eth::ForkFilter& fork_filter() {
  static const eth::ForkFilter filter = *eth::ForkFilter::make(synthetic().genesis.hash, 0, {}, {});
  return filter;
}

eth::Local local_of(const eth::ChainSource* served) {
  const chain::ParentHeader& head = served != nullptr ? synthetic().tip : synthetic().genesis;
  eth::Local local;
  local.forks = &fork_filter();
  local.chain = served;
  local.head = {head.number, head.timestamp};
  local.status.network_id = 1;
  local.status.genesis = synthetic().genesis.hash;
  local.status.fork_id = fork_filter().at(local.head);
  local.status.range = {0, head.number, head.hash};
  local.status.total_difficulty = {1};
  return local;
}

secp256k1::SecretKey key_of(uint64_t seed) {
  Rng rng(seed);
  return secp256k1::SecretKey::generate(rng);
}

// One end: a reactor with eth on it.
struct Node {
  Node(EthHandler& handler, uint64_t seed, const eth::ChainSource* served)
      : key(key_of(seed)), rng(seed), local(local_of(served)) {
    auto backend = make_ring({});
    if (!backend) return;
    reactor = std::move(*Reactor::create(std::move(*backend)));
    tcp = std::move(*Tcp::create(*reactor));
    EthHostOptions options;
    options.rlpx.session.key = &key;
    host.emplace(*reactor, *tcp, options, local, handler, rng);
  }
  const secp256k1::SecretKey key;
  Rng rng;
  const eth::Local local;
  std::unique_ptr<Reactor> reactor;
  std::unique_ptr<Tcp> tcp;
  std::optional<EthHost> host;
};

// ---- The peer, in a process of its own until it is told to go.

class Visitors final : public EthHandler {
 public:
  void on_peer(EthConnection&) override {}
  void on_event(EthConnection&, const eth::EthEvent&) override {}
  void on_gone(EthConnection&, const rlpx::Closed&) override {}
};

class PeerProcess {
 public:
  PeerProcess() {
    int ends[2];
    BL_CHECK(::pipe(ends) == 0);
    process_ = ::fork();
    BL_CHECK(process_ >= 0);
    if (process_ == 0) serve(ends[1]);
    ::close(ends[1]);
    if (::read(ends[0], &port_, sizeof port_) != sizeof port_) port_ = 0;
    ::close(ends[0]);
  }
  ~PeerProcess() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  uint16_t port() const { return port_; }  // 0: it could not serve

 private:
  [[noreturn]] static void serve(int port_to) {
    Visitors visitors;
    Node node(visitors, 2, &synthetic());
    if (!node.reactor) ::_exit(1);
    const auto listener = node.host->listen(Endpoint::loopback(0));
    const uint16_t port = (*listener)->local().port();
    if (::write(port_to, &port, sizeof port) != sizeof port) ::_exit(1);
    node.reactor->run();
    ::_exit(0);
  }
  pid_t process_ = 0;
  uint16_t port_ = 0;
};

// ---- The sync

class Syncer final : public EthHandler, public HeaderTaskObserver {
 public:
  explicit Syncer(Reactor* const& reactor) : reactor_(reactor) {}
  void on_peer(EthConnection& peer) override { task->add_peer(peer); }
  void on_event(EthConnection& peer, const eth::EthEvent& event) override {
    task->on_event(peer, event);
  }
  void on_gone(EthConnection& peer, const rlpx::Closed&) override {
    if (task) task->remove_peer(peer);
  }
  void on_stored(const chain::HeadersStored&) override { task->batch_taken(); }
  void on_rewound(uint64_t) override {}
  // A pause of the peer's process is no fault of what it sent.
  void on_charged(EthConnection&, const chain::ChargeHeaderPeer& charge) override {
    charges += charge.fault != chain::HeaderFault::stalled || charge.drop ? 1 : 0;
  }
  void on_finished(const chain::HeaderSyncFinished& finished) override {
    end = finished;
    reactor_->stop();
  }
  std::optional<HeaderTask> task;
  std::optional<chain::HeaderSyncFinished> end;
  uint64_t charges = 0;

 private:
  Reactor* const& reactor_;
};

std::string complaint(const chain::HeaderSyncFinished& end, const chain::HeaderSyncStats& stats) {
  std::string text = std::string("not synced: ") + chain::name(end.end) + ", " +
                     chain::name(end.failure) + " at " + std::to_string(stats.headers_committed);
  for (size_t i = 0; i < chain::kHeaderFaults; ++i) {
    if (stats.faults[i] == 0) continue;
    text += std::string(", ") + chain::name(static_cast<chain::HeaderFault>(i)) + " " +
            std::to_string(stats.faults[i]);
  }
  return text;
}

void sync_once(benchmark::State& state) {
  const PeerProcess peer;
  Reactor* reactor = nullptr;
  Syncer syncer(reactor);
  Node node(syncer, 3, nullptr);
  if (!node.reactor || peer.port() == 0) return state.SkipWithError("absent: io_uring");
  reactor = node.reactor.get();
  Directory directory;
  HeaderStorage storage(*directory, synthetic().genesis);
  BL_CHECK(storage.open().has_value());
  const auto backend = +[] { return make_ring({}); };
  chain::HeaderSyncConfig config;
  config.forks = synthetic().forks;
  syncer.task.emplace(*reactor, storage, std::move(config), synthetic().genesis,
                      synthetic().tip.hash, syncer);
  BL_CHECK(syncer.task->start(backend).has_value());
  const MonoTime start = reactor->backend().now().mono;
  BL_CHECK(node.host->dial(Endpoint::loopback(peer.port()), key_of(2).public_key()).has_value());
  reactor->run();
  const Duration took = reactor->backend().now().mono - start;
  const chain::HeaderSyncStats stats = syncer.task->sync().stats();
  syncer.task.reset();
  if (syncer.end->end != chain::HeaderSyncEnd::synced || storage.log().next() != kHeaders + 1 ||
      syncer.charges > 0) {
    state.SkipWithError(complaint(*syncer.end, stats).c_str());
  }
  state.SetIterationTime(to_seconds(took));
  state.counters["requests"] = static_cast<double>(stats.requests);
  state.counters["bytes_peak"] = static_cast<double>(stats.bytes_peak);
  say_goodbye(*reactor, *node.host);
  reactor->shutdown();
}

// Of all threads of this process, the kernel's share with it.
double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

void set_cpu(benchmark::State& state, double from) {
  const auto headers = static_cast<double>(state.iterations() * kHeaders);
  state.counters["cpu_us_per_header"] = 1e6 * (cpu_seconds() - from) / headers;
}

void BM_HeaderSync(benchmark::State& state) {
  synthetic();
  const double cpu = cpu_seconds();
  for (auto _ : state) sync_once(state);
  set_cpu(state, cpu);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kHeaders));
}
BENCHMARK(BM_HeaderSync)->Iterations(1)->UseManualTime();

// On one thread.
void BM_HashAppend(benchmark::State& state) {
  const SyntheticChain& chain = synthetic();
  std::vector<Bytes> encodings;
  std::vector<Hash256> hashes(kBatch);
  std::vector<chain::StoredHeader> headers;
  const double cpu = cpu_seconds();
  for (auto _ : state) {
    Directory directory;
    auto log = chain::HeaderLog::open(*directory);
    uint32_t batches = 0;
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t number = 1; number <= kHeaders;) {
      encodings.clear();
      headers.clear();
      while (encodings.size() < kBatch && number <= kHeaders) {
        encodings.push_back(chain.header(number++));
      }
      const std::span<Hash256> out = std::span(hashes).first(encodings.size());
      keccak256_many(encodings, out);
      for (size_t i = 0; i < out.size(); ++i) headers.push_back({encodings[i], out[i]});
      BL_CHECK(log->append(headers).has_value());
      const bool pause = ++batches % kCheckpoint == 0 || number > kHeaders;
      BL_CHECK(!pause || log->checkpoint().has_value());
    }
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  set_cpu(state, cpu);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kHeaders));
}
BENCHMARK(BM_HashAppend)->Iterations(1)->UseManualTime();

}  // namespace
}  // namespace beamline::node
