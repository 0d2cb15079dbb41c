#include "codec/snappy.h"

#include <cstring>

#include <snappy.h>

#include "base/check.h"
#include "codec/uvarint.h"

namespace beamline {
namespace {

constexpr size_t kMaxLengthSize = 5;  // a 32-bit number

const char* chars(Bytes bytes) { return reinterpret_cast<const char*>(bytes.data()); }
char* chars(MutableBytes bytes) { return reinterpret_cast<char*>(bytes.data()); }

}  // namespace

Result<size_t> snappy_declared_size(Bytes compressed, size_t limit) {
  // Lenient: other clients take a length with zero bytes at its end, and a message that they
  // forward must not be held against them.
  const Uvarint length = read_uvarint_lenient(compressed, kMaxLengthSize);
  if (length.state != UvarintState::done) return bad_input(length.error, "snappy.length");
  if (length.value > UINT32_MAX) return bad_input(Code::out_of_range, "snappy.length");
  if (length.value > limit) return bad_input(Code::too_long, "snappy.length");
  const uint64_t block = compressed.size() - length.size;
  if (length.value * 3 > block * 64) return bad_input(Code::out_of_range, "snappy.length");
  return static_cast<size_t>(length.value);
}

Status snappy_uncompress_into(Bytes compressed, MutableBytes out) {
  size_t declared = 0;
  BL_CHECK(::snappy::GetUncompressedLength(chars(compressed), compressed.size(), &declared));
  BL_CHECK(declared == out.size());
  uint8_t none = 0;
  char* to = out.empty() ? reinterpret_cast<char*>(&none) : chars(out);
  if (!::snappy::RawUncompress(chars(compressed), compressed.size(), to)) {
    return bad_input(Code::bad_encoding, "snappy.block");
  }
  return {};
}

Result<SharedBytes> snappy_uncompress(Bytes compressed, size_t limit) {
  const Result<size_t> size = snappy_declared_size(compressed, limit);
  if (!size) return std::unexpected(size.error());
  Status status;
  SharedBytes out = SharedBytes::build(
      *size, [&](MutableBytes to) { status = snappy_uncompress_into(compressed, to); });
  if (!status) return std::unexpected(status.error());
  return out;
}

size_t snappy_max_compressed(size_t size) { return ::snappy::MaxCompressedLength(size); }

size_t snappy_compress_into(Bytes data, MutableBytes out) {
  BL_CHECK(out.size() >= snappy_max_compressed(data.size()));
  size_t size = 0;
  ::snappy::RawCompress(chars(data), data.size(), chars(out), &size);
  return size;
}

void snappy_append_length(size_t size, std::vector<uint8_t>& out) { append_uvarint(size, out); }

// The elements alone: a copy reaches back within its own part.
size_t snappy_compress_part(Bytes part, MutableBytes out) {
  const size_t size = snappy_compress_into(part, out);
  const size_t length = uvarint_size(part.size());
  std::memmove(out.data(), out.data() + length, size - length);
  return size - length;
}

SharedBytes snappy_compress(Bytes data) {
  size_t size = 0;
  const SharedBytes whole =
      SharedBytes::build(snappy_max_compressed(data.size()),
                         [&](MutableBytes to) { size = snappy_compress_into(data, to); });
  // What lives on must not carry the bound's slack (a sixth) with it.
  return SharedBytes::copy(whole.bytes().first(size));
}

}  // namespace beamline
