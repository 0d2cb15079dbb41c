// The backends that are real: each test of drivers runs on all of them.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "loop/reactor.h"
#include "loop/ring.h"

namespace beamline {

struct RealBackend {
  const char* name;
  Result<std::unique_ptr<Backend>> (*make)();
};

inline const RealBackend kRealBackends[] = {
    {"io_uring", [] { return make_ring(); }},
};

// A reactor on the backend of the test's parameter.
class OnEachBackend : public testing::TestWithParam<RealBackend> {
 protected:
  OnEachBackend() { renew(); }
  // REQUIRES: nothing uses the reactor there is.
  void renew() {
    reactor_.reset();
    auto backend = GetParam().make();
    BL_CHECK(backend.has_value());
    reactor_ = std::move(*Reactor::create(std::move(*backend)));
  }
  template <class Predicate>
  void turn_until(Predicate done) {
    // A turn waits when there is nothing to do; the tick looks at the condition again.
    Timer tick([](Timer&) {}, nullptr);
    for (int i = 0; i < 100'000 && !done(); ++i) {
      reactor_->arm_in(tick, milliseconds(1));
      reactor_->turn();
    }
    reactor_->disarm(tick);
    ASSERT_TRUE(done());
  }
  std::unique_ptr<Reactor> reactor_;
};

inline std::string backend_of(const testing::TestParamInfo<RealBackend>& info) {
  return info.param.name;
}

}  // namespace beamline
