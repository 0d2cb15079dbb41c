// Declarations of SSZ types: sizes, limits and positions that follow from what is declared.

#include <algorithm>

#include "codec/ssz.h"

namespace beamline::ssz {
namespace {

constexpr uint64_t kChunk = 32;

constexpr uint64_t add(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }
constexpr uint64_t multiply(uint64_t a, uint64_t b) {
  return a != 0 && b > UINT64_MAX / a ? UINT64_MAX : a * b;
}
constexpr uint64_t divide_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

constexpr void set_fixed(Type& type, uint64_t size) {
  type.fixed_size = type.part_size = type.min_size = type.max_size = size;
}

constexpr Type basic(Kind kind, const char* name, uint64_t size) {
  Type type;
  type.kind = kind;
  type.name = name;
  type.limit = size;
  type.chunks = 1;
  type.value_size = static_cast<size_t>(size);
  type.plain = kind == Kind::uint;
  type.flat = true;
  set_fixed(type, size);
  return type;
}

// What vectors and lists have in common: at most `limit` elements.
constexpr Type sequence(Kind kind, const char* name, const Type& element, uint64_t limit) {
  Type type;
  type.kind = kind;
  type.name = name;
  type.limit = limit;
  type.element = &element;
  const bool basic = element.is_basic();
  type.chunks = basic ? divide_up(multiply(limit, element.fixed_size), kChunk) : limit;
  type.depth = static_cast<uint8_t>(element.depth + 1);
  const uint64_t offset = element.is_fixed() ? 0 : kOffsetSize;
  type.max_size = multiply(limit, add(element.max_size, offset));
  return type;
}

constexpr Type vector_type(const char* name, const Type& element, uint64_t length) {
  Type type = sequence(Kind::vector, name, element, length);
  type.min_size = multiply(length, add(element.min_size, element.is_fixed() ? 0 : kOffsetSize));
  if (element.is_fixed()) set_fixed(type, length * element.fixed_size);
  type.value_size = static_cast<size_t>(length * element.value_size);
  type.plain = element.plain;
  type.flat = element.flat;
  return type;
}

void check_depth(const Type& type) { BL_CHECK(type.depth <= kMaxDepth); }

}  // namespace

constinit const Type kUint8 = basic(Kind::uint, "uint8", 1);
constinit const Type kUint16 = basic(Kind::uint, "uint16", 2);
constinit const Type kUint32 = basic(Kind::uint, "uint32", 4);
constinit const Type kUint64 = basic(Kind::uint, "uint64", 8);
constinit const Type kUint256 = basic(Kind::uint, "uint256", 32);
constinit const Type kBoolean = basic(Kind::boolean, "boolean", 1);

namespace {
constexpr Type kByte = basic(Kind::uint, "uint8", 1);
}

constinit const Type kBytes4 = vector_type("Bytes4", kByte, 4);
constinit const Type kBytes32 = vector_type("Bytes32", kByte, 32);
constinit const Type kBytes48 = vector_type("Bytes48", kByte, 48);
constinit const Type kBytes96 = vector_type("Bytes96", kByte, 96);

Type vector_of(const char* name, const Type& element, uint64_t length) {
  BL_CHECK(length > 0 && multiply(length, element.max_size) < UINT64_MAX);
  const Type type = vector_type(name, element, length);
  check_depth(type);
  return type;
}

Type list_of(const char* name, const Type& element, uint64_t limit, const ListOps* ops) {
  BL_CHECK(limit > 0);
  Type type = sequence(Kind::list, name, element, limit);
  type.list = ops;
  type.value_size = ops != nullptr ? ops->list_size : 0;
  check_depth(type);
  return type;
}

Type bitvector(const char* name, uint64_t length) {
  BL_CHECK(length > 0 && length < UINT32_MAX);
  Type type;
  type.kind = Kind::bitvector;
  type.name = name;
  type.limit = length;
  type.chunks = divide_up(length, 8 * kChunk);
  type.plain = length % 8 == 0;
  type.flat = true;
  set_fixed(type, divide_up(length, 8));
  type.value_size = static_cast<size_t>(type.fixed_size);
  return type;
}

Type bitlist(const char* name, uint64_t limit) {
  BL_CHECK(limit > 0 && limit < UINT64_MAX / 2);
  Type type;
  type.kind = Kind::bitlist;
  type.name = name;
  type.limit = limit;
  type.chunks = divide_up(limit, 8 * kChunk);
  type.min_size = 1;
  type.max_size = limit / 8 + 1;
  type.value_size = sizeof(Bitlist);
  return type;
}

Type uint_below(const char* name, uint64_t size, uint64_t bound) {
  BL_CHECK(size >= 1 && size <= 8 && bound > 0);
  Type type = basic(Kind::uint, name, size);
  type.bound = bound;
  type.plain = false;
  return type;
}

Type exactly(Type list, uint64_t length) {
  BL_CHECK(list.kind == Kind::list && list.list == nullptr && length >= 1 && length <= list.limit);
  BL_CHECK(list.element->is_fixed());
  list.exact = length;
  list.min_size = list.max_size = length * list.element->fixed_size;
  return list;
}

Type fixed_in_place(Type container) {
  BL_CHECK(container.kind == Kind::container && container.value_size == 0);
  BL_CHECK(container.min_size == container.max_size);
  container.fixed_size = container.max_size;
  return container;
}

Type container(const char* name, std::span<Field> fields, size_t value_size) {
  BL_CHECK(!fields.empty());
  Type type;
  type.kind = Kind::container;
  type.name = name;
  type.fields = fields;
  type.limit = type.chunks = fields.size();
  type.value_size = value_size;
  type.plain = true;
  type.flat = value_size != 0;
  bool fixed = true;
  for (Field& field : fields) {
    const Type& child = *field.type;
    BL_CHECK(value_size == 0 || child.value_size != 0);
    field.position = static_cast<size_t>(type.part_size);
    type.part_size += child.is_fixed() ? child.fixed_size : kOffsetSize;
    type.min_size = add(type.min_size, child.min_size);
    type.max_size = add(type.max_size, child.max_size);
    type.depth = std::max(type.depth, static_cast<uint8_t>(child.depth + 1));
    type.plain = type.plain && child.plain;
    type.flat = type.flat && child.flat && field.member == field.position;
    fixed = fixed && child.is_fixed();
    if (!child.is_fixed()) {
      type.min_size = add(type.min_size, kOffsetSize);
      type.max_size = add(type.max_size, kOffsetSize);
    }
  }
  if (fixed) type.fixed_size = type.part_size;
  type.plain = type.plain && fixed;
  type.flat = type.flat && fixed && type.fixed_size == value_size;  // and so without padding
  check_depth(type);
  return type;
}

}  // namespace beamline::ssz
