// Discovery on a thread of its own, as `beamline discover` runs it: what it sees leaves through an
// inbox, each second a count, each fifth the table, each thirtieth the node database.
//
// Thread rule: made and read on the owner's thread before the ReactorThread starts and after it
// stopped; what lies between is on that thread.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "loop/inbox_port.h"
#include "loop/reactor_thread.h"
#include "node/discovery_driver.h"
#include "node/table_picture.h"

namespace beamline::node {

struct DiscoverCounts {
  size_t live = 0, main = 0, replacements = 0, pool = 0;
  bool operator==(const DiscoverCounts&) const = default;
};
// The node database as bytes, to be written.
struct DiscoverNodes {
  std::vector<uint8_t> bytes;
};
using DiscoverSeen = std::variant<DiscoverCounts, std::unique_ptr<TableSnapshot>, DiscoverNodes>;

class DiscoverProgram final : public ReactorProgram, private discovery::Observer {
 public:
  // `key` outlives it. `nodes`: the database of an earlier run, or empty.
  DiscoverProgram(const Endpoint& listen, std::vector<discovery::NodeRecord> bootnodes,
                  std::vector<uint8_t> nodes, const secp256k1::SecretKey& key, Rng rng,
                  Inbox<DiscoverSeen>::Producer producer);

  Status on_start(Reactor& reactor) override;
  void on_stop(Reactor& reactor) override;

  // For the other thread: the first three after start(), the rest after stop().
  std::string enode, enr;
  Status kept_read;
  TableSnapshot last;
  std::vector<uint8_t> last_nodes;
  uint64_t datagrams_in = 0, datagrams_out = 0;

 private:
  void tell();

  const Endpoint listen_;
  const std::vector<discovery::NodeRecord> bootnodes_;
  const std::vector<uint8_t> kept_;
  const secp256k1::SecretKey& key_;
  Rng rng_;
  Inbox<DiscoverSeen>::Producer producer_;
  Reactor* reactor_ = nullptr;
  Timer timer_;
  std::unique_ptr<DiscoveryDriver> driver_;
  int told_ = 0;
};

}  // namespace beamline::node
