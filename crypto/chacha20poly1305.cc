#include "crypto/chacha20poly1305.h"
