#include "discovery/service.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/keccak.h"

namespace beamline::discovery {
namespace {

constexpr size_t kMaxLookups = 8;

bool is_unspecified(const Endpoint& endpoint) {
  return std::ranges::all_of(endpoint.address(), [](uint8_t byte) { return byte == 0; });
}

Result<Enr> first_record(const secp256k1::SecretKey& key, const ServiceConfig& config) {
  EnrBuilder builder = config.record;
  if (!is_unspecified(config.listen)) {
    builder.set_endpoint(Enr::Transport::udp, config.listen);
    if (config.tcp_port != 0) {
      Endpoint tcp = config.listen;
      tcp.set_port(config.tcp_port);
      builder.set_endpoint(Enr::Transport::tcp, tcp);
    }
  }
  return builder.sign(key);
}

}  // namespace

Result<std::unique_ptr<Service>> Service::create(const secp256k1::SecretKey& key,
                                                 const ServiceConfig& config, Observer& observer,
                                                 Rng rng, Now now) {
  const Result<Enr> record = first_record(key, config);
  if (!record) return std::unexpected(record.error());
  return std::unique_ptr<Service>(new Service(key, config, *record, observer, std::move(rng), now));
}

Service::Service(const secp256k1::SecretKey& key, const ServiceConfig& config, const Enr& record,
                 Observer& observer, Rng rng, Now now)
    : key_(key),
      config_(config),
      observer_(observer),
      rng_(std::move(rng)),
      record_(record),
      outbox_(config.outbox),
      contacts_(record.node_id(), config.table, config.pool, config.db, rng_, now),
      schedule_(config.schedule, now),
      v4_(key, record, {config.listen, config.tcp_port}, outbox_, *this, rng_.fork(),
          config.discv4),
      v5_(key, record, outbox_, *this, rng_.fork(), config.discv5),
      uses_v4_(config.discv4.calls),
      uses_v5_(config.discv5.calls),
      next_bootstrap_(MonoTime::never()),
      votes_{AddressVote(config.vote), AddressVote(config.vote)} {
  BL_CHECK(config.v4 || config.v5);
  lookups_.reserve(kMaxLookups);
}

Status Service::add_bootnode(const NodeRecord& node, Now now) {
  if (!is_usable(node.udp)) return local_error(Code::invalid_argument, "bootnode.udp");
  if (bootnodes_.size() == config_.max_bootnodes) {
    ++stats_.bootnodes_refused;
    return local_error(Code::full, "bootnodes");
  }
  bootnodes_.push_back(node);
  contacts_.heard(node, now);
  next_bootstrap_ = now.mono + config_.bootstrap_interval;
  return {};
}

void Service::add_seeds(Now now) {
  for (const NodeRecord& node : contacts_.db.seeds(now, rng_)) contacts_.heard(node, now);
}

void Service::receive(const Endpoint& from, MutableBytes datagram, Now now) {
  ++stats_.datagrams;
  const bool known = (config_.v5 && v5_.receive(from, datagram, now)) ||
                     (config_.v4 && v4_.receive(from, datagram, now));
  if (!known) ++stats_.foreign;
  // What came may have ended a query: the next one leaves at once.
  run_lookups(now);
}

void Service::handle_timeout(Now now) {
  v4_.handle_timeout(now);
  v5_.handle_timeout(now);
  run(now);
}

void Service::run(Now now) {
  contacts_.table.tick(now);
  bootstrap(now);
  while (const auto order = contacts_.table.poll_ping(now, rng_)) ping(order->record, now);
  while (const auto target = schedule_.poll(contacts_.table, wanted_, now, rng_)) {
    start_lookup(*target, true, now);
  }
  run_lookups(now);
}

void Service::bootstrap(Now now) {
  if (now.mono < next_bootstrap_) return;
  next_bootstrap_ = now.mono + config_.bootstrap_interval;
  if (contacts_.table.main_size() > 0) return;
  ++stats_.bootstraps;
  for (const NodeRecord& node : bootnodes_) contacts_.heard(node, now);
}

MonoTime Service::next_deadline() const {
  MonoTime next = std::min(v4_.next_deadline(), v5_.next_deadline());
  next = std::min(next, contacts_.table.next_deadline());
  next = std::min(next, schedule_.next_deadline(contacts_.table, wanted_));
  for (const Running& running : lookups_) next = std::min(next, running.lookup.next_deadline());
  return std::min(next, next_bootstrap_);
}

bool Service::speaks(const NodeRecord& node, uint8_t protocol) const {
  if (!(protocol == kSpeaksV5 ? config_.v5 : config_.v4)) return false;
  return node.protocols == 0 || (node.protocols & protocol) != 0;
}

bool Service::uses_v5(const NodeRecord& node) const {
  if (!speaks(node, kSpeaksV5)) return false;
  return !speaks(node, kSpeaksV4) || node.is_signed() || (node.protocols & kSpeaksV5) != 0;
}

void Service::ping(const NodeRecord& node, Now now) {
  const uint8_t first = uses_v5(node) ? kSpeaksV5 : kSpeaksV4;
  const uint8_t second = first == kSpeaksV5 ? kSpeaksV4 : kSpeaksV5;
  if (ping_by(node, first, Purpose::ping, speaks(node, second), now)) return;
  ++stats_.pings_failed;
  contacts_.ping_failed(node.id, now);
}

bool Service::ping_by(const NodeRecord& node, uint8_t protocol, Purpose purpose, bool fallback,
                      Now now) {
  ++(protocol == kSpeaksV5 ? stats_.pings_v5 : stats_.pings_v4);
  const auto call = protocol == kSpeaksV5 ? v5_.ping(node, now) : v4_.ping(node, now);
  if (!call) return false;
  Use& use = (protocol == kSpeaksV5 ? uses_v5_ : uses_v4_)[static_cast<uint32_t>(*call)];
  use = {purpose, fallback, 0, node};
  return true;
}

Status Service::look_up(const NodeId& target, Now now) {
  if (lookups_.size() == kMaxLookups) return local_error(Code::full, "lookups");
  start_lookup(target, false, now);
  run_lookups(now);
  return {};
}

// discv4 asks for keys, whose hashes are the ids: ours for our own id, else the nearest of some.
discv4::RawKey Service::key_near(const NodeId& target) {
  discv4::RawKey best = key_of(key_.public_key());
  if (target == record_.node_id() || !config_.v4) return best;
  Distance nearest = distance(target, record_.node_id());
  for (size_t i = 0; i < config_.key_tries; ++i) {
    discv4::RawKey key;
    rng_.fill(key);
    const Distance here = distance(target, keccak256(key));
    if (here < nearest) {
      nearest = here;
      best = key;
    }
  }
  return best;
}

void Service::start_lookup(const NodeId& target, bool scheduled, Now now) {
  ++stats_.lookups;
  Running running{++lookup_serial_, Lookup(record_.node_id(), target, config_.lookup, now),
                  key_near(target), 0, scheduled};
  contacts_.seed(running.lookup);
  lookups_.push_back(std::move(running));
}

Service::Running* Service::running(uint64_t serial) {
  const auto found = std::ranges::find(lookups_, serial, &Running::serial);
  return found == lookups_.end() ? nullptr : &*found;
}

void Service::run_lookups(Now now) {
  for (size_t i = 0; i < lookups_.size();) {
    Running& running = lookups_[i];
    while (running.lookup.expired(now)) {
      // The protocol's own call reports it.
    }
    while (const NodeRecord* node = running.lookup.poll(now)) {
      const NodeRecord to = *node;
      ask(running, to, now);
    }
    if (!running.lookup.done()) {
      ++i;
      continue;
    }
    ++stats_.lookups_done;
    stats_.lookup_found += running.found;
    if (running.scheduled) {
      schedule_.finished(running.lookup.stats().answered, running.found, now);
    }
    std::swap(lookups_[i], lookups_.back());
    lookups_.pop_back();
  }
}

void Service::ask(Running& running, const NodeRecord& node, Now now) {
  const bool both = node.protocols == (kSpeaksV4 | kSpeaksV5) && config_.v4 && config_.v5;
  const bool by_v5 = both ? running.serial % 2 == 1 : uses_v5(node);
  Result<uint64_t> call = local_error(Code::not_supported, "lookup");
  if (by_v5) {
    // The target's distance from the node, then the ones beside it.
    const int exact = std::max(1, static_cast<int>(log_distance(node.id, running.lookup.target())));
    std::array<uint16_t, 3> distances;
    size_t count = 0;
    for (int step = 0; count < distances.size(); ++step) {
      const int wanted = exact + (step % 2 == 0 ? -step / 2 : (step + 1) / 2);
      if (wanted >= 1 && wanted <= 256) distances[count++] = static_cast<uint16_t>(wanted);
    }
    call = v5_.find_node(node, distances, now);
  } else if (speaks(node, kSpeaksV4)) {
    call = v4_.find_node(node, running.key, now);
  }
  if (!call) return running.lookup.failed(node.id, now);
  contacts_.table.findnode_sent(node.id, now);
  (by_v5 ? uses_v5_ : uses_v4_)[static_cast<uint32_t>(*call)] = {Purpose::find, false,
                                                                 running.serial, node};
}

Result<discv5::CallId> Service::talk(const NodeRecord& to, std::string_view protocol, Bytes request,
                                     Now now) {
  const auto call = v5_.talk(to, as_bytes(protocol), request, now);
  if (call) uses_v5_[static_cast<uint32_t>(*call)] = {Purpose::talk, false, 0, to};
  return call;
}

bool Service::serve_talk(std::string_view protocol, Talk answer, void* context) {
  if (talk_count_ == talks_.size()) {
    ++stats_.talk_refused;
    return false;
  }
  talks_[talk_count_++] = {protocol, answer, context};
  return true;
}

Status Service::set_entry(std::string_view key, Bytes value) {
  EnrBuilder next(record_);
  next.set(key, value);
  return publish(std::move(next));
}

Status Service::publish(EnrBuilder next) {
  const Result<Enr> record = next.sign(key_);
  if (!record) return std::unexpected(record.error());
  record_ = *record;
  v4_.set_record(record_);
  v5_.set_record(record_);
  return {};
}

// Where we listen at every address, others tell which one it is.
void Service::vote(const Endpoint& voter, const Endpoint& claimed, Now now) {
  AddressVote& votes = votes_[claimed.family() == AF_INET6 ? 1 : 0];
  votes.vote(voter, claimed, now);
  if (!is_unspecified(config_.listen)) return;
  const auto address = votes.poll_change(now);
  if (!address) return;
  EnrBuilder next(record_);
  next.set_endpoint(Enr::Transport::udp, *address);
  if (config_.tcp_port != 0) {
    Endpoint tcp = *address;
    tcp.set_port(config_.tcp_port);
    next.set_endpoint(Enr::Transport::tcp, tcp);
  }
  if (!publish(std::move(next))) return;
  ++stats_.address_changes;
  v4_.set_local({*address, config_.tcp_port});
}

std::string Service::enode() const {
  Enode enode{key_.public_key(), config_.listen, config_.listen.port()};
  for (const auto family : {Enr::Family::ip4, Enr::Family::ip6}) {
    const auto told = record_.endpoint(Enr::Transport::udp, family);
    if (!told) continue;
    enode.tcp = *told;
    enode.udp_port = told->port();
    break;
  }
  if (config_.tcp_port != 0) enode.tcp.set_port(config_.tcp_port);
  return enode.to_text();
}

}  // namespace beamline::discovery
