// Model checking: Relacy runs the source of loop/inbox_core.h and loop/inbox.h as it ships, under
// many schedules and under every value that a relaxed memory model lets a load see. It reports data
// races, lost wake-ups (as deadlocks), use after free and our own assertions. Mutated versions show
// that it would notice.
#include "tests/loop/inbox_model.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

// Relacy replaces operator new and delete, to find leaks and double frees, but it is older than
// these forms. Blocks of the inbox are aligned: we count them.
namespace {
int g_live_blocks = 0;
}  // namespace
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete[](memory); }
void* operator new(size_t size, std::align_val_t alignment) {
  ++g_live_blocks;
  const size_t align = static_cast<size_t>(alignment);
  return std::aligned_alloc(align, (size + align - 1) / align * align);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  --g_live_blocks;
  std::free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t alignment) noexcept {
  operator delete(memory, alignment);
}

namespace beamline {
namespace {

using namespace inbox_model;

// A timer or a completion ended the sleep, not a push: at most twice, so that a search ends.
class OtherCauses {
 public:
  bool wake() { return left_ > 0 && rl::rand(2) == 0 && left_-- > 0; }

 private:
  int left_ = 2;
};

// ---- The word alone

// kProducers push kEach nodes each, some as chains; the owner drains and sleeps until it has all.
template <Mutation kMutation, unsigned kProducers, int kEach, bool kChain>
struct CoreScenario
    : rl::test_suite<CoreScenario<kMutation, kProducers, kEach, kChain>, kProducers + 1> {
  using Core = InboxCore<ModelPolicy<kMutation>>;
  struct Node : InboxLink<ModelPolicy<kMutation>> {
    ModelPlain<int> value{0};
  };

  void before() {
    core.emplace();
    waker.emplace();
    for (auto& nodes : all) nodes = std::make_unique<std::array<Node, kEach>>();
  }
  void after() {
    core.reset();
    waker.reset();
    for (auto& nodes : all) nodes.reset();
  }
  void push(Node* newest, Node* oldest) {
    if (core->push_chain(newest, oldest) == Core::Pushed::ok_wake) waker->wake();
  }
  void thread(unsigned id) {
    if (id == kProducers) return own();
    auto& nodes = *all[id];
    for (int i = 0; i < kEach; ++i) {
      nodes[static_cast<size_t>(i)].value = static_cast<int>(id) * 10 + i;
      if (kChain) {
        if (i > 0) nodes[static_cast<size_t>(i)].next = &nodes[static_cast<size_t>(i - 1)];
      } else {
        push(&nodes[static_cast<size_t>(i)], &nodes[static_cast<size_t>(i)]);
      }
    }
    if (kChain) push(&nodes.back(), &nodes.front());
  }
  static typename Core::Link* reverse(typename Core::Link* newest) {
    typename Core::Link* oldest = nullptr;
    while (newest != nullptr) {
      typename Core::Link* older = newest->next;
      newest->next = oldest;
      oldest = std::exchange(newest, older);
    }
    return oldest;
  }
  void own() {
    int next[kProducers] = {};
    int sleeps = 0;
    OtherCauses causes;
    for (int left = kEach * static_cast<int>(kProducers); left > 0;) {
      auto* node = reverse(core->take_all());
      for (; node != nullptr; --left) {
        const int value = static_cast<Node*>(node)->value;
        require(value % 10 == next[value / 10]++, "order within a producer");
        node = node->next;
      }
      if (left == 0) break;
      if (!core->prepare_sleep()) continue;
      ++sleeps;
      if (!causes.wake()) waker->sleep();
      core->awake();
    }
    require(waker->wakes() <= sleeps, "at most one wake per sleep");
  }

  std::optional<Core> core;
  std::optional<ModelWaker> waker;
  std::unique_ptr<std::array<Node, kEach>> all[kProducers];
};

// ---- The whole inbox

template <Mutation kMutation>
struct Message {
  Message(int from, int number_) : producer(from), number(number_) {}
  ModelPlain<int> producer;
  ModelPlain<int> number;
};

// What the scenarios of the whole inbox share: the owner's loop and its accounts.
template <class Derived, Mutation kMutation, unsigned kProducers>
struct InboxScenario : rl::test_suite<Derived, kProducers + 1> {
  using Msg = Message<kMutation>;
  using Box = Inbox<Msg, ModelPolicy<kMutation>>;
  using Producer = typename Box::Producer;

