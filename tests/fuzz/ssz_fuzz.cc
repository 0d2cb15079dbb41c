// The first byte chooses a container of the beacon chain or of lean. What passes the check is
// written back, from views, as the same bytes; it can be hashed and printed, and decodes to a value
// with the same encoding where there is one. Memory is bounded by the input and, for owned lists,
// by how much larger a value is than its encoding.
#include <vector>

#include "base/check.h"
#include "codec/beacon_types.h"
#include "codec/lean_state.h"
#include "codec/lean_types.h"
#include "codec/reqresp_messages.h"
#include "tests/fuzz/largest_allocation.h"

namespace beamline {
namespace {

using ssz::Kind;
using ssz::Type;
using ssz::View;

struct Subject {
  const Type* type;
  const LeanTypes* lean;  // null: the beacon chain's
};

std::vector<Subject> make_subjects() {
  static const BeaconTypes beacon(Preset::minimal());
  static const LeanTypes lean(LeanPreset::test());
  std::vector<Subject> all;
  for (const BeaconTypes::Entry& entry : beacon.all()) all.push_back({entry.type, nullptr});
  for (const LeanTypes::Entry& entry : lean.all()) all.push_back({entry.type, &lean});
  for (const Type* type : {&StatusV1::ssz_type(), &StatusV2::ssz_type(), &MetaDataV3::ssz_type(),
                           &blocks_by_root_type(), &EnrForkId::ssz_type()}) {
    all.push_back({type, nullptr});
  }
  return all;
}

void append_offset(size_t offset, std::vector<uint8_t>& out) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<uint8_t>(offset >> shift));
  }
}

// The encoding of what the view shows, made by the specification's rules and not by ours.
// Types are at most 16 deep.
void write(const View& view, std::vector<uint8_t>& out) {
  const Type& type = view.type();
  const bool container = type.kind == Kind::container;
  if (!container && type.kind != Kind::vector && type.kind != Kind::list) {
    if (type.kind == Kind::bitlist) {
      const size_t at = out.size();
      out.resize(at + view.size() / 8 + 1);
      for (size_t i = 0; i <= view.size(); ++i) {
        const unsigned bit = i == view.size() || view.bit(i) ? 1 : 0;
        out[at + i / 8] = static_cast<uint8_t>(out[at + i / 8] | bit << (i % 8));
      }
      return;
    }
    out.insert(out.end(), view.bytes().begin(), view.bytes().end());
    return;
  }
  std::vector<std::vector<uint8_t>> parts(view.size());
  size_t offset = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const View child = container ? view.field(i) : view.at(i);
    write(child, parts[i]);
    offset += child.type().is_fixed() ? parts[i].size() : ssz::kOffsetSize;
  }
  std::vector<uint8_t> tail;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Type& child = container ? *type.fields[i].type : *type.element;
    std::vector<uint8_t>& to = child.is_fixed() ? out : tail;
    if (!child.is_fixed()) append_offset(offset + tail.size(), out);
    to.insert(to.end(), parts[i].begin(), parts[i].end());
  }
  out.insert(out.end(), tail.begin(), tail.end());
}

void check_owned(const Type& type, Bytes input, const Root& root, ssz::Hasher& hasher) {
  LeanState state;
  StatusV2 status;
  std::vector<Root> roots;
  void* value = nullptr;
  if (type.value_size == sizeof(state)) value = &state;
  if (&type == &StatusV2::ssz_type()) value = &status;
  if (&type == &blocks_by_root_type()) value = &roots;
  if (value == nullptr) return;
  {
    const LargestAllocation largest;
    BL_CHECK(ssz::decode_value(type, input, value).has_value());
    BL_CHECK(largest.bytes() <= 2 * input.size() + 4096);
  }
  std::vector<uint8_t> again;
  BL_CHECK(ssz::encode_value(type, value, again).has_value() && equal(again, input));
  BL_CHECK(*ssz::root_of_value(type, value, hasher) == root);
}

}  // namespace
}  // namespace beamline

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  static const std::vector<Subject> subjects = make_subjects();
  if (size == 0) return 0;
  const Subject& subject = subjects[data[0] % subjects.size()];
  const Type& type = *subject.type;
  const Bytes input(data + 1, size - 1);
  ssz::Hasher hasher;
  const LargestAllocation parsing;
  const Result<View> view =
      subject.lean != nullptr ? subject.lean->parse(type, input) : View::parse(type, input);
  BL_CHECK(parsing.bytes() == 0);
  if (!view) {
    BL_CHECK(view.error().offset <= input.size() && view.error().fault == Fault::peer);
    BL_CHECK(view.error().field[0] != '\0');
    return 0;
  }
  BL_CHECK(input.size() >= type.min_size && input.size() <= type.max_size);
  const Root root = hasher.hash_tree_root(*view);
  // Chunks of the value and of its lists' roots: twice the bytes, and the stack of the types'
  // depth.
  BL_CHECK(parsing.bytes() <= 64 * input.size() + 8192);
  BL_CHECK(ssz::to_text(*view, 1000).size() <= 1000);
  std::vector<uint8_t> again;
  write(*view, again);
  BL_CHECK(equal(again, input));
  check_owned(type, input, root, hasher);
  return 0;
}
