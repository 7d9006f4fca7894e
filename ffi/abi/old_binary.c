/*
 * An old program: compiled with the header of a release and linked with a library of that release,
 * then run with the library of today (scripts/abi.sh). It calls every function of that header once
 * at least, and checks what it answers. What later headers of the series add is called within
 * `#if`; nothing here is ever changed to please a newer library.
 */

#include <allot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000000)

/* Ends the program unless two numbers are equal. */
#define EQUAL(answer, expected) equal((int64_t)(answer), (int64_t)(expected), #answer, __LINE__)
#define TRUE(expression) EQUAL(!!(expression), 1)
#define OK(call) EQUAL(call, ALLOT_OK)

static void equal(int64_t answer, int64_t expected, const char *what, int line) {
    char message[256] = "";
    if (answer == expected) return;
    allot_error_message(message, sizeof message, NULL);
    fprintf(stderr, "old_binary.c:%d: %s is %lld instead of %lld (last error: %s)\n", line, what,
            (long long)answer, (long long)expected, message);
    exit(1);
}

static allot_governor *governor;
static allot_group team;
static allot_tenant chat, batch;
static allot_denial denial = ALLOT_DENIAL_INIT;
/* How often callbacks ran, and DROPPED for each time that they were let go. */
enum { DROPPED = 100 };
static int reclaims, pressures, tickets;

static allot_reclaim_answer on_reclaim(allot_governor *of, const allot_victim *victim,
                                       void *user_data) {
    TRUE(of == governor && user_data == &reclaims);
    TRUE(victim->struct_size == sizeof *victim && victim->cookie == 77);
    OK(allot_governor_check(of));
    reclaims++;
    return ALLOT_RECLAIM_FREED;
}

static void on_pressure(allot_governor *of, allot_pressure_level level, void *user_data) {
    TRUE(of == governor && user_data == &pressures && level <= ALLOT_PRESSURE_HIGH);
    pressures++;
}

static void on_ready(allot_governor *of, allot_ticket ticket, void *user_data) {
    TRUE(of == governor && ticket != 0 && user_data == &tickets);
    tickets++;
}

static void on_drop(void *user_data) {
    *(int *)user_data += DROPPED;
}

static allot_request_spec asks(allot_tenant tenant, uint64_t mib) {
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;
    request.tenant = tenant;
    request.allocation_type = ALLOT_CACHE;
    request.bytes = mib * MIB;
    request.cookie = 77;
    return request;
}

static void done(allot_tenant tenant, allot_grant grant) {
    OK(allot_grant_release(governor, tenant, grant));
}

static void governors(void) {
    static const char text[] = "capacity = \"1GiB\"\n[[tenants]]\nname = \"filed\"\n";
    allot_config config = ALLOT_CONFIG_INIT;
    uint64_t before = 0, after = 0, length = 0;
    allot_governor *filed = NULL;
    allot_tenant tenant = 0;
    char message[8];

    EQUAL(allot_governor_new(&config, &governor), ALLOT_ERROR_CONFIG);
    EQUAL(allot_error_message(message, sizeof message, &length), ALLOT_TRUNCATED);
    TRUE(length > sizeof message && message[sizeof message - 1] == 0);
    config.capacity_bytes = 900 * MIB;
    config.events_max = 4096;
    config.pool_pressure = 0;
    config.clock = ALLOT_CLOCK_MANUAL;
    OK(allot_governor_new(&config, &governor));
    OK(allot_governor_retain(governor));
    allot_governor_free(governor);
    OK(allot_governor_check(governor));
    OK(allot_governor_set_capacity(governor, 1000 * MIB));
    OK(allot_clock_now_ns(governor, &before));
    OK(allot_clock_advance_ns(governor, SECOND));
    OK(allot_clock_now_ns(governor, &after));
    EQUAL(after - before, SECOND);

    OK(allot_governor_new_toml(text, sizeof text - 1, NULL, &filed));
    OK(allot_tenant_find_name(filed, "filed", 5, &tenant));
    allot_governor_free(filed);
}

