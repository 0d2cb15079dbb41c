// Assertions for our own mistakes. They stay on in release builds; input from a peer, a user or a
// client never reaches one: that is an Error (base/error.h).
#pragma once

namespace beamline {

// Called once, with the message, before a failed check aborts (a reactor dumps its flight
// recorder here). The hook must not allocate or throw. Any thread may call it.
using CheckHook = void (*)(const char* message);

// Replaces the hook of the process and returns the one before. Thread safe.
CheckHook set_check_hook(CheckHook hook);

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace beamline

#define BL_CHECK(expression)                          \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::beamline::check_failed(#expression, __FILE__, __LINE__))
