// A file system under RocksDB that counts its writes and syncs, fails them on demand, and forgets
// what was not synced, as a machine does that stops.
#pragma once

#include <cstdint>
#include <memory>

#include "base/rng.h"

namespace rocksdb {
class Env;
}

namespace beamline::node {

class FailingEnv {
 public:
  FailingEnv();
  ~FailingEnv();
  rocksdb::Env* get();

  uint64_t writes() const;
  // The nth write from now on (0: the next) and all after it fail with ENOSPC or EIO, until heal().
  void fail_at(uint64_t nth, int err);
  void heal();
  // Nothing changes the disk any more.
  void freeze();
  // Of what was not synced, only a part of each file stays.
  void lose_unsynced(Rng& rng);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace beamline::node
