// A kernel that refuses: a program that links faulty_kernel.cc has every io_uring_enter of
// loop/ring.cc pass through a function of the test.
#pragma once

namespace beamline {

struct EnterCall {
  unsigned to_submit = 0;  // may be made less: the kernel takes no more than that
  unsigned wait_for = 0;
  unsigned flags = 0;
};

// While it lives. `fault` returns -errno for a call that fails, or 0 for one that goes to the
// kernel. One thread, one at a time.
class FaultyKernel {
 public:
  using Fault = int (*)(void* context, EnterCall& call);
  FaultyKernel(Fault fault, void* context);
  FaultyKernel(const FaultyKernel&) = delete;
  FaultyKernel& operator=(const FaultyKernel&) = delete;
  ~FaultyKernel();
};

}  // namespace beamline
