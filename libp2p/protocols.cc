#include "libp2p/protocols.h"

#include "base/check.h"

namespace beamline::libp2p {

ProtocolId ProtocolTable::add(std::string_view name, bool served) {
  BL_CHECK(!name.empty() && name.size() <= kMaxNameSize && name.find('\n') == name.npos);
  ProtocolId id = find(name);
  if (id != kNoProtocol) {
    entries_[id].served |= served;
    return id;
  }
  BL_CHECK(entries_.size() < kMaxProtocols);
  id = static_cast<ProtocolId>(entries_.size());
  entries_.push_back({std::string(name), served});
  return id;
}

ProtocolId ProtocolTable::find(std::string_view name) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].name == name) return static_cast<ProtocolId>(i);
  }
  return kNoProtocol;
}

ProtocolId ProtocolTable::find_served(std::string_view name) const {
  const ProtocolId id = find(name);
  return id != kNoProtocol && entries_[id].served ? id : kNoProtocol;
}

}  // namespace beamline::libp2p
