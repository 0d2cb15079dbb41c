#include "node/backend_option.h"

#include <cstdio>

namespace beamline {

std::optional<int> BackendOption::resolve(const char* command) {
  const auto wanted = parse_backend(text_);
  if (!wanted) {
    std::fprintf(stderr, "beamline %s: --backend is '%s'; valid: auto, io_uring, epoll\n", command,
                 text_.c_str());
    return kExitUsage;
  }
  const auto choice = choose_backend(*wanted);
  if (!choice) {
    std::fprintf(stderr, "beamline %s: %s, or --backend epoll\n", command,
                 explain_ring(choice.error()).c_str());
    return kExitFailure;
  }
  if (!choice->warning.empty()) {
    std::fprintf(stderr, "beamline %s: warning: %s\n", command, choice->warning.c_str());
  }
  kind_ = choice->kind;
  return std::nullopt;
}

}  // namespace beamline
