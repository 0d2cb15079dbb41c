#include "rlpx/eth/server.h"

#include <algorithm>
#include <cstring>

namespace beamline::eth {
namespace {

// Of the items of an answer; headers and the id take the rest.
constexpr size_t kRoom = kHardAnswer - 64;
// In front of the items: two list headers, the id, a flag, and the message id that RLPx adds.
constexpr size_t kFront = 32;
constexpr size_t kListHeader = 4;  // of a list under 16 MiB, at most
constexpr size_t kKept = 1u << 20;
constexpr int64_t kSkipCost = 16;  // of a receipt that is passed over

}  // namespace

Server::Server(uint32_t version) : version_(version) { reset(); }

size_t Server::size() const { return answer_.size() - kFront; }

void Server::reset() {
  if (answer_.capacity() > kKept) std::vector<uint8_t>().swap(answer_);
  answer_.assign(kFront, 0);
  items_ = at_ = item_at_ = 0;
  begun_ = incomplete_ = in_block_ = false;
  number_.reset();
}

// One large answer is not moved each time that it doubles.
void Server::grow() {
  if (answer_.size() > kKept / 2 && answer_.capacity() < kHardAnswer) {
    answer_.reserve(kHardAnswer + kFront);
  }
}

Status Server::take(Message message, Bytes payload, ServeStats& stats) {
  Job job;
  if (message == Message::get_block_headers) {
    auto request = GetBlockHeaders::decode(payload);
    if (!request) return std::unexpected(request.error());
    job.message = Message::block_headers;
    job.request_id = request->request_id;
    job.headers = *request;
  } else {
    const bool receipts = message == Message::get_receipts;
    auto request = GetByHash::decode(payload, receipts && version_ >= kEth70);
    if (!request) return std::unexpected(request.error());
    job.message = receipts                               ? Message::receipts
                  : message == Message::get_block_bodies ? Message::block_bodies
                                                         : Message::pooled_transactions;
    job.request_id = request->request_id;
    if (job.message != Message::pooled_transactions) job.blocks = std::move(*request);
  }
  if (jobs_.size() == kMaxWaiting) {
    ++stats.refused_waiting;
    return {};
  }
  jobs_.push_back(std::move(job));
  return {};
}

Status Server::advance(const ChainSource* chain, Sink& sink, size_t budget, ServeStats& stats) {
  left_ = static_cast<int64_t>(budget);
  while (has_work() && left_ > 0) {
    const int64_t before = left_;
    const auto done = step(chain);
    stats.served_bytes += static_cast<uint64_t>(before - left_);
    if (!done) return std::unexpected(done.error());
    if (*done == Step::more) return {};
    reply(jobs_.front(), sink, stats);
    jobs_.pop_front();
    reset();
  }
  return {};
}

// Goes on with the first job; not `more` when its answer is whole.
Result<Server::Step> Server::step(const ChainSource* chain) {
  const Job& job = jobs_.front();
  left_ -= 64;  // what any answer costs
  if (chain == nullptr || job.message == Message::pooled_transactions) return Step::stop;
  if (job.message == Message::block_headers) return headers(*chain, job.headers);
  return blocks(*chain, job);
}

Server::Step Server::headers(const ChainSource& chain, const GetBlockHeaders& request) {
  if (!begun_) {
    begun_ = true;
    number_ = request.start_hash ? chain.number_of(*request.start_hash) : request.start_number;
  }
  const uint64_t limit = std::min<uint64_t>(request.limit, kMaxHeaders);
  while (number_ && items_ < limit) {
    const Bytes header = chain.header(*number_);
    if (header.empty()) return Step::stop;
    const Step step = copy(header);
    if (step != Step::next) return step;
    uint64_t stride = 0;
    if (__builtin_add_overflow(request.skip, 1, &stride)) return Step::stop;
    if (request.reverse) {
      if (*number_ < stride) return Step::stop;
      *number_ -= stride;
    } else if (__builtin_add_overflow(*number_, stride, &*number_)) {
      return Step::stop;
    }
    if (left_ <= 0) return Step::more;
  }
  return Step::stop;
}

Result<Server::Step> Server::blocks(const ChainSource& chain, const Job& job) {
  const bool receipts = job.message == Message::receipts;
  if (!begun_) {
    begun_ = true;
    skip_ = job.blocks.first_receipt;
  }
  for (; at_ < job.blocks.hashes.size(); ++at_) {
    if (left_ <= 0) return Step::more;
    left_ -= 32;
    const auto number = chain.number_of(job.blocks.hashes[at_]);
    const Bytes item = !number ? Bytes() : receipts ? chain.receipts(*number) : chain.body(*number);
    if (item.size() < item_at_) return leave_block();  // it is another one now, or gone
    if (item.empty()) {
      if (receipts) return Step::stop;  // what is not known ends the answer: no list stands for it
      continue;
    }
    const Result<Step> step = receipts && version_ >= kEth69 ? slim(item) : copy(item);
    if (!step || *step != Step::next) return step;
  }
  return Step::stop;
}

// An item as it is. Stop: the answer is large enough, or the item would make it too large.
Server::Step Server::copy(Bytes item) {
  if (item_at_ == 0) {
    if (size() + item.size() > kRoom) return Step::stop;
    block_ = answer_.size();
  }
  grow();
  const size_t part =
      std::min(item.size() - item_at_, static_cast<size_t>(std::max<int64_t>(left_, 1)));
  const Bytes bytes = item.subspan(item_at_, part);
  answer_.insert(answer_.end(), bytes.begin(), bytes.end());
  left_ -= static_cast<int64_t>(part);
  item_at_ += part;
  if (item_at_ != item.size()) return Step::more;
  item_at_ = 0;
  ++items_;
  return size() < kSoftAnswer ? Step::next : Step::stop;
}

// What there is of a block that cannot be ended is left out.
Server::Step Server::leave_block() {
  answer_.resize(block_);
  in_block_ = false;
  item_at_ = 0;
  return Step::stop;
}

void Server::close_block() {
  std::vector<uint8_t> header;
  const size_t from = block_ + kListHeader;
  rlp::Writer(header).list_header(answer_.size() - from);
  std::memcpy(answer_.data() + block_, header.data(), header.size());
  if (header.size() < kListHeader) {  // then it is short
    answer_.erase(answer_.begin() + static_cast<ptrdiff_t>(block_ + header.size()),
                  answer_.begin() + static_cast<ptrdiff_t>(from));
  }
  in_block_ = false;
  item_at_ = 0;
  ++items_;
}

// A block's receipts in the form of eth/69 on. Where a part is enough (eth/70) as many as fit:
// never none, which would tell nothing, and is a fault to geth.
Result<Server::Step> Server::slim(Bytes receipts) {
  const auto list = rlp::parse(receipts, "receipts");
  if (!list || !list->is_list || item_at_ > list->payload.size()) {
    return in_block_ ? leave_block() : Step::stop;
  }
  if (!in_block_) {
    in_block_ = true;
    block_ = answer_.size();
    block_items_ = 0;
    answer_.resize(block_ + kListHeader);
  }
  rlp::Reader reader(list->payload.subspan(item_at_));
  while (!reader.at_end()) {
    if (left_ <= 0) return Step::more;
    const auto receipt = reader.next("receipt");
    if (!receipt) return leave_block();
    item_at_ += receipt->encoding.size();
    if (skip_ > 0) {
      --skip_;
      left_ -= kSkipCost;
      continue;
    }
    grow();
    const size_t before = answer_.size();
    left_ -= static_cast<int64_t>(receipt->encoding.size());
    if (!to_slim_receipt(*receipt, answer_)) return leave_block();
    if (block_ - kFront + rlp::list_size(answer_.size() - block_ - kListHeader) > kRoom) {
      if (version_ < kEth70 || block_items_ == 0) return leave_block();
      answer_.resize(before);
      incomplete_ = true;
      close_block();
      return Step::stop;
    }
    ++block_items_;
  }
  if (skip_ > 0) return bad_input(Code::out_of_range, "first_receipt");
  close_block();
  return size() < kSoftAnswer ? Step::next : Step::stop;
}

void Server::reply(const Job& job, Sink& sink, ServeStats& stats) {
  std::vector<uint8_t> front;
  const bool partial = job.message == Message::receipts && version_ >= kEth70;
  begin_answer(job.request_id, size(), front,
               partial ? std::optional<bool>(incomplete_) : std::nullopt);
  const size_t begin = kFront - front.size();
  std::memcpy(answer_.data() + begin, front.data(), front.size());
  if (!sink.send_buffer(job.message, answer_, begin)) {
    ++stats.not_served;
    return;
  }
  ++stats.served;
  stats.served_items += items_;
}

}  // namespace beamline::eth
