#include "codec/trie_root.h"

#include <algorithm>

#include "base/check.h"
#include "codec/rlp.h"
#include "crypto/keccak.h"

namespace beamline {
namespace {

constexpr size_t kNibbles = 2 * Hash256::kSize;

uint8_t nibble(const Hash256& key, size_t i) {
  const uint8_t byte = key.bytes[i / 2];
  return i % 2 == 0 ? byte >> 4 : byte & 15;
}

// The nibbles [from, to) in hex-prefix form.
std::vector<uint8_t> hex_prefix(const Hash256& key, size_t from, size_t to, bool leaf) {
  const bool odd = (to - from) % 2 == 1;
  std::vector<uint8_t> out{static_cast<uint8_t>((leaf ? 0x20 : 0) | (odd ? 0x10 : 0))};
  size_t i = from;
  if (odd) out[0] |= nibble(key, i++);
  for (; i < to; i += 2) {
    out.push_back(static_cast<uint8_t>(nibble(key, i) << 4 | nibble(key, i + 1)));
  }
  return out;
}

std::vector<uint8_t> list_of(std::span<const std::vector<uint8_t>> items) {
  std::vector<uint8_t> out;
  rlp::Writer writer(out);
  const auto mark = writer.begin_list();
  for (const auto& item : items) writer.raw(item);
  writer.end_list(mark);
  return out;
}

std::vector<uint8_t> string_of(Bytes bytes) {
  std::vector<uint8_t> out;
  rlp::Writer(out).string(bytes);
  return out;
}

// How a parent names a node: the node itself if it is short, else its hash.
std::vector<uint8_t> reference(std::vector<uint8_t> node) {
  if (node.size() < Hash256::kSize) return node;
  return string_of(keccak256(node).view());
}

// A branch that is being made: the entries [begin, end) agree on their first `depth` nibbles.
struct Branch {
  size_t begin;
  size_t end;
  size_t above;  // nibbles that lead to it; from there to `depth` an extension
  size_t depth;
  uint8_t next = 0;  // the child that follows
  std::vector<std::vector<uint8_t>> children;
};

}  // namespace

Hash256 trie_root(std::span<TrieEntry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const TrieEntry& a, const TrieEntry& b) { return a.key < b.key; });
  if (entries.empty()) return keccak256(string_of({}));
  std::vector<Branch> open;
  std::vector<uint8_t> node;  // the last that was finished
  // Begins the node of [begin, end) below `above` nibbles. True: it is a leaf, in `node`.
  const auto begin_node = [&](size_t begin, size_t end, size_t above) {
    const Hash256& first = entries[begin].key;
    if (end - begin == 1) {
      const std::vector<uint8_t> parts[] = {string_of(hex_prefix(first, above, kNibbles, true)),
                                            string_of(entries[begin].value)};
      node = list_of(parts);
      return true;
    }
    size_t depth = above;
    while (nibble(first, depth) == nibble(entries[end - 1].key, depth)) ++depth;
    open.push_back({begin, end, above, depth, 0, {}});
    return false;
  };
  begin_node(0, entries.size(), 0);
  while (!open.empty()) {
    Branch& top = open.back();
    if (top.next == 16) {
      top.children.push_back(string_of({}));  // no value
      node = list_of(top.children);
      if (top.depth > top.above) {
        const std::vector<uint8_t> parts[] = {
            string_of(hex_prefix(entries[top.begin].key, top.above, top.depth, false)),
            reference(std::move(node))};
        node = list_of(parts);
      }
      open.pop_back();
      if (!open.empty()) open.back().children.push_back(reference(node));
      continue;
    }
    const uint8_t wanted = top.next++;
    size_t end = top.begin;
    size_t begin = top.end;
    for (size_t i = top.begin; i < top.end; ++i) {
      if (nibble(entries[i].key, top.depth) != wanted) continue;
      begin = std::min(begin, i);
      end = i + 1;
    }
    if (begin >= end) {
      top.children.push_back(string_of({}));
    } else if (begin_node(begin, end, top.depth + 1)) {
      open.back().children.push_back(reference(node));
    }
  }
  return keccak256(node);
}

}  // namespace beamline
