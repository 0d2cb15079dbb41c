// What tests with threads share, so that they end in time on a slow machine of two cores: bounded
// counts, and waits that leave the processor to others.
#pragma once

#include <chrono>
#include <thread>

namespace beamline {

// Under ThreadSanitizer, where threads take turns ten times slower, a test does less of the same.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kTsan = true;
#elif defined(__has_feature)
inline constexpr bool kTsan = __has_feature(thread_sanitizer);
#else
inline constexpr bool kTsan = false;
#endif

// For a thread that looks again and again. (A yield, on a full machine, is a whole time slice of
// each of the others; who slept goes on soon after it is woken.)
inline void rest() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

}  // namespace beamline
