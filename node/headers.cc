// `beamline headers`: syncs the headers of an execution chain from its peers, in the background
// pipeline, into a data directory.
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>

#include "codec/enode.h"
#include "codec/hex.h"
#include "codec/rlp.h"
#include "node/backend_option.h"
#include "node/bootnode_option.h"
#include "node/commands.h"
#include "node/execution_genesis.h"
#include "node/header_client.h"
#include "node/identity.h"
#include "node/posix_files.h"
#include "node/program_log.h"
#include "node/signal_stop.h"
#include "node/sync_phases.h"

namespace beamline {
namespace {

struct HeadersOptions {
  std::string genesis, data, head, identity, exported;
  std::vector<std::string> peers, bootnodes;
  uint64_t seconds = 0;
  uint64_t full_sync_below = 10'000;
  uint64_t buffer = chain::HeaderSyncLimits{}.scratch_headers;
  uint64_t walk_backs = chain::HeaderSyncLimits{}.walk_backs;
  uint64_t max_peers = 25;
  bool verify = false;
};

struct Peers {
  std::vector<discovery::NodeRecord> named, bootnodes;
};

constexpr CommandErrors kErrors("headers");

uint64_t wall_ms() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

// Each stored header, in order. False: the callback said so.
template <class Visit>
Status visit_headers(const chain::HeaderLog& log, Visit visit) {
  std::vector<uint8_t> bytes;
  std::vector<Hash256> hashes;
  for (uint64_t number = log.first(); number < log.next();) {
    bytes.clear();
    hashes.clear();
    const auto read = log.read(number, 4096, 8u << 20, bytes, &hashes);
    if (!read) return std::unexpected(read.error());
    rlp::Reader items(bytes);
    for (const Hash256& hash : hashes) {
      const auto item = items.next("header");
      if (!item) return std::unexpected(item.error());
      if (Status visited = visit(number, item->encoding, hash); !visited) return visited;
      ++number;
    }
  }
  return {};
}

// Checks every stored header anew: hash, link and rules.
int verify_store(const chain::HeaderLog& log, const node::ExecutionGenesis& genesis) {
  chain::ParentHeader tip = genesis.header;
  uint64_t at = 0;
  const Status verified =
      visit_headers(log, [&](uint64_t number, Bytes encoding, const Hash256& hash) -> Status {
        at = number;
        const auto header = ExecutionHeader::decode(encoding);
        if (!header) return std::unexpected(header.error());
        if (header->hash() != hash) return local_error(Code::bad_checksum, "hash");
        if (Status fits = chain::check_header(genesis.forks, tip, *header); !fits) return fits;
        tip = chain::ParentHeader::of(*header, hash);
        return {};
      });
  if (!verified) {
    return kErrors.fail("header " + std::to_string(at) + ": " + to_string(verified.error()));
  }
  std::printf("verified %" PRIu64 " headers, the last is %s\n", tip.number,
              to_hex0x(tip.hash).c_str());
  return 0;
}

int export_store(const chain::HeaderLog& log, const std::string& path) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  const Status written = visit_headers(log, [&](uint64_t, Bytes encoding, const Hash256&) {
    out.write(reinterpret_cast<const char*>(encoding.data()),
              static_cast<std::streamsize>(encoding.size()));
    return out ? Status{} : Status{local_error(Code::io_error, "export", errno)};
  });
  if (!written) return kErrors.fail(path + ": " + explain(written.error()));
  if (!out.flush()) return kErrors.fail(path + ": cannot be written");
  return 0;
}

// "  [######....] 60 %"
std::string progress_bar(uint64_t done, uint64_t all) {
  constexpr uint64_t kWidth = 20;
  const uint64_t percent = all == 0 ? 100 : std::min(done, all) * 100 / all;
  const uint64_t full = percent * kWidth / 100;
  return "  [" + std::string(full, '#') + std::string(kWidth - full, '.') + "] " +
         std::to_string(percent) + " %";
}

// The sync over who is connected, on this thread's reactor, and what it prints.
class Syncer final : public node::HeaderClientObserver {
 public:
  Syncer(Reactor& reactor, const HeadersOptions& options, node::HeaderStorage& storage,
         const node::ExecutionGenesis& genesis, const chain::ParentHeader& last,
         MakeBackend backend)
      : reactor_(reactor),
        options_(options),
        storage_(storage),
        genesis_(genesis),
        last_(last),
        stored_(last.number),
        backend_(backend),
        progress_([](Timer& timer) { static_cast<Syncer*>(timer.owner)->print_progress(); }, this) {
  }
  ~Syncer() override { reactor_.disarm(progress_); }

