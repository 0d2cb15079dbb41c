// The reader stays within the message, moves on with each field, and ends; nested messages too.
#include "base/check.h"
#include "codec/protobuf.h"

namespace beamline {
namespace {

constexpr size_t kMaxFields = 1000;

void read_one(Bytes message, Bytes& nested) {
  protobuf::Reader reader(message, "fuzz", kMaxFields);
  protobuf::Field field;
  size_t count = 0, offset = 0;
  while (reader.next(field)) {
    BL_CHECK(++count <= kMaxFields);
    BL_CHECK(reader.offset() > offset && reader.offset() <= message.size());
    offset = reader.offset();
    if (field.type == protobuf::WireType::bytes && !field.bytes.empty()) {
      BL_CHECK(field.bytes.data() >= message.data());
      BL_CHECK(field.bytes.data() + field.bytes.size() <= message.data() + message.size());
      nested = field.bytes;
    }
  }
  if (reader.status()) BL_CHECK(reader.offset() == message.size());
}

}  // namespace
}  // namespace beamline

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  beamline::Bytes message(data, size);
  // The last nested message of each; each is shorter than the one around it.
  while (!message.empty()) {
    beamline::Bytes nested;
    beamline::read_one(message, nested);
    BL_CHECK(nested.size() < message.size());
    message = nested;
  }
  return 0;
}
