// The packets of discv4 and discv5 as anyone may send them. The first byte says which: a plain
// message, a packet of discv5 (masked here, so that its header is the input's), one of discv4 (with
// its hash set right). What is read lies within the input; a message that is read is written again
// as the same bytes.
#include <array>
#include <cstring>

#include "base/check.h"
#include "crypto/keccak.h"
#include "discovery/discv4_packet.h"
#include "discovery/discv5_message.h"
#include "discovery/discv5_packet.h"

namespace beamline {
namespace {

bool within(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void fuzz_message(Bytes input) {
  using namespace discv5;
  const auto message = decode_message(input);
  if (!message) {
    BL_CHECK(message.error().offset <= input.size());
    return;
  }
  std::vector<uint8_t> again;
  if (const auto* ping = std::get_if<Ping>(&*message)) append(again, *ping);
  if (const auto* pong = std::get_if<Pong>(&*message)) append(again, *pong);
  if (const auto* talk = std::get_if<TalkRequest>(&*message)) append(again, *talk);
  if (const auto* talk = std::get_if<TalkResponse>(&*message)) append(again, *talk);
  if (const auto* find = std::get_if<FindNode>(&*message)) {
    std::array<uint16_t, kMaxDistances> distances;
    const size_t count = distances_of(*find, distances);
    BL_CHECK(count <= kMaxDistances);
    std::vector<uint8_t> written, twice;
    append_find_node(written, find->id, std::span(distances).first(count));
    const auto back = decode_message(written);
    BL_CHECK(back.has_value());
    std::array<uint16_t, kMaxDistances> same;
    BL_CHECK(distances_of(std::get<FindNode>(*back), same) == count);
    return;
  }
  if (const auto* nodes = std::get_if<Nodes>(&*message)) {
    for (rlp::Reader records = nodes->records; !records.at_end();) {
      const auto item = records.next("record");
      if (!item) return;
      BL_CHECK(within(item->encoding, input));
      if (const auto record = Enr::decode(item->encoding)) {
        BL_CHECK(record->bytes().size() <= Enr::kMaxSize);
      }
    }
    return;
  }
  BL_CHECK(equal(again, input));
}

void fuzz_discv5(Bytes input) {
  using namespace discv5;
  const NodeId self = NodeId{{7, 7, 7}};
  std::vector<uint8_t> datagram(input.begin(), input.end());
  if (datagram.size() > kIvSize + 8) {
    constexpr std::array<uint8_t, 8> kProtocol = {'d', 'i', 's', 'c', 'v', '5', 0, 1};
    std::memcpy(datagram.data() + kIvSize, kProtocol.data(), kProtocol.size());
    mask(datagram, datagram.size(), self);
  }
  // All is masked, as if all were header: what lies behind the header is then other garbage.
  const std::vector<uint8_t> before = datagram;
  Unmasker unmasker(self);
  const auto packet = unmasker.read(datagram);
  if (!packet) {
    if (packet.error().code == Code::mismatch) BL_CHECK(datagram == before);
    return;
  }
  const Bytes whole = datagram;
  BL_CHECK(within(packet->head, whole) && within(packet->sealed, whole));
  BL_CHECK(packet->head.size() + packet->sealed.size() == whole.size());
  BL_CHECK(within(packet->record, packet->head) && within(packet->signature, packet->head));
  BL_CHECK(packet->record.size() <= Enr::kMaxSize);
  if (packet->flag == Flag::whoareyou) BL_CHECK(whole.size() == kWhoareyouSize);
  if (packet->flag != Flag::whoareyou) BL_CHECK(packet->sealed.size() >= kTagSize);
}

void fuzz_discv4(Bytes input) {
  using namespace discv4;
  std::vector<uint8_t> datagram(32);
  datagram.insert(datagram.end(), input.begin(), input.end());
  const Hash256 hash = keccak256(Bytes(datagram).subspan(32));
  std::memcpy(datagram.data(), hash.bytes.data(), 32);
  const auto packet = read_packet(datagram);
  if (!packet) return;
  static_cast<void>(recover_sender(*packet));
  static_cast<void>(expiration_of(packet->message));
  if (const auto* neighbors = std::get_if<Neighbors>(&packet->message)) {
    for (rlp::Reader nodes = neighbors->nodes; !nodes.at_end();) {
      const auto neighbor = read_neighbor(nodes);
      if (!neighbor) break;
      BL_CHECK(neighbor->key.size() == 64 && within(neighbor->key, datagram));
    }
  }
}

}  // namespace
}  // namespace beamline

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size == 0) return 0;
  const Bytes input(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      fuzz_message(input);
      break;
    case 1:
      fuzz_discv5(input);
      break;
    default:
      fuzz_discv4(input);
      break;
  }
  return 0;
}
