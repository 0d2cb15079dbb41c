#include "codec/rlp.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"

namespace beamline::rlp {
namespace {

constexpr uint8_t kString = 0x80;
constexpr uint8_t kList = 0xc0;
constexpr size_t kMaxShort = 55;      // bytes of payload that the first byte can tell
constexpr size_t kMaxLengthSize = 4;  // bytes of a length that we take

struct Header {
  bool is_list = false;
  uint8_t size = 0;
  Code error = Code::truncated;  // when size and payload are 0
  size_t payload = 0;
};

// Of a length that follows the first byte. `size`: its bytes.
Header read_long(Bytes input, size_t size, bool is_list) {
  Header header{.is_list = is_list};
  if (input.size() < 1 + size) return header;
  if (input[1] == 0) {
    header.error = Code::non_canonical;
    return header;
  }
  if (size > kMaxLengthSize) {
    header.error = Code::too_long;
    return header;
  }
  size_t payload = 0;
  for (size_t i = 1; i <= size; ++i) payload = payload << 8 | input[i];
  if (payload <= kMaxShort) {
    header.error = Code::non_canonical;
    return header;
  }
  if (payload > input.size() - 1 - size) return header;
  header.size = static_cast<uint8_t>(1 + size);
  header.payload = payload;
  return header;
}

// The header at the front of `input`, which is not empty; both sizes 0 when it is wrong.
inline Header read_header(Bytes input) {
  const uint8_t first = input[0];
  if (first < kString) return {.payload = 1};
  const bool is_list = first >= kList;
  const size_t rest = first - (is_list ? kList : kString);
  if (rest > kMaxShort) return read_long(input, rest - kMaxShort, is_list);
  if (rest > input.size() - 1) return {.is_list = is_list};
  if (!is_list && rest == 1 && input[1] < kString) return {.error = Code::non_canonical};
  return {.is_list = is_list, .size = 1, .payload = rest};
}

size_t length_size(size_t value) { return (static_cast<size_t>(std::bit_width(value)) + 7) / 8; }

}  // namespace

Result<Item> Reader::next(const char* field) {
  const Bytes left = items_.subspan(at_);
  if (left.empty()) return bad_input(Code::truncated, field, offset());
  const Header header = read_header(left);
  if (header.size == 0 && header.payload == 0) return bad_input(header.error, field, offset());
  const size_t size = header.size + header.payload;
  at_ += size;
  return Item{header.is_list, left.subspan(header.size, header.payload), left.first(size)};
}

// Takes a good string of at most 55 bytes, which nearly all are; leaves all else to next().
inline bool Reader::take_short(Bytes& payload) {
  const Bytes left = items_.subspan(at_);
  if (left.empty()) return false;
  const uint8_t first = left[0];
  if (first < kString) {
    payload = left.first(1);
    ++at_;
    return true;
  }
  const size_t size = first - size_t{kString};
  if (size > kMaxShort || size >= left.size()) return false;
  if (size == 1 && left[1] < kString) return false;
  payload = left.subspan(1, size);
  at_ += 1 + size;
  return true;
}

Result<Bytes> Reader::string(const char* field, size_t max_size) {
  const size_t at = offset();
  Bytes payload;
  if (!take_short(payload)) {
    const Result<Item> item = next(field);
    if (!item) return std::unexpected(item.error());
    if (item->is_list) return bad_input(Code::bad_encoding, field, at);
    payload = item->payload;
  }
  if (payload.size() > max_size) return bad_input(Code::too_long, field, at);
  return payload;
}

Result<Bytes> Reader::fixed(const char* field, size_t size) {
  const size_t at = offset();
  const Result<Bytes> bytes = string(field);
  if (bytes && bytes->size() != size) return bad_input(Code::mismatch, field, at);
  return bytes;
}

Result<Hash256> Reader::hash(const char* field) {
  const Result<Bytes> bytes = fixed(field, Hash256::kSize);
  if (!bytes) return std::unexpected(bytes.error());
  return Hash256::load(bytes->data());
}

Result<Bytes> Reader::big_uint(const char* field, size_t max_bytes) {
  const size_t at = offset();
  const Result<Bytes> bytes = string(field, max_bytes);
  if (bytes && !bytes->empty() && bytes->front() == 0) {
    return bad_input(Code::non_canonical, field, at);
  }
  return bytes;
}

Result<uint64_t> Reader::uint(const char* field, size_t max_bytes) {
  BL_CHECK(max_bytes >= 1 && max_bytes <= 8);
  const Result<Bytes> digits = big_uint(field, max_bytes);
  if (!digits) return std::unexpected(digits.error());
  if (digits->empty()) return 0;
  uint64_t value = 0;
  // The eight bytes that end with the last digit, where the input has so many: no loop over a size
  // that nobody can predict.
  const auto end = static_cast<size_t>(digits->data() - items_.data()) + digits->size();
  if (end >= sizeof(value)) {
    std::memcpy(&value, items_.data() + end - sizeof(value), sizeof(value));
    return std::byteswap(value) & (UINT64_MAX >> (64 - 8 * digits->size()));
  }
  for (const uint8_t digit : *digits) value = value << 8 | digit;
  return value;
}

Result<Reader> Reader::list(const char* field) {
  const size_t at = offset();
  const Result<Item> item = next(field);
  if (!item) return std::unexpected(item.error());
  if (!item->is_list) return bad_input(Code::bad_encoding, field, at);
  return Reader(item->payload, at + item->encoding.size() - item->payload.size());
}

Status Reader::finish(const char* field) const {
  if (!at_end()) return bad_input(Code::trailing, field, offset());
  return {};
}

Result<Item> parse(Bytes bytes, const char* field) {
  Reader reader(bytes);
  const Result<Item> item = reader.next(field);
  if (!item) return item;
  if (const Status status = reader.finish(field); !status) return std::unexpected(status.error());
  return item;
}

Result<Reader> parse_list(Bytes bytes, const char* field) {
  Reader reader(bytes);
  const Result<Reader> list = reader.list(field);
  if (!list) return list;
  if (const Status status = reader.finish(field); !status) return std::unexpected(status.error());
  return list;
}

Status verify(Bytes bytes, const char* field) {
  // Where each list that is open ends, outermost first; the bytes themselves are the outermost.
  std::array<size_t, kMaxDepth + 1> ends;
  size_t depth = 0;
  size_t at = 0;
  bool seen = false;  // the one item
  ends[0] = bytes.size();
  do {
    if (depth == 0 && seen) return bad_input(Code::trailing, field, at);
    seen = true;
    const Bytes left = bytes.subspan(at, ends[depth] - at);
    if (left.empty()) return bad_input(Code::truncated, field, at);
    const Header header = read_header(left);
    if (header.size == 0 && header.payload == 0) return bad_input(header.error, field, at);
    at += header.size;
    if (header.is_list) {
      if (depth == kMaxDepth) return bad_input(Code::too_long, field, at);
      ends[++depth] = at + header.payload;
    } else {
      at += header.payload;
    }
    while (depth != 0 && at == ends[depth]) --depth;
  } while (depth != 0 || at != bytes.size());
  return {};
}

void Writer::header(size_t payload, uint8_t short_base) {
  if (payload <= kMaxShort) {
    out_.push_back(static_cast<uint8_t>(short_base + payload));
    return;
  }
  const size_t size = length_size(payload);
  out_.push_back(static_cast<uint8_t>(short_base + kMaxShort + size));
  for (size_t i = size; i-- > 0;) out_.push_back(static_cast<uint8_t>(payload >> (8 * i)));
}

void Writer::string(Bytes bytes) {
  if (bytes.size() != 1 || bytes[0] >= kString) header(bytes.size(), kString);
  raw(bytes);
}

void Writer::uint(uint64_t value) {
  std::array<uint8_t, 8> digits;
  const size_t size = length_size(value);
  for (size_t i = 0; i < size; ++i) {
    digits[i] = static_cast<uint8_t>(value >> (8 * (size - 1 - i)));
  }
  string(Bytes(digits).first(size));
}

void Writer::big_uint(Bytes digits) {
  const auto first = std::ranges::find_if(digits, [](uint8_t digit) { return digit != 0; });
  string(digits.subspan(static_cast<size_t>(first - digits.begin())));
}

void Writer::list_header(size_t payload) { header(payload, kList); }

Writer::Mark Writer::begin_list() {
  out_.push_back(kList);
  return {out_.size()};
}

void Writer::end_list(Mark mark) {
  BL_CHECK(mark.payload >= 1 && mark.payload <= out_.size());
  const size_t payload = out_.size() - mark.payload;
  if (payload <= kMaxShort) {
    out_[mark.payload - 1] = static_cast<uint8_t>(kList + payload);
    return;
  }
  const size_t size = length_size(payload);
  out_.insert(out_.begin() + static_cast<ptrdiff_t>(mark.payload), size, 0);
  out_[mark.payload - 1] = static_cast<uint8_t>(kList + kMaxShort + size);
  for (size_t i = 0; i < size; ++i) {
    out_[mark.payload + i] = static_cast<uint8_t>(payload >> (8 * (size - 1 - i)));
  }
}

}  // namespace beamline::rlp
