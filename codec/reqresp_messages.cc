#include "codec/reqresp_messages.h"
