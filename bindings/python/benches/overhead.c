/* The two calls that a request and its release are, as a C program would make them. */

#include "allot.h"

#define BYTES 4096

/* A governor with one tenant; 0 if it could not be had. */
int overhead_begin(allot_governor **governor, allot_tenant *tenant) {
    allot_config config = ALLOT_CONFIG_INIT;
    allot_tenant_config who = ALLOT_TENANT_CONFIG_INIT;
    config.capacity_bytes = (uint64_t)1 << 40;
    who.id[0] = 1;
    who.name = "bench";
    who.name_length = 5;
    return allot_governor_new(&config, governor) == ALLOT_OK &&
           allot_tenant_register(*governor, &who, tenant) == ALLOT_OK;
}

/* Makes so many pairs; answers how many were granted and released. */
uint64_t overhead_pairs(allot_governor *governor, allot_tenant tenant, uint64_t pairs) {
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;
    allot_denial denial = ALLOT_DENIAL_INIT;
    uint64_t granted = 0;
    request.tenant = tenant;
    request.allocation_type = ALLOT_CACHE;
    request.bytes = BYTES;
    for (uint64_t pair = 0; pair < pairs; pair++) {
        allot_grant grant;
        if (allot_request(governor, &request, &grant, &denial) == ALLOT_OK)
            granted += allot_grant_release(governor, tenant, grant) == ALLOT_OK;
    }
    return granted;
}
