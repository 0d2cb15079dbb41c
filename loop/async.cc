#include "loop/async.h"

#include <algorithm>
#include <cstring>

namespace beamline {
namespace {

// Takes over a stream whose task has gone, until it has closed.
class Abandoned final : public StreamHandler {
 public:
  void on_data(TcpStream&, Lease) override {}
  void on_end(TcpStream&) override {}
  void on_closed(TcpStream&, const Error&) override {}
};
constinit Abandoned abandoned;

}  // namespace

// ---- AsyncStream

class AsyncStream::Core final : public StreamHandler {
 public:
  explicit Core(Tcp& tcp)
      : capacity_(kReadAhead +
                  static_cast<size_t>(tcp.buffers().count()) * tcp.buffers().buffer_size()),
        bytes_(std::make_unique_for_overwrite<uint8_t[]>(capacity_)),
        piece_(tcp.options().write_chunk_size) {}
  ~Core() override {
    if (reader_ != nullptr) end_read(*reader_, std::unexpected(error_));
    if (writer_ != nullptr) end_write(*writer_, std::unexpected(error_));
    if (stream_ == nullptr) return;
    stream_->set_handler(abandoned);
    stream_->close();
  }

  void attach(TcpStream& stream) { stream_ = &stream; }
  TcpStream* stream() const { return stream_; }
  const Error& error() const { return error_; }
  void fail(const Error& error) { error_ = error; }
  void finish() {
    if (stream_ == nullptr) return;
    stream_->set_handler(abandoned);
    stream_->close_after_flush();
    stream_ = nullptr;
  }

  void on_connected(TcpStream&) override { connected(); }
  void on_data(TcpStream& stream, Lease lease) override {
    const bool taken = append(lease.bytes());
    lease.reset();
    if (!taken) return stream.close({"read ahead", 0, Code::full, Fault::local});
    if (reader_ != nullptr && try_read(*reader_)) wake(reader_);
    if (size() > kReadAhead) stream.pause();
  }
  void on_end(TcpStream&) override {
    ended_ = true;
    if (reader_ != nullptr && try_read(*reader_)) wake(reader_);
  }
  void on_writable(TcpStream&) override {
    if (writer_ != nullptr && try_write(*writer_)) wake(writer_);
  }
  void on_closed(TcpStream&, const Error& why) override {
    stream_ = nullptr;
    error_ = why;
    connected();
    if (reader_ != nullptr && try_read(*reader_)) wake(reader_);
    if (writer_ != nullptr && try_write(*writer_)) wake(writer_);
  }

  // True when the read has its result.
  bool try_read(ReadAwaiter& read) {
    const size_t n = std::min(size(), read.into_.size() - read.done_);
    if (n > 0) std::memcpy(read.into_.data() + read.done_, bytes_.get() + first_, n);
    first_ += n;
    read.done_ += n;
    if (first_ == last_) first_ = last_ = 0;
    if (stream_ != nullptr && stream_->paused() && size() <= kReadAhead / 2) stream_->resume();
    if (read.done_ == read.into_.size() || (read.done_ > 0 && !read.exactly_)) {
      read.result_ = read.done_;
    } else if (ended_ && read.exactly_) {
      read.result_ = std::unexpected(Error{"stream", 0, Code::closed, Fault::peer});
    } else if (ended_) {
      read.result_ = 0;
    } else if (stream_ == nullptr) {
      read.result_ = std::unexpected(error_);
    } else {
      return false;
    }
    return true;
  }
  // In pieces that one chunk holds: a stream that takes none now will take one later.
  bool try_write(WriteAwaiter& write) {
    while (!write.bytes_.empty() && stream_ != nullptr) {
      const Bytes piece = write.bytes_.first(std::min(write.bytes_.size(), piece_));
      const WriteResult result = stream_->write(piece);
      if (result == WriteResult::full) return false;
      if (result == WriteResult::closed) break;
      write.bytes_ = write.bytes_.subspan(piece.size());
    }
    if (!write.bytes_.empty()) write.result_ = std::unexpected(error_);
    return true;
  }

