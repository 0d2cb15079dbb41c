// Errors on the wire are values: 16 bytes that say what was wrong, whose fault it is, and where.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

namespace beamline {

// What went wrong. One list for all folders, so that a counter, a log line and a test name the
// same thing the same way. Append; the numbers are not stable across versions.
enum class Code : uint16_t {
  // Formats.
  truncated,      // fewer bytes than the format says
  trailing,       // bytes left over after a complete value
  too_long,       // more than the bound of the type or the limit of the protocol
  non_canonical,  // a second way to write the same value
  out_of_range,   // a number outside its domain
  bad_offset,     // an SSZ offset that overlaps, goes back or leaves the container
  bad_checksum,   // CRC32C, MAC or hash does not match
  bad_encoding,   // a character, tag, wire type or marker that the format does not have
  duplicate,      // a key or item that may stand once stands twice
  missing,        // a required field or key is not there
  unsorted,       // keys or items not in their order
  bad_version,    // a version or scheme that we do not speak
  mismatch,       // a value that differs from what the context requires
  // Cryptography.
  bad_key,  // not a point of the curve, zero, or over the order
  bad_signature,
  decrypt_failed,  // authentication tag does not match
  // Protocols.
  unexpected,    // a message that the state of the protocol does not allow
  unsupported,   // a protocol or feature that the other side does not have
  refused,       // the other side said no
  remote_error,  // the other side answered with an error code
  reset,         // stream or connection ended abruptly
  closed,        // ended in order, but while something was still owed
  flow_control,  // more than the window allows
  rate_limited,
  // Network.
  timed_out,
  unreachable,
  address_in_use,
  connection_lost,
  // Local.
  full,  // a bounded queue, slab or table has no room; nothing was taken
  cancelled,
  not_found,
  invalid_argument,
  io_error,
  not_supported,  // the kernel or the machine lacks it
};

// Who is to blame: a bad peer is charged, a bad network is retried, a local fault is ours.
enum class Fault : uint8_t { peer, network, local };

struct Error {
  const char* field = "";  // static string: the field, layer or operation, in the spec's words
  uint32_t offset = 0;     // byte offset in the input where it was seen; or errno for io_error
  Code code = Code::io_error;
  Fault fault = Fault::local;

  friend bool operator==(const Error& a, const Error& b) {
    return a.code == b.code && a.fault == b.fault && a.offset == b.offset;
  }
};
static_assert(sizeof(Error) == 16);

template <class T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

// The usual one: bytes that a peer sent are wrong.
inline std::unexpected<Error> bad_input(Code code, const char* field, size_t offset = 0) {
  return std::unexpected(Error{
      field, static_cast<uint32_t>(offset > UINT32_MAX ? UINT32_MAX : offset), code, Fault::peer});
}
inline std::unexpected<Error> network_error(Code code, const char* field, int err = 0) {
  return std::unexpected(Error{field, static_cast<uint32_t>(err), code, Fault::network});
}
inline std::unexpected<Error> local_error(Code code, const char* field, int err = 0) {
  return std::unexpected(Error{field, static_cast<uint32_t>(err), code, Fault::local});
}

const char* name(Code code);
const char* name(Fault fault);
// "truncated at signature+12 (peer)". Allocates: for logs and tests.
std::string to_string(const Error& error);

}  // namespace beamline
