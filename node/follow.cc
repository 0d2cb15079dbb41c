// `beamline follow`: follows a beacon chain from its peers and prints each block as it arrives.
//
// The core and the network have a thread each (or share one); this thread prints. What they see
// comes here through an inbox of its own, so that a slow terminal stops nobody.
#include <cstdio>
#include <exception>

#include "codec/hex.h"
#include "codec/multiaddr.h"
#include "loop/inbox_port.h"
#include "node/backend_option.h"
#include "node/bootnode_option.h"
#include "node/chain_spec.h"
#include "node/commands.h"
#include "node/identity.h"
#include "node/node.h"
#include "node/program_log.h"
#include "node/rocks_store.h"
#include "node/signal_stop.h"

namespace beamline {
namespace {

using node::ChainSpec;

struct FollowOptions {
  std::string genesis;
  std::vector<std::string> peers;
  std::vector<std::string> bootnodes;
  std::string listen;
  std::string identity;
  std::string store;
  uint64_t seconds = 0;
  uint64_t network_threads = 1;
};

struct PeerSeen {
  chain::PeerHandle peer;
  bool up = false;
};
using Seen = std::variant<chain::BlockImported, chain::HeadChanged, PeerSeen>;

// The core's side: hands on what it sees; a full queue drops it, counted, and stops nothing.
class Relay final : public node::CoreObserver {
 public:
  explicit Relay(Inbox<Seen>::Producer producer) : producer_(std::move(producer)) {}
  void on_imported(const chain::BlockImported& block) override { push(block); }
  void on_head(const chain::HeadChanged& head) override { push(head); }
  void on_peer(const chain::PeerHandle& peer, bool up) override { push(PeerSeen{peer, up}); }
  uint64_t dropped() const { return dropped_; }

 private:
  void push(Seen seen) {
    if (producer_.try_push(0, std::move(seen)) == PushResult::full) ++dropped_;
  }
  Inbox<Seen>::Producer producer_;
  uint64_t dropped_ = 0;
};

// This thread's side: prints a line for each block, and counts.
class Printer final : public InboxReceiver<Seen> {
 public:
  void on_message(Seen& seen) override {
    std::visit([this](const auto& what) { print(what); }, seen);
    std::fflush(stdout);
  }
  void summary() const {
    std::printf(
        "summary: %llu blocks, %llu by gossip, %llu by fetch (%llu by root, %llu by range)\n",
        number(gossip_ + by_root_ + by_range_), number(gossip_), number(by_root_ + by_range_),
        number(by_root_), number(by_range_));
    std::printf("summary: head slot %llu root %s, %llu reorgs\n", number(head_.slot),
                to_hex0x(head_.root).c_str(), number(reorgs_));
  }

 private:
  static unsigned long long number(uint64_t n) { return n; }
  void print(const chain::BlockImported& block) {
    const char* how = "gossip";
    if (block.origin == chain::Origin::by_root) how = "fetch by root";
    if (block.origin == chain::Origin::by_range) how = "fetch by range";
    if (block.origin == chain::Origin::own) how = "ourselves";
    if (block.origin == chain::Origin::gossip) ++gossip_;
    if (block.origin == chain::Origin::by_root) ++by_root_;
    if (block.origin == chain::Origin::by_range) ++by_range_;
    std::printf("slot %llu root %s parent %s by %s batch %u\n", number(block.slot),
                to_hex0x(block.root).c_str(), to_hex0x(block.parent_root).c_str(), how,
                block.batch);
  }
  void print(const chain::HeadChanged& head) {
    head_ = head;
    if (head.reorg) ++reorgs_;
    std::printf("head slot %llu root %s%s\n", number(head.slot), to_hex0x(head.root).c_str(),
                head.reorg ? " reorg" : "");
  }
  void print(const PeerSeen& peer) {
    std::printf("peer %u %s\n", peer.peer.index, peer.up ? "up" : "down");
  }

