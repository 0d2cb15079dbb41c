// Marks memory that nobody may touch now, so that AddressSanitizer catches who does. Nothing in
// other builds.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define BL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BL_ASAN 1
#endif
#endif

#ifdef BL_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace beamline {

inline void poison(const volatile void* memory, size_t size) {
#ifdef BL_ASAN
  __asan_poison_memory_region(memory, size);
#else
  static_cast<void>(memory), static_cast<void>(size);
#endif
}

inline void unpoison(const volatile void* memory, size_t size) {
#ifdef BL_ASAN
  __asan_unpoison_memory_region(memory, size);
#else
  static_cast<void>(memory), static_cast<void>(size);
#endif
}

}  // namespace beamline
