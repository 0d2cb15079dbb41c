// Protocol ids as small integers. multistream-select names protocols by text ("/meshsub/1.2.0");
// a table interns each once, and after a negotiation only the integer is compared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::libp2p {

// An index into the ProtocolTable that gave it.
using ProtocolId = uint16_t;
inline constexpr ProtocolId kNoProtocol = 0xffff;

// Filled at start-up, then only read. One thread at a time while it is filled.
class ProtocolTable {
 public:
  static constexpr size_t kMaxProtocols = 512;
  // What fits a message of multistream-select with its newline.
  static constexpr size_t kMaxNameSize = 1023;

  // `served`: we accept it from the other side; otherwise we only propose it. Adding a name again
  // gives the same id, and serves it if either call said so.
  // REQUIRES: the name is not empty, at most kMaxNameSize bytes, and has no newline; the table has
  // room.
  ProtocolId add(std::string_view name, bool served);
  // kNoProtocol if the name is not in the table.
  ProtocolId find(std::string_view name) const;
  // The same, of those that we serve.
  ProtocolId find_served(std::string_view name) const;

  // REQUIRES: id < size().
  std::string_view name(ProtocolId id) const { return entries_[id].name; }
  bool served(ProtocolId id) const { return entries_[id].served; }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    bool served;
  };
  std::vector<Entry> entries_;
};

}  // namespace beamline::libp2p
