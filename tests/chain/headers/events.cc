#include "tests/chain/headers/events.h"

#include <algorithm>

#include "base/check.h"
#include "codec/rlp.h"
#include "crypto/keccak.h"
#include "tests/chain/headers/sync_world.h"

namespace beamline::chain::testing {
namespace {

constexpr size_t kPeers = 5;
constexpr size_t kRemembered = 64;  // requests
constexpr uint64_t kWalkBacks = 3;

// A trunk and branches of it, all valid; made once. Long enough for a walk back of 64 headers that
// ends above genesis, and not longer: every run ends with a sync of all of them.
struct Branches {
  Branches() {
    const auto bytes = genesis_fields().encode();
    const auto header = ExecutionHeader::decode(bytes);
    genesis = ParentHeader::of(*header, header->hash());
    HeaderChain trunk;
    trunk.grow(forks, genesis, 90, 0);
    chains.push_back(trunk.fork(forks, 89, 1, 1));
    chains.push_back(trunk.fork(forks, 86, 15, 2));
    chains.push_back(trunk.fork(forks, 15, 80, 3));
    chains.push_back(chains[0].fork(forks, 90, 12, 4));
    chains.push_back(trunk.fork(forks, 40, 0, 5));
    for (const HeaderChain& chain : chains) {
      for (size_t i = 0; i < chain.hashes.size(); ++i) {
        const ParentHeader& before = i == 0 ? genesis : chain.parents[i - 1];
        known.insert({chain.hashes[i], {chain.encodings[i], before.hash, chain.parents[i]}});
      }
    }
  }
  struct Known {
    Bytes encoding;
    Hash256 parent;
    ParentHeader header;
  };
  HeaderForks forks = all_forks();
  ParentHeader genesis;
  std::vector<HeaderChain> chains;
  std::map<Hash256, Known> known;  // valid, and hashed already
};

const Branches& branches() {
  static const Branches made;
  return made;
}

std::vector<uint8_t> list_of(const std::vector<Bytes>& headers) {
  std::vector<uint8_t> out;
  rlp::Writer writer(out);
  size_t size = 0;
  for (const Bytes header : headers) size += header.size();
  writer.list_header(size);
  for (const Bytes header : headers) writer.raw(header);
  return out;
}

}  // namespace

HeaderEvents::Tally& HeaderEvents::Tally::operator+=(const Tally& more) {
  committed += more.committed;
  synced += more.synced;
  failed += more.failed;
  rewinds += more.rewinds;
  crashes += more.crashes;
  drops += more.drops;
  moves += more.moves;
  hedges += more.hedges;
  return *this;
}

HeaderEvents::HeaderEvents(Bytes steps) : steps_(steps) {
  config_.forks = branches().forks;
  HeaderSyncLimits& limits = config_.limits;
  limits.request_first = 4;
  limits.request_max = 16;
  limits.peers = kPeers - 1;
  limits.scratch_headers = 64;
  limits.batch_headers = 12;
  limits.stores_in_flight = 2;
  limits.channel_batches = 3;
  limits.walk_backs = kWalkBacks;
  limits.opinions = 3;
  limits.full_sync_below = byte() % 8 == 0 ? 60 : 0;
  for (uint32_t i = 0; i < kPeers; ++i) peers_.push_back({{i, 0}});
  stored_.push_back(branches().genesis);
  start();
}

uint8_t HeaderEvents::byte() { return at_ < steps_.size() ? steps_[at_++] : 0; }

Bytes HeaderEvents::bytes(size_t count) {
  count = std::min(count, steps_.size() - at_);
  const Bytes taken = steps_.subspan(at_, count);
  at_ += count;
  return taken;
}

void HeaderEvents::start() {
  stored_.resize(durable_);
  ordered_next_ = durable_;
  announced_next_ = 0;
  asked_.clear();
  orders_.clear();
  channel_.clear();
  end_.reset();
  updates_ = 0;
  last_request_ = 0;
  sync_.emplace(config_, stored_.back(), branches().chains[head_].hashes.back(), now_);
  for (SimPeer& peer : peers_) peer.up = false;
  turn();
}

void HeaderEvents::run() {
  while (at_ < steps_.size()) {
    const uint8_t what = byte();
    step(what, byte());
    turn();
  }
  heal();
  tally_.committed += sync_->stats().headers_committed;
  tally_.hedges += sync_->stats().hedges;
}

void HeaderEvents::turn() {
  sync_->end_of_turn(now_);
  while (auto command = sync_->poll_command()) {
    BL_CHECK(!end_.has_value());  // nothing follows the end
    std::visit([this](auto& what) { on(what); }, *command);
  }
  BL_CHECK(sync_->finished() == end_.has_value());
  const HeaderSyncStats& stats = sync_->stats();
  BL_CHECK(stats.scratch_peak <= config_.limits.scratch_headers);
  BL_CHECK(sync_->durable_next() <= stored_.size());
  BL_CHECK(orders_.size() <= config_.limits.stores_in_flight + 2);
  if (!end_) BL_CHECK(sync_->poll_timeout() != MonoTime::never());
}

// ---- Commands

void HeaderEvents::on(const RequestHeaders& request) {
  const SimPeer& peer = peers_.at(request.peer.index);
  BL_CHECK(peer.up && peer.handle == request.peer);
  BL_CHECK(request.request > last_request_);
  last_request_ = request.request;
  BL_CHECK(request.count > 0 && request.count <= config_.limits.request_max);
  if (request.hash) BL_CHECK(request.count == 1);
  const auto open = std::ranges::count_if(asked_, [&](const Asked& asked) {
    return asked.open && asked.request.peer == request.peer && !asked.request.hash;
  });
  // Requests that a deadline ended are still open here.
  static_cast<void>(open);
  asked_.push_back({request});
  if (asked_.size() > kRemembered) asked_.pop_front();
}

void HeaderEvents::on(StoreHeaders& store) {
  uint64_t count = 0;
  for (const HeaderRun& run : store.runs) {
    BL_CHECK(run.first == ordered_next_ && run.size() > 0);
    BL_CHECK(run.encodings.size() == run.hashes.size());
    ordered_next_ += run.size();
    count += run.size();
  }
  BL_CHECK(count <= config_.limits.batch_headers + config_.limits.request_max);
  orders_.push_back(std::move(store));
}

void HeaderEvents::on(const RewindHeaders& rewind) {
  BL_CHECK(rewind.number >= 1 && rewind.number <= ordered_next_);
  ordered_next_ = rewind.number;
  announced_next_ = std::min(announced_next_, rewind.number);
  ++tally_.rewinds;
  orders_.push_back(rewind);
}

void HeaderEvents::on(const HeadersStored& batch) {
  BL_CHECK(batch.count > 0 && batch.first + batch.count <= durable_);
  BL_CHECK(announced_next_ == 0 || batch.first == announced_next_);
  BL_CHECK(batch.last_hash == stored_[batch.first + batch.count - 1].hash);
  announced_next_ = batch.first + batch.count;
  channel_.push_back(batch);
  BL_CHECK(channel_.size() <= config_.limits.channel_batches);
}

void HeaderEvents::on(const ChargeHeaderPeer& charge) {
  SimPeer& peer = peers_.at(charge.peer.index);
  BL_CHECK(peer.up && peer.handle == charge.peer);
  const bool grave =
      charge.fault == HeaderFault::undecodable || charge.fault == HeaderFault::bad_header;
  BL_CHECK(!grave || peer.lied);
  if (!charge.drop) return;
  peer.up = false;
  ++tally_.drops;
}

void HeaderEvents::on(const HeadReached& head) {
  BL_CHECK(head.hash == branches().chains[head_].hashes.back());
  BL_CHECK(head.number == branches().chains[head_].head());
}

void HeaderEvents::on(const UpdateForkChoice& update) {
  BL_CHECK(++updates_ == 1 && channel_.empty() && orders_.empty());
  BL_CHECK(update.hash == branches().chains[head_].hashes.back());
  BL_CHECK(durable_ == stored_.size() && stored_.back().hash == update.hash);
}

void HeaderEvents::on(const HeaderSyncFinished& end) {
  end_ = end;
  check_end();
}

void HeaderEvents::check_end() const {
  BL_CHECK((end_->end == HeaderSyncEnd::synced) == (updates_ == 1));
  BL_CHECK((end_->end == HeaderSyncEnd::failed) == (end_->failure != HeaderSyncFailure::none));
  BL_CHECK(end_->failure != HeaderSyncFailure::bad_head);  // all heads are good
  if (end_->failure == HeaderSyncFailure::reorg) {
    BL_CHECK(sync_->stats().walk_backs > kWalkBacks);
  }
  if (end_->end == HeaderSyncEnd::switch_to_full_sync) {
    BL_CHECK(config_.limits.full_sync_below > 0 && end_->from == durable_);
  }
}

// ---- Peers

void HeaderEvents::peer_up(uint8_t index) {
  SimPeer& peer = peers_[index % kPeers];
  if (peer.up) return;
  ++peer.handle.generation;
  peer.lied = false;
  const uint64_t refused = sync_->stats().peers_refused;
  sync_->peer_up(now_, peer.handle);
  peer.up = sync_->stats().peers_refused == refused;
}

void HeaderEvents::peer_down(uint8_t index) {
  SimPeer& peer = peers_[index % kPeers];
  if (peer.up) sync_->peer_down(now_, peer.handle);
  peer.up = false;
}

HeaderEvents::Asked* HeaderEvents::open_request(uint8_t pick) {
  std::vector<Asked*> open;
  for (Asked& asked : asked_) {
    if (asked.open) open.push_back(&asked);
  }
  return open.empty() ? nullptr : open[pick % open.size()];
}

std::vector<Bytes> HeaderEvents::honest(const RequestHeaders& request, size_t branch) const {
  const HeaderChain& chain = branches().chains[branch];
  std::vector<Bytes> headers;
  if (request.hash) {
    if (*request.hash == chain.hashes.back()) headers.push_back(chain.encodings.back());
    return headers;
  }
  for (uint64_t n = request.number; n < request.number + request.count && n <= chain.head(); ++n) {
    headers.push_back(chain.encodings[n - chain.first]);
  }
  return headers;
}

void HeaderEvents::answer(Asked& asked, std::vector<Bytes> headers) {
  const std::vector<uint8_t> list = list_of(headers);
  asked.open = false;
  sync_->answered(now_, asked.request.peer, asked.request.request, SharedBytes::copy(list));
}

void HeaderEvents::give_raw(Asked& asked, Bytes list) {
  peers_[asked.request.peer.index].lied = true;
  asked.open = false;
  sync_->answered(now_, asked.request.peer, asked.request.request, SharedBytes::copy(list));
}

void HeaderEvents::step_of_peers(uint8_t what, uint8_t argument) {
  if (what == 0) return peer_up(argument);
  if (what == 1) return peer_down(argument);
  Asked* const asked = open_request(argument / 8);
  if (asked == nullptr) return peer_up(argument);
  std::vector<Bytes> headers = honest(asked->request, head_);
  switch (what) {
    case 2:
    case 3:
    case 4:
      return answer(*asked, std::move(headers));
    case 5:  // a branch of its own
      return answer(*asked, honest(asked->request, argument % branches().chains.size()));
    case 6:  // a part
      headers.resize(std::min<size_t>(headers.size(), argument % 8));
      return answer(*asked, std::move(headers));
    case 7: {  // one bit is wrong
      std::vector<uint8_t> list = list_of(headers);
      list[byte() * list.size() / 256] ^= static_cast<uint8_t>(1 << argument % 8);
      return give_raw(*asked, list);
    }
    case 8:  // what the input says
      return give_raw(*asked, bytes(argument));
    case 9:  // headers that were not asked for
      headers = honest({{}, 0, std::nullopt, 1u + byte() % 128, 24}, head_);
      peers_[asked->request.peer.index].lied = true;
      return answer(*asked, std::move(headers));
    default:
      asked->open = false;
      return sync_->request_failed(now_, asked->request.peer, asked->request.request);
  }
}

// ---- The store, the state download, the head and the clock

void HeaderEvents::carry_out_order() {
  if (orders_.empty() || end_) return;
  const Order order = std::move(orders_.front());
  orders_.pop_front();
  if (const auto* rewind = std::get_if<RewindHeaders>(&order)) {
    BL_CHECK(rewind->number <= stored_.size());
    stored_.resize(rewind->number);
    durable_ = stored_.size();
    return sync_->rewound(now_, stored_.back());
  }
  for (const HeaderRun& run : std::get<StoreHeaders>(order).runs) {
    BL_CHECK(run.first == stored_.size());
    for (size_t i = 0; i < run.size(); ++i) {
      const auto known = branches().known.find(run.hashes[i]);
      if (known != branches().known.end() && equal(known->second.encoding, run.encodings[i])) {
        BL_CHECK(known->second.parent == stored_.back().hash);
        stored_.push_back(known->second.header);
        continue;
      }
      const auto header = ExecutionHeader::decode(run.encodings[i]);
      BL_CHECK(header.has_value() && header->hash() == run.hashes[i]);
      BL_CHECK(check_header(config_.forks, stored_.back(), *header).has_value());
      stored_.push_back(ParentHeader::of(*header, run.hashes[i]));
    }
  }
  durable_ = stored_.size();
  sync_->stored(now_, durable_);
}

void HeaderEvents::take_batch() {
  if (channel_.empty() || end_) return;
  channel_.pop_front();
  sync_->batch_taken(now_);
}

void HeaderEvents::crash(uint8_t argument) {
  // Of an order that was under way some headers may be there.
  if (!orders_.empty() && argument % 2 == 0 && !end_) carry_out_order();
  tally_.committed += sync_->stats().headers_committed;
  tally_.hedges += sync_->stats().hedges;
  ++tally_.crashes;
  start();
}

void HeaderEvents::step_of_store(uint8_t what, uint8_t argument) {
  switch (what) {
    case 0:
    case 1:
      return carry_out_order();
    case 2:
      return take_batch();
    case 3:
      now_.mono = now_.mono + milliseconds(10 * int64_t{argument});
      return;
    case 4:
      if (argument % 4 == 0)
        now_.mono = std::max(now_.mono, std::min(sync_->poll_timeout(), now_.mono + seconds(200)));
      return;
    case 5:
      if (argument >= 64) return;
      head_ = argument % branches().chains.size();
      ++tally_.moves;
      return sync_->move_head(now_, branches().chains[head_].hashes.back());
    case 6:
      if (argument >= 16) return;
      return crash(argument);
    case 7:
      if (argument < 2) sync_->abort(now_);
      if (argument == 2) sync_->store_failed(now_);
      return;
    default: {  // late, and twice
      if (asked_.empty()) return;
      const RequestHeaders& old = asked_[argument % asked_.size()].request;
      const std::vector<uint8_t> list = list_of(honest(old, head_));
      if (argument % 3 == 0) return sync_->request_failed(now_, old.peer, old.request);
      return sync_->answered(now_, old.peer, old.request, SharedBytes::copy(list));
    }
  }
}

void HeaderEvents::step(uint8_t what, uint8_t argument) {
  if (what % 2 == 0) return step_of_peers(what / 2 % 11, argument);
  step_of_store(what / 2 % 9, argument);
}

// Everybody is honest from here on; a sync that is over begins anew, as after a crash.
void HeaderEvents::heal() {
  if (end_) {
    (end_->end == HeaderSyncEnd::failed ? tally_.failed : tally_.synced) += 1;
    start();
  }
  for (uint8_t i = 0; i < kPeers; ++i) peer_down(i);
  for (uint8_t i = 0; i < 3; ++i) peer_up(i);
  for (int round = 0; round < 3000 && !end_; ++round) {
    turn();
    for (Asked* asked = open_request(0); asked != nullptr; asked = open_request(0)) {
      if (peers_[asked->request.peer.index].handle != asked->request.peer) {
        asked->open = false;
      } else {
        answer(*asked, honest(asked->request, head_));
      }
    }
    while (!orders_.empty() && !end_) carry_out_order();
    while (!channel_.empty() && !end_) take_batch();
    now_.mono = now_.mono + milliseconds(100);
    for (uint8_t i = 0; i < 3; ++i) peer_up(i);
  }
  BL_CHECK(end_.has_value());
  if (end_->end == HeaderSyncEnd::failed) BL_CHECK(end_->failure == HeaderSyncFailure::reorg);
  (end_->end == HeaderSyncEnd::failed ? tally_.failed : tally_.synced) += 1;
}

}  // namespace beamline::chain::testing
