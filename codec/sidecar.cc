#include "codec/sidecar.h"

#include "base/check.h"

namespace beamline {
namespace {

constexpr size_t kBlobIdSize = 40;    // root, index
constexpr size_t kColumnsFixed = 36;  // root, offset of the indices

template <size_t kBytes>
void append_uint(uint64_t value, std::vector<uint8_t>& out) {
  for (size_t i = 0; i < kBytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}
template <size_t kBytes>
uint64_t uint_at(Bytes bytes, size_t at) {
  uint64_t value = 0;
  for (size_t i = kBytes; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

// The entries of a list of columns by root: where the next begins, or what is wrong with it.
struct Entry {
  size_t begin = 0;
  size_t end = 0;
};
Result<size_t> entries_of(Bytes body) {
  if (body.empty()) return 0;
  if (body.size() < 4) return bad_input(Code::truncated, "data_columns", body.size());
  const uint64_t first = uint_at<4>(body, 0);
  if (first == 0 || first % 4 != 0 || first > body.size()) {
    return bad_input(Code::bad_offset, "data_columns");
  }
  if (first / 4 > kMaxRequestDataBlocks) return bad_input(Code::too_long, "data_columns");
  return static_cast<size_t>(first / 4);
}
Result<Entry> entry_of(Bytes body, size_t entries, size_t i) {
  const uint64_t begin = uint_at<4>(body, 4 * i);
  const uint64_t end = i + 1 < entries ? uint_at<4>(body, 4 * (i + 1)) : body.size();
  if (begin > end || end > body.size()) return bad_input(Code::bad_offset, "data_columns", 4 * i);
  const uint64_t size = end - begin;
  if (size < kColumnsFixed) return bad_input(Code::truncated, "data_columns", begin);
  if (uint_at<4>(body, begin + 32) != kColumnsFixed) {
    return bad_input(Code::bad_offset, "columns", begin + 32);
  }
  if ((size - kColumnsFixed) % 8 != 0) return bad_input(Code::truncated, "columns", begin);
  if ((size - kColumnsFixed) / 8 > kNumberOfColumns) {
    return bad_input(Code::too_long, "columns", begin);
  }
  return Entry{static_cast<size_t>(begin), static_cast<size_t>(end)};
}

Result<size_t> blob_entries(Bytes body) {
  if (body.size() % kBlobIdSize != 0) {
    return bad_input(Code::truncated, "blob_identifiers", body.size());
  }
  if (body.size() / kBlobIdSize > kMaxRequestBlobSidecars) {
    return bad_input(Code::too_long, "blob_identifiers");
  }
  return body.size() / kBlobIdSize;
}

}  // namespace

std::vector<uint8_t> encode_sidecar_request(SidecarKind kind, std::span<const SidecarIds> wanted) {
  std::vector<uint8_t> out;
  const auto append_root = [&](const Root& root) {
    out.insert(out.end(), root.bytes.begin(), root.bytes.end());
  };
  if (kind == SidecarKind::blobs) {
    for (const SidecarIds& ids : wanted) {
      for (const uint64_t index : ids.indices) {
        append_root(ids.block_root);
        append_uint<8>(index, out);
      }
    }
    BL_CHECK(out.size() <= kMaxRequestBlobSidecars * kBlobIdSize);
    return out;
  }
  BL_CHECK(wanted.size() <= kMaxRequestDataBlocks);
  size_t at = 4 * wanted.size();
  for (const SidecarIds& ids : wanted) {
    BL_CHECK(ids.indices.size() <= kNumberOfColumns);
    append_uint<4>(at, out);
    at += kColumnsFixed + 8 * ids.indices.size();
  }
  for (const SidecarIds& ids : wanted) {
    append_root(ids.block_root);
    append_uint<4>(kColumnsFixed, out);
    for (const uint64_t index : ids.indices) append_uint<8>(index, out);
  }
  return out;
}

Result<uint32_t> count_sidecars(SidecarKind kind, Bytes body) {
  if (kind == SidecarKind::blobs) {
    const auto entries = blob_entries(body);
    if (!entries) return std::unexpected(entries.error());
    return static_cast<uint32_t>(*entries);
  }
  const auto entries = entries_of(body);
  if (!entries) return std::unexpected(entries.error());
  size_t count = 0;
  for (size_t i = 0; i < *entries; ++i) {
    const auto entry = entry_of(body, *entries, i);
    if (!entry) return std::unexpected(entry.error());
    count += (entry->end - entry->begin - kColumnsFixed) / 8;
  }
  return static_cast<uint32_t>(count);
}

Result<std::vector<SidecarIds>> decode_sidecar_request(SidecarKind kind, Bytes body) {
  if (const auto count = count_sidecars(kind, body); !count) {
    return std::unexpected(count.error());
  }
  std::vector<SidecarIds> wanted;
  if (kind == SidecarKind::blobs) {
    for (size_t at = 0; at < body.size(); at += kBlobIdSize) {
      const Root root = Root::load(body.data() + at);
      if (wanted.empty() || wanted.back().block_root != root) wanted.push_back({root, {}});
      wanted.back().indices.push_back(uint_at<8>(body, at + Root::kSize));
    }
    return wanted;
  }
  const size_t entries = *entries_of(body);
  wanted.reserve(entries);
  for (size_t i = 0; i < entries; ++i) {
    const Entry entry = *entry_of(body, entries, i);
    SidecarIds ids{Root::load(body.data() + entry.begin), {}};
    for (size_t at = entry.begin + kColumnsFixed; at < entry.end; at += 8) {
      ids.indices.push_back(uint_at<8>(body, at));
    }
    wanted.push_back(std::move(ids));
  }
  return wanted;
}

Result<SidecarName> name_sidecar(const BeaconTypes& types, SidecarKind kind, Bytes sidecar,
                                 ssz::Hasher& hasher) {
  const bool blob = kind == SidecarKind::blobs;
  const auto view =
      ssz::View::parse(blob ? types.blob_sidecar() : types.data_column_sidecar(), sidecar);
  if (!view) return std::unexpected(view.error());
  constexpr size_t kSignedHeader = 4;  // the field's place, in both
  const ssz::View header = view->field(kSignedHeader).field(0);
  return SidecarName{hasher.hash_tree_root(header), view->field(0).as_uint()};
}

}  // namespace beamline
