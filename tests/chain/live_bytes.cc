#include "tests/chain/live_bytes.h"

#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {

size_t live = 0;

void release(void* memory) {
  if (memory == nullptr) return;
  live -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

// The other forms of both, but for alignments, call these.
void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  live += malloc_usable_size(memory);
  return memory;
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }

namespace beamline::chain::testing {
size_t live_bytes() { return live; }
}  // namespace beamline::chain::testing
