// Project Wycheproof's edge cases (C2SP/wycheproof), from wherever they lie below
// BEAMLINE_VECTORS; without them, these tests are skipped and say so.

#include <fstream>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "crypto/aes.h"
#include "crypto/chacha20poly1305.h"
#include "crypto/hkdf.h"
#include "crypto/hmac.h"
#include "crypto/secp256k1.h"
#include "crypto/sha256.h"
#include "crypto/x25519.h"
#include "tests/crypto/test_hex.h"
#include "tests/vectors/family.h"

namespace beamline {
namespace {

using Json = nlohmann::json;

std::vector<uint8_t> bytes_of(const Json& test, const char* key) {
  return unhex(test.at(key).get<std::string>());
}

// What a case comes to: accepted or not; nullopt where our types refuse to be made of its sizes (no
// protocol of ours has them), whatever the cipher could do with them.
using Outcome = std::optional<bool>;

Outcome refused(const Error& error) {
  EXPECT_EQ(error.code, Code::invalid_argument);
  EXPECT_EQ(error.fault, Fault::local);
  return std::nullopt;
}

class Wycheproof : public testing::Test {
 protected:
  // Calls `run(group, test)` for each case; it gives whether the case was accepted. "acceptable"
  // cases may go either way.
  template <class Run>
  void each(const std::string& name, Run run) {
    const auto paths = vector_files("/" + name + "_test.json");
    if (paths.empty()) {
      GTEST_SKIP() << "no " << name << "_test.json in " << vectors_folder()
                   << " (set BEAMLINE_VECTORS)";
    }
    std::ifstream file(paths.front());
    const Json json = Json::parse(file);
    std::map<std::string, size_t> counts;
    VectorFamily family("wycheproof/" + name);
    for (const Json& group : json.at("testGroups")) {
      for (const Json& test : group.at("tests")) {
        const std::string result = test.at("result");
        ++counts[result];
        const Outcome accepted = run(group, test);
        if (!accepted) {
          ++counts["refused"];
          family.count(true);
          continue;
        }
        const bool right = result == "acceptable" || *accepted == (result == "valid");
        family.count(right);
        EXPECT_TRUE(right) << "tcId " << test.at("tcId") << " " << test.at("comment") << " "
                           << test.at("flags");
      }
    }
    EXPECT_EQ(counts["valid"] + counts["invalid"] + counts["acceptable"],
              json.at("numberOfTests").get<size_t>());
    EXPECT_GT(family.passed(), 0u);
    std::printf("%s: %zu valid, %zu invalid, %zu acceptable; %zu of them refused for their sizes\n",
                name.c_str(), counts["valid"], counts["invalid"], counts["acceptable"],
                counts["refused"]);
  }

