#include "codec/protobuf.h"
