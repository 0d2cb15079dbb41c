#include "libp2p/noise.h"

#include "base/rng.h"
#include "codec/hex.h"
#include "tests/libp2p/pair.h"

namespace beamline::libp2p {
namespace {

struct Message {
  const char* payload;
  const char* ciphertext;
};
struct Vector {
  const char* source;
  const char* prologue;
  const char* dialler_static;
  const char* dialler_ephemeral;
  const char* listener_static;
  const char* listener_ephemeral;
  const char* handshake_hash;  // null: not in the vector
  std::vector<Message> messages;
};

const Vector kVectors[] = {
    // cacophony, vectors/cacophony.txt (also in snow, tests/vectors).
    {"cacophony",
     "4a6f686e2047616c74",
     "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
     "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
     "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
     "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
     "c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e",
     {{"4c756477696720766f6e204d69736573",
       "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d"
       "69736573"},
      {"4d757272617920526f746862617264",
       "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c48378ffc"
       "e2b65285e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be"
       "9b5c412f8a0db50f8814c7194e83f23dbd8d162c9326ad"},
      {"462e20412e20486179656b",
       "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a89be"
       "0865b57f58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030"},
      {"4361726c204d656e676572", "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df"},
      {"4a65616e2d426170746973746520536179",
       "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5"},
      {"457567656e2042f6686d20766f6e2042617765726b",
       "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f"}}},
    // snow, tests/vectors/snow.txt.
    {"snow",
     "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773206f6e6c792066756e"
     "20616e6420626f72696e672e",
     "7dec208517a3b81a2861d7a71266d5d6dc944c5a8816634a86fe63198a0148ee",
     "a32daf21e93c0131495ce1d903181fde81cc46937daaeb990bae7c992709421e",
     "4d0aed5098e3b4ef20357e9f686ce66204c792b358da2e475017d6c485304881",
     "4eece0f195d026db035ff987597c429d3ad3bcc2944df37d649528951b2a27c5",
     nullptr,
     {{"d03c489139e645d0711a3c9e810d776b46a84912463fafa87b884eebf242dc34",
       "f9fa868ba97ab8a2686deccfaad5a484ee10a5bb85e3d1dce015a84797f92818d03c489139e645d0711a3c9e"
       "810d776b46a84912463fafa87b884eebf242dc34"},
      {"d8190a92f7dc0c93dbea9118ba8055751fb7c6590c416ffbd419964132b99a85",
       "8c4e6fdb7d09d501a86f7eca5c234522751706ed409182c05cdf5f827d4dae47b81c6c5f43b025692c24391e"
       "efee725c17d8cb0fbe3e4abb8aedf42c4fd2592d4ea48ac08989d6ae8b4adae08b2c34087c808c7aa55a63c0"
       "2b0fab9e930612336bd43eaea04d3c670a0a146691aa9cc9d357872320dc735dbc48580cffb553db"},
      {"77891b19dcb92ef7c055b672c4a5aa7fdf1c84146b8b303459022729473ce254",
       "933ca6b5ed60df3df66121f0ab49a09e49efa45c613a86a3cecbf4c535cef2f83f72b42837b18e3572f2fdc2"
       "b74c331e2368a545cef54bdca081678ab0e9dd5348122459e0c034c851984d88ce610963d43cde6cfe73a67f"
       "bd5a63e8bfca96d0"},
      {"d7efdf988072881941db045a42882433817555128fbf5663e56081712ec7d212",
       "54ef0ff0629e1aaa7685a2806ab111cba76b52331f2642276736f415868eacb69ab2577f3bda0cbf72f87968"
       "5f6ed25f"},
      {"dd7bf01a588bafb52c6cfba952e5d8fe35cc2b3f92b4730ae2474615157345ce",
       "356be70f110306d5c699bb834bb9d58d909e325924dfbec972e406e6f294dc63e1daebefe8a62a334facc804"
       "8ab4ad66"}}},
};

std::vector<uint8_t> hex(const char* text) { return parse_hex(text).value(); }
x25519::SecretKey secret(const char* text) {
  std::array<uint8_t, 32> bytes{};
  EXPECT_TRUE(parse_hex_into(text, bytes).has_value());
  return x25519::SecretKey(bytes);
}

TEST(Noise, OfficialVectors) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.source);
    const x25519::SecretKey dialler_static = secret(vector.dialler_static);
    const x25519::SecretKey listener_static = secret(vector.listener_static);
    const std::vector<uint8_t> prologue = hex(vector.prologue);
    NoiseHandshake dialler(Role::dialler, dialler_static, secret(vector.dialler_ephemeral),
                           prologue);
    NoiseHandshake listener(Role::listener, listener_static, secret(vector.listener_ephemeral),
                            prologue);
    for (size_t i = 0; i < NoiseHandshake::kMessages; ++i) {
      NoiseHandshake& from = i % 2 == 0 ? dialler : listener;
      NoiseHandshake& to = i % 2 == 0 ? listener : dialler;
      std::vector<uint8_t> message;
      ASSERT_TRUE(from.write_message(hex(vector.messages[i].payload), message).has_value());
      EXPECT_EQ(to_hex(message), vector.messages[i].ciphertext);
      const Result<MutableBytes> payload = to.read_message(message);
      ASSERT_TRUE(payload.has_value());
      EXPECT_EQ(to_hex(*payload), vector.messages[i].payload);
    }
    if (vector.handshake_hash != nullptr) {
      EXPECT_EQ(to_hex(dialler.handshake_hash().view()), vector.handshake_hash);
    }
    EXPECT_EQ(dialler.handshake_hash(), listener.handshake_hash());
    EXPECT_EQ(dialler.remote_static(), listener_static.public_key());
    EXPECT_EQ(listener.remote_static(), dialler_static.public_key());
    NoiseCiphers a = dialler.split();
    NoiseCiphers b = listener.split();
    for (size_t i = NoiseHandshake::kMessages; i < vector.messages.size(); ++i) {
      std::vector<uint8_t> message = hex(vector.messages[i].payload);
      message.resize(message.size() + kNoiseTagSize);
      (i % 2 == 0 ? a : b).send.seal(message);
      EXPECT_EQ(to_hex(message), vector.messages[i].ciphertext);
      const Result<MutableBytes> plain = (i % 2 == 0 ? b : a).receive.open(message);
      ASSERT_TRUE(plain.has_value());
      EXPECT_EQ(to_hex(*plain), vector.messages[i].payload);
    }
  }
}

