// Gossipsub's RPC on the wire: uvarint length || protobuf. Reading copies nothing, and checks the
// whole RPC, with its counts, before the first item of it is handed out: a malformed RPC changes
// nothing. Source: libp2p/specs pubsub README, gossipsub v1.0 to v1.3.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/message_id.h"
#include "codec/protobuf.h"

namespace beamline::gossip {

struct RpcLimits {
  size_t messages = 5000;
  size_t subscriptions = 5000;
  size_t control_messages = 5000;  // ihave + iwant + graft + prune + idontwant
  size_t fields = 100'000;  // in all submessages together, unknown and repeated ones included
};

// One thing that an RPC says. The views point into the RPC.
struct RpcItem {
  enum class Kind : uint8_t {
    subscribe,
    unsubscribe,
    message,
    ihave,
    iwant,
    graft,
    prune,
    idontwant,
    extensions,
  };
  Kind kind = Kind::message;
  // Of a message: a field that StrictNoSign forbids stands in it (from, seqno, signature, key).
  bool is_signed = false;
  // Of a message: the RPC is nothing but this message in the form in which encode_message()
  // writes it, so the frame that carried it can be forwarded as it is.
  bool canonical = false;
  bool has_topic = false;
  bool has_peers = false;  // of a prune: peer exchange records, not read
  Bytes topic;
  Bytes data;            // of a message
  Bytes ids;             // of ihave, iwant, idontwant: the submessage, for IdReader
  uint64_t backoff = 0;  // of a prune, seconds; 0 when absent
};

// A pass over the items of one RPC (without its length), in the order of the wire.
class RpcReader {
 public:
  // Checks everything. Errors (fields "rpc", "rpc.subscriptions", "rpc.publish", "rpc.control",
  // ...): those of protobuf::Reader, and too_long where a count is over its limit.
  static Result<RpcReader> open(Bytes rpc, const RpcLimits& limits);

  // False at the end.
  bool next(RpcItem& item);

 private:
  explicit RpcReader(Bytes rpc) : rpc_(rpc), control_(Bytes{}) {}
  bool next_control(RpcItem& item);

  protobuf::Reader rpc_;
  protobuf::Reader control_;
  bool canonical_ = false;
};

// The message ids in RpcItem::ids. Ids of another size than 20 bytes are passed over and counted.
class IdReader {
 public:
  IdReader(const RpcItem& item);
  bool next(MessageId& id);
  size_t bad() const { return bad_; }

 private:
  protobuf::Reader reader_;
  uint32_t number_;
  size_t bad_ = 0;
};

// --- Writing: each gives a whole frame, its length in front, in one allocation. ---

// A frame with one message in it, and where the message's data lies in the frame.
struct MessageFrame {
  SharedBytes frame;
  size_t data_offset = 0;
  size_t data_size = 0;
  Bytes data() const { return frame.bytes().subspan(data_offset, data_size); }
};
MessageFrame encode_message(Bytes topic, Bytes data);

struct SubscriptionEntry {
  Bytes topic;
  bool subscribe = true;
};
SharedBytes encode_subscriptions(std::span<const SubscriptionEntry> entries);

struct PruneEntry {
  Bytes topic;
  uint64_t backoff = 0;  // seconds; 0 leaves the field out (v1.0 peers)
};
// One control message. Empty parts are left out.
struct ControlEntries {
  std::span<const Bytes> graft;
  std::span<const PruneEntry> prune;
};
SharedBytes encode_graft_prune(const ControlEntries& entries);
SharedBytes encode_ihave(Bytes topic, std::span<const MessageId> ids);
SharedBytes encode_iwant(std::span<const MessageId> ids);
SharedBytes encode_idontwant(std::span<const MessageId> ids);

}  // namespace beamline::gossip
