#include <cerrno>
#include <cstring>

#include "loop/tcp.h"
#include "loop/write_queue.h"

namespace beamline {
namespace {

// What a failed operation says of the other side.
Error error_of(int result, const char* step) {
  switch (-result) {
    case ECONNRESET:
    case EPIPE:
      return {step, 0, Code::reset, Fault::network};
    case ECONNREFUSED:
      return {step, 0, Code::refused, Fault::network};
    case ETIMEDOUT:
      return {step, 0, Code::timed_out, Fault::network};
    case EHOSTUNREACH:
    case ENETUNREACH:
      return {step, 0, Code::unreachable, Fault::network};
    default:
      return {step, static_cast<uint32_t>(-result), Code::io_error, Fault::network};
  }
}

}  // namespace

TcpStream::TcpStream()
    : timer_(
          [](Timer& timer) {
            static_cast<TcpStream*>(timer.owner)
                ->close({"deadline", 0, Code::timed_out, Fault::network});
          },
          this),
      closed_(
          [](Ready& ready) {
            TcpStream& stream = *static_cast<TcpStream*>(ready.owner);
            if (stream.handler_ != nullptr) stream.handler_->on_closed(stream, stream.why_);
            stream.tcp_->release(stream);
          },
          this) {
  recv_.owner = send_.owner = control_.owner = this;
  recv_.kind = OpKind::recv;
  recv_.callback = on_recv;
  send_.callback = on_send;
  waiter_.owner = this;
  waiter_.callback = [](BufferWaiter& waiter) {
    static_cast<TcpStream*>(waiter.owner)->arm_recv();
  };
}

TcpStream::~TcpStream() { BL_CHECK(state_ == State::free); }

// ---- Writing

bool TcpStream::writable() const {
  return (state_ == State::open || state_ == State::connecting) && !end_written_;
}

WriteResult TcpStream::refuse(uint64_t& counter) {
  ++counter;
  want_writable_ = true;
  return WriteResult::full;
}

WriteResult TcpStream::refuse_memory() {
  tcp_->memory_wanted_ = true;
  return refuse(tcp_->stats_.writes_no_memory);
}

WriteNode* TcpStream::append_node() {
  WriteNode* node = tcp_->take_node();
  if (node == nullptr) return nullptr;
  (last_ == nullptr ? first_ : last_->next) = node;
  last_ = node;
  return node;
}

void TcpStream::mark_dirty() {
  if (dirty_ || state_ == State::connecting || !send_.idle()) return;
  dirty_ = true;
  next_ = tcp_->dirty_;
  tcp_->dirty_ = this;
}

MutableBytes TcpStream::write_space(size_t size) {
  const size_t chunk_size = tcp_->options_.write_chunk_size;
  BL_CHECK(size <= chunk_size);
  if (!writable()) return {};
  if (queued_ + size > tcp_->options_.stream_queue_bytes) {
    refuse(tcp_->stats_.writes_full);
    return {};
  }
  if (last_ == nullptr || last_->chunk == nullptr || chunk_size - last_->filled < size) {
    if (tcp_->free_chunk_count_ == 0 || append_node() == nullptr) {
      refuse_memory();
      return {};
    }
    tcp_->take_chunk(*last_);
  }
  return {last_->chunk + last_->filled, chunk_size - last_->filled};
}

// Also while a send of this chunk is in flight: that one ends where the chunk was filled then.
void TcpStream::commit(size_t n) {
  BL_CHECK(last_ != nullptr && last_->chunk != nullptr &&
           n <= tcp_->options_.write_chunk_size - last_->filled);
  last_->filled += static_cast<uint32_t>(n);
  last_->size += n;
  queued_ += n;
  if (n > 0) mark_dirty();
}

WriteResult TcpStream::write(Bytes bytes) {
  if (!writable()) return WriteResult::closed;
  Tcp& tcp = *tcp_;
  const size_t chunk_size = tcp.options_.write_chunk_size;
  if (bytes.size() > tcp.options_.stream_queue_bytes - queued_) {
    return refuse(tcp.stats_.writes_full);
  }
  const size_t room = last_ != nullptr && last_->chunk != nullptr ? chunk_size - last_->filled : 0;
  const size_t chunks = bytes.size() <= room ? 0 : (bytes.size() - room - 1) / chunk_size + 1;
  // Nodes are at least as many as chunks, but shared bytes use nodes too.
  if (chunks > tcp.free_chunk_count_ || !tcp.has_nodes(chunks)) {
    return refuse_memory();
  }
  while (!bytes.empty()) {
    const MutableBytes space = write_space(1);
    const size_t n = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), n);
    commit(n);
    bytes = bytes.subspan(n);
  }
  return WriteResult::ok;
}

