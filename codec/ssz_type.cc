#include "codec/ssz.h"
