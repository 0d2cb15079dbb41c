// Model checking of what leaves the core for other threads without a lock: the published snapshot
// (loop/published.h) and the jobs of the worker pool (loop/work_queue.h), as they ship. See
// tests/loop/inbox_model_test.cc. Mutated versions show that the checker would notice.
#include <cstdlib>
#include <optional>

#include <gtest/gtest.h>

#include "loop/published.h"
#include "loop/work_queue.h"
#include "tests/loop/inbox_model.h"

// Forms of delete that are younger than Relacy, which replaces the others.
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete[](memory); }

namespace beamline {
namespace {

using namespace inbox_model;

// ---- Snapshots

// The owner publishes kValues values; each reader acquires kReads times. One reader is slow: it
// holds its first value to the end.
template <Mutation kMutation, uint32_t kSlots, unsigned kReaders, int kValues, int kReads>
struct Snapshots
    : rl::test_suite<Snapshots<kMutation, kSlots, kReaders, kValues, kReads>, kReaders + 1> {
  using Core = PublishedCore<kSlots, ModelPolicy<kMutation>>;
  struct Value {
    ModelPlain<int> first{0};
    ModelPlain<int> second{0};
  };

  void before() {
    core.emplace();
    values.emplace();
    published = skipped = 0;
  }
  void after() {
    require(published + skipped == kValues, "each value is published or skipped");
    core.reset();
    values.reset();
  }
  void thread(unsigned id) { id == kReaders ? own() : read(id == 0); }

  void own() {
    for (int number = 1; number <= kValues; ++number) {
      require(core->held() < kSlots, "at most all but the published one");
      const uint32_t slot = core->free_slot();
      if (slot == Core::kNone) {
        ++skipped;
        continue;
      }
      (*values)[slot].first = number;
      (*values)[slot].second = number;
      core->publish(slot);
      ++published;
    }
  }
  void read(bool slow) {
    int last = 0;
    uint32_t kept = Core::kNone;
    int kept_number = 0;
    for (int i = 0; i < kReads; ++i) {
      const uint32_t slot = core->acquire();
      if (slot == Core::kNone) continue;
      const int number = (*values)[slot].first;
      require((*values)[slot].second == number, "never torn");
      require(number >= last, "never an older one");
      last = number;
      if (slow && kept == Core::kNone) {
        kept = slot;
        kept_number = number;
      } else {
        core->release(slot);
      }
    }
    if (kept == Core::kNone) return;
    require((*values)[kept].first == kept_number, "it does not change while it is held");
    core->release(kept);
  }

  std::optional<Core> core;
  std::optional<std::array<Value, kSlots>> values;
  int published = 0, skipped = 0;
};

// ---- Jobs

template <Mutation kMutation>
struct Number {
  ModelPlain<int> value{0};
};

// A producer with kJobs jobs for a queue of kCapacity, and consumers that sleep when there is none.
template <Mutation kMutation, unsigned kConsumers, int kJobs, uint32_t kCapacity>
struct Jobs : rl::test_suite<Jobs<kMutation, kConsumers, kJobs, kCapacity>, kConsumers + 1> {
  using Queue = WorkQueue<Number<kMutation>, ModelPolicy<kMutation>>;

  void before() {
    queue.emplace(kCapacity);
    waker.emplace();
    done = 0;
    for (int& times : ran) times = 0;
  }
  void after() {
    for (const int times : ran) require(times == 1, "each job runs once");
    queue.reset();
    waker.reset();
  }
  void thread(unsigned id) { id == kConsumers ? produce() : consume(); }

