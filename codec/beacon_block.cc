#include "codec/beacon_block.h"
