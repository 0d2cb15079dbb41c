// A lean block on a worker: the transition, the import and the state's SSZ, against the same with
// each state hashed whole, as the specification has it.
#include <map>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "chain/lean/importer.h"
#include "tests/chain/lean_chain.h"

namespace beamline::chain::lean {
namespace {

using testing::LeanChain;
using testing::types;

constexpr size_t kValidators = 512;
constexpr Slot kBehindFinality = 12;

Root root_of(Slot slot) {
  Root root;
  std::memcpy(root.bytes.data(), &slot, sizeof(slot));
  root.bytes[31] = 1;
  return root;
}

struct SignedBlock {
  LeanBlock block;
  Root root;
  SharedBytes bytes;
};

// A state at slot `history` that finalised a few slots ago, and two blocks on it. Who runs them in
// turn changes in the state what the next block of a chain changes.
class World {
 public:
  explicit World(Slot history) : finalized_(history - kBehindFinality) {
    parent = make_genesis(types(), 0, testing::make_validators(kValidators));
    for (Slot slot = 0; slot < history; ++slot) {
      parent.historical_block_hashes.push_back(root_of(slot));
    }
    parent.slot = history;
    LeanBlockHeader& header = parent.latest_block_header;  // its body is empty
    header.slot = history;
    header.proposer_index = proposer_for(history, kValidators);
    header.parent_root = root_of(history - 1);
    parent.latest_finalized = {.root = root_of(finalized_), .slot = finalized_};
    parent.latest_justified = parent.latest_finalized;
    parent.justified_slots = ssz::Bitlist::of_length(kBehindFinality - 1);
    parent_state_root = *transition.root_of(parent);
    for (const Slot slot : {history + 1, history + 2}) next_.push_back(finish(make_block(slot)));
  }

  // The two of them, one after the other.
  const SignedBlock& next() { return next_[turn_++ % next_.size()]; }

  StateTransition transition{types()};
  ssz::Hasher hasher;
  LeanState parent;
  Root parent_state_root;

 private:
  // With votes of half of the validators for each slot that is justifiable at once: none is
  // justified by them.
  LeanBlock make_block(Slot slot) const {
    LeanBlock block;
    block.slot = slot;
    block.proposer_index = proposer_for(slot, kValidators);
    for (Slot i = 0; i < kMaxAttestationsData; ++i) {
      const Slot target = finalized_ + 1 + i % kImmediateJustificationWindow;
      const Slot head = finalized_ + kBehindFinality - 1 - i % 4;
      block.body.attestations.push_back(
          LeanChain::cast({.slot = finalized_ + kBehindFinality + i,
                           .head = {.root = root_of(head), .slot = head},
                           .target = {.root = root_of(target), .slot = target},
                           .source = {.root = root_of(finalized_), .slot = finalized_}},
                          kValidators / 2));
    }
    return block;
  }
  SignedBlock finish(LeanBlock block) {
    LeanState post = parent;
    BL_CHECK(transition.process_slots(post, block.slot, &parent_state_root));
    block.parent_root = transition.root_of(post.latest_block_header);
    BL_CHECK(transition.process_block(post, block));
    BL_CHECK(post.justifications_roots.size() == kImmediateJustificationWindow);
    block.state_root = *transition.root_of(post);
    SignedBlock done{.block = block, .root = *transition.root_of(block), .bytes = {}};
    done.bytes = LeanChain::sign(block, as_bytes("proof"));
    return done;
  }

