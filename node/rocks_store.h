// The chain's store on disk: RocksDB, in a directory of its own. Blocks, states (opaque bytes), the
// canonical index by slot, checkpoints, the fork choice's records. A Persist is one atomic write;
// sync() returns after fdatasync of the log. Blocks lie in two halves: headers, which a restart
// reads all of, and bodies, which stay when their header was archived.
#pragma once

#include <memory>
#include <string>

#include "chain/store.h"

namespace rocksdb {
class DB;
class Env;
}  // namespace rocksdb

namespace beamline::node {

struct RocksStoreOptions {
  std::string path;
  // Bodies that open() loads, the highest slots first; the others come with empty bytes.
  uint64_t load_bytes = 256u << 20;
  // The file system; null for the machine's own. For tests that let it fail.
  rocksdb::Env* env = nullptr;
};

// Used by one thread at a time; blocks.
class RocksStore final : public chain::Store {
 public:
  explicit RocksStore(RocksStoreOptions options);
  ~RocksStore() override;

  Result<chain::Recovered> open(const chain::StoreAnchor& anchor) override;
  Status apply(const chain::Persist& persist) override;
  Status sync() override;
  Result<std::optional<SharedBytes>> state(const Root& block) override;
  Result<std::optional<Root>> canonical(Slot slot) override;
  Result<std::optional<chain::ReadBlock>> block(const Root& root) override;
  Result<std::vector<std::pair<Slot, Root>>> canonical_range(Slot from, Slot end,
                                                             size_t max) override;

  uint64_t syncs() const { return syncs_; }

 private:
  Result<chain::Recovered> recover();
  Status begin(const chain::StoreAnchor& anchor);
  Status load_bodies(chain::Recovered& found);
  Status read_records(chain::Recovered& found);

  const RocksStoreOptions options_;
  std::unique_ptr<rocksdb::DB> db_;
  bool failed_ = false;  // since the last open()
  uint64_t syncs_ = 0;
};

}  // namespace beamline::node
