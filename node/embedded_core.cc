#include "node/embedded_core.h"

#include "node/host_records.h"

namespace beamline::node {

Status EmbeddedCore::on_start(Reactor& reactor) {
  if (ring_.fd() < 0) return local_error(Code::io_error, "eventfd");
  ring_.set_writer(reactor.backend().waker());
  const bool stores = config_.persist;
  core_ = std::make_unique<Core>(reactor, std::move(config_), *this, CoreOptions{},
                                 std::move(fork_choice_));
  if (found_) {
    const Status restored = core_->chain().restore(reactor.now(), std::move(*found_));
    found_.reset();
    if (!restored) {
      core_.reset();
      return restored;
    }
  }
  core_->set_network(*this);
  if (stores) core_->set_store(*this);
  if (policy_ != nullptr) core_->set_policy(*policy_);
  inbox_ = std::make_unique<InboxPort<chain::Event>>(reactor, *core_);
  gate_ = inbox_->gate();
  snapshots_ = core_->snapshots();
  reactor.add_hook(*this);
  if (client_ != nullptr) {
    if (Status started = workers_.start(worker_options_, *gate_, *client_); !started) {
      return started;
    }
    core_->set_workers(workers_);
  }
  end_of_turn(reactor.now());
  return {};
}

void EmbeddedCore::on_stop(Reactor& reactor) {
  if (core_ == nullptr) return;
  workers_.stop();
  end_of_turn(reactor.now());
  reactor.remove_hook(*this);
  inbox_.reset();
  std::deque<HostCommand> rest;
  for (chain::Command& command : core_->take_outbox()) rest.emplace_back(std::move(command));
  for (chain::Persist& persist : core_->take_persists()) {
    if (begin_with_) {
      persist = begin_store(*std::exchange(begin_with_, std::nullopt), std::move(persist));
    }
    rest.emplace_back(std::make_unique<chain::Persist>(std::move(persist)));
  }
  ring_.finish(std::move(rest));
  core_.reset();
}

PushResult EmbeddedCore::push(chain::Command&& command) {
  if (!stats_fresh_) write_stats();
  stats_fresh_ = true;
  return ring_.push(std::move(command));
}

PushResult EmbeddedCore::push(chain::Persist&& persist) {
  if (begin_with_) {
    persist = begin_store(*std::exchange(begin_with_, std::nullopt), std::move(persist));
  }
  return ring_.push(std::move(persist));
}

void EmbeddedCore::end_of_turn(Now) {
  write_stats();
  stats_fresh_ = false;
}

void EmbeddedCore::write_stats() {
  const chain::Chain& chain = core_->chain();
  const chain::Stats& counted = core_->chain().stats();
  const auto head = chain.head();
  const auto votes = [&](chain::VoteResult result) {
    return counted.votes[static_cast<size_t>(result)];
  };
  stats_.write({.events = core_->stats().events,
                .commands = core_->stats().commands,
                .commands_waited = core_->stats().commands_requeued,
                .producers = inbox_->inbox().stats().producers,
                .producers_refused = inbox_->inbox().refused_producers(),
                .head_root = head.root,
                .head_slot = head.slot,
                .imported = counted.imported,
                .cached = chain.cache().size(),
                .pending = chain.pending().size(),
                .in_flight = chain.requests().size(),
                .peers = chain.peers().size(),
                .requests = counted.requests_by_root + counted.requests_by_range,
                .stale_events = counted.stale_events,
                .late_chunks = counted.late_chunks,
                .votes_applied = votes(chain::VoteResult::applied),
                .votes_without_effect =
                    votes(chain::VoteResult::not_newer) + votes(chain::VoteResult::too_late) +
                    votes(chain::VoteResult::inconsistent) + votes(chain::VoteResult::too_many),
                .votes_waiting = counted.votes_pending,
                .fork_choice_refused = counted.fork_choice_refused,
                .own_refused = counted.own_refused,
                .reorgs = counted.reorgs,
                .charges = counted.charges,
                .blocks_without_data = counted.blocks_without_data,
                .data_requested = counted.data_requested,
                .data_received = counted.data_received,
                .data_invalid = counted.data_invalid,
                .restored = counted.restored,
                .restore_refused = counted.restore_refused,
                .persists = counted.persists,
                .persisted = counted.persisted});
}

}  // namespace beamline::node
