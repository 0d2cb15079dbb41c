#include "libp2p/multistream.h"

#include "base/rng.h"
#include "tests/libp2p/pair.h"

namespace beamline::libp2p {
namespace {

std::string message(std::string_view text) {
  std::string out;
  const size_t size = text.size() + 1;
  if (size > 127) out.push_back(static_cast<char>(size % 128 | 128));
  out.push_back(static_cast<char>(size > 127 ? size / 128 : size));
  return out.append(text).append("\n");
}
const std::string kHeader = message("/multistream/1.0.0");

struct Tables {
  Tables() {
    a = dialler.add("/a/1", false);
    b = dialler.add("/b/1", false);
    served_b = listener.add("/b/1", true);
    listener.add("/known/but/not/served", false);
  }
  ProtocolTable dialler;
  ProtocolTable listener;
  ProtocolId a = 0;
  ProtocolId b = 0;
  ProtocolId served_b = 0;
};

TEST(Multistream, HeaderIsTheOneOfTheSpecification) {
  EXPECT_EQ(kHeader, "\x13/multistream/1.0.0\n");
  EXPECT_EQ(message("na"), "\x03na\n");
}

TEST(Multistream, DiallerSendsHeaderAndProposalTogether) {
  const Tables tables;
  std::vector<uint8_t> out;
  const std::array proposals{tables.a, tables.b};
  const MultistreamSelect select = MultistreamSelect::dialler(tables.dialler, proposals, out);
  EXPECT_EQ(as_text(out), kHeader + message("/a/1"));
  EXPECT_FALSE(select.done());
}

TEST(Multistream, ListenerRefusesUntilItKnowsOneAndTakesNotOneByteMore) {
  const Tables tables;
  MultistreamSelect select = MultistreamSelect::listener(tables.listener);
  const std::string input = kHeader + message("/a/1") + message("/known/but/not/served") +
                            message("ls") + message("/b/1") + "application data";
  std::vector<uint8_t> out;
  const Result<size_t> taken = select.receive(as_bytes(input), out);
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(input.substr(*taken), "application data");
  EXPECT_EQ(as_text(out),
            kHeader + message("na") + message("na") + message("na") + message("/b/1"));
  EXPECT_EQ(select.accepted(), tables.served_b);
}

TEST(Multistream, TwoSidesAgreeInAnyFragmentation) {
  const Tables tables;
  for (uint64_t round = 0; round < 200; ++round) {
    const uint64_t seed = test_seed(round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    Rng rng(seed);
    std::vector<uint8_t> to_listener;
    std::vector<uint8_t> to_dialler;
    const std::array proposals{tables.a, tables.b};
    MultistreamSelect dialler = MultistreamSelect::dialler(tables.dialler, proposals, to_listener);
    MultistreamSelect listener = MultistreamSelect::listener(tables.listener);
    const auto move = [&](MultistreamSelect& to, std::vector<uint8_t>& from,
                          std::vector<uint8_t>& back) {
      const size_t size = rng.below(from.size() + 1);
      const Result<size_t> taken = to.receive(Bytes(from).first(size), back);
      ASSERT_TRUE(taken.has_value());
      from.erase(from.begin(), from.begin() + static_cast<ptrdiff_t>(*taken));
    };
    for (int i = 0; i < 1000 && !(dialler.done() && listener.done()); ++i) {
      move(listener, to_listener, to_dialler);
      move(dialler, to_dialler, to_listener);
    }
    EXPECT_EQ(dialler.accepted(), tables.b);
    EXPECT_EQ(listener.accepted(), tables.served_b);
    EXPECT_TRUE(to_listener.empty() && to_dialler.empty());
  }
}

TEST(Multistream, DiallerThatIsRefusedEverythingSaysUnsupported) {
  const Tables tables;
  std::vector<uint8_t> out;
  const std::array proposals{tables.a};
  MultistreamSelect select = MultistreamSelect::dialler(tables.dialler, proposals, out);
  const Result<size_t> taken = select.receive(as_bytes(kHeader + message("na")), out);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, Code::unsupported);
}

Code listener_error(std::string_view input) {
  const Tables tables;
  MultistreamSelect select = MultistreamSelect::listener(tables.listener);
  std::vector<uint8_t> out;
  const Result<size_t> taken = select.receive(as_bytes(input), out);
  return taken.has_value() ? Code::io_error : taken.error().code;
}

TEST(Multistream, HostileMessagesHaveTypedErrors) {
  EXPECT_EQ(listener_error("GET / HTTP/1.1\r\n\r\n" + std::string(100, 'x')), Code::bad_encoding);
  EXPECT_EQ(listener_error(message("/multistream/2.0.0")), Code::bad_encoding);
  EXPECT_EQ(listener_error(std::string("\x00", 1)), Code::bad_encoding);
  EXPECT_EQ(listener_error("\x03na!"), Code::bad_encoding);       // no newline
  EXPECT_EQ(listener_error("\x81\x08"), Code::too_long);          // 1,025 bytes
  EXPECT_EQ(listener_error("\xff\xff\xff\xff"), Code::too_long);  // a length that never ends
  EXPECT_EQ(listener_error(std::string("\x93\x00", 2)), Code::non_canonical);
  // The largest message is read, byte by byte too.
  EXPECT_EQ(listener_error(kHeader + message(std::string(1023, 'p'))), Code::io_error);
}

TEST(Multistream, DiallerThatNeverEndsIsCutOff) {
  std::string input = kHeader;
  for (int i = 0; i < MultistreamSelect::kMaxRefusals; ++i) input += message("/no");
  EXPECT_EQ(listener_error(input), Code::io_error);
  EXPECT_EQ(listener_error(input + message("/no")), Code::rate_limited);
}

TEST(Multistream, AnswerToWhatWasNotProposedIsUnexpected) {
  const Tables tables;
  std::vector<uint8_t> out;
  const std::array proposals{tables.a, tables.b};
  MultistreamSelect select = MultistreamSelect::dialler(tables.dialler, proposals, out);
  const Result<size_t> taken = select.receive(as_bytes(kHeader + message("/b/1")), out);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, Code::unexpected);
}

TEST(ProtocolTable, NamesAreInternedOnce) {
  ProtocolTable table;
  const ProtocolId first = table.add("/x/1", false);
  EXPECT_EQ(table.find_served("/x/1"), kNoProtocol);
  EXPECT_EQ(table.add("/x/1", true), first);
  EXPECT_EQ(table.find_served("/x/1"), first);
  EXPECT_EQ(table.find("/x/2"), kNoProtocol);
  EXPECT_EQ(table.name(first), "/x/1");
}

}  // namespace
}  // namespace beamline::libp2p
