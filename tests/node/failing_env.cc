#include "tests/node/failing_env.h"

#include <cerrno>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include <rocksdb/env.h>

namespace beamline::node {

using rocksdb::Slice;
using rocksdb::Status;

class FailingEnv::Impl final : public rocksdb::EnvWrapper {
 public:
  Impl() : rocksdb::EnvWrapper(rocksdb::Env::Default()) {}
  const char* Name() const override { return "FailingEnv"; }

  // Before each write: what to answer in its place, if not OK.
  Status gate() {
    const std::lock_guard lock(mutex);
    if (frozen) return Status::IOError("frozen");
    if (writes++ < fail_from) return Status::OK();
    return error == ENOSPC ? Status::NoSpace("injected") : Status::IOError("injected");
  }
  void wrote(const std::string& name, size_t size) {
    const std::lock_guard lock(mutex);
    files[name].size += size;
  }
  void synced(const std::string& name) {
    const std::lock_guard lock(mutex);
    files[name].synced = files[name].size;
  }

  Status NewWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* file,
                         const rocksdb::EnvOptions& options) override;
  Status ReopenWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* file,
                            const rocksdb::EnvOptions& options) override;
  Status DeleteFile(const std::string& name) override {
    if (is_frozen()) return Status::IOError("frozen");
    return target()->DeleteFile(name);
  }
  Status RenameFile(const std::string& from, const std::string& to) override {
    if (is_frozen()) return Status::IOError("frozen");
    const Status done = target()->RenameFile(from, to);
    const std::lock_guard lock(mutex);
    if (done.ok() && files.contains(from)) files[to] = files.extract(from).mapped();
    return done;
  }
  bool is_frozen() {
    const std::lock_guard lock(mutex);
    return frozen;
  }

  struct File {
    size_t size = 0;
    size_t synced = 0;
  };
  std::mutex mutex;
  std::map<std::string, File> files;
  uint64_t writes = 0;
  uint64_t fail_from = UINT64_MAX;
  int error = 0;
  bool frozen = false;
};

namespace {

template <class Disk>
class CountedFile final : public rocksdb::WritableFileWrapper {
 public:
  CountedFile(Disk& disk, std::string name, std::unique_ptr<rocksdb::WritableFile> file)
      : WritableFileWrapper(file.get()),
        disk_(disk),
        name_(std::move(name)),
        file_(std::move(file)) {}
  Status Append(const Slice& data) override {
    if (Status refused = disk_.gate(); !refused.ok()) return refused;
    disk_.wrote(name_, data.size());
    return file_->Append(data);
  }
  Status Append(const Slice& data, const rocksdb::DataVerificationInfo&) override {
    return Append(data);
  }
  Status Sync() override {
    if (Status refused = disk_.gate(); !refused.ok()) return refused;
    const Status done = file_->Sync();
    if (done.ok()) disk_.synced(name_);
    return done;
  }
  Status Fsync() override { return Sync(); }
  bool IsSyncThreadSafe() const override { return true; }

 private:
  Disk& disk_;
  const std::string name_;
  const std::unique_ptr<rocksdb::WritableFile> file_;
};

}  // namespace

Status FailingEnv::Impl::NewWritableFile(const std::string& name,
                                         std::unique_ptr<rocksdb::WritableFile>* file,
                                         const rocksdb::EnvOptions& options) {
  if (Status refused = gate(); !refused.ok()) return refused;
  std::unique_ptr<rocksdb::WritableFile> real;
  rocksdb::EnvOptions plain = options;
  plain.use_mmap_writes = false;
  if (Status made = target()->NewWritableFile(name, &real, plain); !made.ok()) return made;
  {
    const std::lock_guard lock(mutex);
    files[name] = {};
  }
  *file = std::make_unique<CountedFile<Impl>>(*this, name, std::move(real));
  return Status::OK();
}

Status FailingEnv::Impl::ReopenWritableFile(const std::string& name,
                                            std::unique_ptr<rocksdb::WritableFile>* file,
                                            const rocksdb::EnvOptions& options) {
  return target()->ReopenWritableFile(name, file, options);
}

FailingEnv::FailingEnv() : impl_(std::make_unique<Impl>()) {}
FailingEnv::~FailingEnv() = default;
rocksdb::Env* FailingEnv::get() { return impl_.get(); }

uint64_t FailingEnv::writes() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->writes;
}
void FailingEnv::fail_at(uint64_t nth, int err) {
  const std::lock_guard lock(impl_->mutex);
  impl_->fail_from = impl_->writes + nth;
  impl_->error = err;
}
void FailingEnv::heal() {
  const std::lock_guard lock(impl_->mutex);
  impl_->fail_from = UINT64_MAX;
}
void FailingEnv::freeze() {
  const std::lock_guard lock(impl_->mutex);
  impl_->frozen = true;
}
void FailingEnv::lose_unsynced(Rng& rng) {
  for (const auto& [name, file] : impl_->files) {
    if (!std::filesystem::exists(name)) continue;
    const size_t size = std::filesystem::file_size(name);
    if (size <= file.synced) continue;
    std::filesystem::resize_file(name, file.synced + rng.below(size - file.synced + 1));
  }
}

}  // namespace beamline::node
