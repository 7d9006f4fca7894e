/*
 * Hello: a governor over 24 GiB, two tenants, one grant, and one no that is explained.
 *
 *     cc hello.c $(pkg-config --cflags --libs allot) && ./a.out
 *
 * Allotment counts and decides; it never touches the bytes. So 24 GiB are governed here on a
 * machine of any size.
 */

#include <allot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

/* Below 0 a call has failed and changed nothing; the thread's message says more than the number. */
static void check(allot_status status, const char *what) {
    char message[256];
    if (status >= 0) return;
    allot_error_message(message, sizeof message, NULL);
    fprintf(stderr, "%s: %s (%s)\n", what, allot_status_text(status), message);
    exit(1);
}

static allot_tenant tenant(allot_governor *governor, const char *name, allot_priority priority,
                           uint64_t guarantee_bytes, uint64_t limit_bytes) {
    allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
    allot_tenant registered = 0;
    config.name = name;
    config.name_length = strlen(name);
    config.priority = priority;
    config.guarantee_bytes = guarantee_bytes; /* always granted, never taken away */
    config.limit_bytes = limit_bytes;         /* never more than this */
    check(allot_tenant_register(governor, &config, &registered), name);
    return registered;
}

int main(void) {
    allot_governor *governor = NULL;
    allot_config config = ALLOT_CONFIG_INIT;
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;
    allot_denial denial = ALLOT_DENIAL_INIT;
    allot_pool pool = ALLOT_POOL_INIT;
    allot_tenant chat, batch;
    allot_grant weights = 0, more = 0;
    allot_status status;
    char why[1024];

    config.capacity_bytes = 24 * GIB;
    check(allot_governor_new(&config, &governor), "governor");
    chat = tenant(governor, "chat", ALLOT_PRIORITY_CRITICAL, 8 * GIB, 20 * GIB);
    batch = tenant(governor, "batch", ALLOT_PRIORITY_LOW, 0, ALLOT_UNLIMITED);

    /* Ask before the memory is taken. A grant is a number; it is held until it is released. */
    request.tenant = chat;
    request.allocation_type = ALLOT_MODEL_LOAD;
    request.bytes = 14 * GIB;
    check(allot_request(governor, &request, &weights, &denial), "weights");
    printf("chat holds 14 GiB\n");

    /* 12 GiB more are not there: ALLOT_DENIED is an answer, not an error. */
    request.tenant = batch;
    request.allocation_type = ALLOT_BACKGROUND;
    request.bytes = 12 * GIB;
    status = allot_request(governor, &request, &more, &denial);
    check(status, "batch");
    if (status == ALLOT_DENIED) {
        check(allot_explain(governor, &request, NULL, why, sizeof why, NULL), "explain");
        printf("%s\n", why);
    }

    check(allot_pool_usage(governor, &pool), "usage");
    printf("in use: %.1f of %.1f GiB\n", (double)pool.live_bytes / (double)GIB,
           (double)pool.capacity_bytes / (double)GIB);

    check(allot_grant_release(governor, chat, weights), "release");
    check(allot_pool_usage(governor, &pool), "usage");
    printf("in use at the end: %llu bytes\n", (unsigned long long)pool.live_bytes);
    allot_governor_free(governor);
    return status == ALLOT_DENIED && pool.live_bytes == 0 ? 0 : 1;
}
