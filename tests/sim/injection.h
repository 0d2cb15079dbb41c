// Event injection: two reactors with TCP, UDP and an inbox, driven step by step by bytes. One part
// of the bytes says what the users of the loop do, the other, the tape, what the kernel and the
// network do to them: a simulated world, or a real ring. After every step the invariants hold, or a
// check fails.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "loop/inbox_port.h"
#include "loop/tcp.h"
#include "loop/udp.h"
#include "tests/sim/stage.h"

namespace beamline::sim {

// A fuzzer's bytes: the first chooses the world, the second how much of the rest are steps; what
// remains is the tape.
struct Trace {
  // REQUIRES: two bytes at least.
  static Trace read(Bytes data) {
    const Bytes rest = data.subspan(2);
    const size_t steps = rest.size() * data[1] / 255;
    return {1u + data[0], rest.first(steps), rest.subspan(steps)};
  }
  uint64_t seed;
  Bytes steps, tape;
};

class Injection {
 public:
  // The seed decides the options of the sockets; `steps` must outlive run().
  Injection(Stage& stage, uint64_t seed, Bytes steps);
  ~Injection();

  // Takes all steps, lets the world calm down, and shuts everything down.
  void run();
  // What came of the steps.
  struct Traffic {
    uint64_t bytes = 0, messages = 0, datagrams = 0, streams = 0;
    Traffic& operator+=(const Traffic& more);
  };
  Traffic traffic() const;

 private:
  static constexpr size_t kClients = kInjectionClients;
  static constexpr uint8_t kNumbered = 0;  // classes of messages
  static constexpr uint8_t kReserved = 1;

  struct Message {
    uint8_t producer = 0;
    uint64_t number = 0;
  };

  // Both ends of a connection send the same endless sequence; each checks what it gets.
  class End final : public StreamHandler {
   public:
    void on_connected(TcpStream&) override { BL_CHECK(stream != nullptr); }
    void on_data(TcpStream& stream, Lease lease) override;
    void on_end(TcpStream& stream) override;
    void on_writable(TcpStream&) override { ++writable; }
    void on_closed(TcpStream& stream, const Error& why) override;
    void write(size_t size, bool shared);

    TcpStream* stream = nullptr;
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t writable = 0;
    bool ended = false;
  };

  class Server final : public ListenerHandler {
   public:
    explicit Server(Injection& injection) : injection_(injection) {}
    StreamHandler* on_accept(TcpStream& stream) override;

   private:
    Injection& injection_;
  };

  class Datagrams final : public UdpHandler {
   public:
    void on_datagram(UdpSocket& socket, const Endpoint& from, Lease payload) override;
    uint64_t received = 0;
  };

  class Core final : public InboxReceiver<Message> {
   public:
    void on_message(Message& message) override;
    std::array<uint64_t, 3> next{};
  };

  // Pushes after the inbox was drained and before the reactor sleeps.
  class LatePush final : public TurnHook {
   public:
    explicit LatePush(Injection& injection) : injection_(injection) {}
    void end_of_turn(Now) override;
    uint32_t wanted = 0;

   private:
    Injection& injection_;
  };

  static TcpOptions tcp_options(uint64_t seed);
  static uint8_t byte_at(uint64_t position) { return static_cast<uint8_t>(position * 167 + 13); }
  void step(uint8_t what, uint8_t how);
  void connect();
  void act_on(End& end, uint8_t what, uint8_t how);
  void push(uint8_t producer, uint32_t count, bool chained);
  void push_reserved();
  void check();
  void finish();

  Stage& stage_;
  Bytes steps_;
  Server server_{*this};
  std::vector<std::unique_ptr<End>> ends_;  // clients' and the server's
  Datagrams a_datagrams_, b_datagrams_;
  Core core_;
  LatePush late_push_{*this};
  Reactor& a_;
  Reactor& b_;
  Endpoint server_at_;
  std::unique_ptr<Tcp> a_tcp_, b_tcp_;
  std::unique_ptr<UdpSocket> a_udp_, b_udp_;
  std::unique_ptr<InboxPort<Message>> port_;
  std::array<Inbox<Message>::Producer, 3> producers_;
  std::array<uint64_t, 3> pushed_{};
};

}  // namespace beamline::sim