  void before() {
    g_live_blocks = 0;
    waker = std::make_shared<ModelWaker>();
    inbox = std::make_unique<Box>(waker);
    accepted = ran = 0;
    for (int& number : next) number = 0;
    for (unsigned id = 0; id < kProducers; ++id) {
      const InboxClass classes[] = {{.nodes = Derived::kNodes}};
      if (Derived::kBornBefore) producers[id] = inbox->gate().make_producer(classes);
    }
  }
  void after() {
    require(ran == accepted, "what was accepted ran, once");
    for (auto& producer : producers) producer.reset();
    inbox.reset();
    waker.reset();
    require(g_live_blocks == 0, "every block was freed");
  }
  void thread(unsigned id) {
    auto& derived = static_cast<Derived&>(*this);
    if (id == kProducers) {
      derived.own();
    } else {
      derived.produce(id);
    }
  }

  auto runner() {
    return [this](Msg& message) {
      ++ran;
      require(message.number == next[message.producer]++, "order within a producer");
    };
  }
  // The owner's turns until `done`; it sleeps when it has nothing to do.
  template <class Done>
  void turns(size_t limit, Done done) {
    OtherCauses causes;
    while (!done()) {
      const size_t some = inbox->drain(limit, runner());
      inbox->return_spent();
      if (some > 0 || done() || !inbox->prepare_sleep()) continue;
      if (!causes.wake()) waker->sleep();
      inbox->awake();
    }
  }
  // Pushes one message, waiting for its place. False: closed.
  bool push(Producer& producer, unsigned id, int number) {
    for (;;) {
      switch (producer.try_push(0, Msg(static_cast<int>(id), number))) {
        case PushResult::ok:
          ++accepted;
          return true;
        case PushResult::closed:
          return false;
        case PushResult::full:
          pause();
      }
    }
  }

