// Node records, enode URLs, peer ids, topics and the bases: what is read is written back as the
// same bytes or the same text.
#include <algorithm>
#include <string>

#include "base/check.h"
#include "codec/base32.h"
#include "codec/base58.h"
#include "codec/base64url.h"
#include "codec/enode.h"
#include "codec/enr.h"
#include "codec/hex.h"
#include "codec/lean_topic.h"
#include "codec/peer_id.h"
#include "codec/topic.h"
#include "tests/fuzz/largest_allocation.h"

namespace beamline {
namespace {

void check_record(Bytes input) {
  const Result<Enr> enr = [&] {
    const LargestAllocation largest;
    Result<Enr> decoded = Enr::decode(input);
    BL_CHECK(largest.bytes() <= 2 * input.size() + Enr::kMaxSize);
    return decoded;
  }();
  if (!enr) {
    BL_CHECK(enr.error().offset <= input.size());
    return;
  }
  BL_CHECK(equal(enr->bytes(), input) && input.size() <= Enr::kMaxSize);
  const std::string text = enr->to_text();
  BL_CHECK(text.size() <= Enr::kMaxText && *Enr::decode_text(text) == *enr);
  for (const auto transport : {Enr::Transport::tcp, Enr::Transport::udp, Enr::Transport::quic}) {
    for (const auto family : {Enr::Family::ip4, Enr::Family::ip6}) {
      const auto endpoint = enr->endpoint(transport, family);
      if (endpoint) BL_CHECK(!endpoint->empty() && endpoint->port() != 0);
    }
  }
  static const secp256k1::SecretKey key = [] {
    Rng rng(uint64_t{1});
    return secp256k1::SecretKey::generate(rng);
  }();
  // All of its keys, signed anew: valid unless it grew over the limit.
  const Result<Enr> next = EnrBuilder(*enr).sign(key);
  if (next) BL_CHECK(next->verify().has_value() && next->seq() == enr->seq() + 1);
}

template <class T>
void check_text(std::string_view text, bool same_text) {
  if (const Result<T> value = T::parse(text)) {
    const std::string again = value->to_text();
    BL_CHECK(!same_text || again == text);
    BL_CHECK(*T::parse(again) == *value);
  } else {
    BL_CHECK(value.error().offset <= text.size() + 1);
  }
}

void check_bases(std::string_view text) {
  const LargestAllocation largest;
  if (const auto bytes = parse_base64url(text)) BL_CHECK(to_base64url(*bytes) == text);
  if (const auto bytes = parse_base58(text)) BL_CHECK(to_base58(*bytes) == text);
  if (const auto bytes = parse_base32(text)) {
    BL_CHECK(*parse_base32(to_base32(*bytes)) == *bytes);
    BL_CHECK(to_base32(*bytes).size() == text.size());
  }
  if (const auto bytes = parse_hex(text)) BL_CHECK(*parse_hex(to_hex(*bytes)) == *bytes);
  BL_CHECK(largest.bytes() <= 2 * text.size() + 256);
}

void check_peer_id(Bytes input, std::string_view text) {
  if (const Result<PeerId> id = PeerId::parse(input)) {
    BL_CHECK(equal(id->bytes(), input) && *PeerId::parse_text(id->to_text()) == *id);
    if (const auto key = id->public_key()) BL_CHECK(PeerId::from_public_key(*key) == *id);
  }
  if (const Result<PeerId> id = PeerId::parse_text(text)) BL_CHECK(id->to_text() == text);
}

}  // namespace
}  // namespace beamline

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size == 0) return 0;
  const Bytes input(data + 1, size - 1);
  const std::string_view text = as_text(input);
  switch (data[0] % 6) {
    case 0:
      check_record(input);
      break;
    case 1:
      if (const Result<Enr> enr = Enr::decode_text(text)) BL_CHECK(enr->to_text() == text);
      break;
    case 2:
      check_text<Enode>(text, false);  // an address has more than one text
      break;
    case 3:
      check_text<Topic>(text, true);
      check_text<LeanTopic>(text, true);
      break;
    case 4:
      check_bases(text);
      break;
    default:
      check_peer_id(input, text);
      break;
  }
  return 0;
}
