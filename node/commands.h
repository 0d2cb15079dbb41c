// The commands of the program; each has a file of its own.
#pragma once

#include "node/cli.h"

namespace beamline {

int discover_command(Arguments arguments);
int echo_command(Arguments arguments);
int follow_command(Arguments arguments);
int headers_command(Arguments arguments);
int serve_chain_command(Arguments arguments);
int sync_report_command(Arguments arguments);

}  // namespace beamline
