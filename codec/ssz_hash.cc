// hash_tree_root over checked bytes. Roots gather on a stack: a value pushes the roots of its
// children, which are then reduced, in place, to its own.

#include "codec/merkle_tree.h"
#include "codec/ssz.h"
#include "crypto/sha256.h"

namespace beamline::ssz {
namespace {

// Reduces stack[base..], which is not empty, to the root of the smallest tree that holds it; gives
// that tree's depth.
size_t reduce(std::vector<Hash256>& stack, size_t base) {
  size_t count = stack.size() - base;
  size_t level = 0;
  for (; count > 1; ++level) {
    if (count % 2 != 0) {
      stack.resize(base + count);
      stack.push_back(zero_root(level));
      ++count;
    }
    uint8_t* const roots = stack[base].bytes.data();
    sha256_pairs(roots, roots, count / 2);
    count /= 2;
  }
  stack.resize(base + 1);
  return level;
}

// Reduces stack[base..] to one root of a tree with room for `limit` leaves.
void merkleize(std::vector<Hash256>& stack, size_t base, uint64_t limit) {
  const size_t depth = tree_depth(limit);
  BL_CHECK(stack.size() - base <= limit);
  if (stack.size() == base) {
    stack.push_back(zero_root(depth));
    return;
  }
  for (size_t level = reduce(stack, base); level < depth; ++level) {
    stack[base] = sha256_pair(stack[base], zero_root(level));
  }
}

Hash256 length_chunk(uint64_t length) {
  Hash256 chunk;
  std::memcpy(chunk.bytes.data(), &length, sizeof(length));
  return chunk;
}

void mix_in_length(Hash256& root, uint64_t length) {
  root = sha256_pair(root, length_chunk(length));
}

// Lists in a list, as transactions are: their trees are mostly padding.
bool is_list_of_lists(const Type& type) {
  return type.kind == Kind::list && type.element->kind == Kind::list &&
         type.element->element->is_basic();
}

// What is its own root.
bool is_chunk(const Type& type) {
  return type.kind == Kind::vector && type.element->is_basic() && type.fixed_size == 32;
}

// Roots that climb together, several hashes at a time, each from its own level to that of the whole
// tree.
class Climb {
 public:
  static constexpr size_t kMost = 16;

  void add(size_t level, uint64_t length) {
    levels_[count_] = level;
    lengths_[count_++] = length;
  }

  // `roots`: those that were added. They become the roots of their lists.
  void run(Hash256* roots, size_t depth) {
    for (size_t level = 0; level < depth; ++level) {
      step(
          roots, [&](size_t i) { return levels_[i] <= level; },
          [&](size_t) { return zero_root(level); });
    }
    step(roots, [](size_t) { return true; }, [&](size_t i) { return length_chunk(lengths_[i]); });
  }

 private:
  // One hash of each root that takes part, with what stands at its right.
  template <class TakesPart, class Right>
  void step(Hash256* roots, TakesPart takes_part, Right right) {
    size_t pairs = 0;
    for (size_t i = 0; i < count_; ++i) {
      if (!takes_part(i)) continue;
      pairs_[2 * pairs] = roots[i];
      pairs_[2 * pairs + 1] = right(i);
      members_[pairs++] = i;
    }
    uint8_t* const bytes = pairs_[0].bytes.data();
    sha256_pairs(bytes, bytes, pairs);
    for (size_t i = 0; i < pairs; ++i) roots[members_[i]] = pairs_[i];
  }

  std::array<size_t, kMost> levels_, members_;
  std::array<uint64_t, kMost> lengths_;
  std::array<Hash256, 2 * kMost> pairs_;
  size_t count_ = 0;
};

static_assert(sizeof(Hash256) == 32);

}  // namespace

void Hasher::push_chunks(Bytes bytes) {
  const size_t at = stack_.size();
  stack_.resize(at + bytes.size() / 32 + (bytes.size() % 32 != 0 ? 1 : 0));
  if (!bytes.empty()) std::memcpy(stack_[at].bytes.data(), bytes.data(), bytes.size());
}

// The roots from `base` on become the root of a value of this type.
void Hasher::finish(size_t base, const Type& type, uint64_t length) {
  merkleize(stack_, base, type.chunks);
  if (type.kind == Kind::list || type.kind == Kind::bitlist) mix_in_length(stack_[base], length);
}

void Hasher::push_bits(const View& view) {
  const size_t base = stack_.size();
  const size_t length = view.size();
  if (view.type().kind == Kind::bitvector) {
    push_chunks(view.bytes());
  } else {
    // Without the end mark, and without the byte that holds nothing else.
    push_chunks(view.bytes().first(length / 8 + (length % 8 != 0 ? 1 : 0)));
    if (length % 8 != 0) {
      const size_t last = length / 8;
      stack_.back().bytes[last % 32] ^= static_cast<uint8_t>(1u << (length % 8));
    }
  }
  finish(base, view.type(), length);
}

// The roots of a list's elements, which are lists of basic values.
void Hasher::push_lists(const View& view) {
  const size_t depth = tree_depth(view.type().element->chunks);
  const size_t count = view.size();
  for (size_t first = 0; first < count; first += Climb::kMost) {
    Climb climb;
    const size_t base = stack_.size();
    for (size_t i = first; i < std::min(first + Climb::kMost, count); ++i) {
      const View element = view.at(i);
      const size_t at = stack_.size();
      push_chunks(element.bytes());
      const bool empty = stack_.size() == at;
      if (empty) stack_.push_back(zero_root(depth));
      climb.add(empty ? depth : reduce(stack_, at), element.size());
    }
    climb.run(&stack_[base], depth);
  }
}

// Pushes the root of a value whose children need no frame of their own; false when they do.
bool Hasher::push_leaf(const View& view) {
  const Type& type = view.type();
  switch (type.kind) {
    case Kind::uint:
    case Kind::boolean:
      push_chunks(view.bytes());
      return true;
    case Kind::bitvector:
    case Kind::bitlist:
      push_bits(view);
      return true;
    case Kind::vector:
    case Kind::list: {
      const bool lists = is_list_of_lists(type);
      if (!type.element->is_basic() && !is_chunk(*type.element) && !lists) return false;
      const size_t base = stack_.size();
      lists ? push_lists(view) : push_chunks(view.bytes());
      finish(base, type, view.size());
      return true;
    }
    case Kind::container:
      return false;
  }
  return false;
}

Root Hasher::hash_tree_root(const View& root) {
  stack_.clear();
  std::array<Frame, kMaxDepth> frames;
  size_t depth = 0;
  // Either its root goes onto the stack at once, or its children come first.
  const auto visit = [&](const View& view) {
    if (push_leaf(view)) return;
    BL_CHECK(depth < frames.size());
    Frame& frame = frames[depth++];
    frame.view = view;
    frame.next = 0;
    frame.count = view.size();
    frame.base = stack_.size();
  };
  visit(root);
  while (depth != 0) {
    Frame& frame = frames[depth - 1];
    if (frame.next == frame.count) {
      finish(frame.base, frame.view.type(), frame.count);
      --depth;
      continue;
    }
    const size_t index = frame.next++;
    visit(frame.view.type().kind == Kind::container ? frame.view.field(index)
                                                    : frame.view.at(index));
  }
  const Root result = stack_.back();
  stack_.clear();
  if (stack_.capacity() * sizeof(Hash256) > kKeptScratch) stack_ = {};
  return result;
}

}  // namespace beamline::ssz
