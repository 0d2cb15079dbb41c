#include "reqresp/handshake.h"

#include "tests/reqresp/bytes.h"

namespace beamline::reqresp {
namespace {

using Kind = Handshake::Action::Kind;
using Role = Handshake::Role;
constexpr Slot kSlot = 100;

StatusV1 our_status() {
  StatusV1 status;
  status.fork_digest = {{1, 2, 3, 4}};
  status.finalized_epoch = 10;
  status.head_slot = 99;
  return status;
}

// "status ping metadata ready goodbye2"
std::string actions(Handshake& handshake) {
  static constexpr const char* kNames[] = {"status", "ping", "metadata", "ready", "goodbye"};
  std::string text;
  while (const auto action = handshake.poll_action()) {
    if (!text.empty()) text += ' ';
    text += kNames[static_cast<size_t>(action->kind)];
    if (action->kind == Kind::goodbye) text += std::to_string(action->reason);
  }
  return text;
}

TEST(Handshake, TheDiallerSendsStatusFirst) {
  Handshake handshake(Role::dialer, {}, at(seconds(0)));
  EXPECT_EQ(actions(handshake), "status");
  EXPECT_FALSE(handshake.ready());
  handshake.on_status(our_status(), our_status(), kSlot, true, at(seconds(1)));
  EXPECT_TRUE(handshake.ready());
  EXPECT_EQ(actions(handshake), "ready ping");
  EXPECT_EQ(handshake.peer_status()->head_slot, 99u);
}

TEST(Handshake, TheListenerWaitsAndGivesUpInTime) {
  Handshake handshake(Role::listener, {}, at(seconds(0)));
  EXPECT_EQ(actions(handshake), "");
  EXPECT_EQ(handshake.next_deadline(), at(seconds(20)).mono);
  handshake.on_time(at(seconds(20)));
  EXPECT_EQ(actions(handshake), "goodbye3");
  EXPECT_TRUE(handshake.over());
  EXPECT_EQ(handshake.next_deadline(), MonoTime::never());
}

TEST(Handshake, TheListenerIsReadyWithTheDiallersStatus) {
  Handshake handshake(Role::listener, {}, at(seconds(0)));
  handshake.on_status(our_status(), our_status(), kSlot, false, at(seconds(1)));
  EXPECT_EQ(actions(handshake), "ready ping");
}

TEST(Handshake, OtherNetworksGetGoodbyeTwo) {
  StatusV1 other_fork = our_status();
  other_fork.fork_digest.bytes[0] = 9;
  StatusV1 other_root = our_status();
  other_root.finalized_root.bytes[5] = 1;
  StatusV1 future = our_status();
  future.head_slot = kSlot + 2;
  const struct {
    StatusV1 status;
    Relevance why;
  } kCases[] = {{other_fork, Relevance::other_fork},
                {other_root, Relevance::other_finalized},
                {future, Relevance::future_head}};
  for (const auto& expected : kCases) {
    for (const Role role : {Role::dialer, Role::listener}) {
      Handshake handshake(role, {}, at(seconds(0)));
      actions(handshake);
      handshake.on_status(expected.status, our_status(), kSlot, role == Role::dialer,
                          at(seconds(1)));
      EXPECT_EQ(actions(handshake), "goodbye2");
      EXPECT_EQ(handshake.relevance(), expected.why);
      EXPECT_FALSE(handshake.ready());
      // Nothing follows, whatever happens.
      handshake.on_ping(5, false, at(seconds(2)));
      handshake.on_status(our_status(), our_status(), kSlot, false, at(seconds(2)));
      handshake.on_time(at(seconds(1000)));
      EXPECT_EQ(actions(handshake), "");
    }
  }
}

TEST(Handshake, APeerAheadOrBehindIsRelevant) {
  StatusV1 ahead = our_status();
  ahead.finalized_epoch = 12;
  ahead.finalized_root.bytes[0] = 7;
  ahead.head_slot = kSlot + 1;
  EXPECT_EQ(check_relevance(ahead, our_status(), kSlot), Relevance::relevant);
  StatusV1 behind = our_status();
  behind.finalized_epoch = 0;
  behind.head_slot = 0;
  EXPECT_EQ(check_relevance(behind, our_status(), kSlot), Relevance::relevant);
  EXPECT_EQ(check_relevance(our_status(), behind, kSlot), Relevance::relevant);
  // At genesis some say a root of zeros, some the genesis block's.
  StatusV1 zeros = behind;
  zeros.finalized_root.bytes[0] = 1;
  EXPECT_EQ(check_relevance(zeros, behind, kSlot), Relevance::relevant);
  StatusV1 extreme = our_status();
  extreme.head_slot = UINT64_MAX;
  EXPECT_EQ(check_relevance(extreme, our_status(), kSlot), Relevance::future_head);
}

TEST(Handshake, MetadataFollowsItsSequenceNumber) {
  Handshake handshake(Role::dialer, {}, at(seconds(0)));
  handshake.on_status(our_status(), our_status(), kSlot, true, at(seconds(1)));
  actions(handshake);
  handshake.on_ping(3, true, at(seconds(2)));
  EXPECT_EQ(actions(handshake), "metadata");
  handshake.on_ping(3, false, at(seconds(2)));  // one request is enough
  EXPECT_EQ(actions(handshake), "");
  handshake.on_metadata(3);
  handshake.on_ping(3, false, at(seconds(3)));
  EXPECT_EQ(actions(handshake), "");
  handshake.on_ping(4, false, at(seconds(4)));
  EXPECT_EQ(actions(handshake), "metadata");
  handshake.on_metadata_failed();
  handshake.on_ping(4, false, at(seconds(5)));
  EXPECT_EQ(actions(handshake), "metadata");
}

TEST(Handshake, PingsAndStatusRepeat) {
  Handshake handshake(Role::dialer, {}, at(seconds(0)));
  handshake.on_status(our_status(), our_status(), kSlot, true, at(seconds(0)));
  EXPECT_EQ(actions(handshake), "status ready ping");
  handshake.on_ping(0, true, at(seconds(0)));
  EXPECT_EQ(actions(handshake), "metadata");
  int pings = 0;
  int statuses = 0;
  MonoTime now = at(seconds(0)).mono;
  while (now < at(seconds(3600)).mono) {
    now = handshake.next_deadline();
    const Now then{now, {}};
    handshake.on_time(then);
    while (const auto action = handshake.poll_action()) {
      if (action->kind == Kind::send_ping) {
        ++pings;
        handshake.on_ping(0, true, then);
        handshake.on_metadata(0);
      } else if (action->kind == Kind::send_status) {
        ++statuses;
        handshake.on_status(our_status(), our_status(), kSlot, true, then);
      }
    }
  }
  EXPECT_NEAR(pings, 180, 2);
  EXPECT_NEAR(statuses, 12, 1);
}

TEST(Handshake, TwoFailuresInARowEndIt) {
  Handshake handshake(Role::dialer, {}, at(seconds(0)));
  EXPECT_EQ(actions(handshake), "status");
  handshake.on_status_failed(at(seconds(10)));
  EXPECT_EQ(actions(handshake), "");
  handshake.on_time({handshake.next_deadline(), {}});
  const std::string again = actions(handshake);
  EXPECT_NE(again.find("status"), again.npos) << again;
  handshake.on_status_failed(at(seconds(30)));
  EXPECT_EQ(actions(handshake), "goodbye3");
}

TEST(Handshake, AnAnswerForgivesAFailure) {
  Handshake handshake(Role::dialer, {}, at(seconds(0)));
  handshake.on_status(our_status(), our_status(), kSlot, true, at(seconds(0)));
  for (int i = 1; i < 10; ++i) {
    handshake.on_ping_failed(at(seconds(20 * i)));
    handshake.on_ping(0, true, at(seconds(20 * i + 1)));
    handshake.on_metadata(0);
  }
  EXPECT_FALSE(handshake.over());
}

TEST(Handshake, AfterThePeersGoodbyeNothingIsSent) {
  Handshake handshake(Role::dialer, {}, at(seconds(0)));
  handshake.on_goodbye();
  EXPECT_EQ(actions(handshake), "");
  EXPECT_TRUE(handshake.over());
}

}  // namespace
}  // namespace beamline::reqresp
