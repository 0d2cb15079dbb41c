// An address that parses has one text, and that text parses to the same address.
#include "base/check.h"
#include "codec/multiaddr.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (const Result<Multiaddr> address = Multiaddr::parse(Bytes(data, size))) {
    BL_CHECK(equal(address->bytes(), Bytes(data, size)));
    BL_CHECK(address->parts().size() <= Multiaddr::kMaxParts);
    const std::string text = address->to_text();
    const Result<Multiaddr> again = Multiaddr::parse_text(text);
    BL_CHECK(again.has_value());
    BL_CHECK(*again == *address);
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const Result<Multiaddr> address = Multiaddr::parse_text(text)) {
    const Result<Multiaddr> again = Multiaddr::parse(address->bytes());
    BL_CHECK(again.has_value());
    BL_CHECK(*again == *address);
  }
  return 0;
}
