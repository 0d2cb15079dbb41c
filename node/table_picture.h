// What a discovery table looks like: rows of it, as text and as an SVG picture of its buckets and
// of the distances of its contacts.
#pragma once

#include <string>
#include <vector>

#include "discovery/service.h"

namespace beamline::node {

struct TableRow {
  NodeId id;
  unsigned distance = 0;  // log2, 1 to 256
  Endpoint udp;
  uint16_t tcp_port = 0;
  uint8_t protocols = 0;
  uint32_t fork = 0;
  uint64_t seq = 0;
  bool live = false;
  bool replacement = false;
};

struct TableSnapshot {
  NodeId self;
  std::vector<TableRow> rows;  // nearest bucket first, main before replacements
  size_t live = 0, main = 0, replacements = 0, pool = 0;
};

TableSnapshot snapshot_of(const discovery::Service& service);
// A line for each contact, the farthest first, under a heading.
std::string table_text(const TableSnapshot& snapshot);
std::string table_svg(const TableSnapshot& snapshot);

}  // namespace beamline::node
