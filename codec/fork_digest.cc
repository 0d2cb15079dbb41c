#include "codec/fork_digest.h"
