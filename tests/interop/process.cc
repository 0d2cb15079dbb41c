#include "tests/interop/process.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace beamline::interop {
namespace {

// Until the process ends, or the time is over.
void await_end(pid_t pid, int timeout_ms) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return;
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  ::poll(&wait, 1, timeout_ms);
  ::close(fd);
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Process::Process(std::vector<std::string> arguments, std::string output)
    : output_(std::move(output)) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ != 0) return;
  setpgid(0, 0);
  const int out = open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  execvp(argv[0], argv.data());
  _exit(127);
}

bool Process::reap(bool block) {
  if (ended_) return true;
  int status = 0;
  if (waitpid(pid_, &status, block ? 0 : WNOHANG) != pid_) return false;
  ended_ = true;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return true;
}

bool Process::running() { return pid_ > 0 && !reap(false); }

int Process::wait(int timeout_ms) {
  if (running()) await_end(pid_, timeout_ms);
  return stop(8'000);
}

int Process::stop(int patience_ms) {
  if (running()) {
    if (patience_ms > 0) {
      kill(pid_, SIGTERM);
      await_end(pid_, patience_ms);
    }
    if (!reap(false)) {
      kill(-pid_, SIGKILL);
      reap(true);
    }
  }
  return status_;
}

std::string Process::text() const { return read_file(output_); }

}  // namespace beamline::interop
