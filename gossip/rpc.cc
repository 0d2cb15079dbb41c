#include "gossip/rpc.h"

#include "base/check.h"
#include "codec/uvarint.h"

namespace beamline::gossip {
namespace {

using protobuf::bytes_field_size;
using protobuf::Field;
using protobuf::Reader;
using protobuf::varint_field_size;

// Field numbers.
constexpr uint32_t kSubscriptions = 1;
constexpr uint32_t kPublish = 2;
constexpr uint32_t kControl = 3;
constexpr uint32_t kData = 2;  // of Message
constexpr uint32_t kMessageTopic = 4;
constexpr uint32_t kIhave = 1;  // of ControlMessage
constexpr uint32_t kIwant = 2;
constexpr uint32_t kGraft = 3;
constexpr uint32_t kPrune = 4;
constexpr uint32_t kIdontwant = 5;
constexpr uint32_t kExtensions = 6;

struct Counts {
  size_t messages = 0;
  size_t subscriptions = 0;
  size_t control = 0;
  size_t fields = 0;
};

// Walks a submessage to its end, only to see that it is well formed.
Status check_fields(Bytes message, const char* name, const RpcLimits& limits, Counts& counts) {
  Reader reader(message, name, limits.fields - counts.fields);
  Field field;
  while (reader.next(field)) ++counts.fields;
  return reader.status();
}

Status check_control(Bytes control, const RpcLimits& limits, Counts& counts) {
  Reader reader(control, "rpc.control", limits.control_messages + 16);
  Field field;
  while (reader.next(field)) {
    if (field.type != protobuf::WireType::bytes || field.number > kExtensions) continue;
    static constexpr const char* kNames[] = {"",
                                             "control.ihave",
                                             "control.iwant",
                                             "control.graft",
                                             "control.prune",
                                             "control.idontwant",
                                             "control.extensions"};
    if (++counts.control > limits.control_messages) {
      return bad_input(Code::too_long, "rpc.control", field.offset);
    }
    if (Status ok = check_fields(field.bytes, kNames[field.number], limits, counts); !ok) return ok;
  }
  return reader.status();
}

// One field of the RPC.
Status check_field(const Field& field, const RpcLimits& limits, Counts& counts) {
  if (field.is_bytes(kSubscriptions)) {
    if (++counts.subscriptions > limits.subscriptions) {
      return bad_input(Code::too_long, "rpc.subscriptions", field.offset);
    }
    return check_fields(field.bytes, "rpc.subscriptions", limits, counts);
  }
  if (field.is_bytes(kPublish)) {
    if (++counts.messages > limits.messages) {
      return bad_input(Code::too_long, "rpc.publish", field.offset);
    }
    return check_fields(field.bytes, "rpc.publish", limits, counts);
  }
  if (field.is_bytes(kControl)) return check_control(field.bytes, limits, counts);
  return {};
}

size_t message_body_size(size_t topic, size_t data) {
  return bytes_field_size(kData, data) + bytes_field_size(kMessageTopic, topic);
}

void read_subscription(Bytes bytes, RpcItem& item) {
  Reader reader(bytes);
  Field field;
  item.kind = RpcItem::Kind::unsubscribe;
  while (reader.next(field)) {
    if (field.is_varint(1)) {
      item.kind = field.value != 0 ? RpcItem::Kind::subscribe : RpcItem::Kind::unsubscribe;
    }
    if (field.is_bytes(2)) {
      item.topic = field.bytes;
      item.has_topic = true;
    }
  }
}

void read_message(Bytes bytes, bool whole_rpc, RpcItem& item) {
  Reader reader(bytes);
  Field field;
  item.kind = RpcItem::Kind::message;
  uint32_t last = 0;
  bool plain = true;  // data, then topic, nothing else
  while (reader.next(field)) {
    plain = plain && ((last == 0 && field.number == kData) ||
                      (last == kData && field.number == kMessageTopic));
    last = field.number;
    switch (field.number) {
      case 1:
      case 3:
      case 5:
      case 6:
        item.is_signed = true;
        break;
      case kData:
        if (field.is_bytes(kData)) item.data = field.bytes;
        break;
      case kMessageTopic:
        if (!field.is_bytes(kMessageTopic)) break;
        item.topic = field.bytes;
        item.has_topic = true;
        break;
      default:
        break;
    }
  }
  item.canonical = whole_rpc && plain && last == kMessageTopic &&
                   bytes.size() == message_body_size(item.topic.size(), item.data.size());
}

void read_control(const Field& control, RpcItem& item) {
  static constexpr RpcItem::Kind kKinds[] = {RpcItem::Kind::extensions, RpcItem::Kind::ihave,
                                             RpcItem::Kind::iwant,      RpcItem::Kind::graft,
                                             RpcItem::Kind::prune,      RpcItem::Kind::idontwant,
                                             RpcItem::Kind::extensions};
  item.kind = kKinds[control.number];
  item.ids = control.bytes;
  if (control.number == kIwant || control.number == kIdontwant || control.number == kExtensions) {
    return;
  }
  Reader reader(control.bytes);
  Field field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) {
      item.topic = field.bytes;
      item.has_topic = true;
      if (control.number == kIhave) return;  // the ids are left to IdReader
    }
    if (control.number != kPrune) continue;
    if (field.is_bytes(2)) item.has_peers = true;
    if (field.is_varint(3)) item.backoff = field.value;
  }
}

