// The first process of the virtual machine of kernel_test.cc: runs the programs in /tests on
// io_uring, and that of the drivers on epoll too, tells how they ended, and switches the machine
// off.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void mount_at(const char* type, const char* path) {
  mkdir(path, 0755);
  if (mount(type, path, type, 0, nullptr) < 0) std::perror(path);
}

void loopback_up() {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) std::perror("lo");
  close(fd);
}

int run(const std::string& program, const char* backend, const std::string& skip) {
  const pid_t child = fork();
  if (child == 0) {
    if (std::strcmp(backend, "epoll") == 0) setenv("BEAMLINE_TEST_BACKEND", "epoll", 1);
    setenv("TMPDIR", "/tmp", 1);
    const std::string filter = "--gtest_filter=-" + skip;
    alarm(300);
    execl(program.c_str(), program.c_str(), "--gtest_brief=1", filter.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

// Arguments come from the kernel's command line, behind `--`: a filter of cases to leave out.
int main(int count, char** arguments) {
  mount_at("proc", "/proc");
  mount_at("sysfs", "/sys");
  mount_at("tmpfs", "/tmp");
  mount_at("devtmpfs", "/dev");
  const int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3 && console >= 0; ++fd) dup2(console, fd);
  loopback_up();
  const rlimit files{20'000, 20'000};
  setrlimit(RLIMIT_NOFILE, &files);
  utsname kernel{};
  uname(&kernel);
  std::printf("machine: %s %s\n", kernel.release, kernel.version);
  std::vector<std::string> programs;
  for (const auto& entry : std::filesystem::directory_iterator("/tests")) {
    programs.push_back(entry.path().string());
  }
  std::sort(programs.begin(), programs.end());
  for (const std::string& program : programs) {
    const bool drivers = program.ends_with("/vm_loop");  // the rest is about one backend
    for (const char* backend : {"io_uring", "epoll"}) {
      if (!drivers && std::strcmp(backend, "epoll") == 0) continue;
      const int status = run(program, backend, count > 1 ? arguments[1] : "");
      std::printf("machine: %s on %s: status %d\n", program.c_str() + 7, backend, status);
      std::fflush(stdout);
    }
  }
  std::printf("machine: done\n");
  std::fflush(stdout);
  sync();
  reboot(RB_POWER_OFF);
}