struct Handshakes {
  Handshakes()
      : a(x25519::SecretKey::generate(rng)),
        b(x25519::SecretKey::generate(rng)),
        dialler(Role::dialler, a, x25519::SecretKey::generate(rng)),
        listener(Role::listener, b, x25519::SecretKey::generate(rng)) {}
  // Exchanges the first `count` messages, and gives the next one unread.
  std::vector<uint8_t> after(size_t count) {
    for (size_t i = 0;; ++i) {
      std::vector<uint8_t> message;
      EXPECT_TRUE((i % 2 == 0 ? dialler : listener).write_message(as_bytes("payload"), message));
      if (i == count) return message;
      EXPECT_TRUE((i % 2 == 0 ? listener : dialler).read_message(message));
    }
  }
  NoiseHandshake& reader(size_t index) { return index % 2 == 0 ? listener : dialler; }
  Rng rng{uint64_t{7}};
  x25519::SecretKey a;
  x25519::SecretKey b;
  NoiseHandshake dialler;
  NoiseHandshake listener;
};

TEST(Noise, EveryFlippedByteIsNoticed) {
  for (size_t index = 1; index < NoiseHandshake::kMessages; ++index) {
    const size_t size = Handshakes().after(index).size();
    for (size_t i = 0; i < size; ++i) {
      Handshakes pair;
      std::vector<uint8_t> message = pair.after(index);
      message[i] ^= 1;
      EXPECT_FALSE(pair.reader(index).read_message(message).has_value()) << index << " " << i;
    }
  }
}

TEST(Noise, EveryTruncationIsNoticed) {
  for (size_t index = 0; index < NoiseHandshake::kMessages; ++index) {
    const size_t size = Handshakes().after(index).size();
    for (size_t keep = 0; keep < (index == 0 ? 32 : size); keep += 3) {
      Handshakes pair;
      std::vector<uint8_t> message = pair.after(index);
      message.resize(keep);
      const Result<MutableBytes> payload = pair.reader(index).read_message(message);
      ASSERT_FALSE(payload.has_value());
      EXPECT_EQ(payload.error().fault, Fault::peer);
    }
  }
}

TEST(Noise, KeyOfLowOrderIsRefused) {
  Handshakes pair;
  std::vector<uint8_t> zeros(32, 0);
  ASSERT_TRUE(pair.listener.read_message(zeros).has_value());
  std::vector<uint8_t> out;
  const Status status = pair.listener.write_message({}, out);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::bad_key);
  EXPECT_EQ(status.error().fault, Fault::peer);
}

TEST(Noise, FramesOutOfOrderOrReplayedDoNotDecrypt) {
  const Hash256 key{};
  NoiseCipher send(key);
  NoiseCipher receive(key);
  std::vector<uint8_t> first(20 + kNoiseTagSize, 1);
  std::vector<uint8_t> second(20 + kNoiseTagSize, 2);
  send.seal(first);
  send.seal(second);
  std::vector<uint8_t> copy = first;
  ASSERT_TRUE(receive.open(first).has_value());
  EXPECT_EQ(receive.open(copy).error().code, Code::decrypt_failed);
  EXPECT_EQ(receive.open(MutableBytes(second).first(15)).error().code, Code::truncated);
}

}  // namespace
}  // namespace beamline::libp2p
