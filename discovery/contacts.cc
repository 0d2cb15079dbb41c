#include "discovery/contacts.h"

namespace beamline::discovery {

Contacts::Contacts(const NodeId& self, const TableConfig& table_config,
                   const PoolConfig& pool_config, const NodeDb::Config& db_config, Rng& rng,
                   Now now)
    : table(self, table_config, rng, now), pool(pool_config, rng), db(db_config, rng) {}

Inserted Contacts::heard(const NodeRecord& record, Now now) {
  if (record.id == table.self()) return Inserted::self;
  pool.insert(record);
  return table.heard(record, now);
}

Inserted Contacts::contact_proven(const NodeRecord& record, Now now) {
  if (record.id == table.self()) return Inserted::self;
  pool.insert_proven(record);
  db.store(record, now);
  return table.contact_proven(record, now);
}

void Contacts::update_record(const NodeRecord& record, Now now) {
  if (record.id == table.self()) return;
  pool.insert(record);
  table.update_record(record, now);
}

void Contacts::pong(const NodeId& id, const Endpoint& from, Now now) {
  table.pong(id, from, now);
  const Contact* contact = table.find(id);
  if (contact != nullptr && contact->record.udp == from) db.store(contact->record, now);
}

void Contacts::mark_disposable(const NodeId& id, Failure why, Now now) {
  table.mark_disposable(id, why);
  if (why != Failure::ping && why != Failure::findnode) pool.failed(id, now);
}

void Contacts::seed(Lookup& lookup) const {
  constexpr size_t kSeeds = kBucketSize;
  std::array<const Contact*, kSeeds> nearest;
  size_t found =
      table.tell(lookup.target(), Reach::all, nearest, [](const Contact&) { return true; });
  for (size_t i = 0; i < found; ++i) lookup.add(nearest[i]->record);
  pool.for_newest([&](const NodeRecord& record) {
    if (found >= kSeeds) return false;
    lookup.add(record);
    ++found;
    return true;
  });
}

}  // namespace beamline::discovery