  void ecdsa(const char* name, secp256k1::HighS high_s) {
    each(name, [&](const Json& group, const Json& test) {
      const auto key = secp256k1::PublicKey::parse(bytes_of(group.at("publicKey"), "uncompressed"));
      const auto signature = secp256k1::Signature::parse_der(bytes_of(test, "sig"), high_s);
      return key && signature &&
             secp256k1::verify(*key, sha256(bytes_of(test, "msg")), *signature).has_value();
    });
  }
};

TEST_F(Wycheproof, EcdsaSecp256k1) { ecdsa("ecdsa_secp256k1_sha256", secp256k1::HighS::accept); }

TEST_F(Wycheproof, EcdsaSecp256k1Bitcoin) {
  ecdsa("ecdsa_secp256k1_sha256_bitcoin", secp256k1::HighS::reject);
}

TEST_F(Wycheproof, EcdhSecp256k1) {
  each("ecdh_secp256k1", [](const Json&, const Json& test) {
    // SubjectPublicKeyInfo with the named curve, then the point; other ASN.1 is not ours to read.
    const std::vector<uint8_t> key = bytes_of(test, "public");
    const std::vector<uint8_t> head = unhex("3056301006072a8648ce3d020106052b8104000a034200");
    if (key.size() != head.size() + 65 || !equal(Bytes(key).first(head.size()), head)) {
      return false;
    }
    const auto point = secp256k1::PublicKey::parse(Bytes(key).subspan(head.size()));
    std::vector<uint8_t> secret = bytes_of(test, "private");
    while (secret.size() > 32 && secret[0] == 0) secret.erase(secret.begin());
    secret.insert(secret.begin(), 32 - std::min<size_t>(32, secret.size()), 0);
    const auto ours = secp256k1::SecretKey::parse(secret);
    return point && ours && equal(ours->ecdh_x(*point), bytes_of(test, "shared"));
  });
}

TEST_F(Wycheproof, X25519) {
  each("x25519", [](const Json&, const Json& test) {
    const auto secret = unhex_array<32>(test.at("private").get<std::string>());
    const auto peer = unhex_array<32>(test.at("public").get<std::string>());
    const auto shared = x25519::SecretKey(std::span<const uint8_t, 32>(secret)).exchange(peer);
    const std::vector<uint8_t> expected = bytes_of(test, "shared");
    if (!shared) {  // only for a result of zero
      EXPECT_TRUE(equal(expected, std::vector<uint8_t>(32, 0))) << test.at("tcId");
      return false;
    }
    EXPECT_TRUE(equal(*shared, expected)) << test.at("tcId");
    return true;
  });
}

TEST_F(Wycheproof, ChaCha20Poly1305) {
  each("chacha20_poly1305", [](const Json& group, const Json& test) {
    EXPECT_EQ(group.at("tagSize"), 128);
    const auto key = unhex_array<32>(test.at("key").get<std::string>());
    const auto nonce = beamline::ChaCha20Poly1305::to_nonce(bytes_of(test, "iv"));
    EXPECT_EQ(nonce.has_value(), group.at("ivSize") == 96);
    if (!nonce) return refused(nonce.error());
    const auto tag = unhex_array<16>(test.at("tag").get<std::string>());
    const auto associated = bytes_of(test, "aad");
    const beamline::ChaCha20Poly1305 cipher{std::span<const uint8_t, 32>(key)};
    std::vector<uint8_t> data = bytes_of(test, "ct");
    if (!cipher.open(*nonce, associated, data, tag)) return Outcome(false);
    std::array<uint8_t, 16> again;
    EXPECT_TRUE(equal(data, bytes_of(test, "msg"))) << test.at("tcId");
    cipher.seal(*nonce, associated, data, again);
    EXPECT_TRUE(equal(data, bytes_of(test, "ct"))) << test.at("tcId");
    return Outcome(again == tag);
  });
}

TEST_F(Wycheproof, AesGcm) {
  each("aes_gcm", [](const Json& group, const Json& test) {
    EXPECT_EQ(group.at("tagSize"), 128);
    const auto cipher = beamline::AesGcm::from_key(bytes_of(test, "key"));
    EXPECT_EQ(cipher.has_value(), group.at("keySize") != 192);
    if (!cipher) return refused(cipher.error());
    const auto nonce = beamline::AesGcm::to_nonce(bytes_of(test, "iv"));
    EXPECT_EQ(nonce.has_value(), group.at("ivSize") == 96);
    if (!nonce) return refused(nonce.error());
    const auto tag = unhex_array<16>(test.at("tag").get<std::string>());
    const auto associated = bytes_of(test, "aad");
    std::vector<uint8_t> data = bytes_of(test, "ct");
    if (!cipher->open(*nonce, associated, data, tag)) return Outcome(false);
    std::array<uint8_t, 16> again;
    EXPECT_TRUE(equal(data, bytes_of(test, "msg"))) << test.at("tcId");
    cipher->seal(*nonce, associated, data, again);
    EXPECT_TRUE(equal(data, bytes_of(test, "ct"))) << test.at("tcId");
    return Outcome(again == tag);
  });
}

TEST_F(Wycheproof, HkdfSha256) {
  each("hkdf_sha256", [](const Json&, const Json& test) {
    const size_t size = test.at("size");
    if (size > kHkdfMaxOutput) return false;
    std::vector<uint8_t> out(size);
    hkdf_sha256(bytes_of(test, "ikm"), bytes_of(test, "salt"), bytes_of(test, "info"), out);
    return equal(out, bytes_of(test, "okm"));
  });
}

TEST_F(Wycheproof, HmacSha256) {
  each("hmac_sha256", [](const Json& group, const Json& test) {
    const Hash256 code = hmac_sha256(bytes_of(test, "key"), bytes_of(test, "msg"));
    const size_t size = group.at("tagSize").get<size_t>() / 8;
    return equal(code.view().first(size), bytes_of(test, "tag"));
  });
}

}  // namespace
}  // namespace beamline
