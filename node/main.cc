#include "node/cli.h"
#include "node/commands.h"

int main(int argc, char** argv) {
  constexpr beamline::Command kCommands[] = {
      {"echo", "an echo server and its clients on two reactors: rate and latency, live",
       beamline::echo_command},
      {"discover", "find nodes by discv4 and discv5, and show the table they make",
       beamline::discover_command},
      {"headers", "sync the headers of an execution chain from its peers",
       beamline::headers_command},
      {"serve-chain", "serve a file of execution blocks to eth peers",
       beamline::serve_chain_command},
      {"sync-report", "how the last sync of a data directory went", beamline::sync_report_command},
      {"follow", "follow a beacon chain from its peers, block by block", beamline::follow_command},
  };
  const beamline::Arguments arguments(argv, static_cast<size_t>(argc));
  return beamline::run_command(kCommands, arguments.subspan(argc > 0 ? 1 : 0));
}
