#include "loop/tcp.h"

#include <bit>
#include <cerrno>

#include <sys/mman.h>

#include "loop/write_queue.h"

namespace beamline {
namespace {

// Out of file descriptors: accepting again at once would spin.
constexpr Duration kAcceptRetry = milliseconds(100);

}  // namespace

// ---- Tcp

Result<std::unique_ptr<Tcp>> Tcp::create(Reactor& reactor, const TcpOptions& options) {
  const auto invalid = [](const char* name) { return local_error(Code::invalid_argument, name); };
  if (options.max_streams == 0 || options.max_streams > (1u << 20)) return invalid("max_streams");
  if (options.max_listeners > 1024) return invalid("max_listeners");
  if (!std::has_single_bit(options.buffer_count) || options.buffer_count > 32'768) {
    return invalid("buffer_count");
  }
  if (options.buffer_size < 64 || options.buffer_size > (1u << 24)) return invalid("buffer_size");
  if (options.write_chunks == 0 || options.write_chunks > (1u << 24)) {
    return invalid("write_chunks");
  }
  if (options.write_chunk_size < 64 || options.write_chunk_size > (1u << 24)) {
    return invalid("write_chunk_size");
  }
  if (options.write_nodes < options.write_chunks) return invalid("write_nodes");
  if (options.stream_queue_bytes < options.write_chunk_size) return invalid("stream_queue_bytes");
  if (options.flush_timeout <= Duration{}) return invalid("flush_timeout");
  std::unique_ptr<Tcp> tcp(new Tcp(reactor, options));
  if (Status added = reactor.add_pool(tcp->pool_); !added) {
    reactor.remove_service(*tcp);
    tcp->pool_added_ = false;
    return std::unexpected(added.error());
  }
  return tcp;
}

Tcp::Tcp(Reactor& reactor, const TcpOptions& options)
    : reactor_(reactor),
      options_(options),
      pool_(kPoolGroup, options.buffer_count, options.buffer_size),
      streams_(new TcpStream[options.max_streams]),
      listeners_(new TcpListener[options.max_listeners]),
      nodes_(std::make_unique<WriteNode[]>(options.write_nodes)),
      batches_(std::make_unique<SendBatch[]>(options.send_batches)),
      free_chunks_(std::make_unique<uint32_t[]>(options.write_chunks)) {
  // Not populated: what is never used costs no memory, and the last returned is used first.
  void* memory =
      mmap(nullptr, chunk_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  BL_CHECK(memory != MAP_FAILED);
  chunks_ = static_cast<uint8_t*>(memory);
  for (uint32_t i = options.write_chunks; i > 0; --i) free_chunks_[free_chunk_count_++] = i - 1;
  for (uint32_t i = options.write_nodes; i > 0; --i) {
    nodes_[i - 1].next = free_nodes_;
    free_nodes_ = &nodes_[i - 1];
  }
  free_node_count_ = options.write_nodes;
  for (uint32_t i = options.send_batches; i > 0; --i) {
    batches_[i - 1].next = free_batches_;
    free_batches_ = &batches_[i - 1];
  }
  for (uint32_t i = options.max_streams; i > 0; --i) {
    streams_[i - 1].tcp_ = this;
    streams_[i - 1].next_ = free_streams_;
    free_streams_ = &streams_[i - 1];
  }
  for (uint32_t i = 0; i < options.max_listeners; ++i) listeners_[i].tcp_ = this;
  reactor_.add_service(*this);
}

Tcp::~Tcp() {
  if (pool_added_) {
    reactor_.remove_service(*this);
    reactor_.remove_pool(pool_);
  }
  munmap(chunks_, chunk_bytes());
}

void Tcp::begin_shutdown() {
  shutting_down_ = true;
  for (uint32_t i = 0; i < options_.max_listeners; ++i) listeners_[i].close();
  for (uint32_t i = 0; i < options_.max_streams; ++i) streams_[i].close();
}

// Rare, so a scan will do: a stream that was refused memory while it had nothing queued has no
// send of its own whose end could tell it to go on.
void Tcp::offer_memory() {
  if (!memory_wanted_ || free_chunk_count_ < options_.write_chunks / 4 ||
      free_node_count_ < options_.write_nodes / 4) {
    return;
  }
  memory_wanted_ = false;
  for (uint32_t i = 0; i < options_.max_streams; ++i) streams_[i].offer_writable();
}

void Tcp::end_turn() {
  offer_memory();
  while (dirty_ != nullptr) {
    TcpStream& stream = *dirty_;
    dirty_ = std::exchange(stream.next_, nullptr);
    stream.dirty_ = false;
    stream.flush();
  }
}

TcpStream* Tcp::take_stream(Socket socket, StreamHandler* handler, TcpStream::State state) {
  if (free_streams_ == nullptr) return nullptr;
  TcpStream& stream = *free_streams_;
  free_streams_ = std::exchange(stream.next_, nullptr);
  ++streams_in_use_;
  stream.socket_ = stream.recv_.socket = stream.send_.socket = stream.control_.socket = socket;
  stream.handler_ = handler;
  stream.state_ = state;
  stream.recv_.args.pool = &pool_;
  return &stream;
}

void Tcp::release(TcpStream& stream) {
  reactor_.backend().close(stream.socket_);
  stream.socket_ = {};
  stream.state_ = TcpStream::State::free;
  stream.user = nullptr;
  stream.waiter_.place = 0;
  stream.paused_ = stream.want_writable_ = false;
  stream.end_written_ = stream.end_sent_ = stream.end_received_ = false;
  stream.next_ = free_streams_;
  free_streams_ = &stream;
  --streams_in_use_;
  ++stats_.closed;
}

Result<TcpStream*> Tcp::connect(const Endpoint& remote, StreamHandler& handler, Duration deadline) {
  if (remote.empty()) return local_error(Code::invalid_argument, "address");
  if (shutting_down_) return local_error(Code::closed, "reactor");
  if (free_streams_ == nullptr) return local_error(Code::full, "max_streams");
  const Result<Socket> socket = reactor_.backend().open_tcp(remote.family());
  if (!socket) return std::unexpected(socket.error());
  TcpStream& stream = *take_stream(*socket, &handler, TcpStream::State::connecting);
  stream.outbound_ = true;
  stream.remote_ = remote;
  stream.control_.kind = OpKind::connect;
  stream.control_.callback = TcpStream::on_connect;
  stream.control_.args.endpoint = &stream.remote_;
  reactor_.submit(stream.control_);
  reactor_.arm_in(stream.timer_, deadline);
  return &stream;
}

Result<TcpListener*> Tcp::listen(const Endpoint& local, ListenerHandler& handler) {
  if (shutting_down_) return local_error(Code::closed, "reactor");
  for (uint32_t i = 0; i < options_.max_listeners; ++i) {
    TcpListener& listener = listeners_[i];
    if (listener.socket_.valid()) continue;
    const Result<Socket> socket = reactor_.backend().listen_tcp(local, options_.backlog);
    if (!socket) return std::unexpected(socket.error());
    listener.socket_ = listener.accept_.socket = *socket;
    listener.handler_ = &handler;
    listener.local_ = reactor_.backend().local_endpoint(*socket);
    ++listeners_in_use_;
    listener.arm();
    return &listener;
  }
  return local_error(Code::full, "max_listeners");
}

void Tcp::accepted(TcpListener& listener, Socket socket) {
  Backend& backend = reactor_.backend();
  TcpStream* stream =
      listener.closing_ ? nullptr : take_stream(socket, nullptr, TcpStream::State::open);
  if (stream == nullptr) {
    ++stats_.refused_slots;
    backend.close(socket);
    return;
  }
  stream->outbound_ = false;
  stream->remote_ = backend.remote_endpoint(socket);
  stream->handler_ = listener.handler_->on_accept(*stream);
  if (stream->handler_ == nullptr) {
    ++stats_.refused_user;
    stream->close();
    return;
  }
  ++stats_.accepted;
  stream->arm_recv();
}

WriteNode* Tcp::take_node() {
  WriteNode* node = free_nodes_;
  if (node == nullptr) return nullptr;
  free_nodes_ = std::exchange(node->next, nullptr);
  --free_node_count_;
  return node;
}

bool Tcp::take_chunk(WriteNode& node) {
  if (free_chunk_count_ == 0) return false;
  node.chunk_index = free_chunks_[--free_chunk_count_];
  node.chunk = chunks_ + static_cast<size_t>(node.chunk_index) * options_.write_chunk_size;
  node.data = node.chunk;
  node.filled = 0;
  return true;
}

void Tcp::release(WriteNode* node) {
  if (node->chunk_index != WriteNode::kNoChunk) {
    free_chunks_[free_chunk_count_++] = std::exchange(node->chunk_index, WriteNode::kNoChunk);
    node->chunk = nullptr;
  }
  node->shared.reset();
  node->size = 0;
  node->next = free_nodes_;
  free_nodes_ = node;
  ++free_node_count_;
}

// ---- TcpListener

TcpListener::TcpListener()
    : retry_([](Timer& timer) { static_cast<TcpListener*>(timer.owner)->arm(); }, this) {
  accept_.owner = this;
  accept_.kind = OpKind::accept;
  accept_.callback = on_accept;
}

TcpListener::~TcpListener() { BL_CHECK(!socket_.valid()); }

void TcpListener::arm() {
  if (!closing_) tcp_->reactor_.submit(accept_);
}

void TcpListener::on_accept(Op& op, Completion&& completion) {
  TcpListener& listener = *static_cast<TcpListener*>(op.owner);
  Tcp& tcp = *listener.tcp_;
  if (completion.result >= 0) {
    tcp.accepted(listener, Socket{completion.result});
  } else if (completion.result != -ECANCELED) {
    ++tcp.stats_.accept_errors;
  }
  if (completion.more) return;
  if (listener.closing_) {
    listener.close_if_idle();
  } else if (completion.result < 0) {
    tcp.reactor_.arm_in(listener.retry_, kAcceptRetry);
  } else {
    listener.arm();
  }
}

void TcpListener::close() {
  if (!socket_.valid() || closing_) return;
  closing_ = true;
  tcp_->reactor_.disarm(retry_);
  tcp_->reactor_.cancel(accept_);
  close_if_idle();
}

void TcpListener::close_if_idle() {
  if (!accept_.idle()) return;
  tcp_->reactor_.backend().close(std::exchange(socket_, {}));
  closing_ = false;
  --tcp_->listeners_in_use_;
}

}  // namespace beamline
