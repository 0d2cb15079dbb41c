#include "codec/hex.h"
