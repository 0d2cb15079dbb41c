// The whole way of the headers in virtual time: 200 nodes on simulated reactors, each with its
// discovery service, pool, dial scheduler, RLPx sessions and header sync as they ship, real
// signatures and ciphers included. What is not real: the network, the disk and the clocks.
//
// Half of the nodes fall silent after the handshake: some answer RLPx's pings and no request, the
// rest vanish from the network, sockets open, at a time of their own.
#include <cstdio>
#include <cstdlib>

#include "loop/sim/network.h"
#include "loop/sim/reactor.h"
#include "node/header_client.h"
#include "tests/chain/headers/sync_world.h"
#include "tests/sim/replay.h"

namespace beamline::node {
namespace {

using chain::testing::HeaderChain;

constexpr uint16_t kPort = 30'303;
constexpr size_t kTarget = 8;  // peers that each node dials

// What all nodes know of the chain, and serve from.
class Canon final : public eth::ChainSource {
 public:
  Canon(uint64_t length, uint64_t salt) {
    forks = chain::testing::all_forks();
    auto fields = chain::testing::genesis_fields();
    fields.state_root.bytes[31] = static_cast<uint8_t>(salt);
    genesis_bytes_ = fields.encode();
    const auto header = ExecutionHeader::decode(genesis_bytes_);
    genesis = chain::ParentHeader::of(*header, header->hash());
    chain.grow(forks, genesis, length, 0);
    for (uint64_t n = 1; n <= chain.head(); ++n) numbers_[chain.hash(n)] = n;
    filter.emplace(*eth::ForkFilter::make(genesis.hash, genesis.timestamp, {}, {}));
  }
  std::optional<uint64_t> number_of(const Hash256& hash) const override {
    const auto found = numbers_.find(hash);
    return found == numbers_.end() ? std::nullopt : std::optional(found->second);
  }
  Bytes header(uint64_t number) const override {
    if (number == 0) return genesis_bytes_;
    return number > chain.head() ? Bytes() : Bytes(chain.encodings[number - 1]);
  }
  Bytes body(uint64_t) const override { return {}; }
  Bytes receipts(uint64_t) const override { return {}; }

  // A node that has all of it, or nothing but genesis.
  eth::Local local(bool synced) const {
    eth::Local local;
    local.forks = &*filter;
    const chain::ParentHeader& head = synced ? chain.parents.back() : genesis;
    local.head = {head.number, head.timestamp};
    if (synced) local.chain = this;
    local.status.network_id = 7;
    local.status.genesis = genesis.hash;
    local.status.fork_id = filter->at(local.head);
    local.status.range = {0, head.number, head.hash};
    local.status.total_difficulty = {1};
    return local;
  }

  chain::HeaderForks forks;
  chain::ParentHeader genesis;
  HeaderChain chain;
  std::optional<eth::ForkFilter> filter;

 private:
  std::vector<uint8_t> genesis_bytes_;
  std::map<Hash256, uint64_t> numbers_;
};

bool is_long() { return std::getenv("BEAMLINE_LONG") != nullptr; }

// In the short tier by discv5 alone: discv4 signs each packet, and that would take the time.
discovery::ServiceConfig small_service() {
  discovery::ServiceConfig config;
  config.v4 = is_long();
  config.schedule.max_at_once = 1;
  config.schedule.shortest = seconds(2);
  config.pool.capacity = 512;
  config.discv4.calls = config.discv5.calls = 256;
  config.discv4.bonds = 512;
  config.discv4.replays = 512;
  return config;
}

// A host with a reactor and TCP of its own.
class Machine {
 public:
  explicit Machine(sim::World& world)
      : host(world.add_host(0x0a000001 + (world.hosts() << 8))),  // each in a /24 of its own
        address(0x0a000001 + (host << 8)),
        rng(world.fork_rng()),
        key(secp256k1::SecretKey::generate(rng)),
        reactor(std::make_unique<sim::SimReactor>(world, host)) {
    TcpOptions options;
    options.max_streams = 64;
    options.max_listeners = 1;
    options.buffer_count = 8;
    options.buffer_size = 16'384;
    options.write_chunks = 64;
    options.write_chunk_size = 8192;
    options.write_nodes = 256;
    options.send_batches = 16;
    options.stream_queue_bytes = 131'072;
    tcp = std::move(*Tcp::create(**reactor, options));
  }
  virtual ~Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  // Before anything of it dies.
  void shut_down() { (*reactor)->shutdown(); }
  Endpoint endpoint() { return reactor->endpoint(kPort); }
  NodeId id() const { return node_id_of(key.public_key()); }

