// What the client's workers say: of blocks, and of the blobs and columns without which a block is
// not imported. Verdicts come in any order, late or never; data comes right, wrong or not at all.
#include <algorithm>

#include "base/check.h"
#include "tests/chain/injection.h"

namespace beamline::chain::testing {

// ---- Blocks

std::vector<uint64_t> Injection::missing_of(const Root& root) const {
  std::vector<uint64_t> missing;
  const auto here = have_.find(root);
  for (uint64_t index = 0; index < made_[by_root_.at(root)].blobs; ++index) {
    if (here == have_.end() || !here->second.contains(index)) missing.push_back(index);
  }
  return missing;
}

bool Injection::is_verifying(const Root& root) const {
  return std::ranges::any_of(data_jobs_, [&](const auto& job) { return job.second.root == root; });
}

// A verdict on a block that went, and perhaps came back since, is stale.
bool Injection::is_heard(ImportId id, const Root& root) const {
  const CachedBlock* const cached = chain_->cache().find(root);
  return cached != nullptr && cached->state == CachedBlock::State::importing &&
         cached->import == id;
}

ImportVerdict Injection::verdict_of(ImportId id, const BlockInfo& block) {
  ImportVerdict verdict;
  verdict.import = id;
  const auto made = by_root_.find(block.root);
  const bool known = made != by_root_.end();
  if (known && !made_[made->second].valid) verdict.verdict = Verdict::invalid_block;
  if (block.signed_bytes.bytes()[32] == 0) verdict.verdict = Verdict::invalid_bytes;
  if (verdict.verdict != Verdict::valid) return verdict;
  if (known) verdict.missing = missing_of(block.root);
  if (!verdict.missing.empty()) {
    verdict.verdict = Verdict::data_missing;
    if (is_heard(id, block.root)) {
      said_missing_[block.root] = {verdict.missing.begin(), verdict.missing.end()};
    }
    return verdict;
  }
  if (policy_ == Policy::highest_slot) return verdict;
  if (policy_ == Policy::lean) {
    // One that builds too early is not of the forest.
    if (!known) return {id, Verdict::invalid_block, {}, {}, {}, {}, {}};
    add_lean_state(verdict, block.root);
    return verdict;
  }
  const BlockBook::Entry* entry = book_.find(block.root);
  if (entry == nullptr) {
    verdict.verdict = Verdict::invalid_block;  // one that builds too early
    return verdict;
  }
  verdict.post = entry->post;
  const Execution execution = made_[made->second].execution;
  verdict.post.execution = is_condemned(block.root) ? Execution::invalid : execution;
  if (execution != Execution::none) verdict.post.payload_hash = block.root;
  for (const auto& vote : entry->votes) verdict.votes.push_back(*vote);
  return verdict;
}

// A worker is done, with any of its jobs.
void Injection::step_of_workers() {
  const uint8_t which = byte();
  if (!data_jobs_.empty() && which % 2 == 0) return step_of_data();
  if (imports_.empty()) return turn();
  const auto it = std::next(imports_.begin(), which / 2 % static_cast<int>(imports_.size()));
  const auto [id, block] = *it;
  const uint8_t mood = byte() % 16;
  // Mostly it waits for what is being verified.
  if (mood > 3 && is_verifying(block.root)) return turn();
  imports_.erase(it);
  if (mood == 0) return give(ImportVerdict{id, Verdict::try_again, {}, {}, {}, {}, {}});
  if (mood != 1) return give(verdict_of(id, block));
  ImportVerdict verdict{id, Verdict::data_missing, {}, {}, {}, {}, {}};
  // Now and then without a word on what, or with nonsense.
  std::set<uint64_t> nobody;
  std::set<uint64_t>& said = is_heard(id, block.root) ? said_missing_[block.root] : nobody;
  for (uint64_t count = byte() % 5, i = 0; i < count; ++i) {
    verdict.missing.push_back(i * 3 + byte() % 4);
    said.insert(verdict.missing.back());
  }
  give(std::move(verdict));
}

// ---- Blobs and columns

void Injection::open_data(const RequestData& request) {
  BL_CHECK(!request.wanted.empty() && up_.contains(request.peer));
  BL_CHECK(data_jobs_.size() < chain_->limits().data_in_verification);
  Open open{request.peer, false, {}, 0, 0, 0, {}};
  for (const RequestData::Wanted& wanted : request.wanted) {
    BL_CHECK(!wanted.indices.empty() && std::ranges::is_sorted(wanted.indices));
    BL_CHECK(chain_->cache().contains(wanted.block_root));
    const std::set<uint64_t>& missing = said_missing_[wanted.block_root];
    for (const uint64_t index : wanted.indices) {
      // Only what the client named, and that did not come since.
      BL_CHECK(missing.contains(index));
      open.data.emplace_back(wanted.block_root, index);
    }
  }
  BL_CHECK(open.data.size() <= chain_->limits().data_per_request);
  open_[request.request] = std::move(open);
}

bool Injection::send_sidecar(RequestId id, Open& open) {
  if (open.next >= open.data.size()) return false;
  const auto [root, index] = open.data[open.next++];
  const bool wrong = !healing_ && !is_honest(open.peer) && byte() % 4 == 0;
  tally_.wrong_data += wrong;
  const SharedBytes bytes = SharedBytes::copy(wrong ? anchor_.root.view() : root.view());
  give(SidecarReceived{open.peer, id, root, index, bytes});
  return true;
}

void Injection::take_data(const ImportData& data) {
  ++tally_.sidecars;
  BL_CHECK(said_missing_[data.block_root].erase(data.index) == 1);
  const bool right = std::ranges::equal(data.bytes.bytes(), data.block_root.view());
  const DataJob job{data.peer, data.block_root, data.index, right};
  BL_CHECK(data_jobs_.emplace(data.id, job).second);
}

void Injection::step_of_data() {
  const auto it = std::next(data_jobs_.begin(), byte() % static_cast<int>(data_jobs_.size()));
  const uint8_t mood = byte();
  Verdict verdict = it->second.right    ? Verdict::valid
                    : mood / 8 % 2 == 0 ? Verdict::invalid_bytes
                                        : Verdict::invalid_block;
  if (mood % 8 == 0) verdict = Verdict::try_again;
  if (mood % 8 == 1) verdict = Verdict::data_missing;
  answer_data(it->first, verdict);
}

void Injection::answer_data(DataId id, Verdict verdict) {
  ++tally_.data_verdicts;
  const DataJob job = data_jobs_.at(id);
  data_jobs_.erase(id);
  const bool invalid = verdict == Verdict::invalid_bytes || verdict == Verdict::invalid_block;
  if (verdict == Verdict::valid) {
    have_[job.root].insert(job.index);
  } else {
    said_missing_[job.root].insert(job.index);
  }
  if (invalid) ++due_[job.peer];
  give(DataVerdict{id, verdict, {}});
}

bool Injection::verify_data() {
  const bool any = !data_jobs_.empty();
  while (!data_jobs_.empty()) {
    const auto& [id, job] = *data_jobs_.begin();
    answer_data(id, job.right ? Verdict::valid : Verdict::invalid_bytes);
  }
  return any;
}

// ---- Who pays, and what waits

void Injection::report(const ReportPeer& report) {
  if (report.conduct == Conduct::invalid_data) BL_CHECK(due_[report.peer]-- > 0);
  if (!is_honest(report.peer) || report.change >= 0) return;
  // It may be late, or have less than it said.
  const bool slow = report.conduct == Conduct::withheld || report.conduct == Conduct::silent;
  if (!slow) std::printf("honest peer %u pays: %s\n", report.peer.index, name(report.conduct));
  BL_CHECK(slow && "an honest peer pays for nothing but being slow");
}

// After a turn each block that is not imported waits for something that has a name.
void Injection::check_reasons() {
  const Limits& limits = chain_->limits();
  std::set<Root> with_client;
  for (const auto& [id, block] : imports_) with_client.insert(block.root);
  for (const auto& [root, cached] : chain_->cache().blocks()) {
    switch (cached.state) {
      case CachedBlock::State::ready: {
        const bool early = cached.block.slot > chain_->current_slot(now_.wall);
        const bool behind = written_.size() >= limits.persists_in_flight;
        const bool full = chain_->imports_in_flight() >= limits.imports_in_flight;
        BL_CHECK(early || behind || full || chain_->poll_timeout() <= now_.mono);
        break;
      }
      case CachedBlock::State::importing:
        BL_CHECK(with_client.contains(root));
        break;
      case CachedBlock::State::data: {
        const PendingRoot* wanted = chain_->pending().find(root);
        BL_CHECK(wanted != nullptr && wanted->wanted_as == WantedAs::data);
        break;
      }
      case CachedBlock::State::connected:
        BL_CHECK(chain_->cache().contains(cached.block.parent_root));
        break;
      default:  // orphans: check_roots(); delayed: asked about again
        break;
    }
  }
}

}  // namespace beamline::chain::testing
