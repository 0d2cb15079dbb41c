// The check of SSZ bytes, and reading them in place.

#include <bit>

#include "codec/ssz.h"

namespace beamline::ssz {
namespace {

uint32_t load_offset(Bytes bytes, size_t at) {
  uint32_t offset = 0;
  std::memcpy(&offset, bytes.data() + at, kOffsetSize);
  static_assert(std::endian::native == std::endian::little);
  return offset;
}

// Bits before the end mark, which is the highest set bit of the last byte. REQUIRES: there is one.
size_t bitlist_length(Bytes bytes) {
  return 8 * (bytes.size() - 1) + static_cast<size_t>(std::bit_width(bytes.back())) - 1;
}

// Where the variable field behind field `index` begins, or the end of the container.
size_t next_offset(const Type& type, size_t index, Bytes bytes) {
  for (size_t i = index + 1; i < type.fields.size(); ++i) {
    if (!type.fields[i].type->is_fixed()) return load_offset(bytes, type.fields[i].position);
  }
  return bytes.size();
}

// A value on the way through the checks. Offsets are those in the whole input.
struct Frame {
  const Type* type = nullptr;
  const char* field = "";
  size_t at = 0;
  size_t size = 0;
  size_t next = 0;      // child to look at
  size_t count = 0;     // children that need a look
  size_t expected = 0;  // where the next variable child has to begin, relative to `at`
};

class Checker {
 public:
  explicit Checker(Bytes input) : input_(input) {}

  Status run(const Type& root) {
    Frame first{.type = &root, .field = root.name, .size = input_.size()};
    if (const Status status = enter(first); !status) return status;
    while (depth_ != 0) {
      Frame& frame = stack_[depth_ - 1];
      if (frame.next == frame.count) {
        --depth_;
        continue;
      }
      const Result<Frame> child = next_child(frame);
      if (!child) return std::unexpected(child.error());
      if (child->type->plain && child->size == child->type->fixed_size) continue;
      if (const Status status = enter(*child); !status) return status;
    }
    return {};
  }

 private:
  Bytes bytes_of(const Frame& frame) const { return input_.subspan(frame.at, frame.size); }

  // Checks what the value itself can show, and keeps it when it has children to look at.
  Status enter(Frame frame) {
    const Type& type = *frame.type;
    if (type.is_fixed() && frame.size != type.fixed_size) {
      return frame.size < type.fixed_size
                 ? bad_input(Code::truncated, frame.field, frame.at + frame.size)
                 : bad_input(Code::trailing, frame.field,
                             frame.at + static_cast<size_t>(type.fixed_size));
    }
    if (type.plain) return {};
    Result<size_t> count = 0;
    switch (type.kind) {
      case Kind::uint:
        if (View::trust(type, bytes_of(frame)).as_uint() >= type.bound) {
          return bad_input(Code::out_of_range, frame.field, frame.at);
        }
        break;
      case Kind::boolean:
        if (input_[frame.at] > 1) return bad_input(Code::out_of_range, frame.field, frame.at);
        break;
      case Kind::bitvector:
      case Kind::bitlist:
        return check_bits(frame);
      case Kind::vector:
      case Kind::list:
        count = count_elements(frame);
        break;
      case Kind::container:
        if (frame.size < type.part_size) {
          return bad_input(Code::truncated, frame.field, frame.at + frame.size);
        }
        frame.expected = static_cast<size_t>(type.part_size);
        count = type.fields.size();
        break;
    }
    if (!count) return std::unexpected(count.error());
    if (*count == 0) return {};
    frame.count = *count;
    BL_CHECK(depth_ < stack_.size());
    stack_[depth_++] = frame;
    return {};
  }

  Status check_bits(const Frame& frame) const {
    const Type& type = *frame.type;
    const Bytes bytes = bytes_of(frame);
    if (type.kind == Kind::bitvector) {
      const unsigned used = static_cast<unsigned>(type.limit % 8);
      if (used != 0 && bytes.back() >> used != 0) {
        return bad_input(Code::non_canonical, frame.field, frame.at + frame.size - 1);
      }
      return {};
    }
    if (bytes.empty() || bytes.back() == 0) {
      return bad_input(Code::bad_encoding, frame.field, frame.at + frame.size);
    }
    if (bitlist_length(bytes) > type.limit) {
      return bad_input(Code::too_long, frame.field, frame.at);
    }
    return {};
  }