static void accounts(void) {
    allot_group_config group = ALLOT_GROUP_CONFIG_INIT;
    allot_tenant_config tenant = ALLOT_TENANT_CONFIG_INIT, read = ALLOT_TENANT_CONFIG_INIT;
    allot_group other = 0, found_group = 0;
    allot_tenant found = 0;
    uint64_t length = 0;
    char name[16];

    group.name = "team", group.name_length = 4;
    group.guarantee_bytes = 100 * MIB;
    OK(allot_group_register(governor, &group, &team));
    group.limit_bytes = 800 * MIB;
    OK(allot_group_update(governor, team, &group));
    OK(allot_group_find_name(governor, "team", 4, &found_group));
    EQUAL(found_group, team);
    group.name = "other", group.name_length = 5;
    group.guarantee_bytes = 0;
    OK(allot_group_register(governor, &group, &other));
    OK(allot_group_unregister(governor, other));

    tenant.name = "chat", tenant.name_length = 4;
    tenant.id[0] = 1;
    tenant.parent = team;
    tenant.priority = ALLOT_PRIORITY_HIGH;
    tenant.guarantee_bytes = 100 * MIB;
    tenant.limit_bytes = 500 * MIB;
    OK(allot_tenant_register(governor, &tenant, &chat));
    OK(allot_tenant_get(governor, chat, &read));
    TRUE(read.struct_size == sizeof read && read.priority == ALLOT_PRIORITY_HIGH);
    TRUE(read.guarantee_bytes == 100 * MIB && read.rate_bucket_depth == 1);
    read.limit_bytes = 600 * MIB;
    OK(allot_tenant_update(governor, chat, &read));
    OK(allot_tenant_find(governor, tenant.id, &found));
    EQUAL(found, chat);
    EQUAL(allot_tenant_find_name(governor, "nobody", 6, &found), ALLOT_NONE);
    OK(allot_tenant_find_name(governor, "chat", 4, &found));
    EQUAL(found, chat);
    OK(allot_tenant_name(governor, chat, name, sizeof name, &length));
    TRUE(length == 4 && strcmp(name, "chat") == 0);

    tenant.id[0] = 2;
    tenant.name = "batch", tenant.name_length = 5;
    tenant.parent = 0;
    tenant.priority = ALLOT_PRIORITY_LOW;
    tenant.guarantee_bytes = 0;
    tenant.limit_bytes = ALLOT_UNLIMITED;
    OK(allot_tenant_register(governor, &tenant, &batch));
}

static void requests(void) {
    allot_request_spec request = asks(chat, 700), both[2];
    allot_grant grant = 0, grants[2] = {0, 0};
    uint64_t bytes = 0, wait_ns = 0;

    EQUAL(allot_try_request(governor, &request, &grant, &denial), ALLOT_DENIED);
    EQUAL(denial.reason, ALLOT_REASON_TENANT_LIMIT);
    TRUE(denial.account == chat && denial.account_kind == ALLOT_ACCOUNT_TENANT);
    TRUE(denial.asked_bytes == 700 * MIB && denial.short_bytes == 100 * MIB);
    EQUAL(denial.limit, 600 * MIB);
    OK(allot_attainable(governor, &request, &bytes));
    EQUAL(bytes, 600 * MIB);
    OK(allot_estimate_wait(governor, &request, &wait_ns));

    request.bytes = 200 * MIB;
    OK(allot_request(governor, &request, &grant, &denial));
    OK(allot_grant_grow(governor, chat, grant, 50 * MIB, &denial));
    OK(allot_grant_grow_evicting(governor, chat, grant, 50 * MIB, &denial));
    EQUAL(allot_grant_grow(governor, chat, grant, 500 * MIB, &denial), ALLOT_DENIED);
    OK(allot_grant_shrink(governor, chat, grant, 100 * MIB));
    OK(allot_grant_true_up(governor, chat, grant, 150 * MIB, &denial));
    OK(allot_grant_touch(governor, chat, grant));
    OK(allot_grant_pin(governor, chat, grant));
    OK(allot_grant_unpin(governor, chat, grant));
    OK(allot_grant_keep_alive(governor, chat, grant, SECOND));
    EQUAL(allot_grant_commit(governor, chat, grant), ALLOT_ERROR_NOT_RESERVED);
    OK(allot_grant_bytes(governor, chat, grant, &bytes));
    EQUAL(bytes, 150 * MIB);
    EQUAL(allot_grant_release(governor, batch, grant), ALLOT_ERROR_NOT_YOURS);
    done(chat, grant);
    EQUAL(allot_grant_release(governor, chat, grant), ALLOT_ERROR_STALE_GRANT);

    both[0] = asks(chat, 10);
    both[1] = asks(batch, 20);
    OK(allot_request_all(governor, both, 2, grants, &denial));
    OK(allot_grant_bytes(governor, batch, grants[1], &bytes));
    EQUAL(bytes, 20 * MIB);
    done(chat, grants[0]);
    done(batch, grants[1]);
    OK(allot_reserve(governor, &both[0], SECOND, &grant, &denial));
    OK(allot_grant_commit(governor, chat, grant));
    done(chat, grant);
    OK(allot_acquire(governor, &both[1], SECOND, &grant, &denial));
    done(batch, grant);
}

