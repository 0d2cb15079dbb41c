// Table, pool and node database behind one set of inputs: what a protocol learns of a node goes in
// here and reaches each of them. discv4, discv5, RLPx and libp2p call these; whom to dial comes
// from the pool through the DialScheduler, whom to ping from the table.
//
// Thread rule: one thread. Sans-IO.
#pragma once

#include "discovery/dial_scheduler.h"
#include "discovery/lookup.h"
#include "discovery/node_db.h"
#include "discovery/pool.h"
#include "discovery/table.h"

namespace beamline::discovery {

class Contacts {
 public:
  Contacts(const NodeId& self, const TableConfig& table, const PoolConfig& pool,
           const NodeDb::Config& db, Rng& rng, Now now);

  // Hearsay: NEIGHBORS, NODES, a bootnode, a seed. In the pool at once; pinged before main.
  Inserted heard(const NodeRecord& record, Now now);
  // It answered our ping, or completed a handshake, at `record.udp`.
  Inserted contact_proven(const NodeRecord& record, Now now);
  // A newer record from the node itself.
  void update_record(const NodeRecord& record, Now now);
  void touched(const NodeId& id, const Endpoint& from, Now now) { table.touched(id, from, now); }
  void pong(const NodeId& id, const Endpoint& from, Now now);
  void ping_failed(const NodeId& id, Now now) { table.ping_failed(id, now); }
  // A request timed out, a dial or a handshake failed: the contact goes at the next prune, the pool
  // gives it a backoff. Every protocol calls this.
  void mark_disposable(const NodeId& id, Failure why, Now now);

  // What a look-up begins with: the nearest of the table, replacements too, and some of the pool's
  // newest when the table has fewer than k.
  void seed(Lookup& lookup) const;

  Table table;
  Pool pool;
  NodeDb db;
};

}  // namespace beamline::discovery
