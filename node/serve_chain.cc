// `beamline serve-chain`: a chain file, served to eth peers.
#include <cstdio>
#include <exception>

#include "codec/enode.h"
#include "codec/hex.h"
#include "node/backend_option.h"
#include "node/bootnode_option.h"
#include "node/chain_file.h"
#include "node/commands.h"
#include "node/eth_finder.h"
#include "node/identity.h"
#include "node/program_log.h"
#include "node/signal_stop.h"

namespace beamline {
namespace {

struct ServeOptions {
  std::string file, genesis, receipts, identity;
  std::vector<std::string> bootnodes;
  std::string listen = "127.0.0.1:30303";
  uint64_t seconds = 0;
  uint64_t connections = 64;
};

class Visitors final : public node::EthHandler {
 public:
  void on_peer(node::EthConnection& peer) override {
    std::printf("peer %s: %s, eth/%u\n", to_string(peer.connection().remote()).c_str(),
                peer.connection().session().hello().client_id.c_str(), peer.peer().version());
    std::fflush(stdout);
  }
  void on_event(node::EthConnection&, const eth::EthEvent&) override {}
  void on_gone(node::EthConnection& peer, const rlpx::Closed& closed) override {
    const eth::Peer::Stats& stats = peer.peer().stats();
    served += stats.served_items;
    std::printf("peer %s went (%s): %llu answers, %llu items\n",
                to_string(peer.connection().remote()).c_str(), rlpx::name(closed.reason),
                static_cast<unsigned long long>(stats.served),
                static_cast<unsigned long long>(stats.served_items));
    std::fflush(stdout);
  }
  uint64_t served = 0;
};

constexpr CommandErrors kErrors("serve-chain");

// So that the server can be found, and others through it. At the same port as TCP if that is free
// or asked for.
Result<std::unique_ptr<node::DiscoveryDriver>> answer_discovery(
    Reactor& reactor, const Endpoint& tcp, bool any_port, const eth::ForkId& fork,
    const secp256k1::SecretKey& key, std::span<const discovery::NodeRecord> bootnodes,
    discovery::Observer& observer, Rng& rng) {
  discovery::ServiceConfig config;
  config.tcp_port = tcp.port();
  node::set_eth_entry(config.record, fork);
  Endpoint udp = tcp;
  auto driver = node::DiscoveryDriver::open(reactor, key, udp, config, observer, rng.fork());
  if (!driver && driver.error().code == Code::address_in_use && any_port) {
    udp.set_port(0);
    driver = node::DiscoveryDriver::open(reactor, key, udp, config, observer, rng.fork());
  }
  if (!driver) return driver;
  for (const discovery::NodeRecord& node : bootnodes) {
    // Their number was checked.
    static_cast<void>((*driver)->service().add_bootnode(node, reactor.now()));
  }
  (*driver)->service().set_wanted(false);  // nobody is dialled
  (*driver)->pump();
  return driver;
}

int run(const ServeOptions& options, const Endpoint& listen, const node::ExecutionGenesis& genesis,
        const node::ChainFile& chain, std::span<const discovery::NodeRecord> bootnodes,
        const secp256k1::SecretKey& key, Rng& rng, MakeBackend make_backend) {
  const eth::ForkFilter forks = genesis.fork_filter();
  eth::Local local;
  local.forks = &forks;
  local.chain = &chain;
  local.head = {chain.head(), chain.tip().timestamp};
  local.status.network_id = genesis.chain_id;
  local.status.genesis = genesis.hash;
  local.status.fork_id = forks.at(local.head);
  local.status.range = {0, chain.head(), chain.hash(chain.head())};
  local.status.total_difficulty = {1};
  auto backend = make_backend();
  if (!backend) return kErrors.fail(explain(backend.error()));
  const auto reactor = std::move(*Reactor::create(std::move(*backend)));
  TcpOptions tcp_options;
  tcp_options.max_streams = static_cast<uint32_t>(options.connections);
  auto tcp = Tcp::create(*reactor, tcp_options);
  if (!tcp) return kErrors.fail(explain(tcp.error()));
  Visitors visitors;
  {
    node::EthHostOptions host_options;
    host_options.rlpx.session.key = &key;
    host_options.rlpx.max_connections = static_cast<uint32_t>(options.connections);
    host_options.rlpx.max_inbound = static_cast<uint32_t>(options.connections);
    host_options.rlpx.session.listen_port = listen.port();
    node::EthHost host(*reactor, **tcp, host_options, local, visitors, rng);
    SignalStop signals(*reactor);
    Timer end([](Timer& timer) { static_cast<Reactor*>(timer.owner)->stop(); }, reactor.get());
    if (options.seconds > 0) {
      reactor->arm_in(end, seconds(static_cast<int64_t>(options.seconds)));
    }
    discovery::Observer observer;
    Status ready;
    Result<std::unique_ptr<node::DiscoveryDriver>> driver(nullptr);
    const auto listener = host.listen(listen);
    if (listener) {
      driver = answer_discovery(*reactor, (*listener)->local(), listen.port() == 0,
                                local.status.fork_id, key, bootnodes, observer, rng);
      if (!driver) ready = std::unexpected(driver.error());
    } else {
      ready = std::unexpected(listener.error());
    }
    if (ready) {
      const Endpoint local_end = (*listener)->local();
      std::printf("%s\n%llu blocks, head %s\n",
                  Enode{key.public_key(), local_end, (*driver)->local().port()}.to_text().c_str(),
                  static_cast<unsigned long long>(chain.head()),
                  to_hex0x(chain.hash(chain.head())).c_str());
      std::fflush(stdout);
      reactor->run();
      (*driver)->close();
    }
    reactor->disarm(end);
    node::say_goodbye(*reactor, host);
    reactor->shutdown();
    if (!ready) return kErrors.fail(explain(ready.error()));
  }
  std::printf("%llu items served\n", static_cast<unsigned long long>(visitors.served));
  return 0;
}

}  // namespace

int serve_chain_command(Arguments arguments) {
  ServeOptions options;
  // The chain file is the one word that is no option.
  if (!arguments.empty() && arguments[0][0] != '-') {
    options.file = arguments[0];
    arguments = arguments.subspan(1);
  }
  CommandOptions parser("serve-chain FILE.rlp");
  parser.text("--genesis", options.genesis, "geth's genesis.json of the chain");
  parser.text("--receipts", options.receipts, "file of one RLP list of receipts per block");
  parser.text("--listen", options.listen, "IP:PORT of TCP, and of UDP for discovery; port 0 picks");
  parser.texts("--bootnode", options.bootnodes,
               "enode://... or enr:... to be found through; may stand several times");
  parser.text("--identity", options.identity, "file with our key; made if it is not there");
  parser.number("--connections", options.connections, 1, 16'384, "peers at once");
  parser.number("--for", options.seconds, 0, 1'000'000'000, "seconds to serve; 0: until stopped");
  BackendOption backend;
  backend.declare(parser);
  if (const auto status = parser.parse_or_explain(arguments)) return *status;
  if (options.file.empty()) return kErrors.usage("FILE.rlp is required, before the options");
  if (options.genesis.empty()) return kErrors.usage("--genesis FILE is required");
  const auto listen = Endpoint::parse(options.listen);
  if (!listen)
    return kErrors.usage("--listen '" + options.listen + "' must be like 127.0.0.1:30303");
  std::vector<discovery::NodeRecord> bootnodes;
  const auto wrong = node::parse_bootnodes(options.bootnodes, kErrors, bootnodes);
  if (wrong) return *wrong;
  if (bootnodes.size() > discovery::ServiceConfig{}.max_bootnodes) {
    return kErrors.usage("--bootnode stands too often; at most 64 times");
  }
  if (const auto status = backend.resolve("serve-chain")) return *status;
  const ProgramLog log;
  try {
    Rng rng = Rng::from_system();
    const node::ExecutionGenesis genesis = node::read_execution_genesis(options.genesis);
    const node::ChainFile chain(genesis, options.file, options.receipts);
    const secp256k1::SecretKey key = options.identity.empty()
                                         ? secp256k1::SecretKey::generate(rng)
                                         : node::load_or_create_identity(options.identity, rng);
    return run(options, *listen, genesis, chain, bootnodes, key, rng, backend.maker());
  } catch (const std::exception& e) {
    return kErrors.fail(e.what());
  }
}

}  // namespace beamline
