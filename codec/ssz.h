// SSZ (consensus-specs ssz/simple-serialize.md). A type is data, declared once: it gives the check
// of bytes, views over them, size, encode and decode of owned values, and hash_tree_root. Because
// types are data, a preset's limits are numbers in them and nothing here is a template that a
// container instantiates.
//
// Bytes are checked once (View::parse): every offset, length, limit, boolean and bit of padding.
// After that a View reads in place and cannot fail. Nothing recurses: a type's depth is bounded by
// kMaxDepth when it is declared, and walks keep their own stack.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "codec/arena.h"
#include "codec/root.h"

// For whoever declares an owned struct: lists that may lie in an arena make it a class that is not
// of standard layout by the letter, and the compilers give its offsets all the same.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace beamline::ssz {

inline constexpr size_t kMaxDepth = 16;
inline constexpr size_t kOffsetSize = 4;

enum class Kind : uint8_t { uint, boolean, vector, list, bitvector, bitlist, container };

struct Type;

struct Field {
  const char* name;
  const Type* type;
  size_t member = 0;    // offsetof in the owned struct; unused where there is none
  size_t position = 0;  // of the field in the container's fixed part; set by container()
};

// How to reach a list of owned values (a vector of T) without knowing T. See list_ops().
struct ListOps {
  size_t (*size)(const void* list);
  const void* (*data)(const void* list);
  void* (*resize)(void* list, size_t count);  // gives the data
  size_t list_size;                           // sizeof the list object
};

// A value; but fields, elements and types that point at it must stay where they are. Thread safe
// once declared.
struct Type {
  Kind kind = Kind::uint;
  const char* name = "";
  uint64_t limit = 0;  // uint: bytes; vector, bitvector: length; list, bitlist: most
  const Type* element = nullptr;
  std::span<const Field> fields;
  const ListOps* list = nullptr;

  // Derived by the functions below.
  uint64_t fixed_size = 0;  // 0: of variable size
  uint64_t part_size = 0;   // container: size of its fixed part
  uint64_t min_size = 0;
  uint64_t max_size = 0;  // saturates at UINT64_MAX
  uint64_t chunks = 0;    // hash_tree_root: the limit in chunks
  uint64_t exact = 0;     // list: the one length that it may have; 0: any up to the limit
  uint64_t bound = 0;     // uint: values are below; 0: all
  size_t value_size = 0;  // sizeof the owned value; 0: has no owned form
  uint8_t depth = 1;
  bool plain = false;  // of fixed size, and every bit pattern is valid
  bool flat = false;   // the owned value's memory is its encoding

  constexpr bool is_fixed() const { return fixed_size != 0; }
  constexpr bool is_basic() const { return kind == Kind::uint || kind == Kind::boolean; }
};

// Declarations. Owned forms: uintN_t, bool, T[n] (std::array), std::vector<T> (with `ops`), a byte
// array for bitvectors, Bitlist, a struct for containers (with `value_size`).
extern const Type kUint8, kUint16, kUint32, kUint64, kUint256, kBoolean;
extern const Type kBytes4, kBytes32, kBytes48, kBytes96;
Type vector_of(const char* name, const Type& element, uint64_t length);
Type list_of(const char* name, const Type& element, uint64_t limit, const ListOps* ops = nullptr);
Type bitvector(const char* name, uint64_t length);
Type bitlist(const char* name, uint64_t limit);
// An integer of a field: `size` (1..8) bytes, below `bound`.
Type uint_below(const char* name, uint64_t size, uint64_t bound);
// A list that must have `length` elements although its type (and so its root) says "at most".
Type exactly(Type list, uint64_t length);
// A container of lists of exact lengths, of which the specification says that its encoding has one
// size: where it stands in a container there is no offset to it. It has no owned form.
Type fixed_in_place(Type container);
// Sets each field's position. A container whose owned form is a struct gives its size.
Type container(const char* name, std::span<Field> fields, size_t value_size = 0);

// A checked value in place. Two pointers and a size; the bytes and the type must outlive it.
class View {
 public:
  // Checks everything. Errors name the innermost field, with the offset in `bytes`: truncated,
  // trailing, too_long (over a limit), bad_offset, out_of_range (a boolean that is neither, an
  // integer over its bound),
  // non_canonical (a bit of padding; a bitlist without its end mark is bad_encoding), mismatch (a
  // list that is not of its exact length).
  static Result<View> parse(const Type& type, Bytes bytes);
  // For bytes that were checked before. REQUIRES: View::parse(type, bytes) would succeed.
  static View trust(const Type& type, Bytes bytes) { return View(type, bytes); }

  const Type& type() const { return *type_; }
  Bytes bytes() const { return bytes_; }

