#include "loop/task.h"

#include <sys/socket.h>

#include "loop/async.h"
#include "loop/sim/reactor.h"
#include "tests/loop/ring_fixture.h"

namespace beamline {
namespace {

// Counts the frames that are alive: a local of each task.
int frames_alive = 0;
struct Alive {
  Alive() { ++frames_alive; }
  ~Alive() { --frames_alive; }
};

class TaskTest : public RingTcpTest {
 protected:
  void SetUp() override {
    frames_alive = 0;
    RingTcpTest::SetUp();
  }
  template <class T>
  void finish(Task<T>& task) {
    ASSERT_TRUE(turn_until([&] { return task.done(); }));
  }
};

Task<int> immediately(int value) { co_return value; }

Task<long> sum(int count) {
  long total = 0;
  for (int i = 0; i < count; ++i) total += co_await immediately(i);
  co_return total;
}

TEST_F(TaskTest, AMillionTasksThatAreDoneAtOnceUseNoStack) {
  Task<long> task = sum(1'000'000);
  task.start(*reactor_);
  finish(task);
  EXPECT_EQ(task.result(), 499'999'500'000);
}

Task<> nap(Duration delay, int& woken) {
  const Alive alive;
  co_await wait_for(delay);
  ++woken;
}

TEST_F(TaskTest, NothingRunsBeforeStartNorInsideIt) {
  int woken = 0;
  Task<> task = nap(Duration{}, woken);
  EXPECT_EQ(frames_alive, 0);
  task.start(*reactor_);
  EXPECT_EQ(frames_alive, 0);
  finish(task);
  EXPECT_EQ(woken, 1);
}

TEST_F(TaskTest, SleepEndsNotBeforeItsTime) {
  int woken = 0;
  const MonoTime start = backend().now().mono;
  Task<> task = nap(milliseconds(20), woken);
  task.start(*reactor_);
  finish(task);
  EXPECT_GE(backend().now().mono - start, milliseconds(20));
}

Task<> nested(int depth, int& woken) {
  const Alive alive;
  if (depth == 0) {
    co_await nap(seconds(3600), woken);
  } else {
    co_await nested(depth - 1, woken);
  }
}

TEST_F(TaskTest, CancelDestroysEveryFrameBelow) {
  int woken = 0;
  Task<> task = nested(10, woken);
  task.start(*reactor_);
  ASSERT_TRUE(turn_until([] { return frames_alive == 12; }));
  task.reset();
  EXPECT_EQ(frames_alive, 0);
  EXPECT_EQ(woken, 0);
}

TEST_F(TaskTest, CancelBetweenWakeUpAndResumeDropsTheResume) {
  int woken = 0;
  Task<> task = nap(Duration{}, woken);
  task.start(*reactor_);
  // The turn in which the timer fires posts the task; it would run in the next one.
  const auto timers = [&] { return reactor_->stats().timers; };
  const uint64_t before = timers();
  while (timers() == before) reactor_->turn();
  task.reset();
  int later = 0;
  Task<> other = nap(Duration{}, later);
  other.start(*reactor_);
  finish(other);
  EXPECT_EQ(woken, 0);
}

Task<> count_down(int& left) {
  for (; left > 0; --left) co_await wait_for(Duration{});
}

TEST_F(TaskTest, TasksTakeTurns) {
  int a = 50, b = 50;
  Task<> first = count_down(a), second = count_down(b);
  first.start(*reactor_);
  second.start(*reactor_);
  ASSERT_TRUE(turn_until([&] { return first.done() || second.done(); }));
  EXPECT_LE(std::abs(a - b), 1);
  finish(first);
  finish(second);
}

// ---- TCP

// Echoes until the end of the stream.
Task<Status> echo(AsyncStream stream) {
  const Alive alive;
  std::array<uint8_t, 1000> bytes;
  for (;;) {
    const auto n = co_await stream.read(bytes);
    if (!n) co_return std::unexpected(n.error());
    if (*n == 0) break;
    const Status written = co_await stream.write(Bytes(bytes).first(*n));
    if (!written) co_return written;
  }
  stream.finish();
  co_return Status{};
}

Task<Status> serve_one(AsyncListener& listener) {
  AsyncStream stream = co_await listener.accept();
  co_return co_await echo(std::move(stream));
}

Task<> write_all(AsyncStream& stream, Bytes bytes, Status& status) {
  status = co_await stream.write(bytes);
  stream.shutdown_write();
}

std::vector<uint8_t> numbered(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
  return bytes;
}

Task<Result<std::vector<uint8_t>>> ask(Tcp& tcp, Endpoint to, Bytes question) {
  const Alive alive;
  auto stream = co_await AsyncStream::connect(tcp, to, seconds(5));
  if (!stream) co_return std::unexpected(stream.error());
  Status written;
  Task<> writing = write_all(*stream, question, written);
  writing.start(tcp.reactor());
  std::vector<uint8_t> answer(question.size());
  const auto n = co_await stream->read_exactly(answer);
  if (!n) co_return std::unexpected(n.error());
  EXPECT_TRUE(written);
  uint8_t more = 0;
  const auto end = co_await stream->read({&more, 1});
  EXPECT_TRUE(end && *end == 0);
  const auto none = co_await stream->read_exactly({&more, 1});
  EXPECT_TRUE(!none && none.error().code == Code::closed);
  co_return answer;
}

TEST_F(TaskTest, EchoBetweenTasksComesBackWhole) {
  auto listener = AsyncListener::listen(*tcp_, Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  const std::vector<uint8_t> question = numbered(10'000'000);  // more than queue and read-ahead
  Task<Status> server = serve_one(*listener);
  auto client = ask(*tcp_, listener->local(), question);
  server.start(*reactor_);
  client.start(*reactor_);
  finish(client);
  finish(server);
  const auto answer = client.result();
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(*answer, question);
  EXPECT_TRUE(server.result());
}

TEST_F(TaskTest, EchoOfTheSameTasksInTheSimulation) {
  sim::World world(1, sim::Options{});
  sim::SimReactor host(world, world.add_host(0x0a000001));
  auto tcp = std::move(*Tcp::create(*host));
  auto listener = AsyncListener::listen(*tcp, host.endpoint(9000));
  ASSERT_TRUE(listener);
  const std::vector<uint8_t> question = numbered(1'000'000);
  Task<Status> server = serve_one(*listener);
  auto client = ask(*tcp, host.endpoint(9000), question);
  server.start(*host);
  client.start(*host);
  host.wake();
  ASSERT_TRUE(world.run_until([&] { return client.done() && server.done(); }, seconds(60)));
  const auto answer = client.result();
  ASSERT_TRUE(answer) << to_string(answer.error());
  EXPECT_EQ(*answer, question);
  host->shutdown();
}

TEST_F(TaskTest, ConnectToNobodyIsRefusedAndFullIsFull) {
  reset_tcp({.max_streams = 1});
  const Socket taken = *backend().listen_tcp(Endpoint::loopback(0), 1);
  const Endpoint nobody = backend().local_endpoint(taken);
  backend().close(taken);
  const std::vector<uint8_t> question = numbered(1);
  auto refused = ask(*tcp_, nobody, question);
  auto full = ask(*tcp_, nobody, question);
  refused.start(*reactor_);
  full.start(*reactor_);
  finish(refused);
  finish(full);
  EXPECT_EQ(refused.result().error().code, Code::refused);
  EXPECT_EQ(full.result().error().code, Code::full);
}

TEST_F(TaskTest, ReadSeesWhatCameBeforeAReset) {
  auto listener = AsyncListener::listen(*tcp_, Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  const int peer = ::socket(AF_INET, SOCK_STREAM, 0);
  const Endpoint to = listener->local();
  ASSERT_EQ(::connect(peer, to.data(), to.size()), 0);
  ASSERT_EQ(::send(peer, "last", 4, 0), 4);
  ASSERT_TRUE(turn_until([&] { return tcp_->stats().bytes_in == 4; }));
  const linger reset{1, 0};
  ASSERT_EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  ::close(peer);
  ASSERT_TRUE(turn_until([&] { return tcp_->stats().closed == 1; }));
  Task<Status> server = serve_one(*listener);
  server.start(*reactor_);
  finish(server);
  const Status ended = server.result();
  ASSERT_FALSE(ended);
  EXPECT_EQ(tcp_->stats().bytes_out, 0u);
}

// Each step of an exchange is abandoned at every turn of it.
TEST_F(TaskTest, DestroyedAtAnyTurnEverythingIsReleased) {
  const std::vector<uint8_t> question = numbered(300'000);
  for (int turns = 0; turns < 60; ++turns) {
    SCOPED_TRACE(turns);
    reset_tcp({.write_chunks = 8, .write_nodes = 8, .stream_queue_bytes = 65'536});
    frames_alive = 0;
    {
      auto listener = AsyncListener::listen(*tcp_, Endpoint::loopback(0));
      ASSERT_TRUE(listener);
      Task<Status> server = serve_one(*listener);
      auto client = ask(*tcp_, listener->local(), question);
      server.start(*reactor_);
      client.start(*reactor_);
      const Tick tick(*reactor_);
      for (int i = 0; i < turns; ++i) reactor_->turn();
      if (turns % 2 == 0) server.reset();  // else the client goes first
    }
    EXPECT_EQ(frames_alive, 0);
    EXPECT_TRUE(turn_until([&] { return tcp_->streams() == 0; }));
    EXPECT_EQ(tcp_->buffers().leased(), 0u);
  }
}

Task<Status> connect_and_echo(Tcp& tcp, Endpoint to) {
  auto stream = co_await AsyncStream::connect(tcp, to, seconds(5));
  if (!stream) co_return std::unexpected(stream.error());
  co_return co_await echo(std::move(*stream));
}

TEST_F(TaskTest, ShutdownEndsAWaitingReadWithItsReason) {
  auto listener = AsyncListener::listen(*tcp_, Endpoint::loopback(0));
  ASSERT_TRUE(listener);
  Task<Status> server = serve_one(*listener);
  server.start(*reactor_);
  Task<Status> client = connect_and_echo(*tcp_, listener->local());
  client.start(*reactor_);
  ASSERT_TRUE(turn_until([&] { return frames_alive == 2; }));
  reactor_->shutdown();
  for (Task<Status>* task : {&server, &client}) {
    ASSERT_TRUE(task->done());
    const Status ended = task->result();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code, Code::closed);
    EXPECT_EQ(ended.error().fault, Fault::local);
  }
}

TEST_F(TaskTest, ListenerRefusesWhatNobodyTakes) {
  auto listener = AsyncListener::listen(*tcp_, Endpoint::loopback(0), 2);
  ASSERT_TRUE(listener);
  const Endpoint to = listener->local();
  std::array<int, 5> peers;
  for (int& peer : peers) {
    peer = ::socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(peer, to.data(), to.size()), 0);
  }
  EXPECT_TRUE(turn_until([&] { return listener->stats().refused == 3; }));
  EXPECT_EQ(listener->stats().accepted, 2u);
  for (const int peer : peers) ::close(peer);
}

}  // namespace
}  // namespace beamline