  void produce() {
    for (int number = 0; number < kJobs; ++number) {
      Number<kMutation> job;
      job.value = number;
      for (;;) {
        const auto pushed = queue->push(std::move(job));
        if (pushed == Queue::Pushed::ok_wake) waker->wake();
        if (pushed != Queue::Pushed::full) break;
        pause();
      }
    }
    while (done < kJobs) pause();
    const uint32_t sleeping = queue->close(kConsumers);
    for (uint32_t i = 0; i < sleeping; ++i) waker->wake();
  }
  void consume() {
    for (;;) {
      auto job = queue->try_take();
      if (!job) {
        if (queue->begin_take()) waker->sleep();
        job = queue->end_take();
      }
      if (!job) return;
      ++ran[job->value];
      ++done;
    }
  }

  std::optional<Queue> queue;
  std::optional<ModelWaker> waker;
  int done = 0;  // no part of the model: nothing preempts between two of its operations
  int ran[kJobs] = {};
};

template <class Scenario>
void expect_passes(uint64_t iterations, unsigned bound = 0) {
  const Outcome outcome = explore<Scenario>(iterations, bound);
  EXPECT_TRUE(outcome.passed) << outcome.report;
  std::printf("%llu schedules\n", static_cast<unsigned long long>(outcome.schedules));
}

template <class Scenario>
void expect_caught(const char* how) {
  const Outcome outcome = explore<Scenario>(200'000);
  EXPECT_FALSE(outcome.passed) << "the checker saw nothing in " << outcome.schedules;
  EXPECT_NE(outcome.report.find(how), std::string::npos) << outcome.report;
}

constexpr Mutation kNone = Mutation::none;

TEST(SnapshotModel, OneReaderOfTwoSlots) { expect_passes<Snapshots<kNone, 2, 1, 4, 3>>(150'000); }
TEST(SnapshotModel, TwoReadersOneSlowOfTwoSlots) {
  expect_passes<Snapshots<kNone, 2, 2, 4, 3>>(150'000);
}
TEST(SnapshotModel, FourReadersOneSlowOfThreeSlots) {
  expect_passes<Snapshots<kNone, 3, 4, 4, 2>>(100'000);
}
TEST(SnapshotModel, ExhaustiveWithinTwoPreemptions) {
  expect_passes<Snapshots<kNone, 2, 2, 3, 2>>(UINT64_MAX, 2);
}

TEST(SnapshotModelMutated, APublishWithoutReleaseIsCaught) {
  expect_caught<Snapshots<Mutation::relaxed_take, 2, 1, 3, 2>>("RACE");
}
TEST(SnapshotModelMutated, AnAcquireThatOrdersNothingIsCaught) {
  expect_caught<Snapshots<Mutation::relaxed_add, 2, 1, 3, 2>>("RACE");
}
TEST(SnapshotModelMutated, AReuseThatDoesNotSeeTheReleaseIsCaught) {
  expect_caught<Snapshots<Mutation::relaxed_return, 2, 1, 4, 2>>("RACE");
}
TEST(SnapshotModelMutated, AnAcquireThatLooksAndCountsAfterIsCaught) {
  expect_caught<Snapshots<Mutation::plain_add, 2, 1, 3, 2>>("");  // in several ways
}

TEST(WorkerQueueModel, TwoConsumers) { expect_passes<Jobs<kNone, 2, 4, 2>>(100'000); }
TEST(WorkerQueueModel, ThreeConsumersOfAFullQueue) { expect_passes<Jobs<kNone, 3, 4, 1>>(60'000); }
TEST(WorkerQueueModel, ExhaustiveWithinOnePreemption) {
  expect_passes<Jobs<kNone, 2, 2, 2>>(UINT64_MAX, 1);
}
TEST(WorkerQueueModelMutated, ATokenThatIsLookedAtAndStoredIsCaught) {
  expect_caught<Jobs<Mutation::plain_add, 2, 3, 2>>("");  // in several ways
}
TEST(WorkerQueueModelMutated, ACellThatIsReusedUnseenIsCaught) {
  expect_caught<Jobs<Mutation::relaxed_return, 2, 4, 2>>("RACE");
}

}  // namespace
}  // namespace beamline