  const Slot finalized_;
  std::vector<SignedBlock> next_;
  size_t turn_ = 0;
};

World make_world(const benchmark::State& state) { return World(static_cast<Slot>(state.range(0))); }

// state_transition() of the specification: the parent's state is hashed in the slot that follows,
// the post-state for the block; each time whole.
LeanState apply_whole(World& world, const LeanBlock& block) {
  LeanState state = world.parent;
  const Root before = *ssz::root_of_value(types().state(), &state, world.hasher);
  BL_CHECK(world.transition.process_slots(state, block.slot, &before));
  BL_CHECK(world.transition.process_block(state, block));
  BL_CHECK(*ssz::root_of_value(types().state(), &state, world.hasher) == block.state_root);
  return state;
}

void BM_Transition(benchmark::State& state) {
  World world = make_world(state);
  for (auto _ : state) {
    Result<LeanState> post =
        world.transition.apply(world.parent, world.next().block, &world.parent_state_root);
    BL_CHECK(post);
    benchmark::DoNotOptimize(post->slot);
  }
}
void BM_TransitionWhole(benchmark::State& state) {
  World world = make_world(state);
  for (auto _ : state) {
    const LeanState post = apply_whole(world, world.next().block);
    benchmark::DoNotOptimize(post.slot);
  }
}

// A signed block's bytes to the state that is kept of it.
void BM_Import(benchmark::State& state) {
  World world = make_world(state);
  ImporterLimits limits;
  limits.state_every = 0;
  Importer importer(types(), nullptr, limits);
  const LeanBlockHeader& header = world.parent.latest_block_header;
  LeanBlock anchor;
  anchor.slot = header.slot;
  anchor.proposer_index = header.proposer_index;
  anchor.parent_root = header.parent_root;
  anchor.state_root = world.parent_state_root;
  BL_CHECK(importer.add_anchor(anchor, world.parent));
  for (auto _ : state) {
    const SignedBlock& next = world.next();
    const Imported imported = importer.import(next.root, next.bytes);
    BL_CHECK(imported.verdict == Verdict::valid);
  }
}
void BM_ImportWhole(benchmark::State& state) {
  World world = make_world(state);
  std::map<Root, LeanState> states;
  std::map<Root, LeanBlock> blocks;
  for (auto _ : state) {
    const SignedBlock& next = world.next();
    const ssz::View view = types().parse(types().signed_block(), next.bytes).value();
    LeanBlock block;
    BL_CHECK(ssz::decode_value(types().block(), view.field(0).bytes(), &block));
    const Root root = *ssz::root_of_value(types().block(), &block, world.hasher);
    BL_CHECK(root == next.root && check_signers(block, kValidators));
    states[root] = apply_whole(world, block);
    blocks[root] = std::move(block);
  }
}

void BM_StateRoot(benchmark::State& state) {
  World world = make_world(state);
  const LeanState states[] = {apply_whole(world, world.next().block),
                              apply_whole(world, world.next().block)};
  size_t turn = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(world.transition.root_of(states[turn++ % 2]).value());
  }
}
void BM_StateRootWhole(benchmark::State& state) {
  World world = make_world(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        ssz::root_of_value(types().state(), &world.parent, world.hasher).value());
  }
}

void BM_StateEncode(benchmark::State& state) {
  World world = make_world(state);
  std::vector<uint8_t> out;
  for (auto _ : state) {
    out.clear();
    BL_CHECK(ssz::encode_value(types().state(), &world.parent, out));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * out.size()));
}
void BM_StateDecode(benchmark::State& state) {
  World world = make_world(state);
  std::vector<uint8_t> bytes;
  BL_CHECK(ssz::encode_value(types().state(), &world.parent, bytes));
  for (auto _ : state) {
    LeanState decoded;
    BL_CHECK(ssz::decode_value(types().state(), bytes, &decoded));
    benchmark::DoNotOptimize(decoded.slot);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
// The state's bytes to a vector, as the two above make one.
void BM_StateMemcpy(benchmark::State& state) {
  World world = make_world(state);
  std::vector<uint8_t> bytes;
  BL_CHECK(ssz::encode_value(types().state(), &world.parent, bytes));
  for (auto _ : state) {
    std::vector<uint8_t> copy(bytes);
    benchmark::DoNotOptimize(copy.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}

void sizes(benchmark::internal::Benchmark* bench) { bench->Arg(100)->Arg(10'000); }
BENCHMARK(BM_Transition)->Apply(sizes);
BENCHMARK(BM_TransitionWhole)->Apply(sizes);
BENCHMARK(BM_Import)->Apply(sizes);
BENCHMARK(BM_ImportWhole)->Apply(sizes);
BENCHMARK(BM_StateRoot)->Apply(sizes);
BENCHMARK(BM_StateRootWhole)->Apply(sizes);
BENCHMARK(BM_StateEncode)->Apply(sizes);
BENCHMARK(BM_StateDecode)->Apply(sizes);
BENCHMARK(BM_StateMemcpy)->Apply(sizes);

}  // namespace
}  // namespace beamline::chain::lean
