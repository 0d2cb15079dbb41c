#include "codec/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace beamline {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1EDC6F41, reflected

// kTables[n][b]: the effect of byte b, n bytes before the end of a group of eight.
constexpr std::array<std::array<uint32_t, 256>, 8> make_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t n = 1; n < 8; ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[n - 1][byte];
      tables[n][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr auto kTables = make_tables();

uint64_t load64(const uint8_t* from) {
  uint64_t word = 0;
  std::memcpy(&word, from, 8);
  return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_hardware(Bytes bytes, uint32_t crc) {
  uint64_t state = ~crc;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) state = _mm_crc32_u64(state, load64(bytes.data() + i));
  auto narrow = static_cast<uint32_t>(state);
  for (; i < bytes.size(); ++i) narrow = _mm_crc32_u8(narrow, bytes[i]);
  return ~narrow;
}
bool hardware_supported() { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__linux__)
__attribute__((target("+crc"))) uint32_t crc32c_hardware(Bytes bytes, uint32_t crc) {
  uint32_t state = ~crc;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    state = __builtin_aarch64_crc32cx(state, load64(bytes.data() + i));
  }
  for (; i < bytes.size(); ++i) state = __builtin_aarch64_crc32cb(state, bytes[i]);
  return ~state;
}
bool hardware_supported() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#else
uint32_t crc32c_hardware(Bytes bytes, uint32_t crc) { return crc32c_portable(bytes, crc); }
bool hardware_supported() { return false; }
#endif

using Implementation = uint32_t (*)(Bytes, uint32_t);
constinit Implementation active = crc32c_portable;

[[gnu::constructor]] void choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  if (hardware_supported()) active = crc32c_hardware;
}

}  // namespace

uint32_t crc32c_portable(Bytes bytes, uint32_t crc) {
  uint32_t state = ~crc;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = load64(bytes.data() + i) ^ state;
    state = 0;
    for (size_t n = 0; n < 8; ++n) state ^= kTables[7 - n][word >> (8 * n) & 0xff];
  }
  for (; i < bytes.size(); ++i) state = state >> 8 ^ kTables[0][(state ^ bytes[i]) & 0xff];
  return ~state;
}

uint32_t crc32c(Bytes bytes, uint32_t crc) { return active(bytes, crc); }

}  // namespace beamline
