// What we serve over eth: the peer's requests, answered in their order from a ChainSource, a slice
// at a time. An answer may hold 10 MiB, made from more; nobody waits while it is put together.
// Sans-IO, one thread at a time.
//
// Bounds: kMaxWaiting requests, an answer by items, by the soft limit of bytes and by the hard one,
// a slice by its budget. One receipt, as far as its conversion goes, is not divided.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "base/error.h"
#include "rlpx/eth/messages.h"

namespace beamline::eth {

// Where messages go: a connection's send() for this capability.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status send(Message message, Bytes payload) = 0;
  // The payload is buffer[begin, end), and the buffer may be taken. There is room in front of it.
  virtual Status send_buffer(Message message, std::vector<uint8_t>& buffer, size_t begin) {
    return send(message, Bytes(buffer).subspan(begin));
  }
};

// The canonical chain that is served. What it gives stays until it is asked again; for a large
// answer the same is asked for again and again.
class ChainSource {
 public:
  virtual ~ChainSource() = default;
  virtual std::optional<uint64_t> number_of(const Hash256& hash) const = 0;
  // RLP items: a header, a body ([transactions, ommers, withdrawals?]), a list of consensus
  // receipts (typed ones are strings). Empty: not known, which is not an empty list.
  virtual Bytes header(uint64_t number) const = 0;
  virtual Bytes body(uint64_t number) const = 0;
  virtual Bytes receipts(uint64_t number) const = 0;
};

struct ServeStats {
  uint64_t served = 0;
  uint64_t served_items = 0;
  uint64_t served_bytes = 0;     // gone over for it
  uint64_t not_served = 0;       // the sink was full
  uint64_t refused_waiting = 0;  // kMaxWaiting
};

class Server {
 public:
  static constexpr size_t kMaxWaiting = 16;  // requests that are not answered yet
  static constexpr size_t kSlice = 256u << 10;
  static constexpr size_t kAll = SIZE_MAX / 2;  // as a budget: whole answers

  explicit Server(uint32_t version);

  // Errors: of the decoder, the peer's.
  Status take(Message message, Bytes payload, ServeStats& stats);
  bool has_work() const { return !jobs_.empty(); }
  // Goes over about `budget` bytes, and sends what is ready. `chain` may be null: empty answers.
  // Errors (the peer's): out_of_range ("first_receipt").
  Status advance(const ChainSource* chain, Sink& sink, size_t budget, ServeStats& stats);

 private:
  struct Job {
    Message message{};  // of the answer
    uint64_t request_id = 0;
    GetBlockHeaders headers;
    GetByHash blocks;
  };
  enum class Step : uint8_t {
    more,
    next,
    stop
  };  // the budget is used up; the item, or all is done

  Result<Step> step(const ChainSource* chain);
  Step headers(const ChainSource& chain, const GetBlockHeaders& request);
  Result<Step> blocks(const ChainSource& chain, const Job& job);
  Step copy(Bytes item);
  Result<Step> slim(Bytes receipts);
  Step leave_block();
  void close_block();
  void grow();
  void reset();
  void reply(const Job& job, Sink& sink, ServeStats& stats);
  size_t size() const;

  const uint32_t version_;
  std::list<Job> jobs_;
  // Of the first of them.
  std::vector<uint8_t> answer_;  // items, with room in front
  size_t items_ = 0;
  bool begun_ = false;
  bool incomplete_ = false;
  std::optional<uint64_t> number_;  // the next header
  size_t at_ = 0;                   // the next hash
  size_t item_at_ = 0;              // how far that block's item is gone over
  bool in_block_ = false;           // slim receipts are being written
  size_t block_ = 0;                // where
  size_t block_items_ = 0;
  uint64_t skip_ = 0;  // receipts
  int64_t left_ = 0;   // of the budget
};

}  // namespace beamline::eth
