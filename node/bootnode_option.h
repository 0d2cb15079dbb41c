// `--bootnode ENODE|ENR`, again and again, for the commands that take it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "discovery/node_record.h"
#include "node/cli.h"

namespace beamline::node {

// Adds what `texts` name to `nodes`. The exit status where one of them is wrong.
std::optional<int> parse_bootnodes(const std::vector<std::string>& texts,
                                   const CommandErrors& errors,
                                   std::vector<discovery::NodeRecord>& nodes);

}  // namespace beamline::node
