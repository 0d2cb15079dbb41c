#include "base/error.h"

namespace beamline {

// lint: allow(function-size): one line per code, and the compiler sees that none is missing
const char* name(Code code) {
  switch (code) {
    case Code::truncated:
      return "truncated";
    case Code::trailing:
      return "trailing";
    case Code::too_long:
      return "too_long";
    case Code::non_canonical:
      return "non_canonical";
    case Code::out_of_range:
      return "out_of_range";
    case Code::bad_offset:
      return "bad_offset";
    case Code::bad_checksum:
      return "bad_checksum";
    case Code::bad_encoding:
      return "bad_encoding";
    case Code::duplicate:
      return "duplicate";
    case Code::missing:
      return "missing";
    case Code::unsorted:
      return "unsorted";
    case Code::bad_version:
      return "bad_version";
    case Code::mismatch:
      return "mismatch";
    case Code::bad_key:
      return "bad_key";
    case Code::bad_signature:
      return "bad_signature";
    case Code::decrypt_failed:
      return "decrypt_failed";
    case Code::unexpected:
      return "unexpected";
    case Code::unsupported:
      return "unsupported";
    case Code::refused:
      return "refused";
    case Code::remote_error:
      return "remote_error";
    case Code::reset:
      return "reset";
    case Code::closed:
      return "closed";
    case Code::flow_control:
      return "flow_control";
    case Code::rate_limited:
      return "rate_limited";
    case Code::timed_out:
      return "timed_out";
    case Code::unreachable:
      return "unreachable";
    case Code::address_in_use:
      return "address_in_use";
    case Code::connection_lost:
      return "connection_lost";
    case Code::full:
      return "full";
    case Code::cancelled:
      return "cancelled";
    case Code::not_found:
      return "not_found";
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::io_error:
      return "io_error";
    case Code::not_supported:
      return "not_supported";
  }
  return "unknown";
}

const char* name(Fault fault) {
  switch (fault) {
    case Fault::peer:
      return "peer";
    case Fault::network:
      return "network";
    case Fault::local:
      return "local";
  }
  return "unknown";
}

std::string to_string(const Error& error) {
  std::string text = name(error.code);
  if (error.field[0] != '\0') text.append(" at ").append(error.field);
  if (error.offset != 0) text.append("+").append(std::to_string(error.offset));
  return text.append(" (").append(name(error.fault)).append(")");
}

}  // namespace beamline
