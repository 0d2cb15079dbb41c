#include "loop/op.h"

namespace beamline {

const char* name(OpKind kind) {
  switch (kind) {
    case OpKind::none:
      return "none";
    case OpKind::accept:
      return "accept";
    case OpKind::connect:
      return "connect";
    case OpKind::recv:
      return "recv";
    case OpKind::send:
      return "send";
    case OpKind::send_msg:
      return "send_msg";
    case OpKind::recv_msg:
      return "recv_msg";
    case OpKind::shutdown:
      return "shutdown";
  }
  return "unknown";
}

}  // namespace beamline