  // How many elements of a vector or list need a look of their own; their number is checked.
  Result<size_t> count_elements(Frame& frame) const {
    const Type& type = *frame.type;
    const Type& element = *type.element;
    if (type.kind == Kind::list && frame.size == 0) {
      if (type.exact != 0) return bad_input(Code::mismatch, frame.field, frame.at);
      return 0;
    }
    size_t count = 0;
    if (element.is_fixed()) {
      const auto size = static_cast<size_t>(element.fixed_size);
      if (frame.size % size != 0) {
        return bad_input(Code::truncated, frame.field, frame.at + frame.size);
      }
      count = frame.size / size;
    } else {
      if (frame.size < kOffsetSize) {
        return bad_input(Code::truncated, frame.field, frame.at + frame.size);
      }
      const size_t first = load_offset(input_, frame.at);
      if (first == 0 || first % kOffsetSize != 0 || first > frame.size) {
        return bad_input(Code::bad_offset, frame.field, frame.at);
      }
      count = first / kOffsetSize;
      frame.expected = first;
    }
    if (type.kind == Kind::list && count > type.limit) {
      return bad_input(Code::too_long, frame.field, frame.at);
    }
    if (type.exact != 0 && count != type.exact) {
      return bad_input(Code::mismatch, frame.field, frame.at);
    }
    if (type.kind == Kind::vector && count != type.limit) {
      return bad_input(Code::bad_offset, frame.field, frame.at);
    }
    return element.plain ? 0 : count;
  }

  Result<Frame> next_child(Frame& frame) const {
    const Type& type = *frame.type;
    const size_t index = frame.next++;
    Frame child{.type = type.element, .field = frame.field};
    size_t position = index;
    if (type.kind == Kind::container) {
      child.type = type.fields[index].type;
      child.field = type.fields[index].name;
      position = type.fields[index].position;
    } else {
      position *=
          child.type->is_fixed() ? static_cast<size_t>(child.type->fixed_size) : kOffsetSize;
    }
    if (child.type->is_fixed()) {
      child.at = frame.at + position;
      child.size = static_cast<size_t>(child.type->fixed_size);
      return child;
    }
    const Bytes bytes = bytes_of(frame);
    const size_t begin = load_offset(bytes, position);
    const size_t end = type.kind == Kind::container ? next_offset(type, index, bytes)
                       : frame.next < frame.count   ? load_offset(bytes, position + kOffsetSize)
                                                    : bytes.size();
    // Where the child before ended: nothing overlaps, nothing lies between.
    if (begin != frame.expected || end < begin || end > bytes.size()) {
      return bad_input(Code::bad_offset, child.field, frame.at + position);
    }
    frame.expected = end;
    child.at = frame.at + begin;
    child.size = end - begin;
    return child;
  }

  Bytes input_;
  std::array<Frame, kMaxDepth> stack_;
  size_t depth_ = 0;
};

}  // namespace

Result<View> View::parse(const Type& type, Bytes bytes) {
  if (const Status status = Checker(bytes).run(type); !status) {
    return std::unexpected(status.error());
  }
  return View(type, bytes);
}

uint64_t View::as_uint() const {
  BL_CHECK(type_->is_basic() && bytes_.size() <= 8);
  uint64_t value = 0;
  std::memcpy(&value, bytes_.data(), bytes_.size());
  return value;
}

Hash256 View::as_hash() const { return Hash256::from(bytes_); }

View View::field(size_t index) const {
  BL_CHECK(type_->kind == Kind::container && index < type_->fields.size());
  const Field& field = type_->fields[index];
  if (field.type->is_fixed()) {
    return {*field.type,
            bytes_.subspan(field.position, static_cast<size_t>(field.type->fixed_size))};
  }
  const size_t begin = load_offset(bytes_, field.position);
  return {*field.type, bytes_.subspan(begin, next_offset(*type_, index, bytes_) - begin)};
}

size_t View::size() const {
  switch (type_->kind) {
    case Kind::vector:
    case Kind::bitvector:
      return static_cast<size_t>(type_->limit);
    case Kind::bitlist:
      return bitlist_length(bytes_);
    case Kind::list:
      if (bytes_.empty()) return 0;
      return type_->element->is_fixed()
                 ? bytes_.size() / static_cast<size_t>(type_->element->fixed_size)
                 : load_offset(bytes_, 0) / kOffsetSize;
    default:
      return type_->fields.size();
  }
}

View View::at(size_t index) const {
  BL_CHECK(type_->element != nullptr);
  const size_t count = size();
  BL_CHECK(index < count);
  const Type& element = *type_->element;
  if (element.is_fixed()) {
    const auto size = static_cast<size_t>(element.fixed_size);
    return {element, bytes_.subspan(index * size, size)};
  }
  const size_t begin = load_offset(bytes_, index * kOffsetSize);
  const size_t end =
      index + 1 < count ? load_offset(bytes_, (index + 1) * kOffsetSize) : bytes_.size();
  return {element, bytes_.subspan(begin, end - begin)};
}

bool View::bit(size_t index) const {
  BL_CHECK(type_->kind == Kind::bitvector || type_->kind == Kind::bitlist);
  BL_CHECK(index < size());
  return (bytes_[index / 8] >> (index % 8) & 1) != 0;
}

}  // namespace beamline::ssz
