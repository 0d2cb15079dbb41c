// The files of a store on a real disk (chain/headers/store_file.h). Blocks: for a storage thread.
#pragma once

#include <memory>
#include <string>

#include "chain/headers/store_file.h"

namespace beamline::node {

// The directory is made if it is not there, with those above it. Errors: io_error with the errno.
Result<std::unique_ptr<chain::StoreDirectory>> open_directory(const std::string& path);

}  // namespace beamline::node
