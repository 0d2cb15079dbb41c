#include "codec/crc32c.h"
