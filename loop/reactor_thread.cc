#include "loop/reactor_thread.h"

#include <optional>

#include <pthread.h>

#include "loop/log.h"
#include "loop/watchdog.h"

namespace beamline {
namespace {

// Looks, once a turn, whether another thread asked for the end. The flag is set before the waker is
// used, so the turn that the wake causes sees it.
class StopHook final : public TurnHook {
 public:
  StopHook(Reactor& reactor, const std::atomic<bool>& stop) : reactor_(reactor), stop_(stop) {}
  void end_of_turn(Now) override {
    if (stop_.load(std::memory_order_acquire)) reactor_.stop();
  }

 private:
  Reactor& reactor_;
  const std::atomic<bool>& stop_;
};

}  // namespace

void ReactorThread::body(MakeBackend make_backend, ReactorProgram& program,
                         const ReactorOptions& options, Report& started) {
  const auto report = [&](Status result) {
    started.status = result;
    started.done.store(true, std::memory_order_release);
    started.done.notify_one();
  };
  auto backend = make_backend();
  if (!backend) return report(std::unexpected(backend.error()));
  auto reactor = Reactor::create(std::move(*backend), options);
  if (!reactor) return report(std::unexpected(reactor.error()));
  std::optional<Watchdog::Watch> watch;
  if (Watchdog* watchdog = Watchdog::current()) watch.emplace(*watchdog, **reactor);
  StopHook hook(**reactor, stop_);
  (*reactor)->add_hook(hook);
  Status ready = program.on_start(**reactor);
  const bool failed = !ready;
  waker_ = (*reactor)->backend().waker();
  if (!failed) report(ready);
  if (failed) (*reactor)->stop();
  (*reactor)->run();
  program.on_stop(**reactor);
  if (failed) report(ready);
}

Status ReactorThread::start(std::string name, MakeBackend make_backend, ReactorProgram& program,
                            const ReactorOptions& options) {
  BL_CHECK(!running());
  stop_.store(false);
  // Shared: the thread may still be notifying when this call has returned.
  auto started = std::make_shared<Report>();
  thread_ = std::thread([this, make_backend, &program, options, started, name = std::move(name)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    const LogThread log(name);
    body(make_backend, program, options, *started);
  });
  started->done.wait(false, std::memory_order_acquire);
  if (!started->status) thread_.join();
  return started->status;
}

void ReactorThread::stop() {
  if (!running()) return;
  BL_CHECK(thread_.get_id() != std::this_thread::get_id());
  stop_.store(true, std::memory_order_release);
  waker_->wake();
  thread_.join();
  waker_.reset();
}

}  // namespace beamline
