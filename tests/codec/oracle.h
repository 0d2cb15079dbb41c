// The check of ours against what an oracle says.
#pragma once

#include "tests/codec/oracle_lines.h"

namespace beamline::oracle {

inline void check(const Vector& vector) {
  SCOPED_TRACE(vector.text());
  ssz::Hasher hasher;
  const ssz::Type* type = type_of(vector);
  ASSERT_NE(type, nullptr);
  const auto view = ssz::View::parse(*type, vector.bytes);
  ASSERT_TRUE(view) << to_string(view.error());
  EXPECT_EQ(hasher.hash_tree_root(*view), vector.root);
  if (vector.container != "SignedBeaconBlock") return;
  const auto block = SignedBlockView::parse(types_of(vector.preset), vector.fork, vector.bytes);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->block_root(hasher), vector.block_root);
  EXPECT_EQ(block->body_root(hasher), vector.body_root);
  EXPECT_EQ(block->slot(), *SignedBlockView::peek_slot(vector.bytes));
  // The header with the body's root has the root of the block.
  const BeaconBlockHeader header{block->slot(), block->proposer_index(), block->parent_root(),
                                 block->state_root(), vector.body_root};
  EXPECT_EQ(*ssz::hash_tree_root(header, hasher), vector.block_root);
}

}  // namespace beamline::oracle
