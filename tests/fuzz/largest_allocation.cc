#include "tests/fuzz/largest_allocation.h"

#include <algorithm>

#include <sanitizer/allocator_interface.h>

namespace beamline {
namespace {

bool watching = false;
size_t largest = 0;

void on_malloc(const volatile void*, size_t size) {
  if (watching) largest = std::max(largest, size);
}
void on_free(const volatile void*) {}

}  // namespace

LargestAllocation::LargestAllocation() {
  [[maybe_unused]] static const int kInstalled =
      __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
  largest = 0;
  watching = true;
}

LargestAllocation::~LargestAllocation() { watching = false; }

size_t LargestAllocation::bytes() const { return largest; }

}  // namespace beamline