/* The pool is full of what may not go: the next one stands in line until it is released. */
static void line(void) {
    allot_request_spec all = asks(batch, 900), more = asks(chat, 300);
    allot_grant holds = 0, grant = 0;
    allot_ticket ticket = 0;
    uint64_t wait_ns = 0;

    all.flags = ALLOT_REQUEST_PINNED;
    OK(allot_request(governor, &all, &holds, &denial));
    EQUAL(allot_enqueue(governor, &more, ALLOT_FOREVER, &grant, &ticket, &denial), ALLOT_QUEUED);
    OK(allot_ticket_cancel(governor, ticket));
    EQUAL(allot_ticket_cancel(governor, ticket), ALLOT_ERROR_STALE_TICKET);
    EQUAL(allot_enqueue(governor, &more, ALLOT_FOREVER, &grant, &ticket, &denial), ALLOT_QUEUED);
    OK(allot_ticket_on_ready(governor, ticket, on_ready, &tickets, on_drop));
    OK(allot_ticket_estimate(governor, ticket, &wait_ns));
    EQUAL(allot_ticket_poll(governor, ticket, &grant, &denial), ALLOT_QUEUED);
    done(batch, holds);
    OK(allot_ticket_wait(governor, ticket, 60 * SECOND, &grant, &denial));
    done(chat, grant);
}

static void reclaim(void) {
    allot_request_spec cache = asks(batch, 900), more = asks(chat, 300);
    allot_victim victim = ALLOT_VICTIM_INIT;
    allot_grant holds = 0, grant = 0;

    OK(allot_on_reclaim(governor, 0, on_reclaim, &reclaims, on_drop));
    OK(allot_request(governor, &cache, &holds, &denial));
    OK(allot_request(governor, &more, &grant, &denial));
    EQUAL(reclaims, 1);
    EQUAL(allot_grant_release(governor, batch, holds), ALLOT_EVICTED);
    done(chat, grant);
    OK(allot_tenant_on_reclaim(governor, batch, 0, on_reclaim, &reclaims, on_drop));
    OK(allot_tenant_on_reclaim(governor, batch, 0, NULL, NULL, NULL));
    OK(allot_on_reclaim(governor, 0, NULL, NULL, NULL));
    EQUAL(reclaims, 2 * DROPPED + 1);

    /* Nobody is asked now: the victim is polled, kept once, and its memory denied so long. */
    EQUAL(allot_next_victim(governor, &victim), ALLOT_NONE);
    OK(allot_request(governor, &cache, &holds, &denial));
    EQUAL(allot_request(governor, &more, &grant, &denial), ALLOT_DENIED);
    OK(allot_next_victim(governor, &victim));
    TRUE(victim.tenant == batch && victim.grant == holds && victim.bytes == 900 * MIB);
    OK(allot_grant_decline(governor, batch, holds));
    done(batch, holds);
}

