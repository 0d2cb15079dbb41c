// The node database on a disk. Blocking: for start-up, shutdown, and a storage thread; never on a
// reactor.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline::discovery {

// The whole file. not_found, io_error (errno), too_long (over NodeDb::kMaxBytes).
Result<std::vector<uint8_t>> read_node_db(const std::string& path);
// Replaces the file at once or not at all: a new file beside it, fsync, rename, fsync of the
// folder.
Status write_node_db(const std::string& path, Bytes bytes);

}  // namespace beamline::discovery
