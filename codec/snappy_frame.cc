#include "codec/snappy_frame.h"
