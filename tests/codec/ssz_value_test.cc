#include <cstddef>

#include "base/rng.h"
#include "codec/hex.h"
#include "codec/reqresp_messages.h"
#include "codec/ssz.h"

namespace beamline::ssz {
namespace {

struct Vote {
  uint64_t slot = 0;
  bool final = false;
  Bitlist bits;
  static const Type& ssz_type();
  friend bool operator==(const Vote&, const Vote&) = default;
};

const Type& Vote::ssz_type() {
  static const Type bits = bitlist("aggregation_bits", 2048);
  static Field fields[] = {{"slot", &kUint64, offsetof(Vote, slot)},
                           {"final", &kBoolean, offsetof(Vote, final)},
                           {"aggregation_bits", &bits, offsetof(Vote, bits)}};
  static const Type type = container("vote", fields, sizeof(Vote));
  return type;
}

struct Ballot {
  std::array<uint8_t, 4> digest{};
  std::vector<Vote> votes;
  std::vector<uint64_t> weights;
  std::vector<Hash256> roots;
  std::array<Hash256, 2> pair{};
  static const Type& ssz_type();
  friend bool operator==(const Ballot&, const Ballot&) = default;
};

const Type& Ballot::ssz_type() {
  static const Type votes = list_of("votes", Vote::ssz_type(), 16, &list_ops<Vote>());
  static const Type weights = list_of("weights", kUint64, 16, &list_ops<uint64_t>());
  static const Type roots = list_of("roots", kBytes32, 16, &list_ops<Hash256>());
  static const Type pair = vector_of("pair", kBytes32, 2);
  static Field fields[] = {{"digest", &kBytes4, offsetof(Ballot, digest)},
                           {"votes", &votes, offsetof(Ballot, votes)},
                           {"weights", &weights, offsetof(Ballot, weights)},
                           {"roots", &roots, offsetof(Ballot, roots)},
                           {"pair", &pair, offsetof(Ballot, pair)}};
  static const Type type = container("ballot", fields, sizeof(Ballot));
  return type;
}

Ballot random_ballot(Rng& rng) {
  Ballot ballot;
  rng.fill(ballot.digest);
  ballot.votes.resize(rng.below(5));
  for (Vote& vote : ballot.votes) {
    vote.slot = rng.next();
    vote.final = rng.chance(1, 2);
    vote.bits = Bitlist::of_length(rng.below(40));
    for (size_t i = 0; i < vote.bits.length; ++i) vote.bits.set(i, rng.chance(1, 2));
  }
  ballot.weights.resize(rng.below(5));
  for (uint64_t& weight : ballot.weights) weight = rng.next();
  ballot.roots.resize(rng.below(5));
  for (Hash256& root : ballot.roots) rng.fill(root.bytes);
  for (Hash256& root : ballot.pair) rng.fill(root.bytes);
  return ballot;
}

// Three structs of the same fields: in the order of their encoding, in another, and with padding.
struct Flat {
  std::array<uint8_t, 4> name{};
  uint32_t weight = 0;
  uint64_t slot = 0;
};
struct Turned {
  uint64_t slot = 0;
  uint32_t weight = 0;
  std::array<uint8_t, 4> name{};
};
struct Padded {
  std::array<uint8_t, 4> name{};
  uint32_t weight = 0;
  uint64_t slot = 0;
  bool last = false;
};

TEST(SszValue, AStructIsCopiedWholeOnlyWhereItsMemoryIsItsEncoding) {
  static Field flat[] = {{"name", &kBytes4, offsetof(Flat, name)},
                         {"weight", &kUint32, offsetof(Flat, weight)},
                         {"slot", &kUint64, offsetof(Flat, slot)}};
  static Field turned[] = {{"name", &kBytes4, offsetof(Turned, name)},
                           {"weight", &kUint32, offsetof(Turned, weight)},
                           {"slot", &kUint64, offsetof(Turned, slot)}};
  static Field padded[] = {{"name", &kBytes4, offsetof(Padded, name)},
                           {"weight", &kUint32, offsetof(Padded, weight)},
                           {"slot", &kUint64, offsetof(Padded, slot)},
                           {"last", &kBoolean, offsetof(Padded, last)}};
  const Type flat_type = container("flat", flat, sizeof(Flat));
  const Type turned_type = container("turned", turned, sizeof(Turned));
  const Type padded_type = container("padded", padded, sizeof(Padded));
  EXPECT_TRUE(flat_type.flat);
  EXPECT_FALSE(turned_type.flat);
  EXPECT_FALSE(padded_type.flat);
  const Type flats = list_of("flats", flat_type, 8, &list_ops<Flat>());
  const Type turneds = list_of("turneds", turned_type, 8, &list_ops<Turned>());
  const Type paddeds = list_of("paddeds", padded_type, 8, &list_ops<Padded>());

  const std::vector<Flat> from = {{{1, 2, 3, 4}, 5, 6}, {{7, 8, 9, 10}, 11, UINT64_MAX}};
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(encode_value(flats, &from, bytes));
  ASSERT_EQ(bytes.size(), 32u);
  std::vector<Turned> other;
  ASSERT_TRUE(decode_value(turneds, bytes, &other));
  ASSERT_EQ(other.size(), 2u);
  EXPECT_EQ(other[1].name, from[1].name);
  EXPECT_EQ(other[1].weight, 11u);
  EXPECT_EQ(other[1].slot, UINT64_MAX);
  std::vector<uint8_t> again;
  ASSERT_TRUE(encode_value(turneds, &other, again));
  EXPECT_EQ(again, bytes);
  std::vector<Flat> back;
  ASSERT_TRUE(decode_value(flats, again, &back));
  EXPECT_EQ(back[0].name, from[0].name);
  EXPECT_EQ(back[1].slot, UINT64_MAX);

  // Seventeen bytes each; what is neither true nor false is refused before anything is copied.
  bytes.insert(bytes.begin() + 16, 1);
  bytes.push_back(0);
  std::vector<Padded> some;
  ASSERT_TRUE(decode_value(paddeds, bytes, &some));
  EXPECT_TRUE(some[0].last);
  EXPECT_FALSE(some[1].last);
  again.clear();
  ASSERT_TRUE(encode_value(paddeds, &some, again));
  EXPECT_EQ(again, bytes);
  bytes.back() = 2;
  EXPECT_FALSE(decode_value(paddeds, bytes, &some));
}

TEST(SszValue, OwnedValuesComeBackThroughTheirBytes) {
  const uint64_t seed = 60;
  Rng rng(seed);
  Hasher hasher;
  for (int i = 0; i < 500; ++i) {
    const Ballot ballot = random_ballot(rng);
    std::vector<uint8_t> bytes = {0xee};  // encode appends
    ASSERT_TRUE(encode(ballot, bytes));
    ASSERT_EQ(bytes[0], 0xee);
    const Bytes encoded = Bytes(bytes).subspan(1);
    ASSERT_EQ(*size_of(Ballot::ssz_type(), &ballot), encoded.size()) << "seed " << seed;
    const auto back = decode<Ballot>(encoded);
    ASSERT_TRUE(back) << to_string(back.error()) << " seed " << seed;
    ASSERT_EQ(*back, ballot) << "seed " << seed;
    ASSERT_EQ(*hash_tree_root(ballot, hasher),
              hasher.hash_tree_root(*View::parse(Ballot::ssz_type(), encoded)));
  }
}

TEST(SszValue, DecodedDamageIsRefusedOrEncodesToTheSameBytes) {
  const uint64_t seed = 61;
  Rng rng(seed);
  for (int i = 0; i < 5000; ++i) {
    std::vector<uint8_t> bytes;
    ASSERT_TRUE(encode(random_ballot(rng), bytes));
    bytes[rng.below(bytes.size())] = static_cast<uint8_t>(rng.next());
    if (rng.chance(1, 4)) bytes.resize(rng.below(bytes.size() + 1));
    const auto back = decode<Ballot>(bytes);
    if (!back) continue;
    std::vector<uint8_t> again;
    ASSERT_TRUE(encode(*back, again));
    ASSERT_EQ(again, bytes) << "seed " << seed;
  }
}

// zeam issue 695: a bitlist whose length was half written or freed, while a block was persisted;
// (length + 7 + 1) / 8 overflowed and the client died.
TEST(SszValue, BitlistOfLengthSizeMaxIsATypedErrorZeam695) {
  Hasher hasher;
  for (const size_t length :
       {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 7, SIZE_MAX - 8, SIZE_MAX / 2, size_t{2049}}) {
    Ballot ballot;
    ballot.votes.resize(2);
    ballot.votes[1].bits.length = length;
    for (const Status& status : {[&]() -> Status {
                                   const auto size = size_of(Ballot::ssz_type(), &ballot);
                                   return size ? Status{} : std::unexpected(size.error());
                                 }(),
                                 [&]() -> Status {
                                   std::vector<uint8_t> out;
                                   const Status encoded = encode(ballot, out);
                                   EXPECT_TRUE(out.empty());
                                   return encoded;
                                 }(),
                                 [&]() -> Status {
                                   const auto root = hash_tree_root(ballot, hasher);
                                   return root ? Status{} : std::unexpected(root.error());
                                 }()}) {
      ASSERT_FALSE(status) << length;
      EXPECT_EQ(status.error().code, Code::too_long);
      EXPECT_EQ(status.error().fault, Fault::local);
      EXPECT_STREQ(status.error().field, "aggregation_bits");
    }
  }
}

TEST(SszValue, BitlistWhoseBitsAreNotItsLengthIsATypedError) {
  Vote vote;
  vote.bits.length = 9;  // the bits were freed
  std::vector<uint8_t> out;
  EXPECT_EQ(encode(vote, out).error().code, Code::mismatch);
  vote.bits.bits = {0xff};
  EXPECT_EQ(encode(vote, out).error().code, Code::mismatch);
  vote.bits.bits = {0xff, 0xff};  // bits behind the end
  EXPECT_EQ(encode(vote, out).error().code, Code::non_canonical);
  vote.bits.bits = {0xff, 0x01};
  EXPECT_TRUE(encode(vote, out));
}

TEST(SszValue, ListsOverTheirLimitAreTypedErrors) {
  Ballot ballot;
  ballot.weights.resize(17);
  std::vector<uint8_t> out;
  EXPECT_EQ(encode(ballot, out).error().code, Code::too_long);
  EXPECT_STREQ(encode(ballot, out).error().field, "weights");
  ballot.weights.clear();
  ballot.votes.resize(17);
  EXPECT_STREQ(encode(ballot, out).error().field, "votes");
}

TEST(SszValue, BlocksByRootTakesAtMost1024Roots) {
  std::vector<Root> roots(kMaxRequestBlocks);
  roots.back().bytes[0] = 7;
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(encode_value(blocks_by_root_type(), &roots, bytes));
  EXPECT_EQ(bytes.size(), 32 * kMaxRequestBlocks);
  std::vector<Root> back;
  ASSERT_TRUE(decode_value(blocks_by_root_type(), bytes, &back));
  EXPECT_EQ(back, roots);
  bytes.resize(bytes.size() + 32);
  EXPECT_EQ(View::parse(blocks_by_root_type(), bytes).error().code, Code::too_long);
  bytes.resize(33);
  EXPECT_EQ(View::parse(blocks_by_root_type(), bytes).error().code, Code::truncated);
}

// Lists in a list climb together: as many as there are, from whatever level, the root is that of
// the list of their roots.
TEST(SszValue, RootOfAListOfListsIsThatOfTheirRoots) {
  const uint64_t seed = 62;
  Rng rng(seed);
  Hasher hasher;
  const Type inner = list_of("transaction", kUint8, uint64_t{1} << 30);
  const Type outer = list_of("transactions", inner, 1 << 20);
  const Type roots_type = list_of("roots", kBytes32, 1 << 20, &list_ops<Root>());
  for (size_t count = 0; count < 50; ++count) {
    std::vector<Root> roots;
    std::vector<uint8_t> bytes(4 * count), tail;
    for (size_t i = 0; i < count; ++i) {
      std::vector<uint8_t> element(rng.chance(1, 5) ? 32 * rng.below(5) : rng.below(700));
      rng.fill(element);
      const auto offset = static_cast<uint32_t>(bytes.size() + tail.size());
      std::memcpy(bytes.data() + 4 * i, &offset, sizeof(offset));
      tail.insert(tail.end(), element.begin(), element.end());
      roots.push_back(hasher.hash_tree_root(*View::parse(inner, element)));
    }
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    const auto view = View::parse(outer, bytes);
    ASSERT_TRUE(view) << to_string(view.error());
    ASSERT_EQ(hasher.hash_tree_root(*view), *root_of_value(roots_type, &roots, hasher))
        << "seed " << seed << " count " << count;
  }
}

TEST(Bitlist, SetGetAndBounds) {
  Bitlist list = Bitlist::of_length(10);
  list.set(0, true);
  list.set(9, true);
  list.set(0, false);
  EXPECT_FALSE(list.get(0));
  EXPECT_TRUE(list.get(9));
  EXPECT_EQ(list.bits.size(), 2u);
  EXPECT_DEATH((void)list.get(10), "check failed");
}

}  // namespace
}  // namespace beamline::ssz
