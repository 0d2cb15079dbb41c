/* A client in C that embeds the core: four threads push, the main thread polls the descriptor and
 * asserts on the commands. 300 orphans with 300 missing parents leave as one request. Every block's
 * bytes are freed as soon as the push returned.
 *
 *   cc -std=c11 -pedantic -Wall -Wextra -Werror host.c -lbeamline -pthread
 */
#define _POSIX_C_SOURCE 200809L
#include <beamline.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kThreads = 4, kEach = 75, kOrphans = kThreads * kEach, kBodySize = 500 };

static void expect(int good, const char* what, long long seen) {
  if (good) return;
  fprintf(stderr, "wrong: %s (%lld)\n", what, seen);
  exit(1);
}

/* What the made-up blocks are called: a kind and a number. */
static bl_root root(uint8_t kind, uint32_t number) {
  bl_root made = {{0}};
  made.bytes[0] = kind;
  memcpy(made.bytes + 1, &number, sizeof number);
  return made;
}

static const bl_peer kPeer = {3, 1};

/* Pushes a block by `push`, whose bytes are gone when it returns. */
static void give(bl_producer* producer, int32_t (*push)(bl_producer*, const bl_block*),
                 uint64_t message, bl_root name, bl_root parent, uint64_t slot) {
  uint8_t* bytes = malloc(kBodySize);
  bl_block block;
  int32_t result;
  memset(bytes, name.bytes[0], kBodySize);
  memset(&block, 0, sizeof block);
  block.size = sizeof block;
  block.version = BL_VERSION;
  block.sender = kPeer;
  block.message = message;
  block.root = name;
  block.parent_root = parent;
  block.slot = slot;
  block.signed_block.data = bytes;
  block.signed_block.size = kBodySize;
  do {
    result = push(producer, &block);
  } while (result == BL_FULL);
  memset(bytes, 0xdd, kBodySize);
  free(bytes);
  expect(result == BL_OK, bl_last_error(producer), result);
}

typedef struct worker {
  pthread_t thread;
  bl_core* core;
  uint32_t first;
  uint64_t request; /* 0: push orphans; else their parents, as chunks of it */
} worker;

static void* work(void* context) {
  worker* self = context;
  bl_producer* producer = NULL;
  expect(bl_producer_create(self->core, NULL, &producer) == BL_OK, "producer", 0);
  for (uint32_t i = self->first; i < self->first + kEach; ++i) {
    if (self->request == 0) {
      give(producer, bl_push_gossip_block, 100 + i, root('O', i), root('Q', i), 3);
    } else {
      give(producer, bl_push_chunk_block, self->request, root('Q', i), root('P', 1), 2);
    }
  }
  bl_producer_destroy(producer);
  return NULL;
}

static void work_on_threads(bl_core* core, uint64_t request) {
  worker workers[kThreads];
  for (uint32_t i = 0; i < kThreads; ++i) {
    workers[i].core = core;
    workers[i].first = i * kEach;
    workers[i].request = request;
    expect(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "thread", i);
  }
  for (uint32_t i = 0; i < kThreads; ++i) pthread_join(workers[i].thread, NULL);
}

/* What the commands said so far. */
static struct {
  unsigned requests, roots_of_last, imported, verdicts, heads;
  uint64_t last_request;
  bl_root head;
} seen;

static void on_command(const bl_command* command) {
  switch (command->kind) {
    case BL_COMMAND_REQUEST_BY_ROOT:
      ++seen.requests;
      seen.roots_of_last = (unsigned)command->count;
      seen.last_request = command->id;
      expect(command->peer.index == kPeer.index, "peer", command->peer.index);
      for (size_t i = 0; i < command->count; ++i) {
        const uint8_t kind = command->roots[i].bytes[0];
        expect(kind == 'P' || kind == 'Q', "root", kind);
      }
      break;
    case BL_COMMAND_GOSSIP_VERDICT:
      ++seen.verdicts;
      break;
    case BL_COMMAND_IMPORTED:
      ++seen.imported;
      break;
    case BL_COMMAND_HEAD_CHANGED:
      ++seen.heads;
      seen.head = command->root;
      break;
    default:
      break;
  }
}

static bl_core_stats stats_of(bl_core* core) {
  bl_core_stats stats;
  stats.size = sizeof stats;
  stats.version = BL_VERSION;
  expect(bl_core_get_stats(core, &stats) == BL_OK, "stats", 0);
  return stats;
}

/* Takes commands until `*counter` is `least`. */
static void await(bl_core* core, const unsigned* counter, unsigned least) {
  bl_command command;
  memset(&command, 0, sizeof command);
  command.size = sizeof command;
  command.version = BL_VERSION;
  for (;;) {
    while (bl_command_next(core, &command) == BL_OK) on_command(&command);
    if (*counter >= least) return;
    struct pollfd waiting = {.fd = bl_command_fd(core), .events = POLLIN, .revents = 0};
    expect(poll(&waiting, 1, 20000) == 1, "nothing came; so far", *counter);
  }
}

int main(void) {
  bl_core_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.version = BL_VERSION;
  options.chain = BL_CHAIN_BEACON;
  options.preset = BL_PRESET_MINIMAL;
  options.genesis_time_ms = 1600000000000;
  options.anchor_root = root('A', 0);
  options.no_range_sync = 1;
  bl_core* core = NULL;
  expect(bl_core_create(&options, &core) == BL_OK, "core", 0);
  bl_producer* producer = NULL;
  expect(bl_producer_create(core, NULL, &producer) == BL_OK, "producer", 0);

  /* Two requests, which is as many as a peer gets at once: what follows gathers. */
  expect(bl_push_peer_up(producer, kPeer) == BL_OK, "peer up", 0);
  give(producer, bl_push_gossip_block, 1, root('X', 1), root('P', 1), 2);
  await(core, &seen.requests, 1);
  const uint64_t first = seen.last_request;
  give(producer, bl_push_gossip_block, 2, root('X', 2), root('P', 2), 2);
  await(core, &seen.requests, 2);
  work_on_threads(core, 0);
  await(core, &seen.verdicts, 2 + kOrphans);
  expect(stats_of(core).pending >= kOrphans, "pending roots", (long long)stats_of(core).pending);
  expect(seen.requests == 2, "requests before there is room", seen.requests);

  /* The first answer makes room for one more, with all of them. */
  give(producer, bl_push_chunk_block, first, root('P', 1), root('A', 0), 1);
  expect(bl_request_ended(producer, kPeer, first) == BL_OK, "end", 0);
  await(core, &seen.requests, 3);
  expect(seen.roots_of_last == kOrphans, "roots in one request", seen.roots_of_last);
  work_on_threads(core, seen.last_request);
  expect(bl_request_ended(producer, kPeer, seen.last_request) == BL_OK, "end", 0);
  await(core, &seen.imported, 2 + 2 * kOrphans);
  expect(seen.heads >= 1, "heads", seen.heads);
  expect(seen.head.bytes[0] == 'O', "head", seen.head.bytes[0]);

  /* The end of a peer's generation ends its events. */
  expect(bl_push_peer_down(producer, kPeer) == BL_OK, "peer down", 0);
  give(producer, bl_push_gossip_block, 9, root('Z', 0), root('P', 1), 4);
  await(core, &seen.verdicts, 3 + kOrphans);
  expect(stats_of(core).imported == 2 + 2 * kOrphans, "imported",
         (long long)stats_of(core).imported);
  bl_producer_destroy(producer);
  bl_core_destroy(core);
  printf("head %c, %u requests, %u imported\n", seen.head.bytes[0], seen.requests, seen.imported);
  return 0;
}
