// Three peers send a router what they like, in any cut, while time passes and verdicts come. The
// first byte of each step says what happens, the second how many bytes of a stream follow.
#include "base/check.h"
#include "gossip/router.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  using namespace beamline::gossip;
  constexpr PeerIndex kPeers = 3;
  Params params;
  params.max_queue_bytes = 1 << 16;
  params.max_control_bytes = 1 << 14;
  params.max_validating = 8;
  params.max_stored = 16;
  params.max_stored_bytes = 1 << 20;
  params.max_seen = 16;
  Rng rng(uint64_t{1});
  Now now{MonoTime{1'000'000'000}, WallTime{}};
  Router router(params, rng, now);
  const TopicIndex topic = router.register_topic("t", {}).value();
  router.subscribe(topic, now);
  auto connect = [&](PeerIndex peer) {
    const PeerInfo info{static_cast<Version>(peer), peer == 1, peer + 1u};
    BL_CHECK(router.peer_connected(peer, info, now).has_value());
  };
  for (PeerIndex peer = 0; peer < kPeers; ++peer) connect(peer);
  MessageHandle last;
  while (size >= 2) {
    const PeerIndex peer = data[0] % kPeers;
    const size_t count = std::min<size_t>(data[1], size - 2);
    switch (data[0] / kPeers % 8) {
      case 0:
        now.mono = router.poll_timeout();
        router.handle_timeout(now);
        break;
      case 1:
        router.verdict(last, static_cast<Verdict>(data[1] % 3), now);
        break;
      case 2:
        router.peer_disconnected(peer, now);
        connect(peer);
        break;
      default:
        if (!router.receive(peer, Bytes(data + 2, count), now)) router.restart_input(peer);
        data += count;
        size -= count;
        break;
    }
    data += 2;
    size -= 2;
    Message message;
    while (router.poll_message(message)) last = message.handle;
    BL_CHECK(router.queued_bytes(peer) <= params.max_queue_bytes + params.max_control_bytes);
    BL_CHECK(router.stored_bytes() <= params.max_stored_bytes);
    BL_CHECK(router.validating() <= params.max_validating && router.seen_size() <= params.max_seen);
    for (PeerIndex member : router.mesh(topic)) BL_CHECK(router.connected(member));
  }
  return 0;
}
