#include "base/alloc.h"

#include <new>

#include "base/check.h"

namespace beamline {
namespace {
Allocator g_allocator = {
    [](size_t size) -> void* { return ::operator new(size, std::nothrow); },
    [](void* memory) { ::operator delete(memory); },
};
}  // namespace

void set_allocator(const Allocator& allocator) { g_allocator = allocator; }

void* allocate(size_t size) {
  void* memory = g_allocator.allocate(size);
  BL_CHECK(memory != nullptr);
  return memory;
}

void release(void* memory) { g_allocator.release(memory); }

}  // namespace beamline
