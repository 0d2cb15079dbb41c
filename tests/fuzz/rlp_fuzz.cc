// What verify() accepts is written back, item by item, as the same bytes; what it refuses, a reader
// refuses too. Nothing is allocated.
#include <vector>

#include "base/check.h"
#include "codec/rlp.h"
#include "tests/fuzz/largest_allocation.h"

namespace beamline::rlp {
namespace {

// Reads all items and writes them again; false at the first error.
bool copy(Bytes input, std::vector<uint8_t>& out) {
  struct Open {
    Reader reader;
    Writer::Mark mark;
  };
  Writer writer(out);
  std::vector<Open> stack;
  Reader reader(input);
  Writer::Mark mark;
  while (true) {
    while (reader.at_end() && !stack.empty()) {
      writer.end_list(mark);
      reader = stack.back().reader;
      mark = stack.back().mark;
      stack.pop_back();
    }
    if (reader.at_end()) return true;
    const size_t at = reader.offset();
    BL_CHECK(at < input.size());
    Reader list = reader;
    const Result<Item> item = reader.next("item");
    if (!item) {
      BL_CHECK(item.error().offset <= input.size());
      return false;
    }
    if (!item->is_list) {
      writer.string(item->payload);
      continue;
    }
    if (stack.size() == kMaxDepth) return false;
    list = *list.list("list");
    stack.push_back({reader, mark});
    reader = list;
    mark = writer.begin_list();
  }
}

}  // namespace
}  // namespace beamline::rlp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  const Bytes input(data, size);
  Status status;
  {
    const LargestAllocation largest;
    status = rlp::verify(input, "fuzz");
    BL_CHECK(largest.bytes() == 0);
  }
  if (!status) BL_CHECK(status.error().offset <= size);
  std::vector<uint8_t> again;
  const bool copied = rlp::copy(input, again);
  if (status) {
    BL_CHECK(copied && equal(again, input));
    BL_CHECK(rlp::parse(input, "fuzz").has_value());
  } else if (copied && !input.empty()) {
    // Several items in a row, each canonical; or one nested as deep as it may.
    BL_CHECK(status.error().code == Code::trailing);
  }
  rlp::Reader reader(input);
  if (const Result<uint64_t> number = reader.uint("fuzz")) {
    std::vector<uint8_t> written;
    rlp::Writer(written).uint(*number);
    BL_CHECK(equal(written, input.first(reader.offset())));
    BL_CHECK(written.size() == rlp::uint_size(*number));
  }
  return 0;
}
