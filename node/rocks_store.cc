// The only file of the library that sees RocksDB's headers.
#include "node/rocks_store.h"

#include <cerrno>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "chain/record.h"

namespace beamline::node {
namespace {

using rocksdb::Slice;

// Keys: a letter, then a root, a number (big endian, so that slots sort) or a name.
constexpr char kHeader = 'h';
constexpr char kBody = 'b';  // with slot and parent before it
constexpr char kState = 's';
constexpr char kCanonical = 'c';
constexpr char kRecord = 'v';
constexpr std::string_view kFirstAnchor = "mfirst";
constexpr std::string_view kHead = "mhead";
constexpr std::string_view kJustified = "mjustified";
constexpr std::string_view kFinalized = "mfinalized";
constexpr std::string_view kLast = "mlast";  // the id of a Persist, and no root

std::string root_key(char kind, const Root& root) {
  std::string key(1, kind);
  key.append(reinterpret_cast<const char*>(root.bytes.data()), root.bytes.size());
  return key;
}

std::string number_key(char kind, uint64_t number) {
  std::string key(1, kind);
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number >> shift));
  return key;
}
std::string slot_key(Slot slot) { return number_key(kCanonical, slot); }
// REQUIRES: a key of number_key().
uint64_t number_of(const Slice& key) {
  uint64_t number = 0;
  for (size_t i = 1; i < key.size(); ++i) number = number << 8 | static_cast<uint8_t>(key[i]);
  return number;
}

Slice slice(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
Slice slice(const Root& root) { return slice(Bytes(root.bytes)); }
Bytes bytes_of(const Slice& value) {
  return {reinterpret_cast<const uint8_t*>(value.data()), value.size()};
}

std::vector<uint8_t> encode_body(const chain::BlockInfo& block) {
  chain::RecordWriter out;
  out.out.reserve(40 + block.signed_bytes.size());
  out.u64(block.slot);
  out.root(block.parent_root);
  out.bytes(block.signed_bytes);
  return std::move(out.out);
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
  // Peers ask for what we never had: most of those questions need no read.
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  database.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // What was synced is there; what follows the last whole record was not.
  database.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  return database;
}

}  // namespace

RocksStore::RocksStore(RocksStoreOptions options) : options_(std::move(options)) {}
RocksStore::~RocksStore() = default;

Result<chain::Recovered> RocksStore::open(const chain::StoreAnchor& anchor) {
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
  } else if (Slice(first) != slice(anchor.block.root)) {
    db_.reset();
    return local_error(Code::mismatch, "store anchor");
  }
  return recover();
}

Status RocksStore::begin(const chain::StoreAnchor& anchor) {
  if (Status applied = apply(chain::first_persist(anchor)); !applied) return applied;
  // Last: a store that has it has the rest.
  const auto put =
      db_->Put({}, Slice(kFirstAnchor.data(), kFirstAnchor.size()), slice(anchor.block.root));
  if (!put.ok()) return error_of(put, "store write");
  return sync();
}

Result<chain::Recovered> RocksStore::recover() {
  Pair pairs[4];
  constexpr std::string_view kNames[] = {kHead, kJustified, kFinalized, kLast};
  for (int i = 0; i < 4; ++i) {
    std::string value;
    const auto got = db_->Get({}, Slice(kNames[i].data(), kNames[i].size()), &value);
    if (!got.ok()) return error_of(got, "store read");
    auto pair = read_pair(value);
    if (!pair) return std::unexpected(pair.error());
    pairs[i] = *pair;
  }
  std::map<Root, chain::StoredBlock> blocks;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
  for (it->Seek(Slice(&kHeader, 1)); it->Valid() && it->key()[0] == kHeader; it->Next()) {
    auto stored = chain::decode_header(bytes_of(it->value()));
    if (!stored) return std::unexpected(stored.error());
    blocks.emplace(stored->block.root, std::move(*stored));
  }
  if (!it->status().ok()) return error_of(it->status(), "store read");
  auto found = chain::connect(std::move(blocks), {pairs[0].root, pairs[0].number});
  if (!found) return found;
  found->justified = {pairs[1].number, pairs[1].root};
  found->finalized = {pairs[2].number, pairs[2].root};
  found->last = pairs[3].number;
  if (Status loaded = load_bodies(*found); !loaded) return std::unexpected(loaded.error());
  if (Status read = read_records(*found); !read) return std::unexpected(read.error());
  return found;
}

// The highest slots first, as far as `load_bytes` goes; the others are read when they are asked
// for.
Status RocksStore::load_bodies(chain::Recovered& found) {
  uint64_t loaded = 0;
  const auto load = [&](chain::BlockInfo& info) -> Status {
    auto read = block(info.root);
    if (!read) return std::unexpected(read.error());
    if (!*read) return {};
    loaded += (*read)->signed_bytes.size();
    if (loaded <= options_.load_bytes) info.signed_bytes = std::move((*read)->signed_bytes);
    return {};
  };
  for (auto it = found.blocks.rbegin(); it != found.blocks.rend(); ++it) {
    if (loaded >= options_.load_bytes) return {};
    if (Status done = load(it->block); !done) return done;
  }
  return loaded < options_.load_bytes ? load(found.anchor.block) : Status{};
}

