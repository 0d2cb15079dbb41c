#include "node/identity.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

#include "codec/hex.h"
#include "crypto/secret.h"

namespace beamline::node {

secp256k1::SecretKey load_or_create_identity(const std::string& path, Rng& rng) {
  const auto fail = [&](const std::string& what) -> std::runtime_error {
    return std::runtime_error(path + ": " + what);
  };
  std::ifstream in(path);
  if (in) {
    std::string text;
    in >> text;
    std::array<uint8_t, secp256k1::SecretKey::kSize> bytes{};
    if (!parse_hex_into(text, bytes)) throw fail("an identity is 64 hex digits");
    auto key = secp256k1::SecretKey::parse(bytes);
    if (!key) throw fail("is not a secp256k1 secret key");
    return std::move(*key);
  }
  secp256k1::SecretKey key = secp256k1::SecretKey::generate(rng);
  const std::string text = to_hex(key.bytes()) + "\n";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) throw fail(std::strerror(errno));
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  if (!written) throw fail("cannot be written");
  return key;
}

}  // namespace beamline::node
