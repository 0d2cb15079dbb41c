// The allocator of everything that lives on after a message (payloads, caches). The default is
// operator new; a program may put its own here once, before the first allocation.
#pragma once

#include <cstddef>

namespace beamline {

struct Allocator {
  void* (*allocate)(size_t size);  // aligned as malloc aligns; null when out of memory
  void (*release)(void* memory);
};

// REQUIRES: nothing was allocated yet, one thread.
void set_allocator(const Allocator& allocator);

// Aborts when memory is out: every caller is bounded, so that means a limit was set wrong.
void* allocate(size_t size);
void release(void* memory);

}  // namespace beamline
