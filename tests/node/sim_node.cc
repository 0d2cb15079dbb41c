#include "tests/node/sim_node.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

namespace beamline::node {
namespace {

secp256k1::SecretKey identity_of(sim::HostId host) {
  Rng rng(1000 + host);
  return secp256k1::SecretKey::generate(rng);
}

sim::HostId add_host(sim::World& world) { return world.add_host(0x0a000001 + world.hosts()); }

}  // namespace

ChainSpec sim_spec(const sim::World& world) {
  ChainSpec spec;
  spec.genesis_time = world.options().wall_start;
  spec.genesis_block_root.bytes.fill(0x47);
  spec.slot_duration = kSlot;
  spec.preset = &Preset::minimal();
  return spec;
}

NodeOptions sim_options(const sim::World& world, Joined joined) {
  NodeOptions options;
  options.spec = sim_spec(world);
  options.network_thread = joined == Joined::by_inboxes;
  options.network.max_peers = 16;
  options.network.redial_first = milliseconds(500);
  options.network.redial_most = seconds(4);
  options.tcp.max_streams = 24;
  options.tcp.buffer_count = 8;
  options.tcp.buffer_size = 16'384;
  options.tcp.write_chunks = 32;
  options.tcp.write_chunk_size = 8192;
  options.tcp.write_nodes = 128;
  options.tcp.send_batches = 8;
  options.tcp.stream_queue_bytes = 65'536;
  return options;
}

chain::BlockInfo make_block(const Root& parent, Slot slot, uint64_t salt) {
  static const BeaconTypes types(Preset::minimal());
  static ssz::Hasher hasher;
  EmptyBlock block{.slot = slot,
                   .proposer_index = salt,
                   .parent_root = parent,
                   .state_root = {},
                   .graffiti = {}};
  // What does not compress, as in a real block.
  Rng rng(slot * 1000 + salt);
  rng.fill(block.state_root.bytes);
  rng.fill(block.graffiti.bytes);
  rng.fill(block.signature);
  const SharedBytes bytes = SharedBytes::copy(encode_empty_block(block));
  const auto view = SignedBlockView::parse(types, Fork::phase0, bytes);
  BL_CHECK(view.has_value());
  return {.root = view->block_root(hasher),
          .parent_root = parent,
          .slot = slot,
          .proposer = salt,
          .signed_bytes = bytes};
}

SimNode::SimNode(sim::World& world, NodeOptions options)
    : world_(world),
      host_(add_host(world)),
      options_(std::move(options)),
      rng_(world.fork_rng()),
      identity_(identity_of(host_)),
      peer_id_(PeerId::from_public_key(identity_.public_key())),
      producer_([](Timer& timer) { static_cast<SimNode*>(timer.owner)->make_next(); }, this) {
  options_.network.listen = endpoint();
}

Endpoint SimNode::endpoint() const { return world_.net().endpoint(host_, kPort); }

void SimNode::start() {
  BL_CHECK(!running_);
  running_ = true;
  peers_up_ = 0;
  network_ = std::make_unique<NetworkProgram>(options_, identity_, rng_.fork());
  core_ = std::make_unique<CoreProgram>(options_, *network_, *this);
  core_reactor_ = std::make_unique<sim::SimReactor>(world_, host_);
  if (options_.network_thread) {
    network_reactor_ = std::make_unique<sim::SimReactor>(world_, host_);
    ASSERT_TRUE(network_->on_start(**network_reactor_));
  }
  ASSERT_TRUE(core_->on_start(**core_reactor_));
  const std::array classes = {InboxClass{.nodes = 8}};
  control_ = std::move(*network_->gate().make_producer(classes));
  if (!options_.network_thread) return;
  NetworkMessage message = NetworkStart{core_->gate(), std::make_shared<NetworkReport>()};
  ASSERT_EQ(control_.try_push(0, std::move(message)), PushResult::ok);
  // A thread's owner waits for it too.
  ASSERT_TRUE(world_.run_until([&] { return network_->network() != nullptr; }, seconds(1)));
}

void SimNode::stop() {
  if (!running_) return;
  running_ = false;
  end_network();
  end_core();
}

void SimNode::stop_core_first() {
  running_ = false;
  end_core();
  end_network();
}

void SimNode::end_network() {
  control_ = {};
  if (network_reactor_ == nullptr) return;
  (*network_reactor_)->shutdown();
  EXPECT_EQ(network_reactor_->backend().in_flight(), 0u);
  EXPECT_EQ(network_reactor_->backend().open_sockets(), 0u);
  network_->on_stop(**network_reactor_);
  network_reactor_.reset();
}

void SimNode::end_core() {
  control_ = {};
  (*core_reactor_)->disarm(producer_);
  (*core_reactor_)->shutdown();
  EXPECT_EQ(core_reactor_->backend().in_flight(), 0u);
  EXPECT_EQ(core_reactor_->backend().open_sockets(), 0u);
  core_->on_stop(**core_reactor_);
  core_reactor_.reset();
}

void SimNode::begin_to_leave() {
  NetworkMessage message = NetworkLeave{};
  ASSERT_EQ(control_.try_push(0, std::move(message)), PushResult::ok);
}

void SimNode::leave() {
  begin_to_leave();
  const auto gone = [&] { return network_->gone.load(); };
  EXPECT_TRUE(world_.run_until(
      gone, options_.network.goodbye_timeout * 2 + options_.tcp.flush_timeout + seconds(1)));
}

// ---- Blocks of its own

void SimNode::arm_producer() {
  const Now now = world_.now(host_);
  const Slot next = chain().current_slot(now.wall) + 1;
  const WallTime at = options_.spec.genesis_time + kSlot * static_cast<int64_t>(next);
  (*core_reactor_)->arm(producer_, now.mono + (at - now.wall));
}

void SimNode::produce() {
  arm_producer();
  core_reactor_->wake();
}

void SimNode::stop_producing() { (*core_reactor_)->disarm(producer_); }

void SimNode::make_next() {
  const Slot slot = chain().current_slot((*core_reactor_)->now().wall);
  if (slot > head().slot) core().add_own_block(make_block(head().root, slot));
  arm_producer();
}

void SimNode::publish(chain::BlockInfo block) {
  core().add_own_block(std::move(block));
  core_reactor_->wake();
}

// ---- What the core says

void SimNode::on_imported(const chain::BlockImported& block) {
  ++imported_[block.origin];
  log_.push_back(block);
}

void SimNode::on_head(const chain::HeadChanged& head) {
  // So that a run that differs in one head differs in its digest.
  uint64_t word = 0;
  std::memcpy(&word, head.root.bytes.data(), sizeof word);
  world_.record(sim::Record::user, host_, head.slot, word);
}

bool run_until_heads_equal(sim::World& world, const std::vector<SimNode*>& nodes, Duration limit) {
  const auto equal = [&] {
    return std::ranges::all_of(
        nodes, [&](SimNode* node) { return node->head().root == nodes[0]->head().root; });
  };
  return world.run_until(equal, limit);
}

std::string describe(SimNode& node) {
  std::ostringstream out;
  const NetworkStats& n = node.network_stats();
  out << "host " << node.host() << ": head " << node.head().slot << ", peers up " << node.peers_up()
      << ", connections " << node.network().peers() << "; dials " << n.dials << ", connected "
      << n.connected << ", disconnected " << n.disconnected << ", refused " << n.refused_peers
      << ", duplicate " << n.duplicate_peers << ", goodbyes " << n.goodbyes_sent << "/"
      << n.goodbyes_received << ", violations " << n.violations << ", held " << n.events_held
      << "; ";
  const reqresp::ClientStats& c = node.network().client().stats();
  out << "requests " << c.requests << ", ended " << c.ended << ", failed " << c.failed_peer << "/"
      << c.failed_network << "/" << c.failed_local << ", open " << node.network().client().size()
      << ", waiting " << node.network().client().waiting() << "; ";
  chain::Chain& chain = node.chain();
  out << "chain: pending " << chain.pending().size() << ", cached " << chain.cache().size()
      << ", in flight " << chain.requests().size() << ", charges " << chain.stats().charges
      << ", stale " << chain.stats().stale_events << ", given up "
      << chain.stats().given_up_attempts << "/" << chain.stats().given_up_peer_gone << "; gossip: "
      << "mesh " << node.network().router().mesh(0).size() << ", subscribers "
      << node.network().router().subscribers(0).size() << ", bad rpcs "
      << node.network().router().stats().bad_rpcs << ", in "
      << node.network().router().stats().messages_in;
  return out.str();
}

uint64_t seeds(uint64_t few, uint64_t many) {
  return std::getenv("BEAMLINE_LONG") == nullptr ? few : many;
}

}  // namespace beamline::node
