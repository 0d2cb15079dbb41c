#include "crypto/hmac.h"
