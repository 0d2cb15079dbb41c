// Owned values: size, encode, decode, root. A struct's members are reached by their offsets.

#include "codec/ssz.h"

namespace beamline::ssz {
namespace {

constexpr size_t bits_to_bytes(size_t bits) { return bits / 8 + (bits % 8 != 0 ? 1 : 0); }

std::unexpected<Error> bad_value(Code code, const char* field) { return local_error(code, field); }

// Whether a bitlist is one of this type. Nothing is computed from its length before this.
Status check_bitlist(const Type& type, const Bitlist& list, const char* field) {
  if (list.length > type.limit) return bad_value(Code::too_long, field);
  if (list.bits.size() != bits_to_bytes(list.length)) return bad_value(Code::mismatch, field);
  const size_t used = list.length % 8;
  if (used != 0 && list.bits.back() >> used != 0) return bad_value(Code::non_canonical, field);
  return {};
}

// A value on the way. `T` is const void* or void*.
template <class T>
struct Frame {
  const Type* type = nullptr;
  const char* field = "";
  T value = nullptr;
  T elements = nullptr;  // of a vector or list
  size_t next = 0;
  size_t count = 0;
  size_t at = 0;    // encode: position in the output
  size_t tail = 0;  // encode: bytes used so far, from `at`
};

template <class T>
struct Child {
  const Type* type;
  const char* field;
  T value;
};

template <class T>
T advance(T value, size_t bytes) {
  using Byte =
      std::conditional_t<std::is_const_v<std::remove_pointer_t<T>>, const uint8_t, uint8_t>;
  return static_cast<Byte*>(value) + bytes;
}

template <class T>
Child<T> child_of(const Frame<T>& frame, size_t index) {
  if (frame.type->kind == Kind::container) {
    const Field& field = frame.type->fields[index];
    return {field.type, field.name, advance(frame.value, field.member)};
  }
  const Type& element = *frame.type->element;
  return {&element, frame.field, advance(frame.elements, index * element.value_size)};
}

using ConstFrame = Frame<const void*>;

// Children of a value to encode. A list's length is checked here.
Result<ConstFrame> open_value(const Child<const void*>& child) {
  ConstFrame frame{.type = child.type, .field = child.field, .value = child.value};
  const Type& type = *child.type;
  if (type.kind == Kind::container) {
    frame.count = type.fields.size();
  } else if (type.kind == Kind::vector) {
    frame.elements = child.value;
    frame.count = static_cast<size_t>(type.limit);
  } else {
    BL_CHECK(type.kind == Kind::list && type.list != nullptr);
    frame.count = type.list->size(child.value);
    if (frame.count > type.limit) return bad_value(Code::too_long, child.field);
    frame.elements = type.list->data(child.value);
  }
  return frame;
}

// The fixed part of a value that is encoded child by child.
size_t part_of(const ConstFrame& frame) {
  if (frame.type->kind == Kind::container) return static_cast<size_t>(frame.type->part_size);
  const Type& element = *frame.type->element;
  return frame.count * (element.is_fixed() ? static_cast<size_t>(element.fixed_size) : kOffsetSize);
}

size_t position_of(const ConstFrame& frame, size_t index) {
  if (frame.type->kind == Kind::container) return frame.type->fields[index].position;
  const Type& element = *frame.type->element;
  return index * (element.is_fixed() ? static_cast<size_t>(element.fixed_size) : kOffsetSize);
}

void write_bitlist(const Bitlist& list, uint8_t* out) {
  if (!list.bits.empty()) std::memcpy(out, list.bits.data(), list.bits.size());
  uint8_t& last = out[list.length / 8];
  if (list.length % 8 == 0) last = 0;
  last = static_cast<uint8_t>(last | 1u << (list.length % 8));
}

// Writes a value that size_of() accepted to out[at..].
class Encoder {
 public:
  explicit Encoder(MutableBytes out) : out_(out) {}

