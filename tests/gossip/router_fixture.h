// A router under test and the peers around it: what they send, and what they were sent.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "codec/snappy.h"
#include "codec/uvarint.h"
#include "gossip/router.h"

namespace beamline::gossip {

inline constexpr std::string_view kBlocks = "/eth2/b5303f2a/beacon_block/ssz_snappy";
inline constexpr std::string_view kExits = "/eth2/b5303f2a/voluntary_exit/ssz_snappy";

// What a peer was sent, with the views made strings.
struct Received {
  RpcItem::Kind kind;
  std::string topic;
  std::string data;
  std::vector<MessageId> ids;
  uint64_t backoff = 0;
  const uint8_t* frame = nullptr;  // where the frame's bytes lie
};

inline std::vector<Received> parse_frame(const SharedBytes& frame) {
  Bytes rest = frame;
  const Result<uint64_t> size = take_uvarint(rest, "frame");
  EXPECT_TRUE(size.has_value() && *size == rest.size());
  Result<RpcReader> reader = RpcReader::open(rest, {});
  EXPECT_TRUE(reader.has_value());
  std::vector<Received> out;
  RpcItem item;
  while (reader && reader->next(item)) {
    Received got{item.kind,
                 std::string(as_text(item.topic)),
                 std::string(as_text(item.data)),
                 {},
                 item.backoff,
                 frame.data()};
    IdReader ids(item);
    MessageId id;
    while (!item.ids.empty() && ids.next(id)) got.ids.push_back(id);
    out.push_back(std::move(got));
  }
  return out;
}

inline SharedBytes subscription(std::string_view topic, bool on = true) {
  const SubscriptionEntry entry{as_bytes(topic), on};
  return encode_subscriptions({&entry, 1});
}
inline SharedBytes graft(std::string_view topic) {
  const Bytes name = as_bytes(topic);
  return encode_graft_prune({{&name, 1}, {}});
}
inline SharedBytes prune(std::string_view topic, uint64_t backoff) {
  const PruneEntry entry{as_bytes(topic), backoff};
  return encode_graft_prune({{}, {&entry, 1}});
}
inline SharedBytes block_frame(std::string_view payload, std::string_view topic = kBlocks) {
  return encode_message(as_bytes(topic), snappy_compress(as_bytes(payload))).frame;
}
inline MessageId numbered_id(uint64_t n) {
  MessageId id;
  std::memcpy(id.bytes.data(), &n, sizeof(n));
  return id;
}

class RouterTest : public ::testing::Test {
 protected:
  void start(const Params& params = {}) {
    params_ = params;
    router_ = std::make_unique<Router>(params_, rng_, now_);
    TopicConfig config;
    config.id_rule = MessageIdRule::phase0;
    blocks_ = router_->register_topic(kBlocks, config).value();
    exits_ = router_->register_topic(kExits, {}).value();
    router_->subscribe(blocks_, now_);
  }
  void SetUp() override { start(); }

  void connect(PeerIndex peer, PeerInfo info = {Version::v1_2, false, 0}) {
    ASSERT_TRUE(router_->peer_connected(peer, info, now_).has_value());
  }
  // Connected, and subscribed to blocks; while the mesh is small it is grafted at once.
  void join(PeerIndex peer, PeerInfo info = {Version::v1_2, false, 0}) {
    connect(peer, info);
    give(peer, subscription(kBlocks));
  }
  void give(PeerIndex peer, const SharedBytes& frame) {
    const Status ok = router_->receive(peer, frame, now_);
    EXPECT_TRUE(ok.has_value()) << to_string(ok.error());
  }
  // All that the router has for a peer.
  std::vector<Received> drain(PeerIndex peer) {
    std::vector<Received> out;
    for (SharedBytes frame = router_->poll_transmit(peer); !frame.empty();
         frame = router_->poll_transmit(peer)) {
      for (Received& got : parse_frame(frame)) out.push_back(std::move(got));
    }
    return out;
  }
  std::vector<Received> drain(PeerIndex peer, RpcItem::Kind kind) {
    std::vector<Received> out = drain(peer);
    std::erase_if(out, [&](const Received& got) { return got.kind != kind; });
    return out;
  }
  void advance(Duration by) {
    const MonoTime end = now_.mono + by;
    while (router_->poll_timeout() <= end) {
      now_.mono = router_->poll_timeout();
      router_->handle_timeout(now_);
    }
    now_.mono = end;
  }
  void beat(int times = 1) { advance(params_.heartbeat * times); }
  std::vector<Message> messages() {
    std::vector<Message> out;
    Message message;
    while (router_->poll_message(message)) out.push_back(message);
    return out;
  }
  // Receives a block and answers it.
  MessageId block(PeerIndex from, std::string_view payload, Verdict verdict = Verdict::accept) {
    give(from, block_frame(payload));
    const std::vector<Message> got = messages();
    EXPECT_EQ(got.size(), 1u);
    if (got.empty()) return {};
    router_->verdict(got[0].handle, verdict, now_);
    return got[0].id;
  }
  bool in_mesh(PeerIndex peer) const {
    return std::ranges::find(router_->mesh(blocks_), peer) != router_->mesh(blocks_).end();
  }
  const Stats& stats() const { return router_->stats(); }

  Params params_;
  Rng rng_{uint64_t{7}};
  Now now_{MonoTime{1'000'000'000'000}, WallTime::from_unix(1'700'000'000)};
  std::unique_ptr<Router> router_;
  TopicIndex blocks_ = 0;
  TopicIndex exits_ = 0;
};

}  // namespace beamline::gossip