// Appends to a run whose size is known.
class Out {
 public:
  explicit Out(MutableBytes out) : start_(out.data()), at_(out.data()), end_(start_ + out.size()) {}
  void uvarint(uint64_t value) { at_ += write_uvarint(value, at_); }
  void header(uint32_t number, size_t size) {
    uvarint(uint64_t{number} << 3 | 2);
    uvarint(size);
  }
  void bytes(uint32_t number, Bytes value) {
    header(number, value.size());
    if (!value.empty()) std::memcpy(at_, value.data(), value.size());
    at_ += value.size();
  }
  void varint(uint32_t number, uint64_t value) {
    uvarint(uint64_t{number} << 3);
    uvarint(value);
  }
  size_t offset() const { return static_cast<size_t>(at_ - start_); }
  void done() const { BL_CHECK(at_ == end_); }

 private:
  uint8_t* start_;
  uint8_t* at_;
  uint8_t* end_;
};

// A frame around an RPC of `size` bytes that `fill(Out&)` writes.
template <class Fill>
SharedBytes frame(size_t size, Fill&& fill) {
  return SharedBytes::build(uvarint_size(size) + size, [&](MutableBytes bytes) {
    Out out(bytes);
    out.uvarint(size);
    fill(out);
    out.done();
  });
}

// A frame around one control message with one submessage of `size` bytes in it.
template <class Fill>
SharedBytes control_frame(uint32_t number, size_t size, Fill&& fill) {
  const size_t control = bytes_field_size(number, size);
  return frame(bytes_field_size(kControl, control), [&](Out& out) {
    out.header(kControl, control);
    out.header(number, size);
    fill(out);
  });
}

size_t ids_size(uint32_t number, size_t count) {
  return count * bytes_field_size(number, MessageId::kSize);
}

void write_ids(Out& out, uint32_t number, std::span<const MessageId> ids) {
  for (const MessageId& id : ids) out.bytes(number, id.view());
}

size_t prune_size(const PruneEntry& prune) {
  return bytes_field_size(1, prune.topic.size()) +
         (prune.backoff != 0 ? varint_field_size(3, prune.backoff) : 0);
}

}  // namespace

Result<RpcReader> RpcReader::open(Bytes rpc, const RpcLimits& limits) {
  Reader reader(rpc, "rpc", limits.fields);
  Field field;
  Counts counts;
  size_t fields = 0;
  size_t last_size = 0;
  while (reader.next(field)) {
    ++fields;
    last_size = field.bytes.size();
    if (Status ok = check_field(field, limits, counts); !ok) return std::unexpected(ok.error());
  }
  if (!reader.status()) return std::unexpected(reader.status().error());
  RpcReader made(rpc);
  made.canonical_ =
      fields == 1 && counts.messages == 1 && rpc.size() == bytes_field_size(kPublish, last_size);
  return made;
}