  const sim::HostId host;
  const uint32_t address;
  Rng rng;
  const secp256k1::SecretKey key;
  std::unique_ptr<sim::SimReactor> reactor;
  std::unique_ptr<Tcp> tcp;
  bool silent = false;
};

// For how long a number was below the target.
struct Below {
  void sample(size_t number, Duration now) {
    since = number < kTarget ? (since ? since : now) : std::nullopt;
    if (since) longest = std::max(longest, now - *since);
  }
  std::optional<Duration> since;
  Duration longest{};
};

// Finds peers, serves the chain or syncs it.
class Honest final : public Machine, private HeaderClientObserver {
 public:
  Honest(sim::World& world, const Canon& canon, bool synced, size_t dials, bool snappy,
         std::span<const discovery::NodeRecord> bootnodes)
      : Machine(world), canon_(canon), local_(canon.local(synced)), disk_(host) {
    HeaderClientOptions options;
    options.host.rlpx.session.key = &key;
    options.host.rlpx.max_connections = 64;
    if (!snappy) options.host.rlpx.session.version = 4;
    options.listen = endpoint();
    options.finder.listen = endpoint();
    options.finder.bootnodes.assign(bootnodes.begin(), bootnodes.end());
    options.finder.service = small_service();
    options.finder.dial.max_peers = 3 * dials;
    options.finder.dial.dial_ratio = 3;
    client = std::move(*HeaderClient::open(**reactor, *tcp, std::move(options), local_,
                                           static_cast<HeaderClientObserver&>(*this), rng.fork()));
    reactor->wake();
  }
  ~Honest() override {
    client->end_sync();
    if (storage_reactor_) (*storage_reactor_)->shutdown();
    shut_down();
  }
  void begin_sync() {
    storage_.emplace(disk_, canon_.genesis);
    storage_reactor_.emplace(reactor->backend().world(), host);
    ASSERT_TRUE(storage_->open());
    chain::HeaderSyncConfig config;
    config.forks = canon_.forks;
    config.limits.full_sync_below = 0;
    ASSERT_TRUE(client->begin_sync(*storage_, std::move(config), canon_.genesis,
                                   canon_.chain.hashes.back(), &**storage_reactor_));
    reactor->wake();
  }
  bool has_chain() const {
    const auto last = storage_->last();
    return last && last->hash == canon_.chain.hashes.back();
  }
  // Samples how many are connected, and, while it asks them, how many of them would answer.
  void measure(Duration now, const std::set<uint32_t>& silent_addresses) {
    connected.sample(client->peers().size(), now);
    if (!client->syncing() || finished) return;
    size_t answering = 0;
    for (const EthConnection* peer : client->peers()) {
      const Bytes b = peer->connection().remote().address();
      answering += !silent_addresses.contains(uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 |
                                              uint32_t{b[2]} << 8 | b[3]);
    }
    answers.sample(answering, now);
  }

  std::unique_ptr<HeaderClient> client;
  std::optional<chain::HeaderSyncFinished> finished;
  Below connected, answers;
  uint64_t charged = 0;

 private:
  void on_stored(const chain::HeadersStored&) override { client->batch_taken(); }
  void on_charged(EthConnection&, const chain::ChargeHeaderPeer&) override { ++charged; }
  void on_finished(const chain::HeaderSyncFinished& end) override { finished = end; }

