#include "tests/loop/faulty_kernel.h"

#include <cerrno>
#include <csignal>
#include <cstddef>

#include <sys/syscall.h>
#include <unistd.h>

namespace beamline {
namespace {

thread_local FaultyKernel::Fault current = nullptr;
thread_local void* current_context = nullptr;

}  // namespace

FaultyKernel::FaultyKernel(Fault fault, void* context) {
  current = fault;
  current_context = context;
}

FaultyKernel::~FaultyKernel() { current = nullptr; }

}  // namespace beamline

// In place of liburing's, whose library is a shared one: the program's own comes first.
extern "C" [[gnu::visibility("default")]] int io_uring_enter2(unsigned fd, unsigned to_submit,
                                                              unsigned wait_for, unsigned flags,
                                                              sigset_t* argument, size_t size) {
  beamline::EnterCall call{to_submit, wait_for, flags};
  if (beamline::current != nullptr) {
    const int fault = beamline::current(beamline::current_context, call);
    if (fault < 0) return fault;
    // As the kernel does it: whoever had not all taken is told so at once.
    if (call.to_submit < to_submit) call.wait_for = 0;
  }
  const long rc =
      ::syscall(SYS_io_uring_enter, fd, call.to_submit, call.wait_for, call.flags, argument, size);
  return rc < 0 ? -errno : static_cast<int>(rc);
}