  TaskFrame* connecting = nullptr;
  ReadAwaiter* reader_ = nullptr;
  WriteAwaiter* writer_ = nullptr;

 private:
  size_t size() const { return last_ - first_; }
  // False if there is no room, which takes a pause that had no effect.
  bool append(Bytes bytes) {
    if (bytes.size() > capacity_ - last_) {
      std::memmove(bytes_.get(), bytes_.get() + first_, size());
      last_ = size();
      first_ = 0;
    }
    if (bytes.size() > capacity_ - last_) return false;
    if (!bytes.empty()) std::memcpy(bytes_.get() + last_, bytes.data(), bytes.size());
    last_ += bytes.size();
    return true;
  }
  void connected() {
    if (connecting != nullptr) std::exchange(connecting, nullptr)->wake();
  }
  template <class Awaiter>
  void wake(Awaiter*& waiting) {
    std::exchange(waiting, nullptr)->frame_->wake();
  }
  void end_read(ReadAwaiter& read, Result<size_t> result) {
    read.result_ = result;
    read.core_ = nullptr;
    wake(reader_);
  }
  void end_write(WriteAwaiter& write, Status result) {
    write.result_ = result;
    write.core_ = nullptr;
    wake(writer_);
  }

  TcpStream* stream_ = nullptr;
  const size_t capacity_;
  std::unique_ptr<uint8_t[]> bytes_;  // received, in [first_, last_)
  size_t first_ = 0;
  size_t last_ = 0;
  const size_t piece_;
  Error error_{"stream", 0, Code::closed, Fault::local};
  bool ended_ = false;
};

AsyncStream::AsyncStream() = default;
AsyncStream::AsyncStream(AsyncStream&&) noexcept = default;
AsyncStream& AsyncStream::operator=(AsyncStream&&) noexcept = default;
AsyncStream::~AsyncStream() = default;
AsyncStream::AsyncStream(std::unique_ptr<Core> core) : core_(std::move(core)) {}

bool AsyncStream::open() const {
  return core_ != nullptr && core_->stream() != nullptr && core_->stream()->open();
}
Endpoint AsyncStream::remote() const {
  return core_ != nullptr && core_->stream() != nullptr ? core_->stream()->remote() : Endpoint{};
}
AsyncStream::ConnectAwaiter AsyncStream::connect(Tcp& tcp, const Endpoint& remote,
                                                 Duration deadline) {
  return ConnectAwaiter(tcp, remote, deadline);
}
AsyncStream::ReadAwaiter AsyncStream::read(MutableBytes into) {
  return ReadAwaiter(core_.get(), into, false);
}
AsyncStream::ReadAwaiter AsyncStream::read_exactly(MutableBytes into) {
  return ReadAwaiter(core_.get(), into, true);
}
AsyncStream::WriteAwaiter AsyncStream::write(Bytes bytes) {
  return WriteAwaiter(core_.get(), bytes);
}
void AsyncStream::shutdown_write() {
  if (core_ != nullptr && core_->stream() != nullptr) core_->stream()->shutdown_write();
}
void AsyncStream::finish() {
  if (core_ != nullptr) core_->finish();
  core_.reset();
}

// ---- Its awaiters

AsyncStream::ReadAwaiter::~ReadAwaiter() {
  if (core_ != nullptr && core_->reader_ == this) core_->reader_ = nullptr;
}
bool AsyncStream::ReadAwaiter::await_ready() {
  BL_CHECK(core_ != nullptr && core_->reader_ == nullptr);
  return core_->try_read(*this);
}
void AsyncStream::ReadAwaiter::wait() { core_->reader_ = this; }

AsyncStream::WriteAwaiter::~WriteAwaiter() {
  if (core_ != nullptr && core_->writer_ == this) core_->writer_ = nullptr;
}
bool AsyncStream::WriteAwaiter::await_ready() {
  BL_CHECK(core_ != nullptr && core_->writer_ == nullptr);
  return core_->try_write(*this);
}
void AsyncStream::WriteAwaiter::wait() { core_->writer_ = this; }

AsyncStream::ConnectAwaiter::ConnectAwaiter(Tcp& tcp, const Endpoint& remote, Duration deadline)
    : tcp_(tcp), remote_(remote), deadline_(deadline) {}
AsyncStream::ConnectAwaiter::~ConnectAwaiter() = default;
bool AsyncStream::ConnectAwaiter::await_ready() {
  core_ = std::make_unique<Core>(tcp_);
  const Result<TcpStream*> stream = tcp_.connect(remote_, *core_, deadline_);
  if (!stream) {
    core_->fail(stream.error());
    return true;
  }
  core_->attach(**stream);
  return false;
}
void AsyncStream::ConnectAwaiter::wait(TaskFrame& frame) { core_->connecting = &frame; }
Result<AsyncStream> AsyncStream::ConnectAwaiter::await_resume() {
  if (core_->stream() == nullptr) return std::unexpected(core_->error());
  return AsyncStream(std::move(core_));
}

// ---- AsyncListener

class AsyncListener::Core final : public ListenerHandler {
 public:
  explicit Core(size_t waiting) : limit_(waiting) { waiting_.reserve(waiting); }
  ~Core() override {
    if (acceptor != nullptr) {
      acceptor->core_ = nullptr;
      acceptor->frame_->wake();
    }
    if (listener != nullptr) listener->close();
  }