WriteResult TcpStream::write(SharedBytes bytes) {
  if (!writable()) return WriteResult::closed;
  if (bytes.empty()) return WriteResult::ok;
  if (bytes.size() > tcp_->options_.stream_queue_bytes - queued_) {
    return refuse(tcp_->stats_.writes_full);
  }
  WriteNode* node = append_node();
  if (node == nullptr) return refuse_memory();
  node->data = bytes.data();
  node->size = bytes.size();
  queued_ += bytes.size();
  node->shared = std::move(bytes);
  mark_dirty();
  return WriteResult::ok;
}

// One send in flight per stream: several would interleave their bytes.
void TcpStream::flush() {
  if (state_ == State::closing) return close_if_idle();  // it waited to leave the list
  if (!send_.idle() || (state_ != State::open && state_ != State::flushing)) return;
  if (queued_ == 0) {
    end_write_if_flushed();
    return;
  }
  // An empty piece is a chunk that was asked for and not filled.
  while (first_->size == 0) tcp_->release(std::exchange(first_, first_->next));
  ++tcp_->stats_.sends;
  if (first_->next != nullptr && tcp_->free_batches_ != nullptr) {
    batch_ = tcp_->free_batches_;
    tcp_->free_batches_ = batch_->next;
    size_t count = 0;
    for (WriteNode* node = first_; node != nullptr && count < SendBatch::kPieces;
         node = node->next) {
      batch_->pieces[count++] = {const_cast<uint8_t*>(node->data), node->size};
    }
    batch_->message = {};
    batch_->message.msg_iov = batch_->pieces.data();
    batch_->message.msg_iovlen = count;
    send_.kind = OpKind::send_msg;
    send_.args.message = &batch_->message;
    ++tcp_->stats_.gathered;
  } else {
    send_.kind = OpKind::send;
    send_.args.send = {first_->data,
                       static_cast<uint32_t>(std::min<size_t>(first_->size, 1u << 30))};
  }
  tcp_->reactor_.submit(send_);
}

void TcpStream::sent(size_t n) {
  tcp_->stats_.bytes_out += n;
  queued_ -= n;
  while (n > 0) {
    WriteNode* node = first_;
    const size_t part = std::min(n, node->size);
    node->data += part;
    node->size -= part;
    n -= part;
    if (node->size > 0) return;
    first_ = node->next;
    if (first_ == nullptr) last_ = nullptr;
    tcp_->release(node);
  }
}

void TcpStream::on_send(Op& op, Completion&& completion) {
  TcpStream& stream = self(op);
  if (stream.batch_ != nullptr) {
    SendBatch* batch = std::exchange(stream.batch_, nullptr);
    batch->next = stream.tcp_->free_batches_;
    stream.tcp_->free_batches_ = batch;
  }
  if (completion.result > 0) stream.sent(static_cast<size_t>(completion.result));
  if (stream.state_ == State::closing) {
    stream.close_if_idle();
    return;
  }
  if (completion.result <= 0 && completion.result != -EAGAIN && completion.result != -EINTR) {
    stream.close(error_of(completion.result, "send"));
    return;
  }
  if (stream.queued_ > 0) {
    ++stream.tcp_->stats_.short_sends;
    stream.mark_dirty();
  } else {
    stream.end_write_if_flushed();
  }
  stream.offer_writable();
}

void TcpStream::offer_writable() {
  if (!want_writable_ || queued_ > tcp_->options_.stream_queue_bytes / 2 || !writable()) return;
  want_writable_ = false;
  handler_->on_writable(*this);
}

// ---- Receiving

void TcpStream::arm_recv() {
  if (paused_ || end_received_ || !recv_.idle() || waiter_.queued) return;
  if (state_ == State::open || state_ == State::flushing) tcp_->reactor_.submit(recv_);
}

