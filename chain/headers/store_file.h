// The files of a store, as its thread sees them. An interface, so that a simulation can lose or
// tear what was not synced; the real ones are in node/. Every call may wait for a disk: none is
// made on a reactor's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline::chain {

// Errors: io_error (local), the errno in `offset`. After an error of append() or sync() what was
// appended since the last good sync() may be there, in part, or not.
class StoreFile {
 public:
  virtual ~StoreFile() = default;
  virtual uint64_t size() const = 0;
  // At the end. All or an error.
  virtual Status append(Bytes bytes) = 0;
  // The same of pieces in a row, without putting them together first where the system can.
  virtual Status append_pieces(std::span<const Bytes> pieces) {
    std::vector<uint8_t> bytes;
    for (const Bytes piece : pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
    return append(bytes);
  }
  // What was appended survives a crash from here on.
  virtual Status sync() = 0;
  // Cuts the end off; durable when it returns.
  virtual Status truncate(uint64_t size) = 0;
  // How many bytes were read: fewer than asked for only at the end of the file.
  virtual Result<size_t> read(uint64_t offset, MutableBytes out) const = 0;
};

class StoreDirectory {
 public:
  virtual ~StoreDirectory() = default;
  // Plain names, sorted.
  virtual Result<std::vector<std::string>> list() const = 0;
  // Creates it if it is not there; a new name is durable when this returns.
  virtual Result<std::unique_ptr<StoreFile>> open(const std::string& name) = 0;
  virtual Status remove(const std::string& name) = 0;
};

}  // namespace beamline::chain
