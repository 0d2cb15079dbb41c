// The root of a Merkle Patricia trie (Yellow Paper, appendix D) that is made at once from all its
// keys: for a genesis state. Nothing of the trie is kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "crypto/hash.h"

namespace beamline {

struct TrieEntry {
  Hash256 key;  // hashed already: all keys are of one length, so no value stands in a branch
  std::vector<uint8_t> value;  // not empty
};

// Sorts `entries`. REQUIRES: no key stands twice.
Hash256 trie_root(std::span<TrieEntry> entries);

}  // namespace beamline
