// The only file of the library that sees RocksDB's headers.
#include "node/rocks_store.h"

#include <cerrno>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

namespace beamline::node {
namespace {

using rocksdb::Slice;

// Keys: a letter, then a root, a slot (big endian, so that slots sort) or a name.
constexpr char kBlock = 'b';
constexpr char kState = 's';
constexpr char kCanonical = 'c';
constexpr std::string_view kFirstAnchor = "mfirst";
constexpr std::string_view kHead = "mhead";
constexpr std::string_view kJustified = "mjustified";
constexpr std::string_view kFinalized = "mfinalized";

std::string root_key(char kind, const Root& root) {
  std::string key(1, kind);
  key.append(reinterpret_cast<const char*>(root.bytes.data()), root.bytes.size());
  return key;
}

std::string slot_key(Slot slot) {
  std::string key(1, kCanonical);
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(slot >> shift));
  return key;
}

Slice slice(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
Slice slice(const Root& root) { return slice(Bytes(root.bytes)); }
Bytes bytes_of(const Slice& value) {
  return {reinterpret_cast<const uint8_t*>(value.data()), value.size()};
}

// A root and a number: of the head, of a checkpoint.
std::string pair_value(const Root& root, uint64_t number) {
  std::string value(reinterpret_cast<const char*>(root.bytes.data()), root.bytes.size());
  for (int shift = 0; shift < 64; shift += 8) value.push_back(static_cast<char>(number >> shift));
  return value;
}

struct Pair {
  Root root;
  uint64_t number = 0;
};
Result<Pair> read_pair(const std::string& value) {
  Pair pair;
  if (value.size() != Root::kSize + 8) return local_error(Code::truncated, "store record");
  std::copy_n(value.begin(), Root::kSize, pair.root.bytes.begin());
  for (size_t i = 0; i < 8; ++i) {
    pair.number |= uint64_t{static_cast<uint8_t>(value[Root::kSize + i])} << (8 * i);
  }
  return pair;
}

std::unexpected<Error> error_of(const rocksdb::Status& status, const char* what) {
  if (status.IsNoSpace()) return local_error(Code::io_error, what, ENOSPC);
  if (status.IsCorruption()) return local_error(Code::bad_checksum, what);
  if (status.IsInvalidArgument()) return local_error(Code::invalid_argument, what);
  return local_error(Code::io_error, what, EIO);
}

rocksdb::Options database_options(const RocksStoreOptions& options) {
  rocksdb::Options database;
  database.create_if_missing = true;
  if (options.env != nullptr) database.env = options.env;
  database.write_buffer_size = 16u << 20;
  database.max_open_files = 128;
  database.max_background_jobs = 2;
  database.keep_log_file_num = 2;
  database.info_log_level = rocksdb::InfoLogLevel::ERROR_LEVEL;
  database.compression = rocksdb::kNoCompression;  // blocks hold hashes and signatures
  // What was synced is there; what follows the last whole record was not.
  database.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  return database;
}

}  // namespace

RocksStore::RocksStore(RocksStoreOptions options) : options_(std::move(options)) {}
RocksStore::~RocksStore() = default;

Result<chain::Recovered> RocksStore::open(const chain::BlockInfo& anchor) {
  db_.reset();
  failed_ = false;
  rocksdb::DB* db = nullptr;
  const auto opened = rocksdb::DB::Open(database_options(options_), options_.path, &db);
  if (!opened.ok()) return error_of(opened, "store open");
  db_.reset(db);
  std::string first;
  const auto found = db_->Get({}, Slice(kFirstAnchor.data(), kFirstAnchor.size()), &first);
  if (found.IsNotFound()) {
    if (Status begun = begin(anchor); !begun) return std::unexpected(begun.error());
  } else if (!found.ok()) {
    return error_of(found, "store open");
  } else if (Slice(first) != slice(anchor.root)) {
    db_.reset();
    return local_error(Code::mismatch, "store anchor");
  }
  return recover(anchor);
}

Status RocksStore::begin(const chain::BlockInfo& anchor) {
  chain::Persist first;
  first.blocks.push_back({anchor, {}});
  first.head = chain::BlockTree::Tip{anchor.root, anchor.slot};
  first.canonical.emplace();
  first.canonical->blocks.emplace_back(anchor.slot, anchor.root);
  first.justified = first.finalized = chain::Checkpoint{0, anchor.root};
  if (Status applied = apply(first); !applied) return applied;
  // Last: a store that has it has the rest.
  const auto put =
      db_->Put({}, Slice(kFirstAnchor.data(), kFirstAnchor.size()), slice(anchor.root));
  if (!put.ok()) return error_of(put, "store write");
  return sync();
}

Result<chain::Recovered> RocksStore::recover(const chain::BlockInfo&) {
  Pair pairs[3];
  constexpr std::string_view kNames[] = {kHead, kJustified, kFinalized};
  for (int i = 0; i < 3; ++i) {
    std::string value;
    const auto got = db_->Get({}, Slice(kNames[i].data(), kNames[i].size()), &value);
    if (!got.ok()) return error_of(got, "store read");
    auto pair = read_pair(value);
    if (!pair) return std::unexpected(pair.error());
    pairs[i] = *pair;
  }
  std::map<Root, chain::StoredBlock> blocks;
  std::map<std::pair<Slot, Root>, uint64_t> bodies;  // loaded ones
  uint64_t loaded = 0;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
  for (it->Seek(Slice(&kBlock, 1)); it->Valid() && it->key()[0] == kBlock; it->Next()) {
    auto stored = chain::decode_stored_block(bytes_of(it->value()));
    if (!stored) return std::unexpected(stored.error());
    const Root root = stored->block.root;
    loaded += stored->block.signed_bytes.size();
    bodies.emplace(std::pair(stored->block.slot, root), stored->block.signed_bytes.size());
    blocks.emplace(root, std::move(*stored));
    while (loaded > options_.load_bytes) {
      const auto lowest = bodies.begin();
      blocks[lowest->first.second].block.signed_bytes = {};
      loaded -= lowest->second;
      bodies.erase(lowest);
    }
  }
  if (!it->status().ok()) return error_of(it->status(), "store read");
  auto found = chain::connect(std::move(blocks), {pairs[0].root, pairs[0].number});
  if (!found) return found;
  found->justified = {pairs[1].number, pairs[1].root};
  found->finalized = {pairs[2].number, pairs[2].root};
  return found;
}

Status RocksStore::apply(const chain::Persist& persist) {
  if (db_ == nullptr || failed_) return local_error(Code::io_error, "store closed");
  rocksdb::WriteBatch batch;
  for (const chain::StoredBlock& stored : persist.blocks) {
    batch.Put(root_key(kBlock, stored.block.root), slice(Bytes(chain::encode(stored))));
  }
  for (const auto& [root, state] : persist.states) batch.Put(root_key(kState, root), slice(state));
  for (const Root& root : persist.erased) {
    batch.Delete(root_key(kBlock, root));
    batch.Delete(root_key(kState, root));
  }
  if (persist.canonical) {
    batch.DeleteRange(slot_key(persist.canonical->from), std::string(1, kCanonical + 1));
    for (const auto& [slot, root] : persist.canonical->blocks) {
      batch.Put(slot_key(slot), slice(root));
    }
  }
  const auto put = [&](std::string_view key, const Root& root, uint64_t number) {
    batch.Put(Slice(key.data(), key.size()), pair_value(root, number));
  };
  if (persist.head) put(kHead, persist.head->root, persist.head->slot);
  if (persist.justified) put(kJustified, persist.justified->root, persist.justified->number);
  if (persist.finalized) put(kFinalized, persist.finalized->root, persist.finalized->number);
  const auto written = db_->Write({}, &batch);
  if (written.ok()) return {};
  failed_ = true;
  return error_of(written, "store write");
}

Status RocksStore::sync() {
  if (db_ == nullptr || failed_) return local_error(Code::io_error, "store closed");
  ++syncs_;
  const auto synced = db_->FlushWAL(true);
  if (synced.ok()) return {};
  failed_ = true;
  return error_of(synced, "store sync");
}

Result<std::optional<SharedBytes>> RocksStore::state(const Root& block) {
  std::string value;
  const auto got = db_->Get({}, root_key(kState, block), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return error_of(got, "store read");
  return SharedBytes::copy(as_bytes(value));
}

Result<std::optional<Root>> RocksStore::canonical(Slot slot) {
  std::string value;
  const auto got = db_->Get({}, slot_key(slot), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return error_of(got, "store read");
  if (value.size() != Root::kSize) return local_error(Code::truncated, "store record");
  Root root;
  std::copy_n(value.begin(), Root::kSize, root.bytes.begin());
  return root;
}

Result<std::optional<chain::StoredBlock>> RocksStore::block(const Root& root) {
  std::string value;
  const auto got = db_->Get({}, root_key(kBlock, root), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return error_of(got, "store read");
  auto stored = chain::decode_stored_block(as_bytes(value));
  if (!stored) return std::unexpected(stored.error());
  return std::move(*stored);
}

}  // namespace beamline::node
