// Joins an inbox to its reactor.
#pragma once

#include "loop/inbox.h"
#include "loop/reactor.h"

namespace beamline {

// Runs the messages of an inbox on the reactor's thread, in its turn.
template <class Msg>
class InboxReceiver {
 public:
  virtual ~InboxReceiver() = default;
  // The message may be moved from. What is left of it goes home to its producer.
  virtual void on_message(Msg& message) = 0;
  // False: it cannot take more now; messages stay where they are, and their producers are told
  // `full` when their nodes are out. Looked at between runs of messages and before the reactor
  // sleeps: who says false arms a timer, or is woken, for the turn in which that has changed.
  virtual bool ready() const { return true; }
};

// Attached while it lives. Dies on the reactor's thread; what was pushed before runs then, at the
// latest. With a final class as `Receiver` the call for a message is a direct one.
template <class Msg, class Receiver = InboxReceiver<Msg>>
class InboxPort final : public InboxSource {
 public:
  InboxPort(Reactor& reactor, Receiver& receiver)
      : reactor_(reactor), receiver_(receiver), inbox_(reactor.backend().waker()) {
    reactor_.attach(*this);
  }
  ~InboxPort() override {
    close();
    reactor_.detach(*this);
  }

  // For producers; see Inbox::Gate. Any thread may use a copy of it.
  typename Inbox<Msg>::Gate gate() const { return inbox_.gate(); }
  Inbox<Msg>& inbox() { return inbox_; }

  size_t drain(size_t limit) override {
    if (!receiver_ready()) return 0;
    return inbox_.drain(limit, [this](Msg& message) { receiver_.on_message(message); });
  }
  bool has_backlog() const override { return inbox_.has_backlog(); }
  void return_spent() override { inbox_.return_spent(); }
  bool prepare_sleep() override { return !receiver_ready() || inbox_.prepare_sleep(); }
  void awake() override { inbox_.awake(); }
  void close() override {
    if (inbox_.closed()) return;
    inbox_.close([this](Msg& message) { receiver_.on_message(message); });
  }

 private:
  bool receiver_ready() const {
    if constexpr (requires(const Receiver& receiver) { receiver.ready(); }) {
      return receiver_.ready();
    }
    return true;
  }
  Reactor& reactor_;
  Receiver& receiver_;
  Inbox<Msg> inbox_;
};

}  // namespace beamline