  const Canon& canon_;
  const eth::Local local_;
  chain::testing::SimDisk disk_;
  std::optional<HeaderStorage> storage_;
  std::optional<sim::SimReactor> storage_reactor_;
};

// Can be found, shakes hands, says the Status that it should, and then answers nothing but RLPx's
// pings. Or says another chain's Status, against its own record. Or does not listen: a bootnode.
class Mute final : public Machine, private rlpx::HostHandler, private discovery::Observer {
 public:
  Mute(sim::World& world, const Canon& record, const Canon& status, bool listens,
       std::span<const discovery::NodeRecord> bootnodes)
      : Machine(world), local_(status.local(true)) {
    discovery::ServiceConfig service = small_service();
    if (listens) {
      options_.session.key = &key;
      options_.session.capabilities = kEth;
      rlpx_ =
          std::make_unique<rlpx::Host>(*tcp, options_, static_cast<rlpx::HostHandler&>(*this), rng);
      EXPECT_TRUE(rlpx_->listen(endpoint()));
      service.tcp_port = kPort;
      set_eth_entry(service.record, record.local(true).status.fork_id);
    }
    driver_ = std::move(*DiscoveryDriver::open(
        **reactor, key, endpoint(), service, static_cast<discovery::Observer&>(*this), rng.fork()));
    for (const auto& node : bootnodes) {
      EXPECT_TRUE(driver_->service().add_bootnode(node, (*reactor)->now()));
    }
    driver_->service().set_wanted(false);
    driver_->pump();
    reactor->wake();
  }
  ~Mute() override {
    shut_down();
    sessions_.clear();
  }
  discovery::NodeRecord record() { return discovery::record_of(driver_->service().record()); }
  uint64_t handshakes = 0;

 private:
  static constexpr rlpx::Capability kEth[] = {{"eth", 69, eth::message_count(69)}};
  struct Session final : eth::Sink {
    explicit Session(rlpx::Connection& to, const eth::Local& local, MonoTime now)
        : connection(to), peer(69, local, *this, {}, now) {}
    Status send(eth::Message message, Bytes payload) override {
      return connection.send(0, static_cast<uint8_t>(message), payload);
    }
    rlpx::Connection& connection;
    eth::Peer peer;
  };
  void on_ready(rlpx::Connection& connection) override {
    sessions_[&connection] = std::make_unique<Session>(connection, local_, (*reactor)->now().mono);
  }
  void on_message(rlpx::Connection& connection, size_t, uint8_t id, Bytes payload) override {
    if (id != static_cast<uint8_t>(eth::Message::status)) return;
    ++handshakes;
    static_cast<void>(sessions_[&connection]->peer.receive(id, payload, (*reactor)->now().mono));
  }
  void on_closed(rlpx::Connection& connection, const rlpx::Closed&) override {
    sessions_.erase(&connection);
  }

  const eth::Local local_;
  rlpx::HostOptions options_;
  std::unique_ptr<rlpx::Host> rlpx_;
  std::unique_ptr<DiscoveryDriver> driver_;
  std::map<rlpx::Connection*, std::unique_ptr<Session>> sessions_;
};

struct Population {
  size_t synced = 70;  // have the chain; so many of them vanish
  size_t vanishing = 50;
  size_t syncing = 25;  // begin without it
  size_t mute = 50;
  size_t strangers = 4;    // of another chain, under our fork id
  size_t dials = kTarget;  // peers that each keeps by its own dials
  bool snappy = true;
};

// Latencies as between cities, links of 1 Mbit/s, some loss.
sim::Options far_apart() {
  sim::Options options;
  options.link.latency_min = milliseconds(10);
  options.link.latency_max = milliseconds(60);
  options.link.bandwidth = 125'000;
  options.link.loss = 2'000;
  return options;
}

class HeadersSimWorld {
 public:
  HeadersSimWorld(uint64_t seed, const sim::Options& options, uint64_t length, Population people)
      : world(seed, options),
        dials_(people.dials),
        snappy_(people.snappy),
        canon_(length, 0),
        other_(1, 1),
        rng_(world.fork_rng()) {
    boot_.push_back(add_mute(canon_, false)->record());
    const auto at_some_time = [&](int64_t from, int64_t to, sim::World::Action action) {
      world.after(milliseconds(rng_.between(from, to)), std::move(action));
    };
    for (size_t i = 0; i < people.synced + people.vanishing; ++i) {
      at_some_time(0, 3'000, [this, i, people] {
        Honest& node = add_honest(true);
        if (i >= people.synced) vanish_later(node);
      });
    }
    for (size_t i = 0; i < people.syncing; ++i) {
      at_some_time(0, 3'000, [this] { sync_later(add_honest(false)); });
    }
    for (size_t i = 0; i < people.mute + people.strangers; ++i) {
      at_some_time(0, 3'000,
                   [this, i, people] { add_mute(i < people.mute ? canon_ : other_, true); });
    }
  }
  ~HeadersSimWorld() {
    for (Honest* node : honest) node->client->stop_finding();
  }

