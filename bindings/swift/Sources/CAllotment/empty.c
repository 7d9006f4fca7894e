/* A C target has to have a source. All that is here is in include/CAllotment.h. */
#include "CAllotment.h"