Status RocksStore::read_records(chain::Recovered& found) {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
  for (it->Seek(Slice(&kRecord, 1)); it->Valid() && it->key()[0] == kRecord; it->Next()) {
    found.records.push_back({number_of(it->key()), SharedBytes::copy(bytes_of(it->value()))});
  }
  it->Seek(Slice(&kCanonical, 1));
  const bool any = it->Valid() && it->key()[0] == kCanonical;
  found.oldest = any ? number_of(it->key()) : found.anchor.block.slot;
  if (!it->status().ok()) return error_of(it->status(), "store read");
  return {};
}

namespace {

void put_blocks(rocksdb::WriteBatch& batch, const chain::Persist& persist) {
  for (const chain::StoredBlock& stored : persist.blocks) {
    const Root& root = stored.block.root;
    batch.Put(root_key(kHeader, root), slice(Bytes(chain::encode_header(stored))));
    if (stored.block.signed_bytes.empty()) continue;
    batch.Put(root_key(kBody, root), slice(Bytes(encode_body(stored.block))));
  }
  for (const auto& [root, state] : persist.states) batch.Put(root_key(kState, root), slice(state));
  for (const Root& root : persist.erased) {
    for (const char kind : {kHeader, kBody, kState}) batch.Delete(root_key(kind, root));
  }
  for (const Root& root : persist.archived) {
    for (const char kind : {kHeader, kState}) batch.Delete(root_key(kind, root));
  }
  for (const Root& root : persist.dropped_states) batch.Delete(root_key(kState, root));
}

// Bodies that are served no more: those of the index below this slot.
Status cut_archive(rocksdb::DB& db, Slot from, rocksdb::WriteBatch& batch) {
  rocksdb::ReadOptions options;
  const std::string end = slot_key(from);
  const Slice upper(end);
  options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options));
  for (it->Seek(Slice(&kCanonical, 1)); it->Valid(); it->Next()) {
    if (it->value().size() != Root::kSize) return local_error(Code::truncated, "store record");
    const std::string root(it->value().data(), it->value().size());
    for (const char kind : {kHeader, kBody, kState}) batch.Delete(std::string(1, kind) + root);
    batch.Delete(it->key());
  }
  if (!it->status().ok()) return error_of(it->status(), "store read");
  return {};
}

}  // namespace

Status RocksStore::apply(const chain::Persist& persist) {
  if (db_ == nullptr || failed_) return local_error(Code::io_error, "store closed");
  rocksdb::WriteBatch batch;
  put_blocks(batch, persist);
  for (const chain::PolicyRecord& record : persist.records) {
    const std::string key = number_key(kRecord, record.key);
    record.bytes.empty() ? batch.Delete(key) : batch.Put(key, slice(record.bytes));
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
  put(kLast, {}, persist.id);
  if (persist.head) put(kHead, persist.head->root, persist.head->slot);
  if (persist.justified) put(kJustified, persist.justified->root, persist.justified->number);
  if (persist.finalized) put(kFinalized, persist.finalized->root, persist.finalized->number);
  if (persist.archive_from) {
    const Status cut = cut_archive(*db_, *persist.archive_from, batch);
    failed_ = !cut;
    if (!cut) return cut;
  }
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

Result<std::optional<chain::ReadBlock>> RocksStore::block(const Root& root) {
  if (db_ == nullptr) return local_error(Code::io_error, "store closed");
  std::string value;
  const auto got = db_->Get({}, root_key(kBody, root), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return error_of(got, "store read");
  chain::RecordReader in(as_bytes(value));
  chain::ReadBlock read;
  read.root = root;
  read.slot = in.u64();
  read.parent_root = in.root();
  read.signed_bytes = SharedBytes::copy(in.rest());
  if (const Status end = in.end(); !end) return std::unexpected(end.error());
  return read;
}

Result<std::vector<std::pair<Slot, Root>>> RocksStore::canonical_range(Slot from, Slot end,
                                                                       size_t max) {
  if (db_ == nullptr) return local_error(Code::io_error, "store closed");
  rocksdb::ReadOptions options;
  const std::string last = slot_key(end);
  const Slice upper(last);
  options.iterate_upper_bound = &upper;
  std::vector<std::pair<Slot, Root>> found;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (it->Seek(slot_key(from)); it->Valid() && found.size() < max; it->Next()) {
    if (it->value().size() != Root::kSize) return local_error(Code::truncated, "store record");
    found.emplace_back(number_of(it->key()), Root::load(bytes_of(it->value()).data()));
  }
  if (!it->status().ok()) return error_of(it->status(), "store read");
  return found;
}

}  // namespace beamline::node
