// Event injection: bytes become what peers, the client's workers, the store and the clocks do to
// one whole chain, in any order. Beside it stands a model as simple as can be: the blocks that are,
// those that were imported, and a brute-force head: the highest slot, or with beacon's or lean's
// policy the specification's own get_head. What does not hold is a failed check.
#pragma once

#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "chain/sim_store.h"
#include "tests/chain/swarm_blocks.h"
#include "tests/chain/witnessed_beacon.h"

namespace beamline::chain::testing {

class Injection {
 public:
  enum class Policy : uint8_t { highest_slot, beacon, lean };
  static constexpr uint8_t kPolicies = 3;

  explicit Injection(Bytes steps, Policy policy = Policy::highest_slot);
  // Takes all steps, then heals the network and waits until the head is reached.
  void run();

  struct Tally {
    uint64_t imported = 0, requests = 0, chunks = 0, verdicts = 0, crashes = 0, reorgs = 0;
    uint64_t sidecars = 0, votes = 0, applied = 0, finalized = 0;
    uint64_t wrong_data = 0, data_verdicts = 0;
    uint64_t went_back = 0;  // what was final
    uint64_t payloads = 0, invalidated = 0, justified_invalid = 0;
    Tally& operator+=(const Tally& more);
  };
  const Tally& tally() const { return tally_; }

 private:
  struct Open {
    PeerHandle peer;
    bool range = false;
    std::vector<Root> roots;
    Slot start = 0;
    uint64_t count = 0;
    size_t next = 0;
    std::vector<std::pair<Root, uint64_t>> data;  // sidecars that were asked for
  };
  struct Made {
    BlockInfo block;
    bool valid = true;                      // it and all its ancestors
    Execution execution = Execution::none;  // when it is imported
    uint8_t blobs = 0;                      // without which it is not
  };

  // A blob or column that the client verifies.
  struct DataJob {
    PeerHandle peer;
    Root root;
    uint64_t index = 0;
    bool right = true;
  };

  uint8_t byte();
  void step(uint8_t what);
  void step_of_peers(uint8_t what);
  void step_of_requests(uint8_t what);
  void step_of_clocks(uint8_t what);
  void step_of_votes(uint8_t what);
  void give(Event event);
  void turn();
  void carry_out(const Command& command);
  void check();
  void check_roots();
  void check_head();
  void explain(const BlockInfo& goal) const;
  void pass(Duration duration);
  void heal();
  bool serve_all();
  bool verify_all();

  // injection_restart.cc: the store, and what outlives it.
  std::unique_ptr<ForkChoice> make_policy(const Recovered* found);
  void crash();
  void acknowledge();

  // injection_data.cc: what the client's workers say of blocks and of their data.
  void step_of_workers();
  bool send_sidecar(RequestId id, Open& open);
  void open_data(const RequestData& request);
  void take_data(const ImportData& data);
  void step_of_data();
  void answer_data(DataId id, Verdict verdict);
  bool verify_data();
  std::vector<uint64_t> missing_of(const Root& root) const;
  bool is_verifying(const Root& root) const;
  bool is_heard(ImportId id, const Root& root) const;
  ImportVerdict verdict_of(ImportId id, const BlockInfo& block);
  void report(const ReportPeer& report);
  void check_reasons();

  // injection_votes.cc.
  BlockBook::VotePtr cast(const BlockInfo& block, ValidatorIndex validator);
  void gossip_vote(Vote vote);
  void answer_vote(VoteId id, Verdict verdict);
  void give_balances();
  void step_of_payloads();
  bool is_condemned(Root root) const;

  // injection_lean.cc.
  static BlockInfo lean_genesis();
  static PostState lean_genesis_state();
  static BlockInfo lean_block(const Root& root);
  BlockInfo next_lean_block();
  std::unique_ptr<Witness> make_lean_policy(const Recovered* found) const;
  void add_lean_state(ImportVerdict& verdict, const Root& root) const;
  bool builds_on_kept(Root root) const;
  Vote lean_vote(const Root& head);
  void spoil(Vote& vote);
  void step_of_lean_votes(uint8_t what);
  bool is_forged(const Vote& vote) const;

  const BlockInfo& make(bool valid);
  const BlockInfo& make_lean(bool valid);
  BlockInfo forged(const BlockInfo& block) const;
  const BlockInfo& any_block();
  PeerHandle any_peer();
  // Peer 0 is only ever slow; it pays for nothing else.
  static bool is_honest(PeerHandle peer) { return peer.index == 0; }
  PeerHandle any_liar();
  bool may_vouch(const BlockInfo& block) const;
  Open* any_request(RequestId& id);
  std::vector<Root> chain_of(const Root& tip) const;
  BlockInfo best() const;
  bool builds_on_final(const Root& root) const;
  ChainConfig config() const;

  static constexpr uint32_t kValidators = 4;
  static constexpr uint64_t kSlotsPerEpoch = 4;

  const Policy policy_;
  BlockBook book_;
  Witness* witness_ = nullptr;  // the chain's policy, if it is beacon's or lean's
  uint64_t final_number_ = 0;
  Bytes steps_;
  size_t at_ = 0;
  Rng rng_;
  Now now_{MonoTime{1'000'000'000}, WallTime::from_unix(40)};
  SimStore store_;
  std::optional<Chain> chain_;
  std::vector<Persist> written_;  // and not synced
  BlockInfo anchor_;

  std::vector<Made> made_;
  std::map<Root, size_t> by_root_;
  std::set<std::pair<Slot, Root>> imported_;
  std::set<Root> acknowledged_;
  std::set<Root> history_;    // below where the policy began
  std::set<Root> condemned_;  // for their payload or an ancestor's
  std::map<uint32_t, uint32_t> generations_;
  std::set<PeerHandle> up_;
  std::map<RequestId, Open> open_;
  std::map<ImportId, BlockInfo> imports_;
  std::set<VerdictId> owed_;
  std::set<std::pair<PeerHandle, ServeId>> serves_;
  VerdictId next_verdict_ = 1;
  ServeId next_serve_ = 1;
  std::map<DataId, DataJob> data_jobs_;
  std::map<Root, std::set<uint64_t>> have_;          // verified
  std::map<Root, std::set<uint64_t>> said_missing_;  // by the client, and not there since
  std::map<PeerHandle, uint64_t> due_;               // reports of invalid data
  bool healing_ = false;
  uint64_t salt_ = 0;
  std::vector<BlockBook::VotePtr> pool_;  // for the next blocks
  std::set<std::pair<ValidatorIndex, Epoch>> voted_;
  std::map<VoteId, Vote> verifying_;
  Tally tally_;
};

}  // namespace beamline::chain::testing
