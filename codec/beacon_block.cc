#include "codec/beacon_block.h"

#include <cstddef>

namespace beamline {
namespace {

// SignedBeaconBlock's fixed part is the message's offset and the signature; the message follows.
constexpr size_t kMessageAt = ssz::kOffsetSize + 96;

enum SignedField : size_t { kMessage, kSignature };
enum BlockField : size_t { kSlot, kProposerIndex, kParentRoot, kStateRoot };

// Little-endian bytes, appended.
void append_uint(uint64_t value, size_t size, std::vector<uint8_t>& out) {
  for (size_t i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void append(Bytes bytes, std::vector<uint8_t>& out) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

Result<SignedBlockView> SignedBlockView::parse(const BeaconTypes& types, Fork fork, Bytes bytes) {
  if (!types.supports(fork)) return bad_input(Code::unsupported, "fork");
  const Result<ssz::View> view = ssz::View::parse(types.signed_beacon_block(fork), bytes);
  if (!view) return std::unexpected(view.error());
  return SignedBlockView(*view);
}

SignedBlockView SignedBlockView::trust(const BeaconTypes& types, Fork fork, Bytes bytes) {
  return SignedBlockView(ssz::View::trust(types.signed_beacon_block(fork), bytes));
}

Result<Slot> SignedBlockView::peek_slot(Bytes bytes) {
  if (bytes.size() < kMessageAt + sizeof(Slot)) {
    return bad_input(Code::truncated, "slot", bytes.size());
  }
  uint32_t offset = 0;
  std::memcpy(&offset, bytes.data(), sizeof(offset));
  if (offset != kMessageAt) return bad_input(Code::bad_offset, "message");
  Slot slot = 0;
  std::memcpy(&slot, bytes.data() + kMessageAt, sizeof(slot));
  return slot;
}

Slot SignedBlockView::slot() const { return message().field(kSlot).as_uint(); }

ValidatorIndex SignedBlockView::proposer_index() const {
  return message().field(kProposerIndex).as_uint();
}

Root SignedBlockView::parent_root() const { return message().field(kParentRoot).as_hash(); }
Root SignedBlockView::state_root() const { return message().field(kStateRoot).as_hash(); }

BlsSignature SignedBlockView::signature() const {
  BlsSignature signature;
  std::memcpy(signature.data(), signed_.field(kSignature).bytes().data(), signature.size());
  return signature;
}

const ssz::Type& BeaconBlockHeader::ssz_type() {
  static ssz::Field fields[] = {
      {"slot", &ssz::kUint64, offsetof(BeaconBlockHeader, slot)},
      {"proposer_index", &ssz::kUint64, offsetof(BeaconBlockHeader, proposer_index)},
      {"parent_root", &ssz::kBytes32, offsetof(BeaconBlockHeader, parent_root)},
      {"state_root", &ssz::kBytes32, offsetof(BeaconBlockHeader, state_root)},
      {"body_root", &ssz::kBytes32, offsetof(BeaconBlockHeader, body_root)},
  };
  static const ssz::Type type =
      ssz::container("beacon_block_header", fields, sizeof(BeaconBlockHeader));
  return type;
}

std::vector<uint8_t> encode_empty_block(const EmptyBlock& block) {
  constexpr size_t kBlockPart = 8 + 8 + 32 + 32 + 4;
  constexpr size_t kLists = 5;
  constexpr size_t kBodySize = 96 + 72 + 32 + 4 * kLists;
  std::vector<uint8_t> out;
  out.reserve(kMessageAt + kBlockPart + kBodySize);
  append_uint(kMessageAt, 4, out);
  append(block.signature, out);
  append_uint(block.slot, 8, out);
  append_uint(block.proposer_index, 8, out);
  append(block.parent_root.view(), out);
  append(block.state_root.view(), out);
  append_uint(kBlockPart, 4, out);
  out.resize(out.size() + 96 + 72);  // randao_reveal, eth1_data
  append(block.graffiti.view(), out);
  for (size_t i = 0; i < kLists; ++i) append_uint(kBodySize, 4, out);
  return out;
}

}  // namespace beamline
