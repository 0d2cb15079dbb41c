// The node's secp256k1 identity in a file: 64 hex digits and a newline.
#pragma once

#include <string>

#include "base/rng.h"
#include "crypto/secp256k1.h"

namespace beamline::node {

// Reads the key, or makes one and writes it (mode 0600) when the file is not there. Throws
// std::runtime_error that names the file and what is wrong with it.
secp256k1::SecretKey load_or_create_identity(const std::string& path, Rng& rng);

}  // namespace beamline::node
