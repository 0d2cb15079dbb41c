// The inbox and its reactor in the simulation: whatever the order of pushes, sleeps, late and
// spurious wakes, every message runs once, in the order of pushing, and nobody sleeps over one.
#include <memory>

#include <gtest/gtest.h>

#include "loop/inbox_port.h"
#include "loop/sim/reactor.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

struct Message {
  uint64_t number = 0;
  MonoTime pushed;
};

class Core final : public InboxReceiver<Message> {
 public:
  explicit Core(SimReactor& on) : reactor(on) {}
  void on_message(Message& message) override {
    EXPECT_EQ(message.number, next++);
    latest = std::max(latest, reactor->now().mono - message.pushed);
  }
  SimReactor& reactor;
  uint64_t next = 0;
  Duration latest;
};

TEST(SimInbox, EveryMessageRunsOnceInOrderAndSoon) {
  for_each_seed(100, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    World world(seed, traced(options));
    Rng rng = world.fork_rng();
    ReactorOptions reactor_options;
    reactor_options.inbox_messages = static_cast<uint32_t>(rng.between(1, 8));
    SimReactor reactor(world, world.add_host(0x0a000001), reactor_options);
    Core core(reactor);
    uint64_t pushed = 0;
    uint64_t refused = 0;
    {
      InboxPort<Message> port(*reactor, core);
      const std::array<InboxClass, 1> classes{InboxClass{.nodes = 16}};
      std::vector<Inbox<Message>::Producer> producers;
      for (int i = 0; i < 3; ++i) producers.push_back(*port.gate().make_producer(classes));
      // Bursts, with gaps about as long as it takes to fall asleep and to wake.
      for (int burst = 0; burst < 300; ++burst) {
        auto& producer = producers[rng.below(3)];
        for (uint64_t n = rng.below(6); n > 0; --n) {
          const PushResult result = producer.try_push(0, {pushed, world.now()});
          ASSERT_NE(result, PushResult::closed);
          ++(result == PushResult::ok ? pushed : refused);
        }
        world.run_for(Duration{rng.between(0, rng.chance(1, 10) ? 5'000'000 : 3'000)});
      }
      // Up to 48 messages wait, and a turn may run but one of them.
      EXPECT_TRUE(world.run_until([&] { return core.next == pushed; }, milliseconds(200)));
      EXPECT_LT(core.latest, milliseconds(200));
      EXPECT_GT(pushed, 100u);
      producers.clear();
      reactor->shutdown();
    }
    EXPECT_EQ(core.next, pushed);
  });
}

// A reactor that pushes into another one, from its own turn.
TEST(SimInbox, OneReactorWakesAnother) {
  World world(1);
  const HostId host = world.add_host(0x0a000001);
  SimReactor network(world, host), core_reactor(world, host);
  Core core(core_reactor);
  {
    InboxPort<Message> port(*core_reactor, core);
    const std::array<InboxClass, 1> classes{InboxClass{.nodes = 4}};
    struct Ticker {
      SimReactor& reactor;
      Inbox<Message>::Producer producer;
      Timer timer{};
      uint64_t number = 0;
    } ticker{network, *port.gate().make_producer(classes)};
    ticker.timer.owner = &ticker;
    ticker.timer.callback = [](Timer& timer) {
      auto& self = *static_cast<Ticker*>(timer.owner);
      EXPECT_EQ(self.producer.try_push(0, {self.number++, self.reactor->now().mono}),
                PushResult::ok);
      if (self.number < 100) self.reactor->arm_in(timer, milliseconds(10));
    };
    network->arm_in(ticker.timer, milliseconds(10));
    world.run_for(seconds(2));
    EXPECT_EQ(core.next, 100u);
    EXPECT_LE(core.latest, microseconds(10));
    EXPECT_EQ(core_reactor.backend().stats().wakes, 100u);  // asleep in between, woken each time
    EXPECT_LE(core_reactor->stats().turns, 210u);
    network->shutdown();
    core_reactor->shutdown();
  }
}

}  // namespace
}  // namespace beamline::sim