  chain::HeadChanged head_;
  uint64_t gossip_ = 0, by_root_ = 0, by_range_ = 0, reorgs_ = 0;
};

constexpr CommandErrors kErrors("follow");

void print_stats(const node::Node& node) {
  const chain::Stats& chain = node.chain_stats();
  const node::NetworkStats& network = node.network_stats();
  const auto number = [](uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf(
      "summary: %llu requests by root for %llu roots, %llu by range for %llu slots; "
      "%llu bodies fetched, %llu of them twice\n",
      number(chain.requests_by_root), number(chain.roots_requested),
      number(chain.requests_by_range), number(chain.slots_requested), number(chain.fetched_bodies),
      number(chain.fetched_twice));
  std::printf(
      "summary: served %llu blocks to %llu requests; %llu connections, %llu goodbyes "
      "received, %llu violations\n",
      number(chain.served_chunks), number(chain.served_requests), number(network.connected),
      number(network.goodbyes_received), number(network.violations));
  if (chain.persists == 0 && chain.restored == 0) return;
  std::printf(
      "summary: store: %llu blocks restored, %llu turns of %llu acknowledged, %llu blocks served "
      "from it\n",
      number(chain.restored), number(chain.persisted), number(chain.persists),
      number(chain.served_from_disk));
}

int run(const FollowOptions& options, node::NodeOptions node_options,
        secp256k1::SecretKey identity) {
  auto backend = node_options.make_backend();
  if (!backend) return kErrors.fail(explain(backend.error()));
  const auto reactor = std::move(*Reactor::create(std::move(*backend)));
  Printer printer;
  {
    InboxPort<Seen> port(*reactor, printer);
    const std::array<InboxClass, 1> classes = {InboxClass{.nodes = 65'536}};
    Relay relay(std::move(*port.gate().make_producer(classes)));
    SignalStop signals(*reactor);
    Timer end([](Timer& timer) { static_cast<Reactor*>(timer.owner)->stop(); }, reactor.get());
    if (options.seconds > 0) {
      reactor->arm_in(end, seconds(static_cast<int64_t>(options.seconds)));
    }
    node::Node node(std::move(node_options), std::move(identity), relay);
    std::printf("peer id %s\n", node.peer_id().to_text().c_str());
    if (const Status started = node.start(); !started) {
      reactor->shutdown();
      reactor->disarm(end);
      return kErrors.fail(explain(started.error()));
    }
    if (!node.listening().empty()) {
      std::printf("listening %s/p2p/%s\n", Multiaddr::tcp(node.listening()).to_text().c_str(),
                  node.peer_id().to_text().c_str());
    }
    std::fflush(stdout);
    // The inbox closes when the reactor stops; the node must have ended its part by then.
    while (!reactor->stopping()) reactor->turn();
    node.stop();
    reactor->run();
    reactor->disarm(end);
    printer.summary();
    print_stats(node);
    if (relay.dropped() > 0) {
      std::printf("summary: %llu lines dropped, the terminal was too slow\n",
                  static_cast<unsigned long long>(relay.dropped()));
    }
  }
  return 0;
}

}  // namespace

int follow_command(Arguments arguments) {
  FollowOptions options;
  CommandOptions parser("follow");
  parser.text("--genesis", options.genesis, "directory with network.json and config.yaml");
  parser.texts("--peer", options.peers, "multiaddr of a peer to dial; may stand several times");
  parser.texts("--bootnode", options.bootnodes,
               "enr:... or enode://... to find peers of our fork through; may stand several times");
  parser.text("--listen", options.listen, "IP:PORT to accept peers on; port 0 picks one");
  parser.text("--identity", options.identity, "file with our key; made if it is not there");
  parser.text("--store", options.store, "directory to keep the chain in; made if it is not there");
  parser.number("--for", options.seconds, 0, 1'000'000'000, "seconds to follow; 0: until stopped");
  parser.number("--network-threads", options.network_threads, 0, 1,
                "0: the network shares the core's thread");
  BackendOption backend;
  backend.declare(parser);
  if (const auto status = parser.parse_or_explain(arguments)) return *status;
  if (options.genesis.empty()) return kErrors.usage("--genesis DIR is required");
  if (options.peers.empty() && options.listen.empty() && options.bootnodes.empty()) {
    return kErrors.usage("--peer MULTIADDR, --bootnode ENR or --listen IP:PORT is required");
  }
  if (const auto status = backend.resolve("follow")) return *status;
  node::NodeOptions node_options;
  node_options.make_backend = backend.maker();
  node_options.network_thread = options.network_threads > 0;
  for (const std::string& text : options.peers) {
    auto address = Multiaddr::parse_text(text);
    if (!address || !address->tcp_endpoint()) {
      return kErrors.usage("--peer '" + text +
                           "' must be like /ip4/127.0.0.1/tcp/9000/p2p/16Uiu2...");
    }
    node_options.network.dial.push_back(std::move(*address));
  }
  if (!options.listen.empty()) {
    const auto endpoint = Endpoint::parse(options.listen);
    if (!endpoint) {
      return kErrors.usage("--listen '" + options.listen + "' must be like 127.0.0.1:9000");
    }
    node_options.network.listen = *endpoint;
  }
  if (!options.bootnodes.empty()) {
    auto& discovery = node_options.discovery.emplace();
    // At the same address as TCP, by another port.
    discovery.listen = node_options.network.listen.value_or(*Endpoint::parse("0.0.0.0:0"));
    discovery.listen.set_port(0);
    discovery.dial.max_peers = node_options.network.max_peers;
    discovery.dial.dial_ratio = 1;
    const auto wrong = node::parse_bootnodes(options.bootnodes, kErrors, discovery.bootnodes);
    if (wrong) return *wrong;
  }
  std::optional<node::RocksStore> store;
  if (!options.store.empty()) {
    if (!node_options.network_thread) return kErrors.usage("--store needs --network-threads 1");
    store.emplace(node::RocksStoreOptions{.path = options.store});
    node_options.store = &*store;
  }
  const ProgramLog log;
  try {
    node_options.spec = node::load_chain_spec(options.genesis);
    Rng rng = Rng::from_system();
    secp256k1::SecretKey identity = options.identity.empty()
                                        ? secp256k1::SecretKey::generate(rng)
                                        : node::load_or_create_identity(options.identity, rng);
    return run(options, std::move(node_options), std::move(identity));
  } catch (const std::exception& e) {
    return kErrors.fail(e.what());
  }
}

}  // namespace beamline
