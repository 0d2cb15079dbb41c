#include "base/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace beamline {
namespace {
std::atomic<CheckHook> g_hook{nullptr};
}  // namespace

CheckHook set_check_hook(CheckHook hook) { return g_hook.exchange(hook); }

void check_failed(const char* expression, const char* file, int line) {
  char message[512];
  std::snprintf(message, sizeof message, "%s:%d: check failed: %s", file, line, expression);
  std::fprintf(stderr, "%s\n", message);
  if (CheckHook hook = g_hook.exchange(nullptr)) hook(message);
  std::abort();
}

}  // namespace beamline