  void set_client(node::HeaderClient& client) {
    client_ = &client;
    print_progress();
  }
  Status begin(const Hash256& head) {
    chain::HeaderSyncConfig config;
    config.forks = genesis_.forks;
    config.limits.full_sync_below = options_.full_sync_below;
    config.limits.scratch_headers = static_cast<uint32_t>(options_.buffer);
    config.limits.walk_backs = static_cast<uint32_t>(options_.walk_backs);
    began_ = reactor_.now().mono;
    return client_->begin_sync(storage_, std::move(config), last_, head, backend_);
  }
  // What the end was. Returns the exit status.
  int report(bool trusted) const {
    using chain::HeaderSyncEnd;
    const char* trust = trusted ? "" : "UNTRUSTED ";
    switch (finished->end) {
      case HeaderSyncEnd::synced:
        std::printf("%sSynced: %" PRIu64 " headers\n", trust, stored_);
        return 0;
      case HeaderSyncEnd::switch_to_full_sync:
        std::printf("%sSwitchToFullSync from block %" PRIu64 "\n", trust, finished->from);
        return 0;
      case HeaderSyncEnd::failed:
        break;
    }
    std::printf("%sFailed: %s\n", trust, chain::name(finished->failure));
    return kExitFailure;
  }

  void on_peer(node::EthConnection& peer) override {
    if (client_->syncing()) return;
    // Nobody named the head: the first peer's word is taken, and the output says so.
    const Hash256& head = peer.peer().status().range.latest_hash;
    std::printf("UNTRUSTED head %s, from %s; --head HASH names one to trust\n",
                to_hex0x(head).c_str(), to_string(peer.connection().remote()).c_str());
    if (const Status begun = begin(head); !begun) {
      failure = begun.error();
      reactor_.stop();
    }
  }
  void on_stored(const chain::HeadersStored& batch) override {
    stored_ = batch.first + batch.count - 1;
    client_->batch_taken();
  }
  void on_rewound(uint64_t number) override {
    std::printf("taken back from header %" PRIu64 " on\n", number);
  }
  void on_charged(node::EthConnection& peer, const chain::ChargeHeaderPeer& charge) override {
    std::printf("peer %s: %s%s\n", to_string(peer.connection().remote()).c_str(),
                chain::name(charge.fault), charge.drop ? ", dropped" : "");
  }
  void on_finished(const chain::HeaderSyncFinished& end) override {
    finished = end;
    const chain::HeaderSyncStats& stats = client_->sync().stats();
    std::printf("%" PRIu64 " requests, at most %" PRIu64 " of %" PRIu64
                " headers in the buffer, %" PRIu64 " reorgs\n",
                stats.requests, stats.scratch_peak, options_.buffer, stats.walk_backs);
    reactor_.stop();
  }

  uint64_t stored() const { return stored_; }
  std::optional<Error> failure;
  std::optional<chain::HeaderSyncFinished> finished;

 private:
  void print_progress() {
    reactor_.arm_in(progress_, seconds(1));
    const size_t peers = client_->peers().size();
    if (!client_->syncing()) {
      std::printf("peers %zu%s\n", peers, known().c_str());
      std::fflush(stdout);
      return;
    }
    const chain::HeaderSync& sync = client_->sync();
    const uint64_t tip = sync.tip().number;
    const double elapsed = to_seconds(reactor_.now().mono - began_);
    const double rate = elapsed > 0 ? static_cast<double>(tip - last_.number) / elapsed : 0;
    std::string goal = "?", bar, eta = "?";
    const char* phase = "probe";  // nobody has told the head's number yet
    if (const auto head = sync.head_number()) {
      phase = tip < *head ? "headers" : "store";
      goal = std::to_string(*head);
      bar = progress_bar(tip, *head);
      const double left = static_cast<double>(*head - std::min(*head, tip));
      if (rate > 0) eta = std::to_string(static_cast<uint64_t>(left / rate)) + " s";
    }
    std::printf("headers %" PRIu64 "/%s%s  %.0f/s  peers %zu  ETA %s  phase %s%s\n", tip,
                goal.c_str(), bar.c_str(), rate, peers, eta.c_str(), phase, known().c_str());
    std::fflush(stdout);
  }
  // How many discovery knows.
  std::string known() const {
    const discovery::Service* const service = client_->finder().service();
    if (service == nullptr) return "";
    return "  known " + std::to_string(service->contacts().pool.size());
  }

