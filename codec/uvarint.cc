#include "codec/uvarint.h"
