// The traces of the simulation's event injection once more, on two real rings over loopback: the
// same steps of the users, and a tape that says when the kernel refuses, takes less than was
// submitted, or returns early. Queues are tiny, so both overflow.
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "loop/ring.h"
#include "tests/loop/faulty_kernel.h"
#include "tests/sim/injection.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

class RingStage final : public Stage {
 public:
  RingStage(uint64_t seed, Bytes tape) : tape_(tape), a_(make(seed)), b_(make(seed)) {}
  Reactor& a() override { return *a_; }
  Reactor& b() override { return *b_; }
  Endpoint a_local() override { return Endpoint::loopback(0); }
  Endpoint b_local() override { return Endpoint::loopback(0); }
  // A turn of each, which a wake keeps from waiting.
  void step() override {
    wake();
    a_->turn();
    b_->turn();
  }
  // Real time is dear: turns stand for it.
  void run_for(Duration duration) override {
    for (int64_t i = std::clamp<int64_t>(duration.ns / 1'000'000, 1, 4); i > 0; --i) step();
  }
  void step_wall(bool, Duration) override {}
  void calm() override { calm_ = true; }
  bool run_until(const std::function<bool()>& done, Duration limit) override {
    const MonoTime end = a_->backend().now().mono + 10 * limit;
    while (!done()) {
      if (a_->backend().now().mono > end) return false;
      step();
    }
    return true;
  }
  bool clean() override { return true; }
  uint64_t faults() const { return faults_; }

 private:
  static std::unique_ptr<Reactor> make(uint64_t seed) {
    Rng rng(seed ^ 3);
    RingOptions options;
    options.sq_entries = 1u << rng.between(0, 4);
    options.cq_entries = std::max(options.sq_entries, 1u << rng.between(1, 6));
    options.max_ops = kInjectionOps;
    options.only_linux_6_1 = rng.chance(1, 2);
    return std::move(
        *Reactor::create(std::move(*make_ring(options)), injection_reactor_options(seed)));
  }
  // A byte of the tape for each call.
  int fault(EnterCall& call) {
    if (calm_ || next_ == tape_.size()) return 0;
    const uint8_t byte = tape_[next_++];
    if (byte >= 96) return 0;
    ++faults_;
    // What a call may answer that submits nothing, or less, or comes back before it has to.
    switch (byte % 6) {
      case 0:
        return -EAGAIN;
      case 1:
        return -EBUSY;
      case 2:
        return -EINTR;
      case 3:
        call.to_submit = std::min(call.to_submit, 1u);
        return 0;
      case 4:
        call.to_submit /= 2;
        return 0;
      default:
        call.wait_for = 0;
        return 0;
    }
  }

  Bytes tape_;
  size_t next_ = 0;
  uint64_t faults_ = 0;
  bool calm_ = false;
  FaultyKernel kernel_{
      [](void* self, EnterCall& call) { return static_cast<RingStage*>(self)->fault(call); }, this};
  std::unique_ptr<Reactor> a_, b_;
};

TEST(RingInjection, TheSameTracesReplayOnARealRing) {
  Injection::Traffic all;
  uint64_t faults = 0;
  for_each_seed(60, [&](uint64_t seed) {
    const Replay replay(seed, Options::swarm(seed));
    // As tests/sim/injection_test.cc draws them.
    Rng rng(seed);
    std::vector<uint8_t> steps(600), tape(seed % 2 == 0 ? 0 : 4000);
    rng.fill(steps);
    rng.fill(tape);
    RingStage stage(seed, tape);
    Injection injection(stage, seed, steps);
    injection.run();
    all += injection.traffic();
    faults += stage.faults();
  });
  if (std::getenv("BEAMLINE_SEED") != nullptr || std::getenv("BEAMLINE_SEEDS") != nullptr) return;
  EXPECT_GT(all.bytes, 2'000u);
  EXPECT_GT(all.messages, 1'000u);
  EXPECT_GT(all.datagrams, 100u);
  EXPECT_GT(all.streams, 500u);
  EXPECT_GT(faults, 1'000u);
}

// What the fuzzer is given to begin with, and what it found.
TEST(RingInjection, TheKeptCorpusReplaysInTheSimulationAndOnARealRing) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(BEAMLINE_LOOP_CORPUS)) {
    SCOPED_TRACE(entry.path().filename().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<uint8_t> data{std::istreambuf_iterator<char>(file), {}};
    ASSERT_GE(data.size(), 2u);
    const Trace trace = Trace::read(data);
    SimStage sim(trace.seed, Options::swarm(trace.seed), trace.tape);
    Injection(sim, trace.seed, trace.steps).run();
    RingStage ring(trace.seed, trace.tape);
    Injection(ring, trace.seed, trace.steps).run();
    ++count;
  }
  EXPECT_GE(count, 4u);
}

}  // namespace
}  // namespace beamline::sim