  void run(const Type& type, const void* value) {
    enter({&type, type.name, value}, 0, nullptr);
    while (depth_ != 0) {
      ConstFrame& frame = stack_[depth_ - 1];
      if (frame.next == frame.count) {
        const size_t size = frame.tail;
        const bool variable = !frame.type->is_fixed();
        --depth_;
        if (depth_ != 0 && variable) stack_[depth_ - 1].tail += size;
        continue;
      }
      const size_t index = frame.next++;
      const Child<const void*> child = child_of(frame, index);
      size_t at = frame.at + position_of(frame, index);
      if (!child.type->is_fixed()) {
        const auto offset = static_cast<uint32_t>(frame.tail);
        std::memcpy(out_.data() + at, &offset, kOffsetSize);
        at = frame.at + frame.tail;
      }
      enter(child, at, &frame);
    }
  }

 private:
  void enter(const Child<const void*>& child, size_t at, ConstFrame* parent) {
    const Type& type = *child.type;
    if (type.flat) {
      std::memcpy(out_.data() + at, child.value, static_cast<size_t>(type.fixed_size));
      return;
    }
    if (type.kind == Kind::bitlist) {
      const auto& list = *static_cast<const Bitlist*>(child.value);
      write_bitlist(list, out_.data() + at);
      if (parent != nullptr) parent->tail += list.length / 8 + 1;
      return;
    }
    ConstFrame frame = *open_value(child);
    frame.at = at;
    frame.tail = part_of(frame);
    if (type.kind == Kind::list && type.element->flat) {
      if (frame.tail != 0) std::memcpy(out_.data() + at, frame.elements, frame.tail);
      if (parent != nullptr) parent->tail += frame.tail;
      return;
    }
    BL_CHECK(depth_ < stack_.size());
    stack_[depth_++] = frame;
  }

