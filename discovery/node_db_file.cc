#include "discovery/node_db_file.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "discovery/node_db.h"

namespace beamline::discovery {
namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::unexpected<Error> failed(const char* what) { return local_error(Code::io_error, what, errno); }

Status write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("node_db.write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> read_node_db(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) {
    if (errno == ENOENT) return local_error(Code::not_found, "node_db.file");
    return failed("node_db.open");
  }
  struct stat info{};
  if (::fstat(file.fd(), &info) != 0) return failed("node_db.stat");
  if (!S_ISREG(info.st_mode)) return local_error(Code::invalid_argument, "node_db.file");
  if (static_cast<size_t>(info.st_size) > NodeDb::kMaxBytes) {
    return local_error(Code::too_long, "node_db.file");
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(info.st_size));
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got = ::read(file.fd(), bytes.data() + at, bytes.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("node_db.read");
    if (got == 0) break;
    at += static_cast<size_t>(got);
  }
  bytes.resize(at);
  return bytes;
}

Status write_node_db(const std::string& path, Bytes bytes) {
  const std::string beside = path + ".new";
  {
    const File file(
        ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.ok()) return failed("node_db.open");
    if (auto written = write_all(file.fd(), bytes); !written) return written;
    if (::fsync(file.fd()) != 0) return failed("node_db.fsync");
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) return failed("node_db.rename");
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const File parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.ok() || ::fsync(parent.fd()) != 0) return failed("node_db.folder");
  return {};
}

}  // namespace beamline::discovery
