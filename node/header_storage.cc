#include "node/header_storage.h"

#include <utility>

#include "base/check.h"

namespace beamline::node {

Status HeaderStorage::open() {
  auto log = chain::HeaderLog::open(directory_);
  if (!log) return std::unexpected(log.error());
  log_.emplace(std::move(*log));
  auto index = chain::HashIndex::open(directory_, *log_);
  if (!index) return std::unexpected(index.error());
  index_.emplace(std::move(*index));
  return {};
}

Result<chain::ParentHeader> HeaderStorage::before(uint64_t number) const {
  if (number == log_->first()) return genesis_;
  std::vector<uint8_t> bytes;
  std::vector<Hash256> hashes;
  const auto read = log_->read(number - 1, 1, 0, bytes, &hashes);
  if (!read) return std::unexpected(read.error());
  const auto header = ExecutionHeader::decode(bytes);
  if (!header) return std::unexpected(header.error());
  return chain::ParentHeader::of(*header, hashes.front());
}

Status HeaderStorage::start(const StorageHome& home, Inbox<StorageReport>::Producer reports) {
  BL_CHECK(log_.has_value() && lent_ == nullptr);
  reports_ = std::move(reports);
  if (Reactor* const* lent = std::get_if<Reactor*>(&home)) {
    lent_ = *lent;
    return on_start(*lent_);
  }
  // Its turns wait for a disk; that is what it is for.
  ReactorOptions options;
  options.stall = seconds(60);
  return thread_.start("bl-storage", std::get<ReactorThread::MakeBackend>(home), *this, options);
}

void HeaderStorage::stop() {
  if (lent_ != nullptr) on_stop(*std::exchange(lent_, nullptr));
  thread_.stop();
}

Status HeaderStorage::on_start(Reactor& reactor) {
  inbox_ = std::make_unique<InboxPort<StorageOrder>>(reactor, *this);
  reactor.add_hook(*this);
  return {};
}

void HeaderStorage::on_stop(Reactor& reactor) {
  inbox_.reset();
  commit();
  reactor.remove_hook(*this);
  reports_ = {};
}

void HeaderStorage::on_message(StorageOrder& order) {
  if (failed_) return;  // what failed is not gone on with; the sync was told
  const Status done = std::visit([this](const auto& what) { return carry_out(what); }, order);
  if (!done) fail(done.error());
}

// A disk takes as long for the headers of one order as for those of eight.
void HeaderStorage::commit() {
  if (failed_ || appended_ == 0) return;
  appended_ = 0;
  if (Status safe = log_->checkpoint(); !safe) return fail(safe.error());
  report(StorageDone{log_->next()});
  for (;;) {
    const auto more = index_->extend();
    if (!more || !*more) break;  // derived: what fails now is made at the next opening
  }
}

void HeaderStorage::report(StorageReport what) {
  // Closed: nobody waits for it any more.
  BL_CHECK(reports_.try_push(0, std::move(what)) != PushResult::full);
}

void HeaderStorage::fail(const Error& error) {
  failed_ = true;
  report(StorageFailed{error});
}

Status HeaderStorage::carry_out(const chain::StoreHeaders& order) {
  ++appended_;
  batch_.clear();
  for (const chain::HeaderRun& run : order.runs) {
    for (size_t i = 0; i < run.size(); ++i) {
      batch_.push_back({run.encodings[i], run.hashes[i]});
      if (batch_.size() < chain::HeaderLog::kMaxBatch) continue;
      if (Status stored = append_batch(); !stored) return stored;
    }
  }
  return batch_.empty() ? Status{} : append_batch();
}

Status HeaderStorage::append_batch() {
  const uint64_t first = log_->next();
  const Status stored = log_->append(batch_);
  if (stored) index_->note(first, batch_);
  batch_.clear();
  return stored;
}

Status HeaderStorage::carry_out(const chain::RewindHeaders& order) {
  commit();  // what came before it is reported before it
  if (failed_) return {};
  if (Status taken = log_->rewind(order.number); !taken) return taken;
  const auto last = before(order.number);
  if (!last) return std::unexpected(last.error());
  report(StorageRewound{*last});
  return {};
}

}  // namespace beamline::node