bool RpcReader::next(RpcItem& item) {
  if (next_control(item)) return true;
  Field field;
  while (rpc_.next(field)) {
    item = {};
    if (field.is_bytes(kSubscriptions)) {
      read_subscription(field.bytes, item);
      return true;
    }
    if (field.is_bytes(kPublish)) {
      read_message(field.bytes, canonical_, item);
      return true;
    }
    if (field.is_bytes(kControl)) {
      control_ = Reader(field.bytes);
      if (next_control(item)) return true;
    }
  }
  return false;
}

bool RpcReader::next_control(RpcItem& item) {
  Field field;
  while (control_.next(field)) {
    if (field.type != protobuf::WireType::bytes || field.number > kExtensions) continue;
    item = {};
    read_control(field, item);
    return true;
  }
  return false;
}

IdReader::IdReader(const RpcItem& item)
    : reader_(item.ids), number_(item.kind == RpcItem::Kind::ihave ? 2 : 1) {}

bool IdReader::next(MessageId& id) {
  Field field;
  while (reader_.next(field)) {
    if (!field.is_bytes(number_)) continue;
    if (field.bytes.size() == MessageId::kSize) {
      std::memcpy(id.bytes.data(), field.bytes.data(), MessageId::kSize);
      return true;
    }
    ++bad_;
  }
  return false;
}

MessageFrame encode_message(Bytes topic, Bytes data) {
  const size_t body = message_body_size(topic.size(), data.size());
  MessageFrame made;
  made.frame = frame(bytes_field_size(kPublish, body), [&](Out& out) {
    out.header(kPublish, body);
    out.bytes(kData, data);
    made.data_offset = out.offset() - data.size();
    out.bytes(kMessageTopic, topic);
  });
  made.data_size = data.size();
  return made;
}

SharedBytes encode_subscriptions(std::span<const SubscriptionEntry> entries) {
  size_t size = 0;
  auto entry_size = [](const SubscriptionEntry& entry) {
    return varint_field_size(1, entry.subscribe) + bytes_field_size(2, entry.topic.size());
  };
  for (const SubscriptionEntry& entry : entries) {
    size += bytes_field_size(kSubscriptions, entry_size(entry));
  }
  return frame(size, [&](Out& out) {
    for (const SubscriptionEntry& entry : entries) {
      out.header(kSubscriptions, entry_size(entry));
      out.varint(1, entry.subscribe);
      out.bytes(2, entry.topic);
    }
  });
}

SharedBytes encode_graft_prune(const ControlEntries& entries) {
  size_t control = 0;
  for (Bytes topic : entries.graft) {
    control += bytes_field_size(kGraft, bytes_field_size(1, topic.size()));
  }
  for (const PruneEntry& prune : entries.prune) {
    control += bytes_field_size(kPrune, prune_size(prune));
  }
  return frame(bytes_field_size(kControl, control), [&](Out& out) {
    out.header(kControl, control);
    for (Bytes topic : entries.graft) {
      out.header(kGraft, bytes_field_size(1, topic.size()));
      out.bytes(1, topic);
    }
    for (const PruneEntry& prune : entries.prune) {
      out.header(kPrune, prune_size(prune));
      out.bytes(1, prune.topic);
      if (prune.backoff != 0) out.varint(3, prune.backoff);
    }
  });
}

SharedBytes encode_ihave(Bytes topic, std::span<const MessageId> ids) {
  const size_t size = bytes_field_size(1, topic.size()) + ids_size(2, ids.size());
  return control_frame(kIhave, size, [&](Out& out) {
    out.bytes(1, topic);
    write_ids(out, 2, ids);
  });
}

SharedBytes encode_iwant(std::span<const MessageId> ids) {
  return control_frame(kIwant, ids_size(1, ids.size()), [&](Out& out) { write_ids(out, 1, ids); });
}

SharedBytes encode_idontwant(std::span<const MessageId> ids) {
  return control_frame(kIdontwant, ids_size(1, ids.size()),
                       [&](Out& out) { write_ids(out, 1, ids); });
}

}  // namespace beamline::gossip