  StreamHandler* on_accept(TcpStream& stream) override {
    if (waiting_.size() == limit_) {
      ++stats.refused;
      return nullptr;
    }
    ++stats.accepted;
    auto core = std::make_unique<AsyncStream::Core>(stream.tcp());
    core->attach(stream);
    StreamHandler* handler = core.get();
    waiting_.push_back(AsyncStream(std::move(core)));
    if (acceptor != nullptr) std::exchange(acceptor, nullptr)->frame_->wake();
    return handler;
  }
  bool empty() const { return waiting_.empty(); }
  AsyncStream take() {
    AsyncStream first = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    return first;
  }

  TcpListener* listener = nullptr;
  AcceptAwaiter* acceptor = nullptr;
  AsyncListenerStats stats;

 private:
  const size_t limit_;
  std::vector<AsyncStream> waiting_;
};

AsyncListener::AsyncListener(AsyncListener&&) noexcept = default;
AsyncListener& AsyncListener::operator=(AsyncListener&&) noexcept = default;
AsyncListener::~AsyncListener() = default;
AsyncListener::AsyncListener(std::unique_ptr<Core> core) : core_(std::move(core)) {}

Result<AsyncListener> AsyncListener::listen(Tcp& tcp, const Endpoint& local, size_t waiting) {
  if (waiting == 0) return local_error(Code::invalid_argument, "waiting");
  auto core = std::make_unique<Core>(waiting);
  const Result<TcpListener*> listener = tcp.listen(local, *core);
  if (!listener) return std::unexpected(listener.error());
  core->listener = *listener;
  return AsyncListener(std::move(core));
}

Endpoint AsyncListener::local() const { return core_->listener->local(); }
AsyncListener::AcceptAwaiter AsyncListener::accept() { return AcceptAwaiter(core_.get()); }
const AsyncListenerStats& AsyncListener::stats() const { return core_->stats; }

AsyncListener::AcceptAwaiter::~AcceptAwaiter() {
  if (core_ != nullptr && core_->acceptor == this) core_->acceptor = nullptr;
}
bool AsyncListener::AcceptAwaiter::await_ready() const {
  BL_CHECK(core_->acceptor == nullptr);
  return !core_->empty();
}
void AsyncListener::AcceptAwaiter::wait() { core_->acceptor = this; }
AsyncStream AsyncListener::AcceptAwaiter::await_resume() {
  return core_ == nullptr ? AsyncStream() : core_->take();
}

}  // namespace beamline
