// The service: both protocols on one socket, table, pool, look-ups, records, voting.
#include "discovery/service.h"

#include "tests/discovery/service_net.h"

namespace beamline::discovery {
namespace {

ServiceConfig only(bool v4, bool v5) {
  ServiceConfig config;
  config.v4 = v4;
  config.v5 = v5;
  return config;
}

size_t known_live(const TestService& node) { return node.service->contacts().table.live_size(); }

// Everyone knows the first alone; all find all.
void find_all(ServiceNet& net, ServiceConfig config, size_t count, bool by_enode) {
  for (size_t i = 0; i < count; ++i) {
    TestService& node = net.add(config);
    if (i == 0) continue;
    const Service& first = *net.nodes[0]->service;
    if (by_enode) {
      ASSERT_TRUE(node.service->add_bootnode(*Enode::parse(first.enode()), net.now));
    } else {
      ASSERT_TRUE(node.service->add_bootnode(first.record(), net.now));
    }
  }
  net.run_for(seconds(30));
  for (const auto& node : net.nodes) {
    EXPECT_EQ(known_live(*node), count - 1) << to_string(node->endpoint);
  }
  EXPECT_LE(net.largest, DatagramQueue::kMaxSize);
}

TEST(Service, TwelveNodesFindEachOtherThroughOneBootnodeByDiscv5) {
  ServiceNet net;
  find_all(net, only(false, true), 12, false);
}

TEST(Service, TwelveNodesFindEachOtherThroughOneBootnodeByDiscv4) {
  ServiceNet net;
  find_all(net, only(true, false), 12, true);
  for (const auto& node : net.nodes) {
    // Records came by ENR requests.
    node->service->contacts().table.for_each(
        [](const Contact& contact) { EXPECT_TRUE(contact.record.is_signed()); });
  }
}

TEST(Service, NodesOfBothProtocolsFindEachOtherOnOneSocket) {
  ServiceNet net;
  find_all(net, {}, 8, true);
}

TEST(Service, ANodeOfOneProtocolFindsANodeOfTheOtherThroughOneThatSpeaksBoth) {
  ServiceNet net;
  TestService& both = net.add();
  TestService& v4 = net.add(only(true, false));
  TestService& v5 = net.add(only(false, true));
  ASSERT_TRUE(v4.service->add_bootnode(both.service->record(), net.now));
  ASSERT_TRUE(v5.service->add_bootnode(both.service->record(), net.now));
  net.run_for(seconds(20));
  EXPECT_EQ(known_live(both), 2u);
  EXPECT_EQ(known_live(v4), 1u);
  EXPECT_EQ(known_live(v5), 1u);
  EXPECT_EQ(both.service->contacts().table.find(v4.id())->record.protocols, kSpeaksV4);
  EXPECT_EQ(both.service->contacts().table.find(v5.id())->record.protocols, kSpeaksV5);
}

TEST(Service, NodesWithoutARecordOfDiscv4AreFoundThroughANodeOfBoth) {
  ServiceNet net;
  TestService& boot = net.add();
  TestService& v4 = net.add(only(true, false));
  TestService& node = net.add();
  ASSERT_TRUE(v4.service->add_bootnode(*Enode::parse(boot.service->enode()), net.now));
  ASSERT_TRUE(node.service->add_bootnode(boot.service->record(), net.now));
  net.run_for(seconds(30));
  EXPECT_EQ(known_live(node), 2u);
  EXPECT_EQ(known_live(v4), 2u);
  EXPECT_EQ(node.service->contacts().table.find(boot.id())->record.protocols,
            kSpeaksV4 | kSpeaksV5);
}

TEST(Service, WithoutABootnodeItWaitsAndIsFound) {
  ServiceNet net;
  TestService& lonely = net.add();
  net.run_for(seconds(600));
  EXPECT_EQ(net.datagrams, 0u);
  EXPECT_LT(net.steps, 1'500u);  // it does not spin
  TestService& guest = net.add();
  ASSERT_TRUE(guest.service->add_bootnode(lonely.service->record(), net.now));
  net.run_for(seconds(10));
  EXPECT_EQ(known_live(lonely), 1u);
  EXPECT_EQ(known_live(guest), 1u);
}

TEST(Service, ABootnodeThatComesLateIsFound) {
  ServiceNet net;
  TestService& boot = net.add();
  TestService& node = net.add();
  net.silent.insert(&boot);
  ASSERT_TRUE(node.service->add_bootnode(boot.service->record(), net.now));
  net.run_for(seconds(60));
  EXPECT_EQ(known_live(node), 0u);
  net.silent.clear();
  net.run_for(seconds(20));
  EXPECT_EQ(known_live(node), 1u);
}

TEST(Service, SilentNodesLeaveTheTable) {
  ServiceNet net;
  find_all(net, only(false, true), 6, false);
  TestService* const gone = net.nodes[3].get();
  net.silent.insert(gone);
  net.run_for(seconds(300));
  for (const auto& node : net.nodes) {
    if (node.get() == gone) continue;
    const Contact* contact = node->service->contacts().table.find(gone->id());
    EXPECT_TRUE(contact == nullptr || !contact->live);
    EXPECT_EQ(known_live(*node), 4u);
  }
}

TEST(Service, ARecordUpdateReachesThoseWhoKnowTheNode) {
  ServiceNet net;
  find_all(net, {}, 4, false);
  TestService& changed = *net.nodes[2];
  ASSERT_TRUE(changed.service->set_entry("eth2", std::vector<uint8_t>(16, 7)));
  EXPECT_EQ(changed.service->record().seq(), 2u);
  net.run_for(seconds(120));
  for (const auto& node : net.nodes) {
    if (node.get() == &changed) continue;
    const Contact* contact = node->service->contacts().table.find(changed.id());
    ASSERT_NE(contact, nullptr);
    EXPECT_EQ(contact->record.seq, 2u);
    EXPECT_EQ(contact->record.fork, 0x07070707u);
    EXPECT_EQ(node->service->contacts().pool.find(changed.id())->seq, 2u);
  }
}

TEST(Service, TalkRequestsAreAnsweredByWhoServesTheProtocol) {
  ServiceNet net;
  TestService& a = net.add();
  TestService& b = net.add();
  const auto echo = [](void* context, const discv5::Peer&, Bytes request, MutableBytes out, Now) {
    ++*static_cast<int*>(context);
    std::copy(request.begin(), request.end(), out.begin());
    return request.size();
  };
  int served = 0;
  ASSERT_TRUE(b.service->serve_talk("echo", echo, &served));
  const NodeRecord to = record_of(b.service->record());
  ASSERT_TRUE(a.service->talk(to, "echo", as_bytes("hi"), net.now));
  ASSERT_TRUE(a.service->talk(to, "other", as_bytes("hi"), net.now));
  net.deliver();
  EXPECT_EQ(a.talks, (std::vector<std::string>{"hi", ""}));
  EXPECT_EQ(a.talks_done, 2);
  EXPECT_EQ(served, 1);
}

TEST(Service, ANodeBehindAnUnspecifiedAddressLearnsItsOwnFromOthers) {
  ServiceNet net;
  ServiceConfig config;
  config.vote.min_votes = 3;
  const Endpoint any = *Endpoint::parse("0.0.0.0:9000");
  TestService& node = net.add_at(any, config);
  net.by_endpoint["203.0.113.7:9000"] = &node;
  node.endpoint = *Endpoint::parse("203.0.113.7:9000");  // what the others see
  EXPECT_FALSE(node.service->record().endpoint(Enr::Transport::udp, Enr::Family::ip4));
  for (uint32_t i = 0; i < 5; ++i) {
    TestService& voter = net.add_at(Endpoint::v4(0x08010101 + i * 0x10000, 9000));
    ASSERT_TRUE(node.service->add_bootnode(voter.service->record(), net.now));
  }
  net.run_for(seconds(30));
  EXPECT_EQ(node.service->stats().address_changes, 1u);
  EXPECT_EQ(node.service->record().endpoint(Enr::Transport::udp, Enr::Family::ip4),
            *Endpoint::parse("203.0.113.7:9000"));
  EXPECT_NE(node.service->enode().find("@203.0.113.7:9000"), std::string::npos);
}

TEST(Service, HearsayOfUnusableOrPrivatePlacesIsNotTaken) {
  ServiceNet net;
  TestService& node = net.add_at(*Endpoint::parse("203.0.113.1:9000"));
  EXPECT_EQ(node.service->add_bootnode(NodeRecord{}, net.now).error().code, Code::invalid_argument);
  TestService& far = net.add_at(*Endpoint::parse("203.0.114.1:9000"));
  TestService& local = net.add_at(*Endpoint::parse("127.0.0.1:9000"));
  ASSERT_TRUE(far.service->add_bootnode(local.service->record(), net.now));
  ASSERT_TRUE(node.service->add_bootnode(far.service->record(), net.now));
  net.run_for(seconds(20));
  EXPECT_EQ(far.service->contacts().table.live_size(), 2u);
  EXPECT_EQ(node.heard.count(local.id()), 0u);  // `far` knows it, and does not say so
}

TEST(Service, GarbageChangesNothingButACounter) {
  ServiceNet net;
  TestService& node = net.add();
  Rng rng(uint64_t{9});
  for (int i = 0; i < 500; ++i) {
    std::vector<uint8_t> bytes(rng.below(1400));
    rng.fill(bytes);
    node.service->receive(Endpoint::loopback(1), bytes, net.now);
  }
  EXPECT_EQ(node.service->stats().foreign, 500u);
  EXPECT_TRUE(node.service->outbox().empty());
  EXPECT_EQ(node.service->contacts().pool.size(), 0u);
}

}  // namespace
}  // namespace beamline::discovery
