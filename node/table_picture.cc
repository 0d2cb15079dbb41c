#include "node/table_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <map>

#include "codec/hex.h"
#include "discovery/node_id.h"

namespace beamline::node {
namespace {

__attribute__((format(printf, 2, 3))) void append(std::string& out, const char* format, ...) {
  std::array<char, 512> line;
  va_list arguments;
  va_start(arguments, format);
  const int size = std::vsnprintf(line.data(), line.size(), format, arguments);
  va_end(arguments);
  out.append(line.data(),
             std::min<size_t>(static_cast<size_t>(std::max(size, 0)), line.size() - 1));
}

const char* protocols_of(const TableRow& row) {
  constexpr std::array<const char*, 4> kNames = {"?", "v4", "v5", "v4+v5"};
  return kNames[row.protocols & 3];
}

const char* color_of(const TableRow& row) {
  if (row.live) return row.replacement ? "#7fb8e6" : "#1f77b4";
  return "#c8c8c8";
}

// Where on the circle: the id's first bytes as a fraction of it.
double angle_of(const NodeId& id) {
  const double fraction = (id.bytes[0] * 256.0 + id.bytes[1]) / 65536.0;
  return fraction * 2 * 3.14159265358979;
}

void draw_buckets(std::string& out, const TableSnapshot& snapshot, unsigned lowest) {
  constexpr double kCell = 12, kLeft = 60, kTop = 60;
  std::map<unsigned, std::pair<unsigned, unsigned>> filled;  // cells of main, of replacements
  for (const TableRow& row : snapshot.rows) {
    auto& [mains, spares] = filled[row.distance];
    const unsigned column = row.replacement ? 17 + spares++ : mains++;
    append(out,
           "<rect class=\"contact\" x=\"%.0f\" y=\"%.0f\" width=\"10\" height=\"10\" "
           "fill=\"%s\"><title>%s %s</title></rect>\n",
           kLeft + column * kCell, kTop + (256 - row.distance) * kCell, color_of(row),
           to_hex(row.id.view()).substr(0, 16).c_str(), to_string(row.udp).c_str());
  }
  for (unsigned distance = 256; distance >= lowest; --distance) {
    const double y = kTop + (256 - distance) * kCell;
    append(out, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%u</text>\n", kLeft - 8, y + 9,
           distance);
    append(out,
           "<rect class=\"bucket\" x=\"%.0f\" y=\"%.0f\" width=\"191\" height=\"11\"/>"
           "<rect class=\"bucket\" x=\"%.0f\" y=\"%.0f\" width=\"119\" height=\"11\"/>\n",
           kLeft - 1, y - 1, kLeft + 17 * kCell - 1, y - 1);
  }
}

// Ourselves in the middle; each ring is a log distance, an id has its place on the circle.
void draw_distances(std::string& out, const TableSnapshot& snapshot, unsigned lowest) {
  constexpr double kX = 640, kY = 260, kRadius = 190;
  const double step = kRadius / static_cast<double>(257 - lowest);
  for (unsigned distance = lowest; distance <= 256; ++distance) {
    append(out, "<circle class=\"ring\" cx=\"%.0f\" cy=\"%.0f\" r=\"%.1f\"/>\n", kX, kY,
           step * (distance - lowest + 1));
  }
  for (const TableRow& row : snapshot.rows) {
    const double radius = step * (row.distance - lowest + 1), angle = angle_of(row.id);
    append(out, "<circle class=\"contact\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n",
           kX + radius * std::cos(angle), kY + radius * std::sin(angle), color_of(row));
  }
  append(out, "<circle cx=\"%.0f\" cy=\"%.0f\" r=\"5\" fill=\"#d62728\"/>\n", kX, kY);
}

}  // namespace

TableSnapshot snapshot_of(const discovery::Service& service) {
  const discovery::Table& table = service.contacts().table;
  TableSnapshot snapshot;
  snapshot.self = table.self();
  snapshot.live = table.live_size();
  snapshot.main = table.main_size();
  snapshot.replacements = table.replacement_size();
  snapshot.pool = service.contacts().pool.size();
  table.for_each([&](const discovery::Contact& contact) {
    const discovery::NodeRecord& node = contact.record;
    snapshot.rows.push_back({node.id, discovery::log_distance(snapshot.self, node.id), node.udp,
                             node.tcp_port, node.protocols, node.fork, node.seq, contact.live,
                             contact.replacement});
  });
  return snapshot;
}

std::string table_text(const TableSnapshot& snapshot) {
  std::string out;
  append(out, "table: %zu live, %zu in main, %zu replacements, %zu in the pool\n", snapshot.live,
         snapshot.main, snapshot.replacements, snapshot.pool);
  append(out, "%-16s %4s %-5s %-8s %-5s %s\n", "id", "dist", "state", "fork", "speaks", "address");
  for (auto row = snapshot.rows.rbegin(); row != snapshot.rows.rend(); ++row) {
    append(out, "%-16s %4u %-5s %08x %-5s %s\n", to_hex(row->id.view()).substr(0, 16).c_str(),
           row->distance, row->live ? (row->replacement ? "spare" : "live") : "heard", row->fork,
           protocols_of(*row), to_string(row->udp).c_str());
  }
  return out;
}

std::string table_svg(const TableSnapshot& snapshot) {
  unsigned lowest = 256;
  for (const TableRow& row : snapshot.rows) lowest = std::min(lowest, row.distance);
  lowest = std::min(lowest, 250u);  // some rings in any case
  const unsigned height = std::max(480u, 80 + (257 - lowest) * 12);
  std::string out;
  append(out,
         "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"%u\" "
         "viewBox=\"0 0 860 %u\" font-family=\"sans-serif\" font-size=\"10\">\n",
         height, height);
  out +=
      "<style>.bucket{fill:none;stroke:#ddd}.ring{fill:none;stroke:#eee}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  append(out,
         "<text x=\"60\" y=\"24\" font-size=\"14\">%s: %zu live, %zu in main, %zu "
         "replacements</text>\n",
         to_hex(snapshot.self.view()).substr(0, 16).c_str(), snapshot.live, snapshot.main,
         snapshot.replacements);
  out +=
      "<text x=\"60\" y=\"48\">log distance, main (16)</text>"
      "<text x=\"264\" y=\"48\">replacements (10)</text>"
      "<text x=\"450\" y=\"48\">ids by distance, ourselves in the middle</text>\n";
  draw_buckets(out, snapshot, lowest);
  draw_distances(out, snapshot, lowest);
  out += "</svg>\n";
  return out;
}

}  // namespace beamline::node
