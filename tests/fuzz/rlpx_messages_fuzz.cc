// Messages of the p2p and eth capabilities: what is decoded encodes to the same bytes, allocates no
// more than its limits say, and an eth peer of any version survives any conversation.
#include <vector>

#include "base/check.h"
#include "rlpx/eth/peer.h"
#include "rlpx/messages.h"
#include "tests/fuzz/largest_allocation.h"

namespace beamline::eth {
namespace {

void same(Bytes input, const std::vector<uint8_t>& again) { BL_CHECK(equal(input, again)); }

void decode_all(Bytes input) {
  std::vector<uint8_t> again;
  for (const uint32_t version : {kEth68, kEth69}) {
    if (auto status = StatusMessage::decode(version, input)) {
      // It may name another version, and then it is written in another form.
      if ((status->version > kEth68) == (version > kEth68)) {
        again.clear();
        status->encode(again);
        same(input, again);
      }
    }
  }
  if (auto message = GetBlockHeaders::decode(input)) {
    again.clear();
    message->encode(again);
    same(input, again);
  }
  for (const bool marked : {false, true}) {
    if (auto message = GetByHash::decode(input, marked)) {
      again.clear();
      message->encode(again, marked);
      same(input, again);
    }
    if (auto message = Answer::decode(input, 4096, marked)) {
      size_t size = 0;
      for (const Bytes item : message->items) size += item.size();
      again.clear();
      begin_answer(message->request_id, size, again,
                   marked ? std::optional(message->last_block_incomplete) : std::nullopt);
      for (const Bytes item : message->items) again.insert(again.end(), item.begin(), item.end());
      same(input, again);
    }
  }
  if (auto message = PooledHashes::decode(input)) {
    again.clear();
    message->encode(again);
    same(input, again);
  }
  if (auto range = decode_range_update(input)) {
    again.clear();
    encode_range_update(*range, again);
    same(input, again);
  }
  (void)decode_transactions(input);
  again.clear();
  (void)to_slim_receipts(input, again);
  BL_CHECK(again.size() <= 2 * input.size() + 16);
  again.clear();
  if (to_consensus_receipts(input, again)) {
    std::vector<uint8_t> back;
    BL_CHECK(to_slim_receipts(again, back).has_value());
    same(input, back);
  }
  if (auto hello = rlpx::Hello::decode(input)) {
    again.clear();
    hello->encode(again);
    BL_CHECK(rlpx::Hello::decode(again) == *hello);
  }
  (void)rlpx::decode_disconnect(input);
}

struct Wire : Sink {
  Status send(Message, Bytes payload) override {
    BL_CHECK(payload.size() <= kHardAnswer);
    return {};
  }
};
struct Blocks : ChainSource {
  std::optional<uint64_t> number_of(const Hash256& hash) const override { return hash.bytes[31]; }
  Bytes header(uint64_t number) const override { return number < 200 ? Bytes(item) : Bytes(); }
  Bytes body(uint64_t number) const override { return header(number); }
  Bytes receipts(uint64_t number) const override { return header(number); }
  std::vector<uint8_t> item = {0xc3, 0x01, 0x02, 0x03};
};

// Messages of one byte of id, two of length.
void converse(uint32_t version, Bytes input) {
  const ForkFilter forks = *ForkFilter::make({}, 0, {}, {});
  const Blocks blocks;
  Local local;
  local.status.version = version;
  local.status.fork_id = forks.at({});
  local.status.range.latest_hash.bytes[0] = 1;
  local.forks = &forks;
  local.chain = &blocks;
  Wire wire;
  MonoTime now{1};
  Peer peer(version, local, wire, {}, now);
  std::vector<uint8_t> status;
  local.status.encode(status);
  BL_CHECK(peer.receive(0, status, now).has_value());
  for (uint64_t i = 0; i < 3; ++i) {
    BL_CHECK(peer.get_headers({.start_number = i, .limit = 5}, now).has_value());
  }
  while (input.size() >= 3) {
    const size_t size = std::min<size_t>(input[1] | (input[2] & 3u) << 8, input.size() - 3);
    const auto event = peer.receive(input[0], input.subspan(3, size), now);
    if (!event) {
      BL_CHECK(event.error().fault == Fault::peer);
      return;
    }
    now = now + seconds(input[2] >> 4);
    (void)peer.on_deadline(now);
    input = input.subspan(3 + size);
  }
}

}  // namespace
}  // namespace beamline::eth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size == 0) return 0;
  const Bytes input(data + 1, size - 1);
  if (data[0] % 4 == 0) {
    const LargestAllocation largest;
    eth::decode_all(input);
    // Items and hashes of at least a byte each, 16 to 40 bytes of ours each, doubled by growth;
    // receipts of five bytes get a bloom of 256.
    BL_CHECK(largest.bytes() <= 120 * input.size() + 4096);
  } else {
    eth::converse(67u + data[0] % 4u, input);
  }
  return 0;
}
