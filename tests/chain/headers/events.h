// Event injection into the header pipeline: bytes become what peers, the store, the state download,
// the trusted head and the clock do to one sync, in any order, crashes among them. Beside it stands
// what is stored, as a list of hashes. What does not hold is a failed check. At the end everybody
// becomes honest, and the sync has to end as it should.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "chain/headers/header_sync.h"

namespace beamline::chain::testing {

class HeaderEvents {
 public:
  explicit HeaderEvents(Bytes steps);
  void run();

  struct Tally {
    uint64_t committed = 0, synced = 0, failed = 0, rewinds = 0, crashes = 0, drops = 0, moves = 0,
             hedges = 0;
    Tally& operator+=(const Tally& more);
  };
  const Tally& tally() const { return tally_; }

 private:
  struct Asked {
    RequestHeaders request;
    bool open = true;
  };
  struct SimPeer {
    PeerHandle handle;
    bool up = false;
    bool lied = false;  // sent what is no header, or breaks a rule
  };
  using Order = std::variant<StoreHeaders, RewindHeaders>;

  uint8_t byte();
  Bytes bytes(size_t count);
  void start();
  void step(uint8_t what, uint8_t argument);
  void step_of_peers(uint8_t what, uint8_t argument);
  void step_of_store(uint8_t what, uint8_t argument);
  void turn();
  void check_end() const;
  void heal();

  void on(const RequestHeaders& request);
  void on(StoreHeaders& store);
  void on(const RewindHeaders& rewind);
  void on(const HeadersStored& batch);
  void on(const ChargeHeaderPeer& charge);
  void on(const HeadReached& head);
  void on(const UpdateForkChoice& update);
  void on(const HeaderSyncFinished& end);

  Asked* open_request(uint8_t pick);
  void answer(Asked& asked, std::vector<Bytes> headers);
  std::vector<Bytes> honest(const RequestHeaders& request, size_t branch) const;
  void give_raw(Asked& asked, Bytes list);
  void peer_up(uint8_t index);
  void peer_down(uint8_t index);
  void carry_out_order();
  void take_batch();
  void crash(uint8_t argument);

  Bytes steps_;
  size_t at_ = 0;
  Now now_{MonoTime{1'000'000'000}, WallTime::from_unix(100'000)};
  HeaderSyncConfig config_;
  std::optional<HeaderSync> sync_;
  size_t head_ = 0;  // the branch whose tip is trusted
  std::vector<SimPeer> peers_;
  std::deque<Asked> asked_;  // also those that are over, for answers that come late
  std::deque<Order> orders_;
  std::vector<ParentHeader> stored_;  // genesis first
  size_t durable_ = 1;
  uint64_t ordered_next_ = 1;  // what the next StoreHeaders begins with
  uint64_t announced_next_ = 0;
  std::deque<HeadersStored> channel_;
  std::optional<HeaderSyncFinished> end_;
  uint64_t updates_ = 0;
  HeaderRequestId last_request_ = 0;
  MonoTime healing_{};
  Tally tally_;
};

}  // namespace beamline::chain::testing
