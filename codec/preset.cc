#include "codec/preset.h"
