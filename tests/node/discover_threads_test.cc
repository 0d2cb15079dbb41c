// The program behind `beamline discover` on its threads and rings: two of them, and the thread that
// hears what both see.
#include <gtest/gtest.h>

#include "codec/enr.h"
#include "loop/ring.h"
#include "node/discover_program.h"

namespace beamline::node {
namespace {

Result<std::unique_ptr<Backend>> make_backend() { return make_ring(); }

class Listener final : public InboxReceiver<DiscoverSeen> {
 public:
  void on_message(DiscoverSeen& seen) override {
    const auto* counts = std::get_if<DiscoverCounts>(&seen);
    found += counts != nullptr && counts->live > 0;
  }
  size_t found = 0;  // counts of somebody who knows somebody
};

TEST(DiscoverThreads, TwoDiscoverProgramsFindEachOtherAndTellAThirdThread) {
  const auto reactor = std::move(*Reactor::create(std::move(*make_backend())));
  Rng rng(uint64_t{11});
  const auto first_key = secp256k1::SecretKey::generate(rng);
  const auto second_key = secp256k1::SecretKey::generate(rng);
  Listener listener;
  std::optional<DiscoverProgram> first, second;
  {
    InboxPort<DiscoverSeen> port(*reactor, listener);
    const std::array<InboxClass, 1> classes = {InboxClass{.nodes = 8}};
    const Endpoint any = Endpoint::v4(0x7f000001, 0);
    ReactorThread first_thread, second_thread;
    first.emplace(any, std::vector<discovery::NodeRecord>{}, std::vector<uint8_t>{}, first_key,
                  rng.fork(), std::move(*port.gate().make_producer(classes)));
    ASSERT_TRUE(first_thread.start("first", make_backend, *first));
    const auto boot = Enr::parse_text(first->enr);
    ASSERT_TRUE(boot);
    second.emplace(any, std::vector{discovery::record_of(*boot)}, std::vector<uint8_t>{},
                   second_key, rng.fork(), std::move(*port.gate().make_producer(classes)));
    ASSERT_TRUE(second_thread.start("second", make_backend, *second));
    while (listener.found < 4) reactor->turn();
    second_thread.stop();
    first_thread.stop();
    reactor->stop();
    reactor->run();
  }
  EXPECT_EQ(first->last.main, 1u);
  EXPECT_EQ(second->last.main, 1u);
  EXPECT_GT(second->datagrams_in, 0u);
  EXPECT_GT(first->last_nodes.size(), 16u) << "what it would keep for the next run";
}

}  // namespace
}  // namespace beamline::node
