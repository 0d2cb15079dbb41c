#include "node/bootnode_option.h"

#include "node/bootnode.h"

namespace beamline::node {

std::optional<int> parse_bootnodes(const std::vector<std::string>& texts,
                                   const CommandErrors& errors,
                                   std::vector<discovery::NodeRecord>& nodes) {
  for (const std::string& text : texts) {
    auto node = parse_bootnode(text);
    if (!node) return errors.usage("--bootnode '" + text + "' " + node.error());
    nodes.push_back(std::move(*node));
  }
  return std::nullopt;
}

}  // namespace beamline::node
