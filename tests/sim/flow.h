// Random bytes both ways over one connection with raw operations, robust against every fault: what
// a correct driver does, in its smallest form.
#pragma once

#include <cerrno>
#include <vector>

#include "tests/sim/raw.h"

namespace beamline::sim {

// One end: sends all of `out`, then shuts down writing; receives until the end or an error.
class FlowEnd {
 public:
  FlowEnd(Raw& raw, std::vector<uint8_t> out) : raw_(raw), out_(std::move(out)) {
    receiving_.then = [this](Completion& completion) { on_receive(completion); };
    sending_.then = [this](Completion& completion) { on_sent(completion); };
    closing_.then = [this](Completion&) { write_done_ = true; };
  }

  void start(Socket socket) {
    socket_ = socket;
    raw_.receive(receiving_, socket);
    send_rest();
  }
  void cancel() {
    cancelled_ = true;
    raw_.cancel(receiving_);
    raw_.cancel(sending_);
    raw_.cancel(closing_);
  }
  bool quiet() const { return receiving_.op.idle() && sending_.op.idle() && closing_.op.idle(); }
  bool done() const { return (read_end_ && write_done_ && quiet()) || (error_ != 0 && quiet()); }
  int32_t error() const { return error_; }
  bool read_end() const { return read_end_; }
  Bytes received() const { return receiving_.bytes; }
  Bytes out() const { return out_; }

 private:
  void on_receive(Completion& completion) {
    if (completion.more) return;
    if (completion.result == 0) read_end_ = true;
    const bool again = completion.result > 0 || completion.result == -ENOBUFS;
    if (!again && completion.result < 0) fail(completion.result);
    // A real driver waits for a buffer; here every lease has gone by the next turn.
    if (again && !cancelled_ && error_ == 0) raw_.receive(receiving_, socket_);
  }
  void on_sent(Completion& completion) {
    if (completion.result < 0) return fail(completion.result);
    sent_ += static_cast<size_t>(completion.result);
    if (!cancelled_ && error_ == 0) send_rest();
  }
  void send_rest() {
    if (sent_ < out_.size()) {
      raw_.send(sending_, socket_, Bytes(out_).subspan(sent_));
    } else {
      raw_.shutdown(closing_, socket_, true);
    }
  }
  void fail(int32_t result) {
    if (error_ == 0) error_ = result;
    raw_.cancel(receiving_);
    raw_.cancel(sending_);
  }

  Raw& raw_;
  const std::vector<uint8_t> out_;
  RawOp receiving_, sending_, closing_;
  Socket socket_;
  size_t sent_ = 0;
  bool read_end_ = false;
  bool write_done_ = false;
  bool cancelled_ = false;
  int32_t error_ = 0;
};

// A connection with a flow each way, through whatever the options do to it.
struct Flow {
  Flow(World& in, size_t size)
      : world(in),
        rng(in.fork_rng()),
        a(in, in.add_host(0x0a000001), 8, 1024),
        b(in, in.add_host(0x0a000002), 8, 1024),
        to(in.net().endpoint(1, 9000)),
        near(a, random_bytes(rng, size)),
        far(b, random_bytes(rng, size / 2)) {}

  // False if no connection came about.
  bool open() {
    listener = *b.backend.listen_tcp(to, 4);
    accepting.then = [this](Completion& completion) {
      if (completion.result >= 0 && !accepted.valid()) accepted = {completion.result};
      if (!completion.more && !accepted.valid()) b.accept(accepting, listener);
    };
    b.accept(accepting, listener);
    const Socket socket = *a.backend.open_tcp(AF_INET);
    a.connect(connecting, socket, to);
    world.run_until([&] { return connecting.ended; }, seconds(120));
    if (connecting.last() != 0) return false;
    near.start(socket);
    return world.run_until([&] { return accepted.valid(); }, seconds(60)) &&
           (far.start(accepted), true);
  }
  void finish() {
    near.cancel();
    far.cancel();
    a.cancel(connecting);
    accepting.then = nullptr;
    b.cancel(accepting);
    EXPECT_TRUE(world.run_until([&] { return a.backend.in_flight() + b.backend.in_flight() == 0; },
                                seconds(10)));
    EXPECT_EQ(a.pool.leased() + b.pool.leased(), 0u);
  }

  World& world;
  Rng rng;
  RawOp accepting, connecting;
  Raw a, b;
  const Endpoint to;
  FlowEnd near, far;
  Socket listener, accepted;
};

}  // namespace beamline::sim
