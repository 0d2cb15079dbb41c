#pragma once

namespace beamline {

// Wakes a reactor that sleeps. Thread safe. It outlives its backend: waking a backend that is gone
// does nothing, so a producer may still hold it after a shutdown.
class Waker {
 public:
  virtual ~Waker() = default;
  virtual void wake() = 0;
};

}  // namespace beamline
