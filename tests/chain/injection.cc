#include "tests/chain/injection.h"

#include <algorithm>

#include "base/check.h"
#include "chain/lean/config.h"
#include "chain/lean/slot_clock.h"

namespace beamline::chain::testing {
namespace {

constexpr uint32_t kPeers = 6;
constexpr size_t kMostBlocks = 400;
constexpr size_t kMostBeaconBlocks = 64;  // the model walks them all for each block of them

}  // namespace

Injection::Tally& Injection::Tally::operator+=(const Tally& more) {
  imported += more.imported;
  requests += more.requests;
  chunks += more.chunks;
  verdicts += more.verdicts;
  crashes += more.crashes;
  reorgs += more.reorgs;
  sidecars += more.sidecars;
  wrong_data += more.wrong_data;
  data_verdicts += more.data_verdicts;
  votes += more.votes;
  applied += more.applied;
  finalized += more.finalized;
  went_back += more.went_back;
  payloads += more.payloads;
  invalidated += more.invalidated;
  justified_invalid += more.justified_invalid;
  return *this;
}

ChainConfig Injection::config() const {
  ChainConfig config = make_config();
  config.anchor = made_.front().block;
  if (policy_ == Policy::lean) config.slot_duration = lean::kSlot;
  config.import = ChainConfig::Import::ask;
  config.persist = true;
  // Small, so that every limit is met.
  config.limits.roots_per_request = 8;
  config.limits.pending_roots = 24;
  config.limits.cached_blocks = 48;
  config.limits.cached_per_peer = 16;
  config.limits.cached_bytes = 16 * 1024;
  config.limits.future_blocks = 4;
  config.limits.imports_in_flight = 6;
  config.limits.persists_in_flight = 6;
  config.limits.peers = 5;
  config.limits.serves = 6;
  config.limits.depth = 32;
  config.limits.invalid_blocks = 16;
  config.limits.commands = 1024;
  config.limits.data_per_block = 8;
  config.limits.data_per_request = 6;
  config.limits.data_in_verification = 5;
  config.limits.votes_waiting = 16;
  config.limits.votes_pending = 16;
  config.limits.votes_pending_slots = 12;
  config.limits.votes_in_verification = 4;
  config.limits.votes_per_turn = 3;
  return config;
}

Injection::Injection(Bytes steps, Policy policy)
    : policy_(policy),
      book_(kValidators, kSlotsPerEpoch),
      steps_(steps),
      rng_(steps.size()),
      anchor_(policy == Policy::lean ? lean_genesis() : make_genesis()) {
  made_.push_back({anchor_, true, Execution::none, 0});
  by_root_[anchor_.root] = 0;
  StoreAnchor start(anchor_);
  if (policy == Policy::lean) start.post = lean_genesis_state();
  BL_CHECK(store_.open(start));
  chain_.emplace(config(), nullptr, make_policy(nullptr));
}

uint8_t Injection::byte() { return at_ < steps_.size() ? steps_[at_++] : uint8_t{0}; }

void Injection::run() {
  while (at_ < steps_.size()) {
    step(byte());
    check();
  }
  heal();
}

// ---- The world

const BlockInfo& Injection::make(bool valid) {
  if (policy_ == Policy::lean) return make_lean(valid);
  const bool beacon = policy_ == Policy::beacon;
  if (made_.size() >= (beacon ? kMostBeaconBlocks : kMostBlocks)) return any_block();
  // Mostly on one of the newest.
  const size_t back = byte() % std::min<size_t>(made_.size(), 8);
  const Made& parent = made_[made_.size() - 1 - back];
  const Slot slot = parent.block.slot + 1 + byte() % 3;
  ++salt_;
  BlockInfo block;
  if (beacon) {
    // Often enough that epochs become final.
    const bool all = byte() % 4 != 0;
    for (ValidatorIndex i = 0; all && i < kValidators; ++i) cast(parent.block, i);
    block = book_.make(parent.block.root, slot, salt_, pool_, valid).block;
  } else {
    block = make_block(parent.block.root, slot, salt_, 60 + salt_ % 5 * 100);
  }
  Execution execution = Execution::none;
  if (beacon) {
    const uint8_t kind = byte() % 4;
    const bool before_payloads = parent.execution == Execution::none && kind == 0;
    if (!before_payloads) execution = kind == 1 ? Execution::valid : Execution::optimistic;
  }
  // Most have no data.
  const auto blobs = static_cast<uint8_t>(std::max(byte() % 8, 4) - 4);
  by_root_[block.root] = made_.size();
  made_.push_back({block, valid && parent.valid, execution, blobs});
  return made_.back().block;
}

// Of the forest; an invalid one need only build on it.
const BlockInfo& Injection::make_lean(bool valid) {
  const Made& parent = made_[made_.size() - 1 - byte() % std::min<size_t>(made_.size(), 8)];
  if (!valid && made_.size() >= kMostBlocks) return any_block();
  const bool in_forest = valid;
  BlockInfo block =
      in_forest ? next_lean_block() : make_block(parent.block.root, parent.block.slot + 1, ++salt_);
  if (by_root_.contains(block.root)) return made_[by_root_[block.root]].block;
  const auto blobs = static_cast<uint8_t>(std::max(byte() % 8, 4) - 4);
  by_root_[block.root] = made_.size();
  made_.push_back({std::move(block), valid, Execution::none, blobs});
  return made_.back().block;
}

BlockInfo Injection::forged(const BlockInfo& block) const {
  BlockInfo wrong = block;
  wrong.signed_bytes = SharedBytes::build(block.signed_bytes.size(), [&](MutableBytes out) {
    std::copy(block.signed_bytes.bytes().begin(), block.signed_bytes.bytes().end(), out.begin());
    out[32] = 0;
  });
  return wrong;
}

const BlockInfo& Injection::any_block() {
  if (made_.size() == 1) return make(true);
  const size_t back = byte() % std::min<size_t>(made_.size() - 1, 64);
  return made_[made_.size() - 1 - back].block;
}

PeerHandle Injection::any_peer() {
  const uint32_t index = byte() % kPeers;
  return {index, generations_[index]};
}

PeerHandle Injection::any_liar() {
  const PeerHandle peer = any_peer();
  return is_honest(peer) ? PeerHandle{1, generations_[1]} : peer;
}

// Would an honest peer send it?
bool Injection::may_vouch(const BlockInfo& block) const {
  const auto it = by_root_.find(block.root);
  if (it == by_root_.end() || !made_[it->second].valid) return false;
  return builds_on_final(block.root);
}

Injection::Open* Injection::any_request(RequestId& id) {
  if (open_.empty()) return nullptr;
  const auto it = std::next(open_.begin(), byte() % static_cast<int>(open_.size()));
  id = it->first;
  return &it->second;
}

std::vector<Root> Injection::chain_of(const Root& tip) const {
  std::vector<Root> roots;
  for (auto it = by_root_.find(tip); it != by_root_.end() && it->second != 0;
       it = by_root_.find(made_[it->second].block.parent_root)) {
    roots.push_back(it->first);
  }
  std::reverse(roots.begin(), roots.end());
  return roots;
}

// The head that a chain with all the blocks has.
BlockInfo Injection::best() const {
  const Made* best = &made_.front();
  for (const Made& made : made_) {
    const bool higher =
        std::pair(made.block.slot, made.block.root) > std::pair(best->block.slot, best->block.root);
    if (!made.valid || !higher || is_condemned(made.block.root)) continue;
    // Beside what is final nothing is imported.
    if (builds_on_final(made.block.root)) best = &made;
  }
  return best->block;
}

// ---- Steps

void Injection::step(uint8_t what) {
  const bool votes = policy_ != Policy::highest_slot;
  if (votes && what % 4 == 0) {
    return policy_ == Policy::lean ? step_of_lean_votes(what / 4) : step_of_votes(what / 4);
  }
  const uint8_t kind = (votes ? what / 4 : what) % 32;
  if (kind < 12) return step_of_peers(kind);
  if (kind < 22) return step_of_requests(kind);
  step_of_clocks(kind);
}

void Injection::step_of_peers(uint8_t what) {
  const auto gossip = [&](BlockInfo block) {
    PeerHandle from = any_peer();
    if (is_honest(from) && !may_vouch(block)) from = any_liar();
    owed_.insert(next_verdict_);
    give(GossipBlock{from, next_verdict_++, std::move(block)});
  };
  switch (what) {
    case 0:
    case 1:
    case 2:
      return gossip(make(true));
    case 3:
      make(true);  // others know it
      return;
    case 4:
      return gossip(make(false));
    case 5:
      return gossip(any_block());
    case 6:
      owed_.insert(next_verdict_);
      return give(GossipBlock{any_liar(), next_verdict_++, forged(any_block())});
    case 7:  // builds on nothing
      ++salt_;
      return gossip(make_block(root_of(1000 + salt_), 1 + byte() % 60, salt_));
    case 8: {  // not after its parent
      const BlockInfo parent = any_block();
      return gossip(make_block(parent.root, byte() % (parent.slot + 1), ++salt_));
    }
    case 9: {
      const uint32_t index = byte() % kPeers;
      up_.erase({index, generations_[index]});
      const PeerHandle peer{index, ++generations_[index]};
      std::erase_if(open_, [&](const auto& open) { return open.second.peer.index == index; });
      std::erase_if(serves_, [&](const auto& serve) { return serve.first.index == index; });
      up_.insert(peer);
      return give(PeerUp{peer});
    }
    case 10: {
      const PeerHandle peer = any_peer();
      std::erase_if(open_, [&](const auto& open) { return open.second.peer == peer; });
      std::erase_if(serves_, [&](const auto& serve) { return serve.first == peer; });
      up_.erase(peer);
      return give(PeerDown{peer});
    }
    default: {
      PeerStatus status;
      status.peer = any_peer();
      const BlockInfo block = any_block();
      const bool lies = byte() % 4 == 0 && !is_honest(status.peer);
      status.head_root = lies ? root_of(++salt_ + 5000) : block.root;
      status.head_slot = lies ? byte() * 7u : block.slot;
      return give(std::move(status));
    }
  }
}

void Injection::step_of_requests(uint8_t what) {
  RequestId id = 0;
  Open* open = any_request(id);
  if (open == nullptr) return turn();
  const PeerHandle peer = open->peer;
  switch (what) {
    case 12:
    case 13:
    case 14:
    case 15: {  // what was asked for, in order
      if (send_sidecar(id, *open)) return;
      if (open->next >= open->roots.size()) break;
      const Root root = open->roots[open->next++];
      const auto it = by_root_.find(root);
      if (it == by_root_.end() || it->second == 0) return;
      if (is_honest(peer) && !made_[it->second].valid) return;
      ++tally_.chunks;
      return give(ChunkReceived{peer, id, made_[it->second].block});
    }
    case 16:
      if (is_honest(peer)) return turn();
      return give(ChunkReceived{peer, id, any_block()});
    case 17: {
      if (is_honest(peer)) return turn();
      if (!open->data.empty()) {  // one that nobody asked for
        const auto [root, index] = open->data[byte() % open->data.size()];
        return give(SidecarReceived{peer, id, root, index + byte() % 8, anchor_.signed_bytes});
      }
      if (open->roots.empty()) return;
      const auto it = by_root_.find(open->roots[byte() % open->roots.size()]);
      if (it == by_root_.end() || it->second == 0) return;
      return give(ChunkReceived{peer, id, forged(made_[it->second].block)});
    }
    case 18: {
      constexpr Fault kFaults[] = {Fault::peer, Fault::network, Fault::local};
      constexpr Code kCodes[] = {Code::reset, Code::remote_error, Code::rate_limited,
                                 Code::truncated, Code::full};
      Error error{"injected", 0, kCodes[byte() % 5], kFaults[byte() % 3]};
      if (is_honest(peer)) error = {"injected", 0, Code::reset, Fault::network};
      open_.erase(id);
      return give(RequestFailed{peer, id, error});
    }
    case 19:
      return give(TransferProgress{peer, id});
    default:
      break;
  }
  open_.erase(id);
  give(RequestEnded{peer, id});
}

void Injection::step_of_clocks(uint8_t what) {
  switch (what) {
    case 22:
      return step_of_workers();
    case 23: {  // time passes, up to the next deadline or beyond
      Duration passes = config().slot_duration * byte() / 25;
      const MonoTime next = chain_->poll_timeout();
      if (byte() % 2 == 0 && next != MonoTime::never()) {
        passes = std::max(next - now_.mono, Duration{});
      }
      now_.mono = now_.mono + passes;
      now_.wall = now_.wall + passes;
      give(Tick{});
      return turn();
    }
    case 24:  // the wall clock is set
      now_.wall = now_.wall + milliseconds((int64_t{byte()} - 128) * 100);
      return give(Tick{});
    case 25: {
      const PeerHandle peer = any_liar();
      serves_.emplace(peer, next_serve_);
      if (byte() % 2 == 0) return give(IncomingByRange{peer, next_serve_++, byte() % 64u, byte()});
      return give(IncomingByRoot{peer, next_serve_++, {any_block().root, root_of(salt_)}});
    }
    case 26: {
      const PeerHandle peer = any_peer();
      const ServeId serve = next_serve_ - byte() % 4;
      if (byte() % 2 == 0) return give(IncomingCancelled{peer, serve});
      return give(ResponseWritten{peer, serve, byte()});
    }
    case 27:
      return give(OwnBlock{make(true)});
    case 28:  // of nobody, of nothing
      give(DataAvailable{any_block().root});
      give(DataVerdict{1'000'000u + byte(), Verdict::invalid_bytes, {}});
      give(VoteVerdict{1'000'000u + byte(), Verdict::valid, {}});
      give(ImportVerdict{1'000'000u + byte(), Verdict::valid, {}, {}, {}});
      give(ChunkReceived{{byte(), byte()}, 5'000'000, any_block()});
      return give(RequestEnded{any_peer(), 5'000'000});
    case 29:
      return acknowledge();
    case 30:
      if (byte() % (policy_ == Policy::highest_slot ? 4 : 12) == 0) return crash();
      return turn();
    default:
      return turn();
  }
}

void Injection::give(Event event) {
  if (chain_->handle(now_, std::move(event))) return;
  turn();
  BL_CHECK(chain_->handle(now_, std::move(event)));
}

void Injection::turn() {
  chain_->end_of_turn(now_);
  while (auto command = chain_->poll_command()) carry_out(*command);
  for (Persist& persist : chain_->take_persists()) {
    BL_CHECK(store_.apply(persist));
    written_.push_back(std::move(persist));
  }
  check_head();
  check_reasons();
  // What a range should bring is in one.
  for (const auto& [root, wanted] : chain_->pending().roots()) {
    BL_CHECK(wanted.state != PendingRoot::State::by_range || chain_->range().active());
  }
  // Every request that is open here is open there, and no other.
  BL_CHECK(chain_->requests().size() == open_.size());
  for (const auto& [id, open] : open_) BL_CHECK(chain_->requests().all().contains(id));
}

// That of all that was imported.
void Injection::check_head() {
  if (witness_ != nullptr) {
    BL_CHECK(chain_->head().root == witness_->spec_head());
    for (const auto& [slot, root] : imported_) {
      BL_CHECK(witness_->spec_has(root) || history_.contains(root));
    }
    return;
  }
  // The highest slot, and of these the larger root.
  std::pair<Slot, Root> head{anchor_.slot, anchor_.root};
  if (!imported_.empty()) head = std::max(head, *imported_.rbegin());
  BL_CHECK(chain_->head().root == head.second);
}

void Injection::carry_out(const Command& command) {
  if (const auto* by_root = std::get_if<RequestByRoot>(&command)) {
    ++tally_.requests;
    const std::set<Root> roots(by_root->roots.begin(), by_root->roots.end());
    BL_CHECK(!roots.empty() && roots.size() == by_root->roots.size());
    BL_CHECK(roots.size() <= chain_->limits().roots_per_request);
    BL_CHECK(up_.contains(by_root->peer));
    // What is here is not asked for.
    for (const Root& root : roots) BL_CHECK(!chain_->tree().contains(root));
    for (const Root& root : roots) BL_CHECK(!chain_->cache().contains(root));
    open_[by_root->request] = {by_root->peer, false, by_root->roots, 0, 0, 0, {}};
  } else if (const auto* range = std::get_if<RequestByRange>(&command)) {
    ++tally_.requests;
    BL_CHECK(range->count > 0 && up_.contains(range->peer));
    Open open{range->peer, true, {}, range->start_slot, range->count, 0, {}};
    for (const Root& root : chain_of(best().root)) {
      const Slot slot = made_[by_root_[root]].block.slot;
      if (slot >= open.start && slot - open.start < open.count) open.roots.push_back(root);
    }
    open_[range->request] = std::move(open);
  } else if (const auto* data = std::get_if<RequestData>(&command)) {
    ++tally_.requests;
    open_data(*data);
  } else if (const auto* sidecar = std::get_if<ImportData>(&command)) {
    take_data(*sidecar);
  } else if (const auto* report = std::get_if<ReportPeer>(&command)) {
    this->report(*report);
  } else if (const auto* vote = std::get_if<VerifyVote>(&command)) {
    BL_CHECK(verifying_.size() < chain_->limits().votes_in_verification);
    BL_CHECK(verifying_.emplace(vote->id, vote->vote).second);
  } else if (std::get_if<JustifiedInvalid>(&command) != nullptr) {
    ++tally_.justified_invalid;
  } else if (const auto* final_one = std::get_if<FinalizedChanged>(&command)) {
    ++tally_.finalized;
    tally_.went_back += final_one->checkpoint.number < final_number_;
    final_number_ = final_one->checkpoint.number;
  } else if (const auto* cancel = std::get_if<CancelRequest>(&command)) {
    open_.erase(cancel->request);
  } else if (const auto* verdict = std::get_if<GossipVerdict>(&command)) {
    ++tally_.verdicts;
    BL_CHECK(owed_.erase(verdict->verdict) == 1);
  } else if (const auto* import = std::get_if<ImportBlock>(&command)) {
    BL_CHECK(imports_.emplace(import->import, import->block).second);
  } else if (const auto* imported = std::get_if<BlockImported>(&command)) {
    ++tally_.imported;
    // Only what is valid, once, and after its parent.
    const auto made = by_root_.find(imported->root);
    BL_CHECK(made == by_root_.end() || made_[made->second].valid);
    BL_CHECK(!is_condemned(imported->root));
    const auto parent = by_root_.find(imported->parent_root);
    BL_CHECK(parent != by_root_.end());
    const std::pair<Slot, Root> before{made_[parent->second].block.slot, imported->parent_root};
    BL_CHECK(imported->parent_root == anchor_.root || imported_.contains(before));
    BL_CHECK(imported_.emplace(imported->slot, imported->root).second);
  } else if (const auto* head = std::get_if<HeadChanged>(&command)) {
    if (head->reorg) ++tally_.reorgs;
  } else if (const auto* end = std::get_if<RespondEnd>(&command)) {
    BL_CHECK(serves_.erase({end->peer, end->serve}) == 1 || !up_.contains(end->peer));
  } else if (const auto* error = std::get_if<RespondError>(&command)) {
    BL_CHECK(serves_.erase({error->peer, error->serve}) == 1 || !up_.contains(error->peer));
  }
}

// ---- What holds after every event

void Injection::check() {
  const Limits& limits = chain_->limits();
  BL_CHECK(chain_->cache().size() <= limits.cached_blocks);
  BL_CHECK(chain_->cache().bytes() <= limits.cached_bytes);
  BL_CHECK(chain_->pending().size() <= limits.pending_roots);
  BL_CHECK(chain_->peers().size() <= limits.peers);
  BL_CHECK(chain_->imports_in_flight() <= limits.imports_in_flight);
  BL_CHECK(chain_->future_blocks() <= limits.future_blocks);
  BL_CHECK(chain_->serves() <= limits.serves);
  BL_CHECK(chain_->commands() <= limits.commands);
  check_roots();
}

void Injection::check_roots() {
  // Each missing parent is wanted; what is wanted is not here, and is waiting, in flight or held.
  for (const auto& [root, cached] : chain_->cache().blocks()) {
    const Root& parent = cached.block.parent_root;
    const bool known = chain_->tree().contains(parent) || chain_->cache().contains(parent);
    // Its parent was imported, and may have been forgotten since: it goes when it comes back.
    const bool with_client = cached.state == CachedBlock::State::importing ||
                             cached.state == CachedBlock::State::delayed;
    BL_CHECK(known || with_client || chain_->pending().find(parent) != nullptr);
  }
  std::map<Root, uint32_t> in_flight;
  std::set<Root> data_in_flight;
  std::set<std::pair<RequestId, Root>> owed;
  for (const auto& [id, request] : chain_->requests().all()) {
    const Peer* peer = chain_->peers().find(request.peer);
    BL_CHECK(peer != nullptr && peer->in_flight <= chain_->limits().requests_per_peer);
    for (const Request::Owed& root : request.owed) {
      owed.emplace(id, root.root);
      if (request.kind == Request::Kind::data) {
        BL_CHECK(root.came || data_in_flight.insert(root.root).second);
      } else if (!root.came) {
        BL_CHECK(++in_flight[root.root] == 1);
      }
    }
  }
  for (const auto& [root, wanted] : chain_->pending().roots()) {
    const bool flies = wanted.state == PendingRoot::State::in_flight;
    if (wanted.wanted_as == WantedAs::data) {
      const CachedBlock* cached = chain_->cache().find(root);
      BL_CHECK(cached != nullptr && cached->state == CachedBlock::State::data);
      BL_CHECK(!cached->missing.empty() && wanted.state != PendingRoot::State::by_range);
      BL_CHECK(!flies || owed.contains({wanted.request, root}));
      continue;
    }
    BL_CHECK(!chain_->tree().contains(root) && !chain_->cache().contains(root));
    // (What came and found no room flies until its answer ends.)
    BL_CHECK(flies ? owed.contains({wanted.request, root}) : !in_flight.contains(root));
  }
}

// ---- The end

bool Injection::serve_all() {
  bool any = verify_data();
  for (const auto& [id, block] : std::exchange(imports_, {})) {
    any = true;
    give(verdict_of(id, block));
  }
  for (auto& [id, open] : std::exchange(open_, {})) {
    any = true;
    while (chain_->requests().all().contains(id) && send_sidecar(id, open)) {
    }
    for (const Root& root : open.roots) {
      const auto it = by_root_.find(root);
      // Aborted meanwhile: the answer is not wanted any more.
      if (it == by_root_.end() || it->second == 0 || !chain_->requests().all().contains(id))
        continue;
      if (!made_[it->second].valid) continue;  // no honest peer has it
      give(ChunkReceived{open.peer, id, made_[it->second].block});
    }
    give(RequestEnded{open.peer, id});
  }
  acknowledge();
  return verify_all() || any;
}

void Injection::explain(const BlockInfo& goal) const {
  const auto slot_of = [&](const Root& root) {
    const auto it = by_root_.find(root);
    return it == by_root_.end() ? -1 : static_cast<long>(made_[it->second].block.slot);
  };
  std::printf("goal slot %ld, head %ld, cached %zu, pending %zu, requests %zu, range %d\n",
              slot_of(goal.root), static_cast<long>(chain_->head().slot), chain_->cache().size(),
              chain_->pending().size(), chain_->requests().size(), chain_->range().active());
  for (const Root& root : chain_of(goal.root)) {
    std::printf("  chain %ld: tree %d cache %d pending %d\n", slot_of(root),
                chain_->tree().contains(root), chain_->cache().contains(root),
                chain_->pending().find(root) != nullptr);
  }
  for (const auto& [root, wanted] : chain_->pending().roots()) {
    std::printf("  wanted %ld: state %d attempts %u depth %u top %lu\n", slot_of(root),
                static_cast<int>(wanted.state), wanted.attempts, wanted.depth,
                static_cast<unsigned long>(wanted.top_slot));
  }
  for (const auto& [root, cached] : chain_->cache().blocks()) {
    std::printf("  cached %ld (%lu): state %d parent %ld\n", slot_of(root),
                static_cast<unsigned long>(cached.block.slot), static_cast<int>(cached.state),
                slot_of(cached.block.parent_root));
  }
  for (const auto& [index, peer] : chain_->peers().all()) {
    std::printf("  peer %u: score %d in flight %u leaving %d last %s\n", index, peer.score,
                peer.in_flight, peer.leaving, peer.last_reason ? name(*peer.last_reason) : "");
  }
}

void Injection::pass(Duration duration) {
  now_.mono = now_.mono + duration;
  now_.wall = now_.wall + duration;
  give(Tick{});
  turn();
}

void Injection::heal() {
  healing_ = true;
  for (uint32_t index = 0; index < kPeers; ++index) {
    give(PeerDown{{index, generations_[index]}});
    ++generations_[index];
  }
  up_.clear();
  open_.clear();
  serves_.clear();
  BlockInfo goal = best();
  const int64_t slots = static_cast<int64_t>(goal.slot) + 20;
  now_.wall = std::max(now_.wall, WallTime{} + config().slot_duration * slots);
  turn();
  for (uint32_t index = 0; index < 3; ++index) {
    up_.insert({index, generations_[index]});
    give(PeerUp{{index, generations_[index]}});
  }
  const MonoTime limit = now_.mono + seconds(300);
  const bool by_votes = witness_ != nullptr;
  while (by_votes ? !chain_->tree().contains(goal.root) : chain_->head().root != goal.root) {
    for (const PeerHandle& peer : up_) {
      PeerStatus status;
      status.peer = peer;
      status.head_root = goal.root;
      status.head_slot = goal.slot;
      give(std::move(status));
    }
    turn();
    check();
    while (serve_all()) turn();
    pass(milliseconds(100));
    goal = best();
    if (now_.mono >= limit) explain(goal);
    BL_CHECK(now_.mono < limit && "the head is reached once the network is well");
  }
  // Each message of the mesh has its verdict, and each request its end.
  while (!owed_.empty() || chain_->requests().size() > 0) {
    while (serve_all()) turn();
    pass(milliseconds(500));
    BL_CHECK(now_.mono < limit + seconds(300));
  }
  check();
  if (witness_ != nullptr) tally_.applied += witness_->votes();
}

}  // namespace beamline::chain::testing