  void run(Duration length) {
    const MonoTime begin = world.now();
    for (Duration at{}; at < length; at = at + milliseconds(250)) {
      world.run_until(begin + at);
      for (Honest* node : honest) {
        if (!node->silent) node->measure(at, silent_);
      }
    }
  }
  size_t synced() const {
    size_t count = 0;
    for (const Honest* node : syncing) {
      count += node->finished && node->finished->end == chain::HeaderSyncEnd::synced &&
               node->has_chain();
    }
    return count;
  }

  Honest& add_honest(bool has_chain) {
    auto made = std::make_unique<Honest>(world, canon_, has_chain, dials_, snappy_, boot_);
    honest.push_back(made.get());
    machines_.push_back(std::move(made));
    return *honest.back();
  }

  sim::World world;
  std::vector<Honest*> honest, syncing;
  std::vector<Mute*> mute;

 private:
  Mute* add_mute(const Canon& status, bool listens) {
    auto made = std::make_unique<Mute>(world, canon_, status, listens, boot_);
    Mute* const node = made.get();
    if (listens) mute.push_back(node);
    silent_.insert(node->address);
    machines_.push_back(std::move(made));
    return node;
  }
  void vanish_later(Honest& node) {
    world.after(milliseconds(rng_.between(10'000, 30'000)), [this, &node] {
      node.silent = true;
      silent_.insert(node.address);
      world.net().isolate(node.host);
    });
  }
  void sync_later(Honest& node) {
    syncing.push_back(&node);
    world.after(milliseconds(rng_.between(8'000, 25'000)), [&node] { node.begin_sync(); });
  }

