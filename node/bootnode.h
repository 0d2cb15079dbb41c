// A node that the user names: `enode://...` or `enr:...`.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "discovery/node_record.h"

namespace beamline::node {

// What is wrong otherwise, to be read behind the text: "must be ...".
std::expected<discovery::NodeRecord, std::string> parse_bootnode(std::string_view text);

}  // namespace beamline::node