  static constexpr bool kBornBefore = true;
  static constexpr uint32_t kNodes = 2;
  std::shared_ptr<ModelWaker> waker;
  std::unique_ptr<Box> inbox;
  std::optional<Producer> producers[kProducers];
  int accepted = 0, ran = 0;
  int next[kProducers] = {};
};

// Single pushes through a slab of one node: every second push needs the node that came home.
template <Mutation kMutation, unsigned kProducers, int kEach>
struct Pushes : InboxScenario<Pushes<kMutation, kProducers, kEach>, kMutation, kProducers> {
  static constexpr uint32_t kNodes = 1;
  void produce(unsigned id) {
    for (int i = 0; i < kEach; ++i) this->push(*this->producers[id], id, i);
  }
  void own() {
    this->turns(8, [&] { return this->ran == kEach * static_cast<int>(kProducers); });
    this->inbox->close(this->runner());
  }
};

// Chains of two, drained one message at a time.
template <Mutation kMutation, unsigned kProducers>
struct Chains : InboxScenario<Chains<kMutation, kProducers>, kMutation, kProducers> {
  using typename Chains::InboxScenario::Msg;
  void produce(unsigned id) {
    auto& producer = *this->producers[id];
    for (int i = 0; i < 2; ++i) producer.stage(0, Msg(static_cast<int>(id), i));
    require(producer.commit() == PushResult::ok, "an open inbox takes a chain");
    this->accepted += 2;
    producer.reclaim();
  }
  void own() {
    this->turns(1, [&] { return this->ran == 2 * static_cast<int>(kProducers); });
    this->inbox->close(this->runner());
  }
};

// The owner closes while producers push and die. What was accepted runs; nothing leaks, nothing is
// freed twice.
template <Mutation kMutation, unsigned kProducers>
struct CloseRace : InboxScenario<CloseRace<kMutation, kProducers>, kMutation, kProducers> {
  void produce(unsigned id) {
    auto& producer = this->producers[id];
    for (int i = 0; i < 3 && this->push(*producer, id, i); ++i) continue;
    producer.reset();
  }
  void own() {
    this->inbox->drain(1, this->runner());
    this->inbox->return_spent();
    this->inbox->close(this->runner());
    this->inbox->return_spent();
  }
};

// Handles that are born, push and die in their own threads, while the owner runs one message a
// turn.
template <Mutation kMutation, unsigned kProducers>
struct Deaths : InboxScenario<Deaths<kMutation, kProducers>, kMutation, kProducers> {
  static constexpr bool kBornBefore = false;
  void produce(unsigned id) {
    const InboxClass classes[] = {{.nodes = 2}};
    auto producer = this->inbox->gate().make_producer(classes);
    require(producer.has_value(), "an open inbox makes handles");
    for (int i = 0; i < 2; ++i) this->push(*producer, id, i);
  }
  void own() {
    this->turns(1, [&] {
      return this->ran == 2 * static_cast<int>(kProducers) && this->inbox->stats().producers == 0;
    });
    this->inbox->close(this->runner());
  }
};

template <class Scenario>
void expect_passes(uint64_t iterations, unsigned bound = 0) {
  const Outcome outcome = explore<Scenario>(iterations, bound);
  EXPECT_TRUE(outcome.passed) << outcome.report;
  std::printf("%llu schedules\n", static_cast<unsigned long long>(outcome.schedules));
  testing::Test::RecordProperty("schedules", std::to_string(outcome.schedules));
}

template <class Scenario>
void expect_caught(const char* how) {
  const Outcome outcome = explore<Scenario>(200'000);
  EXPECT_FALSE(outcome.passed) << "the checker saw nothing in " << outcome.schedules;
  EXPECT_NE(outcome.report.find(how), std::string::npos) << outcome.report;
}

constexpr Mutation kNone = Mutation::none;

TEST(InboxModelCore, PushDrainSleepAndWakeWithTwoProducers) {
  expect_passes<CoreScenario<kNone, 2, 2, false>>(150'000);
}
TEST(InboxModelCore, PushDrainSleepAndWakeWithThreeProducers) {
  expect_passes<CoreScenario<kNone, 3, 2, false>>(100'000);
}
TEST(InboxModelCore, ChainsWithThreeProducers) {
  expect_passes<CoreScenario<kNone, 3, 3, true>>(100'000);
}
TEST(InboxModelCore, ExhaustiveWithinTwoPreemptions) {
  expect_passes<CoreScenario<kNone, 2, 1, false>>(UINT64_MAX, 2);
}
TEST(InboxModelCore, ExhaustiveChainsWithinTwoPreemptions) {
  expect_passes<CoreScenario<kNone, 2, 2, true>>(UINT64_MAX, 2);
}

TEST(InboxModel, NodesComeHomeAndGoOutAgainWithTwoProducers) {
  expect_passes<Pushes<kNone, 2, 3>>(60'000);
}
TEST(InboxModel, NodesComeHomeAndGoOutAgainWithThreeProducers) {
  expect_passes<Pushes<kNone, 3, 2>>(50'000);
}
TEST(InboxModel, ChainsWithTwoProducers) { expect_passes<Chains<kNone, 2>>(50'000); }
TEST(InboxModel, ChainsWithThreeProducers) { expect_passes<Chains<kNone, 3>>(100'000); }
TEST(InboxModel, CloseRacesTwoProducers) { expect_passes<CloseRace<kNone, 2>>(60'000); }
TEST(InboxModel, CloseRacesThreeProducers) { expect_passes<CloseRace<kNone, 3>>(50'000); }
TEST(InboxModel, BirthsAndDeathsOfTwoHandles) { expect_passes<Deaths<kNone, 2>>(50'000); }
TEST(InboxModel, BirthsAndDeathsOfThreeHandles) { expect_passes<Deaths<kNone, 3>>(100'000); }
TEST(InboxModel, ExhaustiveWithOneProducerWithinOnePreemption) {
  expect_passes<Pushes<kNone, 1, 2>>(UINT64_MAX, 1);
}
TEST(InboxModel, ExhaustiveCloseWithOneProducerWithinOnePreemption) {
  expect_passes<CloseRace<kNone, 1>>(UINT64_MAX, 1);
}

TEST(InboxModelMutated, APublishWithoutReleaseIsCaughtInTheCore) {
  expect_caught<CoreScenario<Mutation::relaxed_publish, 2, 1, false>>("RACE");
}
TEST(InboxModelMutated, APublishWithoutReleaseIsCaughtInTheInbox) {
  expect_caught<Pushes<Mutation::relaxed_publish, 2, 2>>("RACE");
}
TEST(InboxModelMutated, ATakeWithoutAcquireIsCaught) {
  expect_caught<Chains<Mutation::relaxed_take, 2>>("RACE");
}
TEST(InboxModelMutated, AReturnWithoutAcquireIsCaught) {
  expect_caught<Pushes<Mutation::relaxed_return, 1, 2>>("RACE");
}
TEST(InboxModelMutated, ASleepThatLooksAndStoresLosesAMessage) {
  expect_caught<CoreScenario<Mutation::plain_sleep, 2, 2, false>>("DEADLOCK");
}
TEST(InboxModelMutated, AnAwakeThatLooksAndStoresLosesAMessage) {
  expect_caught<CoreScenario<Mutation::plain_awake, 2, 2, false>>("DEADLOCK");
}
TEST(InboxModelMutated, APushThatLooksAndStoresIsCaught) {
  expect_caught<CoreScenario<Mutation::plain_push, 2, 1, false>>("");  // in several ways
}
TEST(InboxModelMutated, ALastHolderThatSeesNothingOfTheOtherIsCaught) {
  // It may not see what came home, and never destroys it.
  expect_caught<CloseRace<Mutation::relaxed_release, 2>>("LEAK");
}

}  // namespace
}  // namespace beamline