void TcpStream::on_recv(Op& op, Completion&& completion) {
  TcpStream& stream = self(op);
  Tcp& tcp = *stream.tcp_;
  const int result = completion.result;
  if (stream.state_ == State::closing) {
    completion.lease.reset();
    stream.close_if_idle();
    return;
  }
  if (result > 0) {
    tcp.stats_.bytes_in += static_cast<uint64_t>(result);
    stream.waiter_.place = 0;
    if (stream.state_ == State::open) {
      stream.handler_->on_data(stream, std::move(completion.lease));
    } else {
      completion.lease.reset();
    }
  } else if (result == 0) {
    stream.end_received_ = true;
    if (stream.state_ == State::open) stream.handler_->on_end(stream);
    if (stream.state_ == State::flushing) stream.end_write_if_flushed();
    return;
  } else if (result == -ENOBUFS) {
    ++tcp.stats_.starved;
    if (!stream.paused_) tcp.reactor_.wait_for_buffer(stream.waiter_, tcp.pool_);
    return;
  } else if (result != -ECANCELED && result != -EAGAIN && result != -EINTR) {
    stream.close(error_of(result, "recv"));
    return;
  }
  if (!completion.more) stream.arm_recv();
  if (stream.state_ == State::closing) stream.close_if_idle();
}

void TcpStream::pause() {
  if (paused_) return;
  paused_ = true;
  tcp_->reactor_.stop_waiting(waiter_, tcp_->pool_);
  tcp_->reactor_.cancel(recv_);
}

void TcpStream::resume() {
  paused_ = false;
  arm_recv();
}

// ---- Opening and closing

void TcpStream::on_connect(Op& op, Completion&& completion) {
  TcpStream& stream = self(op);
  if (stream.state_ == State::closing) {
    stream.close_if_idle();
    return;
  }
  if (completion.result < 0) {
    stream.close(error_of(completion.result, "connect"));
    return;
  }
  stream.tcp_->reactor_.disarm(stream.timer_);
  stream.state_ = State::open;
  ++stream.tcp_->stats_.connected;
  stream.arm_recv();
  stream.mark_dirty();
  stream.handler_->on_connected(stream);
}

void TcpStream::shutdown_write() {
  if (!writable()) return;
  end_written_ = true;
  mark_dirty();
}

void TcpStream::end_write_if_flushed() {
  if (queued_ > 0 || !send_.idle()) return;
  if (end_written_ && !end_sent_ && control_.idle()) {
    end_sent_ = true;
    control_.kind = OpKind::shutdown;
    control_.callback = on_shutdown;
    control_.args.write_only = true;
    tcp_->reactor_.submit(control_);
  } else if (state_ == State::flushing && end_sent_ && end_received_ && control_.idle()) {
    close();
  }
}

void TcpStream::on_shutdown(Op& op, Completion&&) {
  TcpStream& stream = self(op);
  if (stream.state_ == State::closing) {
    stream.close_if_idle();
  } else {
    stream.end_write_if_flushed();
  }
}

void TcpStream::close_after_flush() {
  if (state_ == State::connecting) close();
  if (state_ != State::open) return;
  state_ = State::flushing;
  end_written_ = true;
  if (paused_) resume();
  tcp_->reactor_.arm_in(timer_, tcp_->options_.flush_timeout);
  mark_dirty();
}

// The order that neither loses the end of the stream nor leaves an operation on a number that gets
// a new owner: shutdown, cancel, the last completion of each operation, close.
void TcpStream::close(const Error& why) {
  if (state_ == State::closing || state_ == State::free) return;
  const bool connecting = state_ == State::connecting;
  state_ = State::closing;
  why_ = why;
  Reactor& reactor = tcp_->reactor_;
  reactor.disarm(timer_);
  reactor.stop_waiting(waiter_, tcp_->pool_);
  reactor.cancel(recv_);
  reactor.cancel(send_);
  if (connecting) {
    reactor.cancel(control_);
  } else if (control_.idle()) {
    control_.kind = OpKind::shutdown;
    control_.callback = on_shutdown;
    control_.args.write_only = false;
    reactor.submit(control_);
  }
  close_if_idle();
}

void TcpStream::close_if_idle() {
  if (!recv_.idle() || !send_.idle() || !control_.idle() || closed_.queued) return;
  // Still linked into the list of those to flush: the slab would use that link.
  if (dirty_) return;
  drop_queue();
  tcp_->reactor_.post(closed_);
}

void TcpStream::drop_queue() {
  while (first_ != nullptr) tcp_->release(std::exchange(first_, first_->next));
  last_ = nullptr;
  queued_ = 0;
}

}  // namespace beamline