static void pressure(void) {
    allot_balance_report report = ALLOT_BALANCE_REPORT_INIT;
    allot_pressure_level level = ALLOT_PRESSURE_NORMAL;

    OK(allot_on_pressure(governor, on_pressure, &pressures, on_drop));
    OK(allot_report_pressure(governor, ALLOT_PRESSURE_HIGH));
    OK(allot_pressure(governor, &level));
    EQUAL(level, ALLOT_PRESSURE_HIGH);
    EQUAL(pressures, 1);
    OK(allot_report_pressure(governor, ALLOT_PRESSURE_NORMAL));
    EQUAL(allot_report_pressure(governor, 3), ALLOT_ERROR_ENUM);
    OK(allot_report_measured(governor, chat, 5 * MIB));
    OK(allot_report_measured_process(governor, 7 * MIB));
    OK(allot_clock_advance_ns(governor, SECOND));
    OK(allot_balance(governor, 1, &report));
    EQUAL(report.live_bytes, 0);
}

static void figures(void) {
    allot_request_spec request = asks(chat, 300);
    allot_usage usage = ALLOT_USAGE_INIT;
    allot_pool pool = ALLOT_POOL_INIT;
    allot_snapshot *snapshot = NULL;
    allot_grant grant = 0;
    uint64_t length = 0;
    char name[16];

    OK(allot_request(governor, &request, &grant, NULL));
    OK(allot_tenant_usage(governor, chat, &usage));
    TRUE(usage.used_bytes == 300 * MIB && usage.guarantee_bytes == 100 * MIB);
    EQUAL(usage.measured_bytes, 5 * MIB);
    OK(allot_pool_usage(governor, &pool));
    TRUE(pool.capacity_bytes == 1000 * MIB && pool.live_bytes == 300 * MIB);
    TRUE(pool.tenants == 2 && pool.groups == 1 && pool.waiters == 0);
    OK(allot_snapshot_take(governor, &snapshot));
    OK(allot_snapshot_pool(snapshot, &pool));
    OK(allot_snapshot_tenant(snapshot, 0, &usage));
    TRUE(usage.tenant == chat && usage.used_bytes == 300 * MIB);
    EQUAL(allot_snapshot_tenant(snapshot, 2, &usage), ALLOT_NONE);
    OK(allot_snapshot_tenant_name(snapshot, 0, name, sizeof name, &length));
    TRUE(length == 4 && strcmp(name, "chat") == 0);
    OK(allot_snapshot_group_name(snapshot, 0, name, sizeof name, &length));
    TRUE(length == 4 && strcmp(name, "team") == 0);
    allot_snapshot_free(snapshot);
    done(chat, grant);
}

static void reasons(void) {
    allot_request_spec request = asks(chat, 700);
    allot_explanation explanation = ALLOT_EXPLANATION_INIT;
    allot_event_reader reader = ALLOT_EVENT_READER_INIT;
    allot_event event = ALLOT_EVENT_INIT;
    uint64_t length = 0, releases = 0;
    char text[8];

    EQUAL(allot_explain(governor, &request, &explanation, text, 8, &length), ALLOT_TRUNCATED);
    EQUAL(explanation.reason, ALLOT_REASON_TENANT_LIMIT);
    TRUE(explanation.asked_bytes == 700 * MIB && explanation.limit == 600 * MIB);
    TRUE(length > sizeof text);
    while (allot_events_read(governor, &reader, &event) == ALLOT_OK)
        releases += event.kind == ALLOT_EVENT_RELEASED && event.account == ALLOT_SLOT(batch);
    TRUE(releases >= 4);
}

int main(void) {
    allot_pool pool = ALLOT_POOL_INIT;
    TRUE(strlen(allot_version()) >= 5);
    EQUAL(allot_abi_version(), ALLOT_ABI_VERSION);
    TRUE(strlen(allot_status_text(ALLOT_ERROR_OTHER)) > 0);
    governors();
    accounts();
    requests();
    line();
    reclaim();
    pressure();
    figures();
    reasons();
    OK(allot_tenant_unregister(governor, batch, ALLOT_UNREGISTER_IF_IDLE));
    OK(allot_pool_usage(governor, &pool));
    EQUAL(pool.live_bytes, 0);
    allot_governor_free(governor);
    /* Two levels were told; the ticket's answer may have been taken before anybody was told. */
    EQUAL(pressures, DROPPED + 2);
    TRUE(tickets == DROPPED || tickets == DROPPED + 1);
    printf("a program of %s runs with the library of %s\n", ALLOT_VERSION, allot_version());
    return 0;
}
