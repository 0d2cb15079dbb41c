// `beamline sync-report`: how the last sync of a data directory went.
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "node/commands.h"
#include "node/posix_files.h"
#include "node/sync_phases.h"

namespace beamline {

int sync_report_command(Arguments arguments) {
  std::string data;
  CommandOptions parser("sync-report");
  parser.text("--data", data, "the data directory of `beamline headers`");
  if (const auto status = parser.parse_or_explain(arguments)) return *status;
  constexpr CommandErrors kErrors("sync-report");
  if (data.empty()) return kErrors.usage("--data DIR is required");
  if (!std::filesystem::is_directory(data)) {
    return kErrors.fail("--data '" + data + "' is not a directory");
  }
  const auto directory = node::open_directory(data);
  if (!directory) return kErrors.fail(data + ": " + to_string(directory.error()));
  const auto phases = node::SyncPhases::open(**directory, false);
  if (!phases) return kErrors.fail(data + ": " + to_string(phases.error()));
  const auto now = static_cast<uint64_t>(std::time(nullptr)) * 1000;
  std::fputs(node::report_text(*phases, now).c_str(), stdout);
  return 0;
}

}  // namespace beamline
