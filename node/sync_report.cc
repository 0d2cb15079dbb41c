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
  const auto fail = [](const std::string& what, int status) {
    std::fprintf(stderr, "beamline sync-report: %s\n", what.c_str());
    return status;
  };
  if (data.empty()) return fail("--data DIR is required", kExitUsage);
  if (!std::filesystem::is_directory(data)) {
    return fail("--data '" + data + "' is not a directory", kExitFailure);
  }
  const auto directory = node::open_directory(data);
  if (!directory) return fail(data + ": " + to_string(directory.error()), kExitFailure);
  const auto phases = node::SyncPhases::open(**directory, false);
  if (!phases) return fail(data + ": " + to_string(phases.error()), kExitFailure);
  const auto now = static_cast<uint64_t>(std::time(nullptr)) * 1000;
  std::fputs(node::report_text(*phases, now).c_str(), stdout);
  return 0;
}

}  // namespace beamline
