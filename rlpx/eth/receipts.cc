// Receipts in the two forms that travel.

#include <array>

#include "crypto/keccak.h"
#include "rlpx/eth/messages.h"

namespace beamline::eth {
namespace {

constexpr size_t kBloomSize = 256;
constexpr size_t kAddressSize = 20;
using Bloom = std::array<uint8_t, kBloomSize>;

// Three bits for each address and topic, chosen by its hash; the filter is big-endian.
void add_to_bloom(Bytes item, Bloom& bloom) {
  const Hash256 hash = keccak256(item);
  for (size_t i = 0; i < 6; i += 2) {
    const size_t bit = size_t{hash.bytes[i]} << 8 | hash.bytes[i + 1];
    const size_t low = bit % (8 * kBloomSize);
    uint8_t& byte = bloom[kBloomSize - 1 - low / 8];
    byte = static_cast<uint8_t>(byte | 1u << (low % 8));
  }
}

Result<Bloom> bloom_of(rlp::Reader logs) {
  Bloom bloom{};
  while (!logs.at_end()) {
    auto log = logs.list("receipt.log");
    if (!log) return std::unexpected(log.error());
    const auto address = log->fixed("receipt.log.address", kAddressSize);
    if (!address) return std::unexpected(address.error());
    add_to_bloom(*address, bloom);
    auto topics = log->list("receipt.log.topics");
    if (!topics) return std::unexpected(topics.error());
    while (!topics->at_end()) {
      const auto topic = topics->fixed("receipt.log.topic", Hash256::kSize);
      if (!topic) return std::unexpected(topic.error());
      add_to_bloom(*topic, bloom);
    }
  }
  return bloom;
}

}  // namespace

Status to_slim_receipt(const rlp::Item& item, std::vector<uint8_t>& out) {
  uint8_t type = 0;
  Bytes body = item.encoding;
  if (!item.is_list) {
    if (item.payload.empty()) return bad_input(Code::truncated, "receipt.type");
    type = item.payload[0];
    body = item.payload.subspan(1);
  }
  auto receipt = rlp::parse_list(body, "receipt");
  if (!receipt) return std::unexpected(receipt.error());
  const auto status = receipt->next("receipt.status");
  if (!status) return std::unexpected(status.error());
  const auto gas = receipt->next("receipt.cumulative_gas");
  if (!gas) return std::unexpected(gas.error());
  if (const auto bloom = receipt->fixed("receipt.bloom", 256); !bloom) {
    return std::unexpected(bloom.error());
  }
  const auto logs = receipt->next("receipt.logs");
  if (!logs) return std::unexpected(logs.error());
  rlp::Writer writer(out);
  writer.list_header(rlp::uint_size(type) + status->encoding.size() + gas->encoding.size() +
                     logs->encoding.size());
  writer.uint(type);
  writer.raw(status->encoding);
  writer.raw(gas->encoding);
  writer.raw(logs->encoding);
  return {};
}

Status to_slim_receipts(Bytes consensus, std::vector<uint8_t>& out) {
  auto list = rlp::parse_list(consensus, "receipts");
  if (!list) return std::unexpected(list.error());
  rlp::Writer writer(out);
  const auto all = writer.begin_list();
  while (!list->at_end()) {
    const auto item = list->next("receipt");
    if (!item) return std::unexpected(item.error());
    if (const Status done = to_slim_receipt(*item, out); !done) return done;
  }
  writer.end_list(all);
  return {};
}

Status to_consensus_receipts(Bytes slim, std::vector<uint8_t>& out) {
  auto list = rlp::parse_list(slim, "receipts");
  if (!list) return std::unexpected(list.error());
  rlp::Writer writer(out);
  const auto all = writer.begin_list();
  std::vector<uint8_t> typed;
  while (!list->at_end()) {
    auto receipt = list->list("receipt");
    if (!receipt) return std::unexpected(receipt.error());
    const auto type = receipt->uint("receipt.type", 1);
    if (!type) return std::unexpected(type.error());
    const auto status = receipt->next("receipt.status");
    if (!status) return std::unexpected(status.error());
    const auto gas = receipt->next("receipt.cumulative_gas");
    if (!gas) return std::unexpected(gas.error());
    rlp::Reader ahead = *receipt;
    auto logs = ahead.list("receipt.logs");
    if (!logs) return std::unexpected(logs.error());
    const auto bloom = bloom_of(*logs);
    if (!bloom) return std::unexpected(bloom.error());
    const auto encoded_logs = receipt->next("receipt.logs");
    if (const Status end = receipt->finish("receipt"); !end) return end;
    typed.clear();
    rlp::Writer one(typed);
    if (*type != 0) typed.push_back(static_cast<uint8_t>(*type));
    const auto fields = one.begin_list();
    one.raw(status->encoding);
    one.raw(gas->encoding);
    one.string(*bloom);
    one.raw(encoded_logs->encoding);
    one.end_list(fields);
    if (*type != 0) {
      writer.string(typed);
    } else {
      writer.raw(typed);
    }
  }
  writer.end_list(all);
  return {};
}

}  // namespace beamline::eth
