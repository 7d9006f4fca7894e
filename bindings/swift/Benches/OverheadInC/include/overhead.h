/* The C side of the measurement: pairs of a request and its release, in a loop compiled as C. */

#ifndef OVERHEAD_H
#define OVERHEAD_H

#include <CAllotment.h>

/* Makes so many pairs by allot_request, or allot_try_request; answers how many were granted. */
uint64_t overhead_request(allot_governor *governor, allot_tenant tenant, uint64_t pairs);
uint64_t overhead_try_request(allot_governor *governor, allot_tenant tenant, uint64_t pairs);

#endif /* OVERHEAD_H */
