/* As a C program would write it: one struct for all requests, one place for denials. */

#include "overhead.h"

#define BYTES 4096

#define PAIRS(verb)                                                                                \
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;                                          \
    allot_denial denial = ALLOT_DENIAL_INIT;                                                       \
    uint64_t granted = 0;                                                                          \
    request.tenant = tenant;                                                                       \
    request.allocation_type = ALLOT_CACHE;                                                         \
    request.bytes = BYTES;                                                                         \
    for (uint64_t pair = 0; pair < pairs; pair++) {                                                \
        allot_grant grant;                                                                         \
        if (verb(governor, &request, &grant, &denial) == ALLOT_OK)                                 \
            granted += allot_grant_release(governor, tenant, grant) == ALLOT_OK;                   \
    }                                                                                              \
    return granted

uint64_t overhead_request(allot_governor *governor, allot_tenant tenant, uint64_t pairs) {
    PAIRS(allot_request);
}

uint64_t overhead_try_request(allot_governor *governor, allot_tenant tenant, uint64_t pairs) {
    PAIRS(allot_try_request);
}
