// A reactor on a thread of its own.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "loop/reactor.h"

namespace beamline {

// What runs on the thread. Both calls come on it.
class ReactorProgram {
 public:
  virtual ~ReactorProgram() = default;
  // Sets up sockets and inboxes. An error ends the thread; start() returns it.
  virtual Status on_start(Reactor& reactor) = 0;
  // The reactor is quiet: take down what on_start() made.
  virtual void on_stop(Reactor& reactor) = 0;
};

class ReactorThread {
 public:
  using MakeBackend = Result<std::unique_ptr<Backend>> (*)();

  ReactorThread() = default;
  ReactorThread(const ReactorThread&) = delete;
  ReactorThread& operator=(const ReactorThread&) = delete;
  ~ReactorThread() { stop(); }

  // Starts the thread, named `name` (at most 15 characters are kept), and waits until on_start()
  // has returned on it. `program` must outlive stop(). REQUIRES: not running.
  Status start(std::string name, MakeBackend make_backend, ReactorProgram& program,
               const ReactorOptions& options = {});
  // Any thread but its own, repeatedly: the reactor stops, and its thread ends.
  void stop();
  bool running() const { return thread_.joinable(); }

 private:
  struct Report {
    std::atomic<bool> done{false};
    Status status;
  };
  void body(MakeBackend make_backend, ReactorProgram& program, const ReactorOptions& options,
            Report& started);

  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::shared_ptr<Waker> waker_;
};

}  // namespace beamline
