#include "codec/beacon_types.h"