  MutableBytes out_;
  std::array<ConstFrame, kMaxDepth> stack_;
  size_t depth_ = 0;
};

void read_bitlist(const View& view, Bitlist& list) {
  list.length = view.size();
  const Bytes bytes = view.bytes().first(bits_to_bytes(list.length));
  list.bits.assign(bytes.begin(), bytes.end());
  if (list.length % 8 != 0) {
    list.bits.back() = static_cast<uint8_t>(list.bits.back() ^ 1u << (list.length % 8));
  }
}

// Reads a leaf; false when the value has children to read.
bool read_leaf(const View& view, void* value) {
  const Type& type = view.type();
  if (type.flat) {
    std::memcpy(value, view.bytes().data(), static_cast<size_t>(type.fixed_size));
    return true;
  }
  if (type.kind == Kind::bitlist) {
    read_bitlist(view, *static_cast<Bitlist*>(value));
    return true;
  }
  if (type.kind == Kind::list && type.element->flat) {
    void* const data = type.list->resize(value, view.size());
    if (!view.bytes().empty()) std::memcpy(data, view.bytes().data(), view.bytes().size());
    return true;
  }
  return false;
}

View child_view(const View& view, size_t index) {
  return view.type().kind == Kind::container ? view.field(index) : view.at(index);
}

// Fills a value from checked bytes.
void read_value(const View& root, void* root_value) {
  std::array<Frame<void*>, kMaxDepth> stack;
  std::array<Bytes, kMaxDepth> bytes;  // of the values in `stack`
  size_t depth = 0;
  const auto enter = [&](const View& view, void* value) {
    if (read_leaf(view, value)) return;
    const Type& type = view.type();
    Frame<void*> frame{.type = &type, .field = type.name, .value = value};
    frame.count = view.size();
    if (type.kind == Kind::vector) frame.elements = value;
    if (type.kind == Kind::list) frame.elements = type.list->resize(value, frame.count);
    BL_CHECK(depth < stack.size());
    bytes[depth] = view.bytes();
    stack[depth++] = frame;
  };
  enter(root, root_value);
  while (depth != 0) {
    Frame<void*>& frame = stack[depth - 1];
    if (frame.next == frame.count) {
      --depth;
      continue;
    }
    const size_t index = frame.next++;
    const View view = View::trust(*frame.type, bytes[depth - 1]);
    enter(child_view(view, index), child_of(frame, index).value);
  }
}

}  // namespace

Bitlist Bitlist::of_length(size_t length) {
  Bitlist list;
  list.length = length;
  list.bits.assign(bits_to_bytes(length), 0);
  return list;
}

bool Bitlist::get(size_t index) const {
  BL_CHECK(index < length && index / 8 < bits.size());
  return (bits[index / 8] >> (index % 8) & 1) != 0;
}

void Bitlist::set(size_t index, bool value) {
  BL_CHECK(index < length && index / 8 < bits.size());
  const auto mask = static_cast<uint8_t>(1u << (index % 8));
  uint8_t& byte = bits[index / 8];
  byte = static_cast<uint8_t>(value ? byte | mask : byte & ~mask);
}

Result<size_t> size_of(const Type& type, const void* value) {
  BL_CHECK(type.value_size != 0);
  std::array<ConstFrame, kMaxDepth> stack;
  size_t depth = 0;
  size_t total = 0;
  // Adds what a value takes by itself; its variable children follow.
  const auto enter = [&](const Child<const void*>& child) -> Status {
    if (child.type->is_fixed()) {
      total += static_cast<size_t>(child.type->fixed_size);
      return {};
    }
    if (child.type->kind == Kind::bitlist) {
      const auto& list = *static_cast<const Bitlist*>(child.value);
      if (const Status status = check_bitlist(*child.type, list, child.field); !status) {
        return status;
      }
      total += list.length / 8 + 1;
      return {};
    }
    const Result<ConstFrame> frame = open_value(child);
    if (!frame) return std::unexpected(frame.error());
    total += part_of(*frame);
    if (child.type->element != nullptr && child.type->element->is_fixed()) return {};
    BL_CHECK(depth < stack.size());
    stack[depth++] = *frame;
    return {};
  };
  if (const Status status = enter({&type, type.name, value}); !status) {
    return std::unexpected(status.error());
  }
  while (depth != 0) {
    ConstFrame& frame = stack[depth - 1];
    if (frame.next == frame.count) {
      --depth;
      continue;
    }
    const Child<const void*> child = child_of(frame, frame.next++);
    if (child.type->is_fixed()) continue;  // in the fixed part
    if (const Status status = enter(child); !status) return std::unexpected(status.error());
  }
  return total;
}

Status encode_value(const Type& type, const void* value, std::vector<uint8_t>& out) {
  const Result<size_t> size = size_of(type, value);
  if (!size) return std::unexpected(size.error());
  if (*size > UINT32_MAX) return bad_value(Code::too_long, type.name);
  const size_t at = out.size();
  out.resize(at + *size);
  Encoder(MutableBytes(out).subspan(at)).run(type, value);
  return {};
}

Result<Root> root_of_value(const Type& type, const void* value, Hasher& hasher) {
  std::vector<uint8_t> bytes;
  if (const Status status = encode_value(type, value, bytes); !status) {
    return std::unexpected(status.error());
  }
  return hasher.hash_tree_root(View::trust(type, bytes));
}

Status decode_value(const Type& type, Bytes bytes, void* value) {
  BL_CHECK(type.value_size != 0);
  const Result<View> view = View::parse(type, bytes);
  if (!view) return std::unexpected(view.error());
  read_value(*view, value);
  return {};
}

Status decode_value(const Type& type, Bytes bytes, void* value, Arena& arena) {
  BL_CHECK(type.value_size != 0);
  const Result<View> view = View::parse(type, bytes);
  if (!view) return std::unexpected(view.error());
  if (const Status status = arena.begin(owned_memory(*view), type.name); !status) return status;
  read_value(*view, value);
  return {};
}

size_t owned_memory(const View& root) {
  struct Visit {
    const Type* type = nullptr;
    Bytes bytes;
    size_t next = 0;
    size_t count = 0;
  };
  std::array<Visit, kMaxDepth> stack;
  size_t depth = 0;
  size_t total = 0;
  const auto enter = [&](const View& view) {
    const Type& type = view.type();
    if (type.is_fixed()) return;  // holds no list
    if (type.kind == Kind::bitlist) {
      total += Arena::room(bits_to_bytes(view.size()));
      return;
    }
    if (type.kind == Kind::list) {
      total += Arena::room(view.size() * type.element->value_size);
      if (type.element->is_fixed()) return;
    }
    BL_CHECK(depth < stack.size());
    stack[depth++] = {.type = &type, .bytes = view.bytes(), .count = view.size()};
  };
  enter(root);
  while (depth != 0) {
    Visit& visit = stack[depth - 1];
    if (visit.next == visit.count) {
      --depth;
      continue;
    }
    enter(child_view(View::trust(*visit.type, visit.bytes), visit.next++));
  }
  return total;
}

}  // namespace beamline::ssz
