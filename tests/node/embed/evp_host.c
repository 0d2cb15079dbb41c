/* A host that carries an OpenSSL of its own, of no version that we know: its EVP_ functions are
 * another's, and whoever calls them by mistake ends the process. So are its snappy, secp256k1 and
 * io_uring. Loads libbeamline by dlopen, with its own symbols in front, and runs a core. */
#include <beamline.h>
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASH(name)                                               \
  void name(void) {                                               \
    fprintf(stderr, "the library called the host's " #name "\n"); \
    abort();                                                      \
  }
CLASH(EVP_MD_fetch)
CLASH(EVP_CIPHER_fetch)
CLASH(EVP_CIPHER_CTX_new)
CLASH(EVP_CIPHER_CTX_free)
CLASH(EVP_CipherInit_ex2)
CLASH(EVP_CipherUpdate)
CLASH(EVP_DigestInit_ex)
CLASH(EVP_DigestUpdate)
CLASH(EVP_sha256)
CLASH(OPENSSL_init_crypto)
CLASH(CRYPTO_malloc)
CLASH(snappy_uncompress)
CLASH(secp256k1_context_create)
CLASH(io_uring_queue_init_params)
CLASH(io_uring_submit)

/* What is used of the library. */
static struct {
  int32_t (*create)(const bl_core_options*, bl_core**);
  void (*destroy)(bl_core*);
  int32_t (*producer_create)(bl_core*, const bl_producer_options*, bl_producer**);
  void (*producer_destroy)(bl_producer*);
  int32_t (*peer_up)(bl_producer*, bl_peer);
  int32_t (*push_gossip)(bl_producer*, const bl_gossip*);
  int32_t (*push_block)(bl_producer*, const bl_block*);
  int32_t (*next)(bl_core*, bl_command*);
  int32_t (*fd)(const bl_core*);
} bl;

static int load(const char* library) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  if (handle == NULL) return 1;
  /* POSIX's own way to read a function from dlsym. */
  *(void**)&bl.create = dlsym(handle, "bl_core_create");
  *(void**)&bl.destroy = dlsym(handle, "bl_core_destroy");
  *(void**)&bl.producer_create = dlsym(handle, "bl_producer_create");
  *(void**)&bl.producer_destroy = dlsym(handle, "bl_producer_destroy");
  *(void**)&bl.peer_up = dlsym(handle, "bl_push_peer_up");
  *(void**)&bl.push_gossip = dlsym(handle, "bl_push_gossip");
  *(void**)&bl.push_block = dlsym(handle, "bl_push_gossip_block");
  *(void**)&bl.next = dlsym(handle, "bl_command_next");
  *(void**)&bl.fd = dlsym(handle, "bl_command_fd");
  return 0;
}

/* Snappy, and a decoder that says no. */
static int32_t push_garbage(bl_producer* producer, bl_peer peer) {
  static const uint8_t kSnappy[] = {3, 8, 'a', 'b', 'c'};
  static const char kTopic[] = "/eth2/00000000/beacon_block/ssz_snappy";
  bl_gossip gossip;
  memset(&gossip, 0, sizeof gossip);
  gossip.size = sizeof gossip;
  gossip.version = BL_VERSION;
  gossip.sender = peer;
  gossip.topic = kTopic;
  gossip.topic_size = sizeof kTopic - 1;
  gossip.payload.data = kSnappy;
  gossip.payload.size = sizeof kSnappy;
  return bl.push_gossip(producer, &gossip);
}

static int32_t push_block(bl_producer* producer, bl_peer peer) {
  bl_block block;
  memset(&block, 0, sizeof block);
  block.size = sizeof block;
  block.version = BL_VERSION;
  block.sender = peer;
  block.root.bytes[0] = 1;
  block.slot = 1;
  return bl.push_block(producer, &block);
}

static int run(void) {
  bl_core_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.version = BL_VERSION;
  options.chain = BL_CHAIN_BEACON;
  options.genesis_time_ms = 1600000000000;
  bl_core* core = NULL;
  bl_producer* producer = NULL;
  if (bl.create(&options, &core) != BL_OK || bl.producer_create(core, NULL, &producer) != BL_OK)
    return 1;
  const bl_peer peer = {1, 1};
  if (bl.peer_up(producer, peer) != BL_OK) return 1;

  if (push_garbage(producer, peer) != BL_MALFORMED) return 1;
  if (push_block(producer, peer) != BL_OK) return 1;
  bl_command command;
  memset(&command, 0, sizeof command);
  command.size = sizeof command;
  command.version = BL_VERSION;
  for (;;) {
    while (bl.next(core, &command) == BL_OK) {
      if (command.kind != BL_COMMAND_HEAD_CHANGED) continue;
      printf("head at slot %u\n", (unsigned)command.slot);
      bl.producer_destroy(producer);
      bl.destroy(core);
      return 0;
    }
    struct pollfd waiting = {.fd = bl.fd(core), .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 20000) != 1) return 1;
  }
}

int main(int count, char** arguments) {
  if (count != 2 || load(arguments[1]) != 0 || run() != 0) {
    fprintf(stderr, "failed\n");
    return 1;
  }
  return 0;
}
