#include "node/core.h"

#include <algorithm>

#include "node/policy.h"

namespace beamline::node {
namespace {

// Gives away what waits, in order. False: there was no room for all; the rest waits on.
template <class Job, class Push>
bool hand_over(std::deque<Job>& waiting, uint64_t& requeued, const Push& push) {
  for (; !waiting.empty(); waiting.pop_front()) {
    if (push(std::move(waiting.front())) == PushResult::full) {
      ++requeued;
      return false;
    }
  }
  return true;
}

}  // namespace

Core::Core(Reactor& reactor, chain::ChainConfig config, CoreObserver& observer,
           const CoreOptions& options, std::unique_ptr<chain::ForkChoice> fork_choice)
    : reactor_(reactor),
      observer_(observer),
      options_(options),
      chain_(std::move(config), nullptr, std::move(fork_choice)),
      timer_([](Timer&) {}, nullptr),
      again_([](Ready&) {}, nullptr) {
  reactor_.add_hook(*this);
}

Core::~Core() {
  reactor_.disarm(timer_);
  reactor_.unpost(again_);
  reactor_.remove_hook(*this);
}

void Core::on_message(chain::Event& event) {
  ++stats_.events;
  if (const auto* up = std::get_if<chain::PeerUp>(&event)) observer_.on_peer(up->peer, true);
  if (const auto* down = std::get_if<chain::PeerDown>(&event)) observer_.on_peer(down->peer, false);
  apply(std::move(event));
  // The chain flushes at the end of a turn: see to it that there is one. (Through the inbox there
  // always is; a network on this reactor may push from a hook that runs after ours.)
  reactor_.post(again_);
}

std::deque<chain::Command> Core::take_outbox() {
  collect();
  return std::exchange(outbox_, {});
}

std::deque<chain::Persist> Core::take_persists() {
  for (chain::Persist& persist : chain_.take_persists()) persists_.push_back(std::move(persist));
  return std::exchange(persists_, {});
}

void Core::add_own_block(chain::BlockInfo block) {
  chain::Event event = chain::OwnBlock{std::move(block)};
  on_message(event);
}

void Core::apply(chain::Event&& event) {
  changed_ = true;
  // Full only while its commands wait to be polled, and we can always take them.
  while (true) {
    const Status taken = chain_.handle(reactor_.now(), std::move(event));
    if (taken) return;
    BL_CHECK(taken.error().code == Code::full);
    collect();
  }
}

void Core::end_of_turn(Now now) {
  if (chain_.poll_timeout() <= now.mono) apply(chain::Tick{});
  chain_.end_of_turn(now);
  if (policy_ != nullptr) policy_->end_of_turn();
  // What the chain cannot hand over bounds what it begins.
  const bool collected = ready();
  if (collected) collect();
  send();
  submit();
  persist();
  publish(now);
  if (!ready()) ++stats_.pauses;
  if (!collected && ready()) reactor_.post(again_);
  MonoTime next = chain_.poll_timeout();
  if (!outbox_.empty() && network_ != nullptr) {
    const MonoTime retry = now.mono + network_->retry_after();
    // Paused, the chain's deadlines wait for room as its events do.
    next = ready() ? std::min(next, retry) : retry;
  }
  if (changed_) next = std::min(next, next_snapshot_);
  reactor_.arm(timer_, next == MonoTime::never() ? next : std::max(next, now.mono));
}

void Core::collect() {
  while (auto command = chain_.poll_command()) {
    ++stats_.commands;
    changed_ = true;
    if (observe(*command)) continue;
    auto* block = std::get_if<chain::ImportBlock>(&*command);
    auto* data = std::get_if<chain::ImportData>(&*command);
    if (block != nullptr && workers_ != nullptr) {
      jobs_.emplace_back(std::move(*block));
    } else if (data != nullptr && workers_ != nullptr && workers_->takes_data()) {
      jobs_.emplace_back(std::move(*data));
    } else {
      outbox_.push_back(std::move(*command));
    }
  }
  stats_.outbox_peak = std::max<uint64_t>(stats_.outbox_peak, outbox_.size());
}

// True: it was ours alone.
bool Core::observe(const chain::Command& command) {
  if (const auto* imported = std::get_if<chain::BlockImported>(&command)) {
    observer_.on_imported(*imported);
    return network_ == nullptr || !network_->takes_imported();
  }
  if (const auto* head = std::get_if<chain::HeadChanged>(&command)) observer_.on_head(*head);
  if (const auto* justified = std::get_if<chain::JustifiedChanged>(&command)) {
    observer_.on_justified(*justified);
  }
  if (const auto* finalized = std::get_if<chain::FinalizedChanged>(&command)) {
    observer_.on_finalized(*finalized);
  }
  if (const auto* invalid = std::get_if<chain::JustifiedInvalid>(&command)) {
    observer_.on_justified_invalid(*invalid);
  }
  return false;
}

// A full pool re-queues. No timer is needed: it is full only while workers have jobs, and each
// result is an event that brings us here again. At most Limits::imports_in_flight blocks wait here,
// and data_in_verification sidecars with what was on its way then.
void Core::submit() {
  hand_over(jobs_, stats_.jobs_requeued,
            [&](Work&& job) { return workers_->submit(std::move(job)); });
}

// As submit(): an acknowledgement brings us here again. At most Limits::persists_in_flight wait.
void Core::persist() {
  if (store_ == nullptr) return;
  for (chain::Persist& persist : chain_.take_persists()) persists_.push_back(std::move(persist));
  const bool all = hand_over(persists_, stats_.persists_requeued, [&](chain::Persist&& persist) {
    return store_->push(std::move(persist));
  });
  if (!all) return;
  for (chain::ReadBlocks& read : chain_.take_reads()) reads_.push_back(std::move(read));
  hand_over(reads_, stats_.reads_requeued,
            [&](chain::ReadBlocks&& read) { return store_->read(std::move(read)); });
}

void Core::publish(Now now) {
  if (!changed_ || now.mono < next_snapshot_) return;
  next_snapshot_ = now.mono + options_.snapshot_interval;
  ++sequence_;
  const bool published = snapshots_.publish([&](chain::Snapshot& out) {
    out.sequence = sequence_;
    chain::take_snapshot(chain_, now, options_.snapshot, out);
  });
  if (published) changed_ = false;
  stats_.snapshots = snapshots_.published();
  stats_.snapshots_skipped = snapshots_.skipped();
}

// A full queue out of the core re-queues; it never waits.
void Core::send() {
  if (network_ == nullptr) return;
  hand_over(outbox_, stats_.commands_requeued,
            [&](chain::Command&& command) { return network_->push(std::move(command)); });
}

}  // namespace beamline::node
