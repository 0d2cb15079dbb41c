#include "codec/multiaddr.h"