  uint64_t as_uint() const;  // REQUIRES: uint of at most 8 bytes, or boolean
  bool as_bool() const { return as_uint() != 0; }
  Hash256 as_hash() const;  // REQUIRES: a value of 32 bytes

  // Container. REQUIRES: index < type().fields.size().
  View field(size_t index) const;
  // Vector, list: elements; bitvector, bitlist: bits.
  size_t size() const;
  View at(size_t index) const;   // REQUIRES: index < size()
  bool bit(size_t index) const;  // REQUIRES: index < size()

 private:
  friend class Hasher;
  View() = default;
  View(const Type& type, Bytes bytes) : type_(&type), bytes_(bytes) {}
  const Type* type_ = nullptr;
  Bytes bytes_;
};

// Computes hash_tree_roots and keeps the scratch memory that they need, up to kKeptScratch. One
// thread at a time.
class Hasher {
 public:
  static constexpr size_t kKeptScratch = 1 << 20;  // bytes

  Root hash_tree_root(const View& view);

 private:
  struct Frame {
    View view;
    size_t next = 0;   // child to visit
    size_t count = 0;  // children
    size_t base = 0;   // of its roots on the stack
  };
  void push_chunks(Bytes bytes);
  bool push_leaf(const View& view);
  void push_bits(const View& view);
  void push_lists(const View& view);
  void finish(size_t base, const Type& type, uint64_t length);

  std::vector<Hash256> stack_;
};

// An owned bitlist. `length` is its own member, so code that half writes or frees it can leave any
// number there: every function below answers with a typed error then (zeam issue 695 died of it).
struct Bitlist {
  std::pmr::vector<uint8_t> bits;  // (length + 7) / 8 bytes, lowest bit first
  size_t length = 0;

  static Bitlist of_length(size_t length);
  bool get(size_t index) const;
  void set(size_t index, bool value);
  friend bool operator==(const Bitlist&, const Bitlist&) = default;
};

// A value as text for people and tests, in at most `max_size` bytes (it ends in "..." then):
// {slot: 7, root: 0xab.., bits: 0b101, votes: [..]}. Bits stand lowest first; runs of bytes in hex.
std::string to_text(const View& view, size_t max_size = 4096);

// Owned values, by type; the templates below are the way in. Errors of the first three are local:
// too_long (a list or bitlist over its limit), mismatch (a bitlist whose length is not its bits').
Result<size_t> size_of(const Type& type, const void* value);
Status encode_value(const Type& type, const void* value, std::vector<uint8_t>& out);
Result<Root> root_of_value(const Type& type, const void* value, Hasher& hasher);
Status decode_value(const Type& type, Bytes bytes, void* value);
// The same for a value whose lists and bitlists were made with `arena`: it begins the arena's next
// message, of just the size that they need. too_long where that is over the arena's limit. A copy
// of the value lies on the heap; a moved one stays in the arena. REQUIRES: the lists are empty.
Status decode_value(const Type& type, Bytes bytes, void* value, Arena& arena);
// What the lists of an owned value of `view` take in an arena, in bytes.
size_t owned_memory(const View& view);

// For a struct T that names its type: `static const ssz::Type& ssz_type();`.
template <class T>
Result<T> decode(Bytes bytes) {
  T value{};
  if (Status status = decode_value(T::ssz_type(), bytes, &value); !status) {
    return std::unexpected(status.error());
  }
  return value;
}
// Appends.
template <class T>
Status encode(const T& value, std::vector<uint8_t>& out) {
  return encode_value(T::ssz_type(), &value, out);
}
// For containers of fixed size that hold no list: cannot fail.
template <class T>
std::array<uint8_t, T::kSize> encode_fixed(const T& value) {
  std::vector<uint8_t> out;
  const Status status = encode_value(T::ssz_type(), &value, out);
  BL_CHECK(status && out.size() == T::kSize);
  std::array<uint8_t, T::kSize> fixed;
  std::copy(out.begin(), out.end(), fixed.begin());
  return fixed;
}
template <class T>
Result<Root> hash_tree_root(const T& value, Hasher& hasher) {
  return root_of_value(T::ssz_type(), &value, hasher);
}

// Of a list that is a std::vector<T>, or one that may lie in an arena.
template <class List>
const ListOps& list_ops_of() {
  static constexpr ListOps kOps = {
      [](const void* list) { return static_cast<const List*>(list)->size(); },
      [](const void* list) -> const void* { return static_cast<const List*>(list)->data(); },
      [](void* list, size_t count) -> void* {
        static_cast<List*>(list)->resize(count);
        return static_cast<List*>(list)->data();
      },
      sizeof(List)};
  return kOps;
}
template <class T>
const ListOps& list_ops() {
  return list_ops_of<std::vector<T>>();
}
template <class T>
const ListOps& arena_list_ops() {
  return list_ops_of<std::pmr::vector<T>>();
}

}  // namespace beamline::ssz
