// The C ABI: cores and producers, from birth to death.
#include <cerrno>

#include <poll.h>
#include <pthread.h>

#include "loop/backends.h"
#include "node/abi.h"
#include "node/abi_policy.h"

namespace beamline::node::abi {
namespace {

constexpr uint32_t kMaxEvents = 65'536;
constexpr uint64_t kMaxBytes = 1u << 30;

template <class T>
T or_default(T value, T fallback) {
  return value == 0 ? fallback : value;
}

std::optional<BlockFormat> make_format(const bl_core_options& options) {
  if (options.preset > BL_PRESET_MINIMAL) return std::nullopt;
  const bool minimal = options.preset == BL_PRESET_MINIMAL;
  if (options.chain == BL_CHAIN_LEAN) {
    if (options.fork_count != 0) return std::nullopt;
    return BlockFormat(minimal ? LeanPreset::test() : LeanPreset::prod());
  }
  if (options.chain != BL_CHAIN_BEACON) return std::nullopt;
  constexpr size_t kForks = static_cast<size_t>(kLastFork) + 1;
  if (options.fork_count > kForks) return std::nullopt;
  if (options.fork_count > 0 && options.forks == nullptr) return std::nullopt;
  std::vector<BlockFormat::ForkEpoch> forks;
  for (size_t i = 0; i < options.fork_count; ++i) {
    const bl_fork_epoch& fork = options.forks[i];
    if (fork.fork >= kForks || (i == 0 && fork.epoch != 0)) return std::nullopt;
    const auto kind = static_cast<Fork>(fork.fork);
    if (i > 0 && (kind <= forks.back().fork || fork.epoch < forks.back().epoch)) {
      return std::nullopt;
    }
    forks.push_back({kind, fork.epoch});
  }
  return BlockFormat(minimal ? Preset::minimal() : Preset::mainnet(), std::move(forks));
}

std::optional<chain::ChainConfig> make_config(const bl_core_options& options) {
  constexpr uint64_t kMaxMs = INT64_MAX / 2'000'000;
  const uint64_t slot_ms =
      or_default<uint64_t>(options.slot_ms, options.chain == BL_CHAIN_LEAN ? 4'000 : 12'000);
  if (options.genesis_time_ms > kMaxMs || slot_ms > kMaxMs) return std::nullopt;
  if (options.import > BL_IMPORT_WORKERS || options.no_range_sync > 1) return std::nullopt;
  if (options.roots_per_request > 1024 || options.peers > 1024) return std::nullopt;
  if (options.anchor_size > kMaxBlockSize) return std::nullopt;
  if (options.anchor_size > 0 && options.anchor_bytes == nullptr) return std::nullopt;
  chain::ChainConfig config;
  config.anchor.root = root_of(options.anchor_root);
  config.anchor.slot = options.anchor_slot;
  config.anchor.signed_bytes = SharedBytes::copy({options.anchor_bytes, options.anchor_size});
  config.genesis_time = WallTime{} + milliseconds(static_cast<int64_t>(options.genesis_time_ms));
  config.slot_duration = milliseconds(static_cast<int64_t>(slot_ms));
  using Import = chain::ChainConfig::Import;
  config.import = options.import == BL_IMPORT_ACCEPT ? Import::accept : Import::ask;
  config.range_sync = options.no_range_sync == 0;
  chain::Limits& limits = config.limits;
  limits.roots_per_request = or_default(options.roots_per_request, limits.roots_per_request);
  limits.peers = or_default(options.peers, limits.peers);
  const auto timeout = [](uint32_t ms, Duration fallback) {
    return ms == 0 ? fallback : milliseconds(ms);
  };
  limits.progress_deadline = timeout(options.progress_timeout_ms, limits.progress_deadline);
  limits.total_deadline = timeout(options.request_timeout_ms, limits.total_deadline);
  // Room for what one step may cause with so many peers, twice.
  limits.commands = std::max(limits.commands, (limits.cached_blocks + limits.peers) * 4 + 128);
  return config;
}

int32_t result_of(const Error& error) {
  return error.code == Code::invalid_argument ? BL_INVALID_ARGUMENT : BL_SYSTEM;
}

// Of what a store held. (Blocks of the future: BL_SYSTEM.)
int32_t result_of_restore(const Error& error) {
  switch (error.code) {
    case Code::full:
      return BL_NO_MEMORY;
    case Code::bad_version:
      return BL_UNSUPPORTED;
    case Code::unexpected:
      return BL_SYSTEM;
    default:
      return BL_MALFORMED;
  }
}

// A thread or a backend that cannot be had, or a chain that cannot go on.
int32_t start_failed(const Error& error, bool restores) {
  const bool chain = restores && (error.code == Code::mismatch || error.code == Code::full);
  return chain ? result_of_restore(error) : result_of(error);
}

int32_t read_records(const bl_core_options& options, HostRecords& records) {
  if (options.store > 1) return BL_INVALID_ARGUMENT;
  if (options.restore_next == nullptr) return BL_OK;
  if (options.store == 0) return BL_INVALID_ARGUMENT;
  for (;;) {
    bl_record record{};
    const int32_t next = options.restore_next(options.restore_context, &record);
    if (next == BL_EMPTY) return BL_OK;
    if (next != BL_OK) return next;
    if (record.key == nullptr || record.value == nullptr) return BL_MALFORMED;
    const Status added =
        records.add({record.key, record.key_size}, {record.value, record.value_size});
    if (!added) return result_of_restore(added.error());
  }
}

// Where the chain begins: the anchor of the options, or what the host kept.
struct Start {
  std::optional<chain::Recovered> found;
  chain::StoreAnchor anchor;
  std::unique_ptr<chain::ForkChoice> fork_choice;
};

int32_t make_start(const bl_core_options& options, Policy* policy, chain::ChainConfig& config,
                   Start& start) {
  HostRecords records;
  if (const int32_t read = read_records(options, records); read != BL_OK) return read;
  config.persist = options.store == 1;
  start.anchor =
      policy == nullptr ? chain::StoreAnchor(config.anchor) : policy->anchor(config.anchor);
  config.anchor = start.anchor.block;
  if (!records.empty()) {
    auto found = records.open(start.anchor);
    if (!found) {
      const bool other = found.error().code == Code::mismatch;
      return other ? BL_INVALID_ARGUMENT : result_of_restore(found.error());
    }
    start.found = std::move(*found);
    config.anchor = start.found->anchor.block;
  }
  if (policy == nullptr) return BL_OK;
  auto made = start.found ? policy->resume(*start.found, records) : policy->begin();
  if (!made) return start.found ? result_of_restore(made.error()) : BL_INVALID_ARGUMENT;
  start.fork_choice = *std::move(made);
  return BL_OK;
}

int32_t create(const bl_core_options& options, bl_core** out) {
  const uint32_t capacity = or_default<uint32_t>(options.command_capacity, 8192);
  if (capacity < 64 || capacity > 65'536) return BL_INVALID_ARGUMENT;
  if (options.backend > BL_BACKEND_EPOLL) return BL_INVALID_ARGUMENT;
  auto format = make_format(options);
  auto config = make_config(options);
  if (!format || !config) return BL_INVALID_ARGUMENT;
  const bool on_workers = options.import == BL_IMPORT_WORKERS;
  if (on_workers && options.verify_block == nullptr) return BL_INVALID_ARGUMENT;
  auto host = std::make_unique<CallbackClient>(options);
  ChosenPolicy chosen;
  const int32_t chose = choose_policy(options, *format, *host, *config, chosen);
  if (chose != BL_OK) return chose;
  const WorkerPoolOptions workers{.workers = or_default<uint32_t>(options.workers, 2),
                                  .jobs = or_default<uint32_t>(options.worker_jobs, 64)};
  if (workers.workers > 64 || workers.jobs > 4096) return BL_INVALID_ARGUMENT;
  constexpr BackendKind kKinds[] = {BackendKind::auto_, BackendKind::io_uring, BackendKind::epoll};
  const auto backend = choose_backend(kKinds[options.backend]);
  if (!backend) return BL_SYSTEM;
  Start start;
  const int32_t made = make_start(options, chosen.policy.get(), *config, start);
  if (made != BL_OK) return made;
  auto core = std::make_unique<bl_core>(std::move(*format), std::move(*config), capacity);
  core->client = std::move(host);
  core->policy = std::move(chosen.policy);
  if (core->policy != nullptr) {
    core->program.set_fork_choice(std::move(start.fork_choice), *core->policy);
  }
  if (on_workers) {
    BlockClient& client = chosen.client != nullptr ? *chosen.client : *core->client;
    core->program.set_client(client, workers);
  }
  const bool restores = start.found.has_value();
  if (options.store == 1) {
    core->parts.store_anchor = start.anchor.block.root;
    core->program.set_store(std::move(start.found), std::move(start.anchor));
  }
  const Status started = core->thread.start("bl-core", backend_maker(backend->kind), core->program);
  if (!started) return start_failed(started.error(), restores);
  core->on_command = options.on_command;
  core->on_command_context = options.on_command_context;
  if (core->on_command != nullptr) {
    core->command_thread = std::thread([made = core.get()] { made->run_commands(); });
  }
  *out = core.release();
  return BL_OK;
}

void stop(bl_core& core) {
  core.closed.store(true);
  core.thread.stop();
  core.stopping.store(true);
  core.program.ring().wake_reader();
  if (core.command_thread.joinable()) {
    BL_CHECK(core.command_thread.get_id() != std::this_thread::get_id());
    core.command_thread.join();
  }
  core.releases.run();
}

std::optional<CoreLinkLimits> link_limits(const bl_producer_options& options) {
  CoreLinkLimits limits;
  limits.control_nodes = or_default<uint32_t>(options.control_events, 4096);
  limits.gossip_nodes = or_default<uint32_t>(options.gossip_events, 256);
  limits.gossip_bytes = or_default<uint64_t>(options.gossip_bytes, 64u << 20);
  limits.chunk_nodes = or_default<uint32_t>(options.chunk_events, 256);
  limits.chunk_bytes = or_default<uint64_t>(options.chunk_bytes, 64u << 20);
  limits.vote_nodes = or_default<uint32_t>(options.vote_events, 1024);
  const bool few = limits.control_nodes <= kMaxEvents && limits.gossip_nodes <= kMaxEvents &&
                   limits.chunk_nodes <= kMaxEvents && options.vote_events <= kMaxEvents;
  if (!few || limits.gossip_bytes > kMaxBytes || limits.chunk_bytes > kMaxBytes) {
    return std::nullopt;
  }
  return limits;
}

}  // namespace

void ReleaseList::drop(void* context) {
  auto* node = static_cast<Node*>(context);
  if (!node->taken) {
    delete node;
    return;
  }
  std::atomic<Node*>& due = node->list->due_;
  node->next = due.load(std::memory_order_relaxed);
  while (!due.compare_exchange_weak(node->next, node, std::memory_order_release,
                                    std::memory_order_relaxed)) {
  }
}

void ReleaseList::run() {
  if (due_.load(std::memory_order_relaxed) == nullptr) return;
  Node* node = due_.exchange(nullptr, std::memory_order_acquire);
  while (node != nullptr) {
    Node* next = node->next;
    node->bytes.release(node->bytes.context, node->bytes.data, node->bytes.size);
    delete node;
    node = next;
  }
}

}  // namespace beamline::node::abi

using namespace beamline;
using namespace beamline::node;
using namespace beamline::node::abi;

bl_core::bl_core(BlockFormat made, chain::ChainConfig config, uint32_t command_capacity)
    : format(std::move(made)), program(std::move(config), command_capacity) {}

bl_core::~bl_core() = default;

void bl_core::run_commands() {
  pthread_setname_np(pthread_self(), "bl-commands");
  bl_command out{};
  out.size = sizeof out;
  out.version = BL_VERSION;
  while (!stopping.load()) {
    if (next(out)) {
      on_command(on_command_context, &out);
      continue;
    }
    pollfd waiting{.fd = program.ring().fd(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, -1);
  }
  command.reset();
}

int32_t bl_producer::fail(int32_t result, const Error& error) {
  last_error = to_string(error);
  return result;
}

int32_t bl_producer::fail(int32_t result, const char* why) {
  last_error = why;
  return result;
}

uint32_t bl_version(void) { return BL_VERSION; }

const char* bl_result_name(int32_t result) {
  switch (result) {
    case BL_OK:
      return "BL_OK";
    case BL_FULL:
      return "BL_FULL";
    case BL_CLOSED:
      return "BL_CLOSED";
    case BL_INVALID_ARGUMENT:
      return "BL_INVALID_ARGUMENT";
    case BL_MALFORMED:
      return "BL_MALFORMED";
    case BL_UNSUPPORTED:
      return "BL_UNSUPPORTED";
    case BL_EMPTY:
      return "BL_EMPTY";
    case BL_NO_MEMORY:
      return "BL_NO_MEMORY";
    case BL_SYSTEM:
      return "BL_SYSTEM";
    case BL_INTERNAL:
      return "BL_INTERNAL";
    default:
      return "unknown";
  }
}

int32_t bl_core_create(const bl_core_options* options, bl_core** core) {
  return guarded([&]() -> int32_t {
    bl_core_options given;
    if (core == nullptr || !read_struct(options, given)) return BL_INVALID_ARGUMENT;
    return create(given, core);
  });
}

void bl_core_stop(bl_core* core) {
  guarded([&]() -> int32_t {
    if (core != nullptr) stop(*core);
    return BL_OK;
  });
}

void bl_core_destroy(bl_core* core) {
  if (core == nullptr) return;
  BL_CHECK(core->producers.load() == 0);
  guarded([&]() -> int32_t {
    stop(*core);
    delete core;
    return BL_OK;
  });
}

int32_t bl_core_get_stats(const bl_core* core, bl_core_stats* stats) {
  return guarded([&]() -> int32_t {
    if (core == nullptr || !is_writable(stats)) return BL_INVALID_ARGUMENT;
    const EmbeddedStats now = core->program.stats();
    bl_core_stats filled{};
    filled.events = now.events;
    filled.commands = now.commands;
    filled.commands_waited = now.commands_waited;
    filled.producers = now.producers;
    filled.producers_refused = now.producers_refused;
    filled.head_root = root_of(now.head_root);
    filled.head_slot = now.head_slot;
    filled.imported = now.imported;
    filled.cached = now.cached;
    filled.pending = now.pending;
    filled.in_flight = now.in_flight;
    filled.peers = now.peers;
    filled.requests = now.requests;
    filled.stale_events = now.stale_events;
    filled.late_chunks = now.late_chunks;
    filled.votes_applied = now.votes_applied;
    filled.votes_without_effect = now.votes_without_effect;
    filled.votes_waiting = now.votes_waiting;
    filled.fork_choice_refused = now.fork_choice_refused;
    filled.own_refused = now.own_refused;
    filled.reorgs = now.reorgs;
    filled.charges = now.charges;
    filled.blocks_without_data = now.blocks_without_data;
    filled.data_requested = now.data_requested;
    filled.data_received = now.data_received;
    filled.data_invalid = now.data_invalid;
    filled.restored = now.restored;
    filled.restore_refused = now.restore_refused;
    filled.persists = now.persists;
    filled.persisted = now.persisted;
    write_struct(filled, stats);
    return BL_OK;
  });
}

int32_t bl_producer_create(bl_core* core, const bl_producer_options* options,
                           bl_producer** producer) {
  return guarded([&]() -> int32_t {
    if (core == nullptr || producer == nullptr) return BL_INVALID_ARGUMENT;
    bl_producer_options given{};
    if (options != nullptr && !read_struct(options, given)) return BL_INVALID_ARGUMENT;
    const auto limits = link_limits(given);
    if (!limits) return BL_INVALID_ARGUMENT;
    auto made = std::make_unique<bl_producer>();
    made->core = core;
    const CoreInbox::Gate gate = core->program.gate();
    made->port = InboxCorePort::make(gate, *limits);
    if (made->port == nullptr) return core->closed.load() ? BL_CLOSED : BL_FULL;
    core->producers.fetch_add(1);
    *producer = made.release();
    return BL_OK;
  });
}

void bl_producer_destroy(bl_producer* producer) {
  if (producer == nullptr) return;
  bl_core& core = *producer->core;
  for (size_t i = 0; i < producer->peers.size(); ++i) producer->port->release_peer_down();
  delete producer;
  core.producers.fetch_sub(1);
  core.releases.run();
}

int32_t bl_producer_get_stats(bl_producer* producer, bl_producer_stats* stats) {
  return guarded([&]() -> int32_t {
    if (producer == nullptr || !is_writable(stats)) return BL_INVALID_ARGUMENT;
    bl_producer_stats filled = producer->stats;
    filled.pushed = producer->port->stats().pushed;
    write_struct(filled, stats);
    return BL_OK;
  });
}

const char* bl_last_error(bl_producer* producer) {
  return producer == nullptr ? "" : producer->last_error.c_str();
}

void bl_producer_reclaim(bl_producer* producer) {
  if (producer == nullptr) return;
  producer->port->reclaim();
  producer->core->releases.run();
}
