#include "node/header_task.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace beamline::node {
namespace {

constexpr std::array kClasses = {InboxClass{.nodes = HeaderStorage::kOrders}};

}  // namespace

HeaderTask::HeaderTask(Reactor& reactor, HeaderStorage& storage, chain::HeaderSyncConfig config,
                       const chain::ParentHeader& last, const Hash256& head,
                       HeaderTaskObserver& observer)
    : reactor_(reactor),
      storage_(storage),
      observer_(observer),
      sync_(std::move(config), last, head, reactor.now()),
      reports_(std::make_unique<InboxPort<StorageReport>>(reactor, *this)),
      timer_([](Timer&) {}, nullptr),
      again_([](Ready&) {}, nullptr) {
  reactor_.add_hook(*this);
}

HeaderTask::~HeaderTask() {
  storage_.stop();
  reactor_.disarm(timer_);
  reactor_.unpost(again_);
  reactor_.remove_hook(*this);
}

Status HeaderTask::start(const StorageHome& home) {
  auto reports = reports_->gate().make_producer(kClasses);
  if (!reports) return local_error(Code::closed, "storage");
  if (Status started = storage_.start(home, std::move(*reports)); !started) return started;
  orders_ = std::move(*storage_.gate().make_producer(kClasses));
  return {};
}

void HeaderTask::add_peer(EthConnection& peer) {
  peers_[peer.index()] = &peer;
  sync_.peer_up(reactor_.now(), handle_of(peer));
}

void HeaderTask::remove_peer(EthConnection& peer) {
  peers_.erase(peer.index());
  std::erase_if(asked_, [&](const auto& entry) { return entry.first.index == peer.index(); });
  sync_.peer_down(reactor_.now(), handle_of(peer));
}

void HeaderTask::on_event(EthConnection& peer, const eth::EthEvent& event) {
  if (event.request != eth::Message::get_block_headers) return;
  const auto it = asked_.find({peer.index(), event.request_id});
  if (it == asked_.end()) return;
  const chain::HeaderRequestId request = it->second;
  asked_.erase(it);
  if (event.kind != eth::EthEvent::Kind::answer) {
    return sync_.request_failed(reactor_.now(), handle_of(peer), request);
  }
  // The message's bytes go with it: one copy, which the store then writes from.
  sync_.answered(reactor_.now(), handle_of(peer), request, SharedBytes::copy(event.answer.list));
}

void HeaderTask::on_message(StorageReport& report) {
  const Now now = reactor_.now();
  if (const auto* done = std::get_if<StorageDone>(&report)) {
    sync_.stored(now, done->next);
  } else if (const auto* rewound = std::get_if<StorageRewound>(&report)) {
    sync_.rewound(now, rewound->last);
  } else {
    sync_.store_failed(now);
  }
}

void HeaderTask::end_of_turn(Now now) {
  sync_.end_of_turn(now);
  while (auto command = sync_.poll_command()) carry_out(std::move(*command));
  const MonoTime next = sync_.poll_timeout();
  reactor_.arm(timer_, next == MonoTime::never() ? next : std::max(next, now.mono));
}

void HeaderTask::carry_out(chain::HeaderCommand&& command) {
  if (const auto* request = std::get_if<chain::RequestHeaders>(&command)) {
    ask(*request);
  } else if (auto* store = std::get_if<chain::StoreHeaders>(&command)) {
    // The pipeline has far fewer under way than the slab holds.
    BL_CHECK(orders_.try_push(0, std::move(*store)) == PushResult::ok);
  } else if (const auto* rewind = std::get_if<chain::RewindHeaders>(&command)) {
    observer_.on_rewound(rewind->number);
    BL_CHECK(orders_.try_push(0, StorageOrder(*rewind)) == PushResult::ok);
  } else if (const auto* batch = std::get_if<chain::HeadersStored>(&command)) {
    observer_.on_stored(*batch);
  } else if (const auto* charge = std::get_if<chain::ChargeHeaderPeer>(&command)) {
    const auto it = peers_.find(charge->peer.index);
    if (it != peers_.end() && it->second->generation() == charge->peer.generation) {
      observer_.on_charged(*it->second, *charge);
    }
  } else if (const auto* head = std::get_if<chain::HeadReached>(&command)) {
    observer_.on_head_reached(*head);
  } else if (const auto* update = std::get_if<chain::UpdateForkChoice>(&command)) {
    observer_.on_fork_choice(*update);
  } else if (const auto* end = std::get_if<chain::HeaderSyncFinished>(&command)) {
    observer_.on_finished(*end);
  }
}

void HeaderTask::ask(const chain::RequestHeaders& request) {
  const auto it = peers_.find(request.peer.index);
  if (it == peers_.end() || it->second->generation() != request.peer.generation) return;
  EthConnection& peer = *it->second;
  eth::GetBlockHeaders wanted;
  wanted.start_hash = request.hash;
  wanted.start_number = request.number;
  wanted.limit = request.count;
  const auto id = peer.peer().get_headers(wanted, reactor_.now().mono);
  reactor_.post(again_);
  if (!id) return sync_.request_failed(reactor_.now(), request.peer, request.request);
  asked_.emplace(Asked{peer.index(), *id}, request.request);
  peer.arm();
}

}  // namespace beamline::node
