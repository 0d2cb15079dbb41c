// Raw snappy (google/snappy format_description.txt) through libsnappy: gossip payloads. The length
// that a peer declares is checked before anything is allocated.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

// The length in front of the block. Errors (field "snappy.length"): truncated, too_long (over
// `limit`), out_of_range (over 32 bits, or more than any block of this size can expand to: snappy
// cannot do better than 64 bytes for 3).
Result<size_t> snappy_declared_size(Bytes compressed, size_t limit);

// Decompresses into a run of exactly the declared size. bad_encoding (field "snappy.block") when
// the block is not valid.
Result<SharedBytes> snappy_uncompress(Bytes compressed, size_t limit);
// The same into a buffer of the caller. REQUIRES: out.size() == the declared size.
Status snappy_uncompress_into(Bytes compressed, MutableBytes out);

// An upper bound of the compressed size.
size_t snappy_max_compressed(size_t size);
SharedBytes snappy_compress(Bytes data);
// REQUIRES: out.size() >= snappy_max_compressed(data.size()). Gives the size written.
size_t snappy_compress_into(Bytes data, MutableBytes out);
// A block in parts: its length, and behind it the parts of its data in order.
void snappy_append_length(size_t size, std::vector<uint8_t>& out);
// REQUIRES: as snappy_compress_into.
size_t snappy_compress_part(Bytes part, MutableBytes out);

}  // namespace beamline
