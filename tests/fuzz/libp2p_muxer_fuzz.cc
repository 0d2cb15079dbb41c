// yamux and mplex: whatever comes, the limits hold, and an error is the peer's. The first byte
// picks the muxer and our side, the second the size of the pieces that arrive.
#include <algorithm>
#include <memory>
#include <vector>

#include "base/check.h"
#include "libp2p/mplex.h"
#include "libp2p/yamux.h"

namespace beamline::libp2p {
namespace {

void run(uint8_t options, size_t piece, Bytes input) {
  MuxLimits limits;
  limits.inbound_streams = 8;
  limits.receive_bytes = 4096;
  limits.held_bytes = 8192;
  limits.pending_resets = 16;
  MuxStats stats;
  const Role role = (options & 2) != 0 ? Role::dialler : Role::listener;
  std::unique_ptr<Muxer> muxer;
  if ((options & 1) != 0) {
    muxer = std::make_unique<Yamux>(role, limits, stats);
  } else {
    muxer = std::make_unique<Mplex>(role, limits, stats);
  }
  const SharedBytes text = SharedBytes::copy(as_bytes("some text to be sent"));
  const Result<StreamId> ours = muxer->open();
  if (ours) muxer->write(*ours, text);
  std::vector<uint8_t> out(300);
  unsigned turn = options;
  while (!input.empty()) {
    // A copy, so that reading past a piece is seen.
    std::vector<uint8_t> bytes(
        input.begin(), input.begin() + static_cast<std::ptrdiff_t>(std::min(piece, input.size())));
    input = input.subspan(bytes.size());
    Bytes rest(bytes);
    for (MuxEvent event;;) {
      const Result<size_t> taken = muxer->receive(rest, event);
      if (!taken) {
        BL_CHECK(taken.error().fault == Fault::peer);
        return;
      }
      rest = rest.subspan(*taken);
      BL_CHECK(muxer->held_bytes() <= limits.held_bytes);
      BL_CHECK(muxer->stream_count() <= limits.inbound_streams + 1);
      if (event.type == MuxEvent::Type::none) break;
      switch (turn++ % 7) {
        case 0:
          muxer->pause(event.stream);
          break;
        case 1:
          muxer->resume(event.stream);
          break;
        case 2:
          muxer->write(event.stream, text);
          break;
        case 3:
          muxer->close_write(event.stream);
          break;
        case 4:
          muxer->reset(event.stream);
          break;
        case 5:
          muxer->poll_transmit(out);
          break;
        default:
          break;
      }
    }
    BL_CHECK(rest.empty());
  }
}

}  // namespace
}  // namespace beamline::libp2p

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  beamline::libp2p::run(data[0], 1u + data[1], {data + 2, size - 2});
  return 0;
}
