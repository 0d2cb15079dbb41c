#include "crypto/secp256k1.h"
