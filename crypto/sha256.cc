#include "crypto/sha256.h"
