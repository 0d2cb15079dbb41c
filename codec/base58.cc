#include "codec/base58.h"
