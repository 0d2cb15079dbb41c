// Records as bytes: integers little endian, roots, and byte strings with or without their length.
// What the stores and the fork choices write, and read back from a disk that may be damaged.
#pragma once

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "chain/fork_choice.h"

namespace beamline::chain {

class RecordWriter {
 public:
  void u8(uint8_t value) { out.push_back(value); }
  void u32(size_t value) { little_endian(value, 4); }
  void u64(uint64_t value) { little_endian(value, 8); }
  void root(const Root& value) { out.insert(out.end(), value.bytes.begin(), value.bytes.end()); }
  void bytes(Bytes value) { out.insert(out.end(), value.begin(), value.end()); }
  void checkpoint(const Checkpoint& value) {
    u64(value.number);
    root(value.root);
  }
  void sized(Bytes value) {
    u32(value.size());
    bytes(value);
  }
  std::vector<uint8_t> out;

 private:
  void little_endian(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
};

// Reads of more than there is give zeros and remember it; end() says so.
class RecordReader {
 public:
  explicit RecordReader(Bytes bytes) : bytes_(bytes) {}
  uint8_t u8() { return static_cast<uint8_t>(little_endian(1)); }
  uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
  uint64_t u64() { return little_endian(8); }
  Root root() {
    Root value;
    const Bytes taken = take(value.bytes.size());
    std::copy(taken.begin(), taken.end(), value.bytes.begin());
    return value;
  }
  Checkpoint checkpoint() {
    Checkpoint value;
    value.number = u64();
    value.root = root();
    return value;
  }
  Bytes sized() { return take(u32()); }
  Bytes rest() { return take(bytes_.size() - at_); }
  // May there be so many items of at least `each` bytes? Before anything is allocated for them.
  uint32_t count(size_t each) {
    const uint32_t many = u32();
    if (many <= (bytes_.size() - at_) / each) return many;
    short_ = true;
    return 0;
  }
  Status end() const {
    if (short_) return local_error(Code::truncated, "store record");
    if (at_ != bytes_.size()) return local_error(Code::trailing, "store record");
    return {};
  }

 private:
  Bytes take(size_t size) {
    if (size > bytes_.size() - at_) {
      short_ = true;
      at_ = bytes_.size();
      return {};
    }
    const Bytes taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }
  uint64_t little_endian(size_t size) {
    uint64_t value = 0;
    const Bytes taken = take(size);
    for (size_t i = 0; i < taken.size(); ++i) value |= uint64_t{taken[i]} << (8 * i);
    return value;
  }
  Bytes bytes_;
  size_t at_ = 0;
  bool short_ = false;
};

}  // namespace beamline::chain
