#include "node/posix_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace beamline::node {
namespace {

std::unexpected<Error> failed(const char* what) { return local_error(Code::io_error, what, errno); }

class PosixFile final : public chain::StoreFile {
 public:
  PosixFile(int file, uint64_t size) : file_(file), size_(size) {}
  ~PosixFile() override { ::close(file_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  uint64_t size() const override { return size_; }
  Status append(Bytes bytes) override {
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("write");
      size_ += static_cast<uint64_t>(written);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return {};
  }
  Status append_pieces(std::span<const Bytes> pieces) override {
    std::array<iovec, 64> vectors;
    while (!pieces.empty()) {
      const size_t count = std::min(pieces.size(), vectors.size());
      size_t size = 0;
      for (size_t i = 0; i < count; ++i) {
        vectors[i] = {const_cast<uint8_t*>(pieces[i].data()), pieces[i].size()};
        size += pieces[i].size();
      }
      const ssize_t written =
          ::pwritev(file_, vectors.data(), static_cast<int>(count), static_cast<off_t>(size_));
      if (written < 0 && errno != EINTR) return failed("write");
      if (static_cast<size_t>(std::max<ssize_t>(written, 0)) != size) {
        return append_rest(pieces, written);
      }
      size_ += size;
      pieces = pieces.subspan(count);
    }
    return {};
  }
  Status sync() override {
    if (::fdatasync(file_) != 0) return failed("fdatasync");
    return {};
  }
  Status truncate(uint64_t size) override {
    if (::ftruncate(file_, static_cast<off_t>(size)) != 0) return failed("ftruncate");
    size_ = size;
    return sync();
  }
  Result<size_t> read(uint64_t offset, MutableBytes out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(file_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read");
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

 private:
  // What a write that stopped early, after `written` bytes, left over: piece by piece.
  Status append_rest(std::span<const Bytes> pieces, ssize_t written) {
    size_t done = static_cast<size_t>(std::max<ssize_t>(written, 0));
    size_ += done;
    for (const Bytes piece : pieces) {
      const size_t skip = std::min(done, piece.size());
      done -= skip;
      if (Status rest = append(piece.subspan(skip)); !rest) return rest;
    }
    return {};
  }

  const int file_;
  uint64_t size_;
};

class PosixDirectory final : public chain::StoreDirectory {
 public:
  PosixDirectory(std::string path, int directory) : path_(std::move(path)), directory_(directory) {}
  ~PosixDirectory() override { ::close(directory_); }
  PosixDirectory(const PosixDirectory&) = delete;
  PosixDirectory& operator=(const PosixDirectory&) = delete;

  Result<std::vector<std::string>> list() const override {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
      names.push_back(entry.path().filename().string());
    }
    if (error) return local_error(Code::io_error, "directory", error.value());
    std::sort(names.begin(), names.end());
    return names;
  }
  Result<std::unique_ptr<chain::StoreFile>> open(const std::string& name) override {
    const int file = ::openat(directory_, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return failed("open");
    struct stat status{};
    // The name is an entry of the directory, which is what must last.
    if (::fstat(file, &status) != 0 || ::fsync(directory_) != 0) {
      const auto error = failed("open");
      ::close(file);
      return error;
    }
    return std::make_unique<PosixFile>(file, static_cast<uint64_t>(status.st_size));
  }
  Status remove(const std::string& name) override {
    if (::unlinkat(directory_, name.c_str(), 0) != 0 && errno != ENOENT) return failed("remove");
    return {};
  }

 private:
  const std::string path_;
  const int directory_;
};

}  // namespace

Result<std::unique_ptr<chain::StoreDirectory>> open_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return local_error(Code::io_error, "directory", error.value());
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return failed("directory");
  return std::make_unique<PosixDirectory>(path, directory);
}

}  // namespace beamline::node
