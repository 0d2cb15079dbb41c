#include "node/bootnode.h"

#include "codec/enode.h"
#include "codec/enr.h"
#include "discovery/ip_limits.h"

namespace beamline::node {

std::expected<discovery::NodeRecord, std::string> parse_bootnode(std::string_view text) {
  discovery::NodeRecord node;
  if (text.starts_with("enode:")) {
    const auto enode = Enode::parse(text);
    if (!enode) return std::unexpected("is not a good enode: " + to_string(enode.error()));
    node = discovery::record_of(*enode);
  } else if (text.starts_with("enr:")) {
    const auto enr = Enr::parse_text(text);
    if (!enr) return std::unexpected("is not a good record: " + to_string(enr.error()));
    node = discovery::record_of(*enr);
  } else {
    return std::unexpected("must be enode://KEY@IP:PORT or enr:...");
  }
  if (!discovery::is_usable(node.udp)) {
    return std::unexpected("names no UDP address that one could send to");
  }
  return node;
}

}  // namespace beamline::node
