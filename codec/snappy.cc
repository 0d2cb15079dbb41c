#include "codec/snappy.h"
