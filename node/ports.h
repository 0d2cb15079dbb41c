// What crosses between the core (the chain) and the network (everything that touches a socket).
// The two may share a reactor or have one each; they see only these ports.
#pragma once

#include <variant>

#include "base/time.h"
#include "chain/commands.h"
#include "chain/events.h"
#include "chain/store.h"
#include "loop/inbox.h"

namespace beamline::node {

// The core's side: takes decoded events. Called on the network's thread.
class CorePort {
 public:
  virtual ~CorePort() = default;
  // Unless `ok`, the event is as it was: the network keeps it, and takes no more of what it can
  // refuse until there is room.
  virtual PushResult push(chain::Event&& event) = 0;
  // The same, in advance, for what must never be refused: one PeerDown per peer.
  virtual bool reserve_peer_down() = 0;
  virtual void push_peer_down(const chain::PeerDown& event) = 0;
  // How full the fullest class is, of what a flood fills: 0 to 100.
  virtual uint32_t load() { return 0; }
  // Gives a reserved place back.
  virtual void release_peer_down() = 0;
};

// The network's side: carries out commands. Called on the core's thread.
class NetworkPort {
 public:
  virtual ~NetworkPort() = default;
  // Unless `ok`, the command is as it was: the core keeps it and tries again in its next turn.
  virtual PushResult push(chain::Command&& command) = 0;
  // Whether it also wants BlockImported, which asks for nothing.
  virtual bool takes_imported() const { return false; }
  // After `full`: when to try again, unless something wakes the core before.
  virtual Duration retry_after() const { return milliseconds(1); }
};

// Threads that may block: they take blocks to verify and import, and sidecars to verify. Called on
// the core's thread; the result comes back as an ImportVerdict or a DataVerdict.
using Work = std::variant<chain::ImportBlock, chain::ImportData>;
class WorkPort {
 public:
  virtual ~WorkPort() = default;
  // Unless `ok`, the job is as it was: the core keeps it and tries again in its next turn.
  virtual PushResult submit(Work&& job) = 0;
  // Whether it takes ImportData too; else that goes to the network port.
  virtual bool takes_data() const { return true; }
};

// The thread that may wait for a disk. Called on the core's thread; a Persist is answered by
// Persisted.
class StorePort {
 public:
  virtual ~StorePort() = default;
  // Unless `ok`, the Persist is as it was: the core keeps it and tries again in its next turn.
  virtual PushResult push(chain::Persist&& persist) = 0;
  // The same of a read; answered by BlocksRead, from what was pushed before.
  virtual PushResult read(chain::ReadBlocks&& read) = 0;
};

}  // namespace beamline::node
