#include "codec/peer_id.h"