  Reactor& reactor_;
  const HeadersOptions& options_;
  node::HeaderStorage& storage_;
  const node::ExecutionGenesis& genesis_;
  const chain::ParentHeader last_;
  uint64_t stored_;
  MakeBackend backend_;
  node::HeaderClient* client_ = nullptr;
  MonoTime began_{};
  Timer progress_;
};

// Whom it dials and how often.
node::HeaderClientOptions client_options(const HeadersOptions& options, const Peers& peers,
                                         const secp256k1::SecretKey& key) {
  node::HeaderClientOptions made;
  node::EthFinderOptions& finder = made.finder;
  finder.named = peers.named;
  finder.bootnodes = peers.bootnodes;
  if (!peers.bootnodes.empty()) finder.listen = Endpoint::parse("0.0.0.0:0").value();
  finder.dial.max_peers = options.max_peers;
  finder.dial.dial_ratio = 1;
  // Who is named is dialled again soon; for the others the pool has longer waits.
  finder.dial.history = finder.dial.static_backoff = seconds(2);
  made.host.rlpx.session.key = &key;
  made.host.rlpx.max_connections =
      static_cast<uint32_t>(finder.dial.max_peers + finder.dial.max_pending + peers.named.size());
  return made;
}

// Runs the sync to its end, or until it is stopped. Returns the exit status.
int sync_headers(const HeadersOptions& options, const node::ExecutionGenesis& genesis,
                 node::HeaderStorage& storage, const chain::ParentHeader& last, const Peers& peers,
                 const std::optional<Hash256>& head, const secp256k1::SecretKey& key, Rng& rng,
                 MakeBackend make_backend) {
  const eth::ForkFilter forks = genesis.fork_filter();
  eth::Local local;
  local.forks = &forks;
  local.head = {last.number, last.timestamp};
  local.status.network_id = genesis.chain_id;
  local.status.genesis = genesis.hash;
  local.status.fork_id = forks.at(local.head);
  local.status.range = {last.number, last.number, last.hash};
  local.status.total_difficulty = {1};
  auto backend = make_backend();
  if (!backend) return kErrors.fail(explain(backend.error()));
  const auto reactor = std::move(*Reactor::create(std::move(*backend)));
  auto tcp = Tcp::create(*reactor);
  if (!tcp) return kErrors.fail(explain(tcp.error()));
  Syncer syncer(*reactor, options, storage, genesis, last, make_backend);
  {
    auto client = node::HeaderClient::open(*reactor, **tcp, client_options(options, peers, key),
                                           local, syncer, rng.fork());
    if (!client) {
      reactor->shutdown();
      return kErrors.fail(explain(client.error()));
    }
    syncer.set_client(**client);
    if (head) {
      if (const Status begun = syncer.begin(*head); !begun) syncer.failure = begun.error();
    }
    SignalStop signals(*reactor);
    Timer end([](Timer& timer) { static_cast<Reactor*>(timer.owner)->stop(); }, reactor.get());
    if (options.seconds > 0) {
      reactor->arm_in(end, seconds(static_cast<int64_t>(options.seconds)));
    }
    if (!syncer.failure) reactor->run();
    reactor->disarm(end);
    // The storage thread ends; the reactor goes on, for the connections' goodbyes.
    (*client)->end_sync();
    (*client)->stop_finding();
    node::say_goodbye(*reactor, (*client)->host());
    reactor->shutdown();
  }
  if (syncer.failure) return kErrors.fail(explain(*syncer.failure));
  if (!syncer.finished) {
    std::printf("stopped at header %" PRIu64 "; a later run goes on from there\n", syncer.stored());
    return kExitFailure;
  }
  return syncer.report(head.has_value());
}

// Returns the exit status where one of them is wrong.
std::optional<int> parse_peers(const HeadersOptions& options, Peers& peers) {
  for (const std::string& text : options.peers) {
    const auto peer = Enode::parse(text);
    if (!peer || peer->tcp.port() == 0) {
      return kErrors.usage("--peer '" + text + "' must be like enode://KEY@127.0.0.1:30303");
    }
    peers.named.push_back(discovery::record_of(*peer));
  }
  const auto wrong = node::parse_bootnodes(options.bootnodes, kErrors, peers.bootnodes);
  if (wrong) return wrong;
  if (peers.named.size() > discovery::DialConfig{}.max_static) {
    return kErrors.usage("--peer stands too often; at most 256 times");
  }
  if (peers.bootnodes.size() > discovery::ServiceConfig{}.max_bootnodes) {
    return kErrors.usage("--bootnode stands too often; at most 64 times");
  }
  return std::nullopt;
}

void declare(CommandOptions& parser, HeadersOptions& options) {
  parser.text("--genesis", options.genesis, "geth's genesis.json of the chain");
  parser.text("--data", options.data, "directory of the header store; made if it is not there");
  parser.texts("--peer", options.peers,
               "enode://... of a peer, kept connected; may stand several times");
  parser.texts(
      "--bootnode", options.bootnodes,
      "enode://... or enr:... to find peers of our chain through; may stand several times");
  parser.number("--max-peers", options.max_peers, 1, 256, "peers that discovery may connect");
  parser.text("--head", options.head, "0x and 64 hex digits: the block hash that is trusted");
  parser.text("--identity", options.identity, "file with our key; made if it is not there");
  parser.number("--full-sync-below", options.full_sync_below, 0, 1'000'000'000,
                "headers to go below which a full sync is the better way");
  parser.number("--buffer", options.buffer, 1024, 16'777'216,
                "headers that may be asked for or wait to be stored");
  parser.number("--walk-backs", options.walk_backs, 0, 1000,
                "reorgs to follow before the sync has failed");
  parser.number("--for", options.seconds, 0, 1'000'000'000, "seconds to run; 0: until it ends");
  parser.flag("--verify", options.verify, "check every header of the store anew, and end");
  parser.text("--export", options.exported, "file for the store's headers in RLP; then end");
}

}  // namespace

int headers_command(Arguments arguments) {
  HeadersOptions options;
  CommandOptions parser("headers");
  declare(parser, options);
  BackendOption backend;
  backend.declare(parser);
  if (const auto status = parser.parse_or_explain(arguments)) return *status;
  if (options.genesis.empty()) return kErrors.usage("--genesis FILE is required");
  if (options.data.empty()) return kErrors.usage("--data DIR is required");
  Peers peers;
  if (const auto status = parse_peers(options, peers)) return *status;
  std::optional<Hash256> head;
  if (!options.head.empty()) {
    const auto parsed = parse_hash256(options.head);
    if (!parsed) return kErrors.usage("--head '" + options.head + "' must be 0x and 64 hex digits");
    head = *parsed;
  }
  const bool offline = options.verify || !options.exported.empty();
  if (peers.named.empty() && peers.bootnodes.empty() && !offline) {
    return kErrors.usage("--peer ENODE or --bootnode ENODE is required");
  }
  if (const auto status = backend.resolve("headers")) return *status;
  const ProgramLog log;
  try {
    Rng rng = Rng::from_system();
    const node::ExecutionGenesis genesis = node::read_execution_genesis(options.genesis);
    const auto directory = node::open_directory(options.data);
    if (!directory) return kErrors.fail(options.data + ": " + explain(directory.error()));
    node::HeaderStorage storage(**directory, genesis.header);
    if (const Status opened = storage.open(); !opened) {
      return kErrors.fail(options.data + ": " + explain(opened.error()));
    }
    if (options.verify) return verify_store(storage.log(), genesis);
    if (offline) return export_store(storage.log(), options.exported);
    const auto last = storage.last();
    if (!last) return kErrors.fail(options.data + ": " + explain(last.error()));
    auto phases = node::SyncPhases::open(**directory, true);
    if (!phases) return kErrors.fail(options.data + ": " + explain(phases.error()));
    if (const Status begun = phases->begin("headers", wall_ms()); !begun) {
      return kErrors.fail(options.data + ": " + explain(begun.error()));
    }
    const secp256k1::SecretKey key = options.identity.empty()
                                         ? secp256k1::SecretKey::generate(rng)
                                         : node::load_or_create_identity(options.identity, rng);
    const int status =
        sync_headers(options, genesis, storage, *last, peers, head, key, rng, backend.maker());
    const uint64_t added = storage.log().next() - last->number - 1;
    const Status ended = phases->end("headers", added, wall_ms());
    const Status said = phases->outcome(status == 0 ? "synced" : "not synced");
    if (!ended || !said) return kErrors.fail(options.data + ": the report cannot be written");
    return status;
  } catch (const std::exception& e) {
    return kErrors.fail(e.what());
  }
}

}  // namespace beamline