  const size_t dials_;
  const bool snappy_;
  const Canon canon_, other_;
  Rng rng_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::set<uint32_t> silent_;  // by address
  std::vector<discovery::NodeRecord> boot_;
};

constexpr Population kNobody{.synced = 0, .vanishing = 0, .syncing = 0, .mute = 0, .strangers = 0};

// Its place goes to somebody else, and the sync goes on from there.
TEST(HeadersSim, APeerThatAnswersNothingIsMarkedAndMakesPlace) {
  Population people = kNobody;
  people.syncing = people.mute = people.dials = 1;
  HeadersSimWorld sim(3, far_apart(), 500, people);
  sim.run(seconds(60));
  const Honest& node = *sim.syncing[0];
  const NodeId mute = sim.mute[0]->id();
  const discovery::Service& service = *node.client->finder().service();
  EXPECT_FALSE(node.finished);
  EXPECT_GE(node.client->finder().stats().failed_requests, 1u);
  EXPECT_GE(node.charged, 3u);
  EXPECT_GE(service.contacts().table.stats().pruned, 1u);
  EXPECT_GE(service.contacts().pool.failures(mute), 1u);
  sim.add_honest(true);
  sim.run(seconds(120));
  EXPECT_EQ(sim.synced(), 1u);
}

// Test headers compress as real ones do not, so that snappy is left out.
constexpr Population kOnePair{.synced = 1,
                              .vanishing = 0,
                              .syncing = 1,
                              .mute = 0,
                              .strangers = 0,
                              .dials = 1,
                              .snappy = false};

TEST(HeadersSim, ASlowLinkOf240KilobitsAnd300MillisecondsSyncsWithoutAStrike) {
  sim::Options options;
  options.link.latency_min = options.link.latency_max = milliseconds(150);
  options.link.bandwidth = 30'000;
  HeadersSimWorld sim(5, options, 5000, kOnePair);
  sim.run(seconds(150));
  const Honest& node = *sim.syncing[0];
  EXPECT_EQ(sim.synced(), 1u);
  EXPECT_EQ(node.charged, 0u);
  EXPECT_EQ(node.client->finder().stats().failed_requests, 0u);
}

// Each finds the other and dials it. Whatever comes up first on which side, both keep the same
// connection, and lose no time over it.
TEST(HeadersSim, TwoThatDialEachOtherAtOnceKeepOneConnection) {
  uint64_t crossed = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    sim::Options options = far_apart();
    options.link.loss = 0;
    HeadersSimWorld sim(seed, options, 10, kOnePair);
    sim.run(seconds(12));
    ASSERT_EQ(sim.honest.size(), 2u);
    const Honest &one = *sim.honest[0], &other = *sim.honest[1];
    ASSERT_EQ(one.client->peers().size(), 1u);
    ASSERT_EQ(other.client->peers().size(), 1u);
    const EthConnection &here = *one.client->peers()[0], &there = *other.client->peers()[0];
    EXPECT_NE(here.outbound(), there.outbound());
    EXPECT_EQ(one.client->host().connections(), 1u);
    EXPECT_EQ(other.client->host().connections(), 1u);
    const bool both = one.client->host().stats().ready > 1;
    crossed += both;
    if (both) {
      EXPECT_EQ(here.outbound(), one.id() > other.id());
    }
    for (const Honest* node : sim.honest) {
      EXPECT_EQ(node->client->finder().dials().peers(), 1u);
      EXPECT_EQ(node->client->finder().stats().failed_dials, 0u);
      EXPECT_EQ(node->client->finder().stats().failed_handshakes, 0u);
    }
  }
  std::printf("%lu of 12 pairs crossed\n", static_cast<unsigned long>(crossed));
  EXPECT_GT(crossed, 0u);
}

// In the middle of the sync the link lets next to nothing through: that much is a tarpit, whatever
// the reason.
TEST(HeadersSim, ATarpitThatTricklesBytesIsDroppedAndMakesPlace) {
  sim::Options options;
  options.link.latency_min = options.link.latency_max = milliseconds(50);
  options.link.bandwidth = 125'000;
  HeadersSimWorld sim(6, options, 5000, kOnePair);
  sim.run(seconds(30));
  const Honest& node = *sim.syncing[0];
  const Honest& tarpit = sim.honest[0] == &node ? *sim.honest[1] : *sim.honest[0];
  ASSERT_EQ(node.client->peers().size(), 1u);
  ASSERT_FALSE(node.finished);
  sim::Link trickle = options.link;
  trickle.bandwidth = 200;
  sim.world.net().set_link(node.host, tarpit.host, trickle);
  sim.run(seconds(60));
  EXPECT_FALSE(node.finished);
  EXPECT_EQ(node.client->finder().stats().failed_requests, 1u);
  EXPECT_EQ(node.client->peers().size(), 0u);
  EXPECT_GE(node.client->finder().service()->contacts().pool.failures(tarpit.id()), 1u);
  sim.add_honest(true);
  sim.run(seconds(90));
  EXPECT_EQ(sim.synced(), 1u);
}

// It connects each time, and answers nothing each time.
TEST(HeadersSim, ATarpitsBackoffGrowsFromOneSessionToTheNext) {
  Population people = kNobody;
  people.syncing = people.mute = people.dials = 1;
  HeadersSimWorld sim(7, far_apart(), 500, people);
  sim.run(seconds(170));
  const Honest& node = *sim.syncing[0];
  EXPECT_EQ(node.client->finder().service()->contacts().pool.failures(sim.mute[0]->id()), 2u);
  EXPECT_EQ(node.client->finder().stats().failed_requests, 2u);  // the third waits for 3 minutes
}

// Its record lies about its fork; its Status tells, and then it has to wait.
TEST(HeadersSim, ANodeOfAnotherChainIsMarkedAndWaits) {
  Population people = kNobody;
  people.syncing = people.strangers = 1;
  HeadersSimWorld sim(4, far_apart(), 10, people);
  sim.run(seconds(28));
  const Honest& node = *sim.syncing[0];
  const NodeId stranger = sim.mute[0]->id();
  const discovery::Contacts& contacts = node.client->finder().service()->contacts();
  EXPECT_EQ(node.client->peers().size(), 0u);
  EXPECT_EQ(node.client->finder().stats().failed_handshakes, 1u);
  EXPECT_EQ(node.client->finder().dials().stats().dials, 1u);
  ASSERT_NE(contacts.pool.find(stranger), nullptr);
  EXPECT_EQ(contacts.pool.standing(stranger), discovery::Standing::held);
  EXPECT_EQ(contacts.table.stats().marked[static_cast<size_t>(discovery::Failure::handshake)], 1u);
}

// 50 vanish, 50 are mute; 4 more are of another chain.
TEST(HeadersSim, TwoHundredNodesSyncWhileHalfFallSilentAfterTheHandshake) {
  const uint64_t length = is_long() ? 20'000 : 4'000;
  const int64_t virtual_seconds = is_long() ? 600 : 70;
  sim::for_each_seed(is_long() ? 2 : 1, [&](uint64_t seed) {
    const sim::Options options = far_apart();
    const sim::Replay replay(seed, options);
    HeadersSimWorld sim(seed, options, length, {});
    sim.run(seconds(virtual_seconds));
    Duration below{}, alone{};
    uint64_t nodes_below = 0, charged = 0, dials = 0, failed = 0, pruned = 0, sessions = 0,
             handshakes = 0;
    for (const Honest* node : sim.honest) {
      charged += node->charged;
      const auto& stats = node->client->finder().stats();
      failed += stats.failed_dials + stats.failed_handshakes + stats.failed_requests;
      pruned += node->client->finder().service()->contacts().table.stats().pruned;
      dials += node->client->finder().dials().stats().dials;
      sessions += node->client->host().stats().ready;
      if (node->silent) continue;
      below = std::max(below, node->connected.longest);
      alone = std::max(alone, node->answers.longest);
      nodes_below += node->connected.longest > seconds(30);
    }
    for (const Mute* node : sim.mute) handshakes += node->handshakes;
    std::printf(
        "headers sim: seed %llu, 200 nodes, %lld s: %zu of %zu syncs of %llu headers ended synced; "
        "below %zu peers at most %.1f s, over 30 s %llu nodes; while it syncs below as many that "
        "answer at most %.1f s; %llu dials, %llu failures marked, %llu contacts pruned, %llu "
        "sessions, %llu handshakes of mutes, %llu charges\n",
        static_cast<unsigned long long>(seed), static_cast<long long>(virtual_seconds),
        sim.synced(), sim.syncing.size(), static_cast<unsigned long long>(length), kTarget,
        to_seconds(below), static_cast<unsigned long long>(nodes_below), to_seconds(alone),
        static_cast<unsigned long long>(dials), static_cast<unsigned long long>(failed),
        static_cast<unsigned long long>(pruned), static_cast<unsigned long long>(sessions),
        static_cast<unsigned long long>(handshakes), static_cast<unsigned long long>(charged));
    EXPECT_EQ(sim.honest.size() + sim.mute.size(), 199u);
    EXPECT_EQ(sim.synced(), sim.syncing.size());
    EXPECT_EQ(nodes_below, 0u);
    EXPECT_GT(handshakes, 100u);
    EXPECT_GT(failed, 100u);
    EXPECT_GT(pruned, 100u);
  });
}

}  // namespace
}  // namespace beamline::node
