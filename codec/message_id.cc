#include "codec/message_id.h"
