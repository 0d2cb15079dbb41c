// Files in memory that a crash treats as a disk may: what was not synced is lost, whole, torn, or
// there. Faults can be set for any call.
#pragma once

#include <map>
#include <string>

#include "base/rng.h"
#include "chain/headers/store_file.h"

namespace beamline::chain::testing {

class SimDisk final : public StoreDirectory {
 public:
  explicit SimDisk(uint64_t seed) : rng_(seed) {}

  Result<std::vector<std::string>> list() const override {
    std::vector<std::string> names;
    for (const auto& [name, content] : files_) names.push_back(name);
    return names;
  }
  Result<std::unique_ptr<StoreFile>> open(const std::string& name) override {
    if (fails()) return local_error(Code::io_error, "open", 28);
    files_.try_emplace(name);
    return std::make_unique<File>(*this, name);
  }
  Status remove(const std::string& name) override {
    files_.erase(name);
    return {};
  }

  // The power goes. Files that were open are of no use from here on.
  void crash() {
    for (auto& [name, file] : files_) {
      const size_t loose = file.bytes.size() - file.durable;
      if (loose == 0) continue;
      const size_t kept = rng_.below(loose + 1);
      file.bytes.resize(file.durable + kept);
      // A sector that was not written yet holds whatever was there.
      if (kept > 0 && rng_.chance(1, 2)) {
        const size_t from = file.durable + rng_.below(kept);
        for (size_t i = from; i < file.bytes.size(); ++i) {
          file.bytes[i] = static_cast<uint8_t>(rng_.next());
        }
      }
      file.durable = file.bytes.size();
    }
    fail_at_ = UINT64_MAX;
  }
  // The call after `calls` more of them fails, and all after it.
  void fail_after(uint64_t calls) { fail_at_ = calls_ + calls; }
  uint64_t calls() const { return calls_; }
  std::vector<uint8_t>& bytes(const std::string& name) { return files_.at(name).bytes; }

 private:
  struct Content {
    std::vector<uint8_t> bytes;
    size_t durable = 0;
  };
  class File final : public StoreFile {
   public:
    File(SimDisk& disk, std::string name) : disk_(disk), name_(std::move(name)) {}
    uint64_t size() const override { return content().bytes.size(); }
    Status append(Bytes bytes) override {
      Content& file = content();
      if (disk_.fails()) {  // part of it may have been written
        const size_t part = disk_.rng_.below(bytes.size() + 1);
        file.bytes.insert(file.bytes.end(), bytes.begin(),
                          bytes.begin() + static_cast<ptrdiff_t>(part));
        return local_error(Code::io_error, "append", 28);
      }
      file.bytes.insert(file.bytes.end(), bytes.begin(), bytes.end());
      return {};
    }
    Status sync() override {
      if (disk_.fails()) return local_error(Code::io_error, "sync", 5);
      content().durable = content().bytes.size();
      return {};
    }
    Status truncate(uint64_t size) override {
      if (disk_.fails()) return local_error(Code::io_error, "truncate", 5);
      content().bytes.resize(size);
      content().durable = std::min<size_t>(content().durable, size);
      return {};
    }
    Result<size_t> read(uint64_t offset, MutableBytes out) const override {
      const auto& bytes = content().bytes;
      if (offset >= bytes.size()) return size_t{0};
      const size_t size = std::min<size_t>(out.size(), bytes.size() - offset);
      std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), size, out.begin());
      return size;
    }

   private:
    Content& content() const { return disk_.files_.at(name_); }
    SimDisk& disk_;
    std::string name_;
  };
  bool fails() { return calls_++ >= fail_at_; }

  Rng rng_;
  std::map<std::string, Content> files_;
  uint64_t calls_ = 0;
  uint64_t fail_at_ = UINT64_MAX;
};

}  // namespace beamline::chain::testing
