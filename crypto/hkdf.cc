#include "crypto/hkdf.h"
