/*
 * Bad input: every function of allot.h by every class of it, and no cell left out.
 *
 *   bad_input [--table] [function...]
 *
 * A row describes a function by what it takes, a class makes its cases from that. A cell is a
 * number of cases, or says why it does not apply. The functions given are those of the header: one
 * without a row fails, and so does a row without a function.
 *
 * A case calls with sound arguments but for one, and looks at three things: the status is the one
 * expected; on an error nothing was written; on an error nothing has changed, which a digest of
 * both governors says. What is misaligned is only passed on here, never looked at.
 *
 * Needs a library with the feature `panicking`.
 */
#define _POSIX_C_SOURCE 200809L

#include "allot.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

allot_status allot_test_panic(allot_governor *governor);
allot_status allot_test_panic_at_the_end(allot_governor *governor);
allot_reclaim_answer allot_test_panicking_reclaim(allot_governor *governor,
                                                  const allot_victim *victim, void *user_data);
void allot_test_panicking_pressure(allot_governor *governor, allot_pressure_level level,
                                   void *user_data);
void allot_test_panicking_ticket(allot_governor *governor, allot_ticket ticket, void *user_data);
void allot_test_panicking_drop(void *user_data);

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif
#ifndef ADDRESS_SANITIZER
#define ADDRESS_SANITIZER 0
#endif

#define MIB (1ull << 20)
#define MAX UINT64_MAX
/* What a place for an answer is filled with. */
#define PATTERN 0xa5
#define PARAMS_MAX 7
#define BUFFER_BYTES 4096

/* Expectations that are no single status. */
enum {
    SAME = 1000, /* as with sound arguments */
    HANDLE,      /* any error of a handle */
    SETUP        /* as with sound arguments, or a configuration that is out of range */
};

/* What a parameter is. */
enum kind {
    END,
    GOVERNOR,
    SNAPSHOT,
    TENANT,
    GROUP,
    GRANT,
    TICKET,
    IN,     /* a struct that is read */
    ALL_IN, /* several of them; their count follows */
    OUT,    /* a struct that is written */
    INOUT,
    VALUE, /* a number or a pointer that is written */
    NUMBER,
    ENUM,
    TEXT, /* its length follows */
    ID,
    BUFFER, /* its size follows */
    RECLAIM_FN,
    PRESSURE_FN,
    TICKET_FN,
    USER_DATA,
    DROP_FN
};

enum shape {
    NO_SHAPE,
    CONFIG,
    GROUP_CONFIG,
    TENANT_CONFIG,
    REQUEST,
    DENIAL,
    VICTIM,
    REPORT,
    USAGE,
    POOL,
    EXPLANATION,
    READER,
    EVENT
};

/* What a number is tried with, and what that has to answer. */
struct numbers {
    uint64_t sound;
    int zero;
    int max;
    uint64_t over;
    int overflow;
};

struct param {
    const char *name;
    enum kind kind;
    enum shape shape;
    int optional;
    /* Bytes its type is aligned by. */
    size_t align;
    struct numbers numbers;
    /* The last number of an enumeration. */
    uint32_t last;
    /* What a handle that cannot be there answers instead. */
    int handle;
};

struct field {
    const char *name;
    size_t offset;
    size_t width;
    enum kind kind;
    struct numbers numbers;
    uint32_t last;
};

union arg {
    void *pointer;
    uint64_t number;
    allot_reclaim_fn reclaim;
    allot_pressure_fn pressure;
    allot_ticket_fn ticket;
    allot_drop_fn drop;
};

/* One governor with everything that a call can name. */
struct side {
    allot_governor *governor;
    /* References to it that are to be given back. */
    int references;
    allot_tenant tenant, other, gone;
    allot_group group, group_gone;
    allot_grant grant, grant_other, grant_gone;
    allot_ticket ticket, ticket_gone;
    allot_snapshot *snapshot;
};

struct world {
    struct side here, there;
};

/* Which functions of the caller's run within a function, and what else is special. */
enum {
    RECLAIMS = 1,
    TELLS = 2,
    DROPS = 4,
    /* Works also once the library has panicked. */
    GIVES_BACK = 8,
    /* Ends what it is called with: a second time is an error. */
    ENDS = 16,
    /* Runs the callback it takes on the library's thread. */
    TELLS_READY = 32,
    /* Answers something else than a status. */
    NO_STATUS = 64
};

struct row {
    const char *name;
    allot_status (*call)(const union arg *a);
    allot_status sound;
    unsigned traits;
    /* What a second time answers, for ENDS. */
    allot_status again;
    void (*prepare)(struct side *side);
    struct param params[PARAMS_MAX];
};

/* ---- The functions -------------------------------------------------------------------------- */

#define P(at) a[at].pointer
#define N(at) a[at].number
#define N32(at) (uint32_t) a[at].number
#define CALL(name, ...)                                                                            \
    static allot_status call_##name(const union arg *a) { return name(__VA_ARGS__); }

static allot_status call_allot_status_text(const union arg *a) {
    const char *text = allot_status_text((allot_status)(uint32_t)N(0));
    return text != NULL && text[0] != 0 ? ALLOT_OK : ALLOT_ERROR_OTHER;
}
static allot_status call_allot_version(const union arg *a) {
    (void)a;
    return strcmp(allot_version(), ALLOT_VERSION) == 0 ? ALLOT_OK : ALLOT_ERROR_OTHER;
}
static allot_status call_allot_abi_version(const union arg *a) {
    (void)a;
    return allot_abi_version() == ALLOT_ABI_VERSION ? ALLOT_OK : ALLOT_ERROR_OTHER;
}
static allot_status call_allot_governor_free(const union arg *a) {
    allot_governor_free(P(0));
    return ALLOT_OK;
}
static allot_status call_allot_snapshot_free(const union arg *a) {
    allot_snapshot_free(P(0));
    return ALLOT_OK;
}
CALL(allot_governor_new, P(0), P(1))
CALL(allot_governor_new_toml, P(0), N(1), P(2), P(3))
CALL(allot_governor_retain, P(0))
CALL(allot_governor_check, P(0))
CALL(allot_governor_set_capacity, P(0), N(1))
CALL(allot_clock_now_ns, P(0), P(1))
CALL(allot_clock_advance_ns, P(0), N(1))
CALL(allot_group_register, P(0), P(1), P(2))
CALL(allot_group_update, P(0), N(1), P(2))
CALL(allot_group_unregister, P(0), N(1))
CALL(allot_group_find_name, P(0), P(1), N(2), P(3))
CALL(allot_tenant_register, P(0), P(1), P(2))
CALL(allot_tenant_update, P(0), N(1), P(2))
CALL(allot_tenant_get, P(0), N(1), P(2))
CALL(allot_tenant_unregister, P(0), N(1), N32(2))
CALL(allot_tenant_find, P(0), P(1), P(2))
CALL(allot_tenant_find_name, P(0), P(1), N(2), P(3))
CALL(allot_tenant_name, P(0), N(1), P(2), N(3), P(4))
CALL(allot_try_request, P(0), P(1), P(2), P(3))
CALL(allot_request, P(0), P(1), P(2), P(3))
CALL(allot_request_all, P(0), P(1), N(2), P(3), P(4))
CALL(allot_reserve, P(0), P(1), N(2), P(3), P(4))
CALL(allot_acquire, P(0), P(1), N(2), P(3), P(4))
CALL(allot_attainable, P(0), P(1), P(2))
CALL(allot_estimate_wait, P(0), P(1), P(2))
CALL(allot_grant_release, P(0), N(1), N(2))
CALL(allot_grant_grow, P(0), N(1), N(2), N(3), P(4))
CALL(allot_grant_grow_evicting, P(0), N(1), N(2), N(3), P(4))
CALL(allot_grant_shrink, P(0), N(1), N(2), N(3))
CALL(allot_grant_true_up, P(0), N(1), N(2), N(3), P(4))
CALL(allot_grant_touch, P(0), N(1), N(2))
CALL(allot_grant_pin, P(0), N(1), N(2))
CALL(allot_grant_unpin, P(0), N(1), N(2))
CALL(allot_grant_keep_alive, P(0), N(1), N(2), N(3))
CALL(allot_grant_commit, P(0), N(1), N(2))
CALL(allot_grant_decline, P(0), N(1), N(2))
CALL(allot_grant_bytes, P(0), N(1), N(2), P(3))
CALL(allot_enqueue, P(0), P(1), N(2), P(3), P(4), P(5))
CALL(allot_ticket_poll, P(0), N(1), P(2), P(3))
CALL(allot_ticket_wait, P(0), N(1), N(2), P(3), P(4))
CALL(allot_ticket_cancel, P(0), N(1))
CALL(allot_ticket_estimate, P(0), N(1), P(2))
CALL(allot_ticket_on_ready, P(0), N(1), a[2].ticket, P(3), a[4].drop)
CALL(allot_on_reclaim, P(0), N(1), a[2].reclaim, P(3), a[4].drop)
CALL(allot_tenant_on_reclaim, P(0), N(1), N(2), a[3].reclaim, P(4), a[5].drop)
CALL(allot_next_victim, P(0), P(1))
CALL(allot_on_pressure, P(0), a[1].pressure, P(2), a[3].drop)
CALL(allot_report_pressure, P(0), N32(1))
CALL(allot_pressure, P(0), P(1))
CALL(allot_report_measured, P(0), N(1), N(2))
CALL(allot_report_measured_process, P(0), N(1))
CALL(allot_balance, P(0), N32(1), P(2))
CALL(allot_tenant_usage, P(0), N(1), P(2))
CALL(allot_pool_usage, P(0), P(1))
CALL(allot_snapshot_take, P(0), P(1))
CALL(allot_snapshot_pool, P(0), P(1))
CALL(allot_snapshot_tenant, P(0), N(1), P(2))
CALL(allot_snapshot_tenant_name, P(0), N(1), P(2), N(3), P(4))
CALL(allot_snapshot_group_name, P(0), N(1), P(2), N(3), P(4))
CALL(allot_explain, P(0), P(1), P(2), P(3), N(4), P(5))
CALL(allot_events_read, P(0), P(1), P(2))
CALL(allot_error_message, P(0), N(1), P(2))

static void with_ticket(struct side *side);
static void with_answer(struct side *side);
static void with_victim(struct side *side);
static void with_reservation(struct side *side);
static void with_reference(struct side *side);
static void with_error(struct side *side);

#define GOVERNOR_ {.name = "governor", .kind = GOVERNOR, .align = 8}
#define SNAPSHOT_ {.name = "snapshot", .kind = SNAPSHOT, .align = 8}
#define TENANT_ {.name = "tenant", .kind = TENANT}
#define GROUP_ {.name = "group", .kind = GROUP}
#define GRANT_ {.name = "grant", .kind = GRANT}
#define TICKET_ {.name = "ticket", .kind = TICKET}
#define IN_(n, s) {.name = n, .kind = IN, .shape = s, .align = 8}
#define IN_FIXED(n, s) {.name = n, .kind = IN, .shape = s, .align = 8, .handle = ALLOT_ERROR_CONFIG}
#define IN_OPTIONAL(n, s) {.name = n, .kind = IN, .shape = s, .align = 8, .optional = 1}
#define OUT_(n, s) {.name = n, .kind = OUT, .shape = s, .align = 8}
#define OUT_OPTIONAL(n, s) {.name = n, .kind = OUT, .shape = s, .align = 8, .optional = 1}
#define DENIAL_ OUT_OPTIONAL("out_denial", DENIAL)
#define VALUE_(n) {.name = n, .kind = VALUE, .align = 8}
#define VALUE_OPTIONAL(n) {.name = n, .kind = VALUE, .align = 8, .optional = 1}
#define NUMBER_(n, ...) {.name = n, .kind = NUMBER, .numbers = {__VA_ARGS__}}
#define ENUM_(n, sound_, last_)                                                                    \
    {.name = n, .kind = ENUM, .numbers = {.sound = sound_}, .last = last_}
#define TEXT_(n) {.name = n, .kind = TEXT}
#define BUFFER_ {.name = "buffer", .kind = BUFFER}
#define BUFFER_SIZE(zero) NUMBER_("buffer_size", BUFFER_BYTES, zero, SAME, MAX - 1, SAME)
#define OUT_LENGTH VALUE_OPTIONAL("out_length")
#define NAME_LENGTH NUMBER_("name_length", 0, ALLOT_NONE, ALLOT_ERROR_TEXT, 256, ALLOT_ERROR_TEXT)
#define DROP_ {.name = "user_data", .kind = USER_DATA}, {.name = "drop_fn", .kind = DROP_FN}
#define TIME_(n) NUMBER_(n, 0, SAME, SAME, MAX - 1, SAME)
#define BY_BYTES                                                                                   \
    NUMBER_("by_bytes", 4096, ALLOT_ERROR_ZERO_BYTES, ALLOT_ERROR_TOO_LARGE, (1ull << 44) - 1,     \
            ALLOT_ERROR_TOO_LARGE)
#define PLACE NUMBER_("place", 1, SAME, ALLOT_NONE, 1ull << 32, ALLOT_NONE)
#define ROW(n) .name = #n, .call = call_##n

static const struct row ROWS[] = {
    {ROW(allot_status_text), .traits = NO_STATUS,
     .params = {NUMBER_("status", 0, SAME, SAME, 1ull << 31, SAME)}},
    {ROW(allot_version), .traits = NO_STATUS, .params = {{.kind = END}}},
    {ROW(allot_abi_version), .traits = NO_STATUS, .params = {{.kind = END}}},
    {ROW(allot_governor_new), .params = {IN_("config", CONFIG), VALUE_("out_governor")}},
    {ROW(allot_governor_new_toml),
     .params = {TEXT_("text"),
                NUMBER_("text_length", 0, ALLOT_ERROR_CONFIG, ALLOT_ERROR_TEXT, (16 << 20) + 1,
                        ALLOT_ERROR_TEXT),
                IN_OPTIONAL("config", CONFIG), VALUE_("out_governor")}},
    {ROW(allot_governor_retain), .params = {GOVERNOR_}},
    {ROW(allot_governor_free), .traits = NO_STATUS | GIVES_BACK | DROPS, .prepare = with_reference,
     .params = {GOVERNOR_}},
    {ROW(allot_governor_check), .params = {GOVERNOR_}},
    {ROW(allot_governor_set_capacity),
     .params = {GOVERNOR_, NUMBER_("capacity_bytes", 64 * MIB, ALLOT_ERROR_CONFIG,
                                   ALLOT_ERROR_CONFIG, 1ull << 48, ALLOT_ERROR_CONFIG)}},
    {ROW(allot_clock_now_ns), .params = {GOVERNOR_, VALUE_("out_now_ns")}},
    {ROW(allot_clock_advance_ns),
     .params = {GOVERNOR_, NUMBER_("by_ns", 1, SAME, SAME, MAX - 1, SAME)}},
    {ROW(allot_group_register),
     .params = {GOVERNOR_, IN_("config", GROUP_CONFIG), VALUE_("out_group")}},
    {ROW(allot_group_update), .params = {GOVERNOR_, GROUP_, IN_FIXED("config", GROUP_CONFIG)}},
    {ROW(allot_group_unregister), .traits = GIVES_BACK | ENDS, .again = ALLOT_ERROR_GONE,
     .params = {GOVERNOR_, GROUP_}},
    {ROW(allot_group_find_name),
     .params = {GOVERNOR_, TEXT_("name"), NAME_LENGTH, VALUE_("out_group")}},
    {ROW(allot_tenant_register), .traits = DROPS,
     .params = {GOVERNOR_, IN_("config", TENANT_CONFIG), VALUE_("out_tenant")}},
    {ROW(allot_tenant_update), .params = {GOVERNOR_, TENANT_, IN_FIXED("config", TENANT_CONFIG)}},
    {ROW(allot_tenant_get), .params = {GOVERNOR_, TENANT_, OUT_("out_config", TENANT_CONFIG)}},
    {ROW(allot_tenant_unregister), .traits = GIVES_BACK | ENDS | DROPS, .again = ALLOT_ERROR_GONE,
     .params = {GOVERNOR_, TENANT_, ENUM_("how", ALLOT_UNREGISTER_FORCE, 2)}},
    {ROW(allot_tenant_find),
     .params = {GOVERNOR_, {.name = "id", .kind = ID}, VALUE_("out_tenant")}},
    {ROW(allot_tenant_find_name),
     .params = {GOVERNOR_, TEXT_("name"), NAME_LENGTH, VALUE_("out_tenant")}},
    {ROW(allot_tenant_name),
     .params = {GOVERNOR_, TENANT_, BUFFER_, BUFFER_SIZE(ALLOT_TRUNCATED), OUT_LENGTH}},
    {ROW(allot_try_request),
     .params = {GOVERNOR_, IN_("request", REQUEST), VALUE_("out_grant"), DENIAL_}},
    {ROW(allot_request), .traits = RECLAIMS | TELLS,
     .params = {GOVERNOR_, IN_("request", REQUEST), VALUE_("out_grant"), DENIAL_}},
    {ROW(allot_request_all),
     .params = {GOVERNOR_,
                {.name = "requests", .kind = ALL_IN, .shape = REQUEST, .align = 8},
                NUMBER_("count", 1, SAME, ALLOT_ERROR_CONFIG, 65, ALLOT_ERROR_CONFIG),
                VALUE_("out_grants"),
                DENIAL_}},
    {ROW(allot_reserve), .traits = RECLAIMS | TELLS,
     .params = {GOVERNOR_, IN_("request", REQUEST), TIME_("ttl_ns"), VALUE_("out_grant"), DENIAL_}},
    {ROW(allot_acquire), .traits = RECLAIMS | TELLS,
     .params = {GOVERNOR_, IN_("request", REQUEST), TIME_("wait_ns_max"), VALUE_("out_grant"),
                DENIAL_}},
    {ROW(allot_attainable), .params = {GOVERNOR_, IN_("request", REQUEST), VALUE_("out_bytes")}},
    {ROW(allot_estimate_wait),
     .params = {GOVERNOR_, IN_("request", REQUEST), VALUE_("out_wait_ns")}},
    {ROW(allot_grant_release), .traits = GIVES_BACK | ENDS, .again = ALLOT_ERROR_STALE_GRANT,
     .params = {GOVERNOR_, TENANT_, GRANT_}},
    {ROW(allot_grant_grow), .params = {GOVERNOR_, TENANT_, GRANT_, BY_BYTES, DENIAL_}},
    {ROW(allot_grant_grow_evicting), .traits = RECLAIMS | TELLS,
     .params = {GOVERNOR_, TENANT_, GRANT_, BY_BYTES, DENIAL_}},
    {ROW(allot_grant_shrink), .traits = GIVES_BACK,
     .params = {GOVERNOR_, TENANT_, GRANT_,
                NUMBER_("by_bytes", 4096, ALLOT_ERROR_ZERO_BYTES, ALLOT_ERROR_SHRINK_TOO_MUCH, MIB,
                        ALLOT_ERROR_SHRINK_TOO_MUCH)}},
    {ROW(allot_grant_true_up),
     .params = {GOVERNOR_, TENANT_, GRANT_,
                NUMBER_("measured_bytes", 4096, ALLOT_ERROR_ZERO_BYTES, ALLOT_ERROR_TOO_LARGE,
                        1ull << 44, ALLOT_ERROR_TOO_LARGE),
                DENIAL_}},
    {ROW(allot_grant_touch), .params = {GOVERNOR_, TENANT_, GRANT_}},
    {ROW(allot_grant_pin), .params = {GOVERNOR_, TENANT_, GRANT_}},
    {ROW(allot_grant_unpin), .params = {GOVERNOR_, TENANT_, GRANT_}},
    {ROW(allot_grant_keep_alive), .params = {GOVERNOR_, TENANT_, GRANT_, TIME_("for_ns")}},
    {ROW(allot_grant_commit), .traits = ENDS, .again = ALLOT_ERROR_NOT_RESERVED,
     .prepare = with_reservation, .params = {GOVERNOR_, TENANT_, GRANT_}},
    {ROW(allot_grant_decline), .traits = ENDS, .again = ALLOT_ERROR_STALE_GRANT,
     .prepare = with_victim, .params = {GOVERNOR_, TENANT_, GRANT_}},
    {ROW(allot_grant_bytes), .params = {GOVERNOR_, TENANT_, GRANT_, VALUE_("out_bytes")}},
    {ROW(allot_enqueue), .traits = RECLAIMS | TELLS,
     .params = {GOVERNOR_, IN_("request", REQUEST), TIME_("wait_ns_max"), VALUE_("out_grant"),
                VALUE_("out_ticket"), DENIAL_}},
    {ROW(allot_ticket_poll), .sound = ALLOT_QUEUED, .traits = DROPS, .prepare = with_ticket,
     .params = {GOVERNOR_, TICKET_, VALUE_("out_grant"), DENIAL_}},
    {ROW(allot_ticket_wait), .traits = RECLAIMS | TELLS, .prepare = with_answer,
     .params = {GOVERNOR_, TICKET_, TIME_("timeout_ns"), VALUE_("out_grant"), DENIAL_}},
    {ROW(allot_ticket_cancel), .traits = GIVES_BACK | ENDS | DROPS,
     .again = ALLOT_ERROR_STALE_TICKET, .prepare = with_ticket, .params = {GOVERNOR_, TICKET_}},
    {ROW(allot_ticket_estimate), .prepare = with_ticket,
     .params = {GOVERNOR_, TICKET_, VALUE_("out_wait_ns")}},
    {ROW(allot_ticket_on_ready), .traits = DROPS | TELLS_READY, .prepare = with_ticket,
     .params = {GOVERNOR_, TICKET_, {.name = "function", .kind = TICKET_FN}, DROP_}},
    {ROW(allot_on_reclaim), .traits = DROPS,
     .params = {GOVERNOR_, TIME_("timeout_ns"),
                {.name = "function", .kind = RECLAIM_FN, .optional = 1}, DROP_}},
    {ROW(allot_tenant_on_reclaim), .traits = DROPS,
     .params = {GOVERNOR_, TENANT_, TIME_("timeout_ns"),
                {.name = "function", .kind = RECLAIM_FN, .optional = 1}, DROP_}},
    {ROW(allot_next_victim), .prepare = with_victim,
     .params = {GOVERNOR_, OUT_("out_victim", VICTIM)}},
    {ROW(allot_on_pressure), .traits = DROPS,
     .params = {GOVERNOR_, {.name = "function", .kind = PRESSURE_FN, .optional = 1}, DROP_}},
    {ROW(allot_report_pressure), .traits = TELLS,
     .params = {GOVERNOR_, ENUM_("level", ALLOT_PRESSURE_HIGH, 2)}},
    {ROW(allot_pressure),
     .params = {GOVERNOR_, {.name = "out_level", .kind = VALUE, .align = 4}}},
    {ROW(allot_report_measured),
     .params = {GOVERNOR_, TENANT_, NUMBER_("bytes", MIB, SAME, SAME, MAX - 1, SAME)}},
    {ROW(allot_report_measured_process), .traits = TELLS,
     .params = {GOVERNOR_, NUMBER_("bytes", MIB, SAME, SAME, MAX - 1, SAME)}},
    {ROW(allot_balance), .traits = RECLAIMS | TELLS,
     .params = {GOVERNOR_, ENUM_("evicts", 1, 1), OUT_OPTIONAL("out_report", REPORT)}},
    {ROW(allot_tenant_usage), .params = {GOVERNOR_, TENANT_, OUT_("out_usage", USAGE)}},
    {ROW(allot_pool_usage), .params = {GOVERNOR_, OUT_("out_pool", POOL)}},
    {ROW(allot_snapshot_take), .params = {GOVERNOR_, VALUE_("out_snapshot")}},
    {ROW(allot_snapshot_free), .traits = NO_STATUS, .params = {SNAPSHOT_}},
    {ROW(allot_snapshot_pool), .params = {SNAPSHOT_, OUT_("out_pool", POOL)}},
    {ROW(allot_snapshot_tenant), .params = {SNAPSHOT_, PLACE, OUT_("out_usage", USAGE)}},
    {ROW(allot_snapshot_tenant_name),
     .params = {SNAPSHOT_, PLACE, BUFFER_, BUFFER_SIZE(ALLOT_TRUNCATED), OUT_LENGTH}},
    {ROW(allot_snapshot_group_name),
     .params = {SNAPSHOT_, PLACE, BUFFER_, BUFFER_SIZE(ALLOT_TRUNCATED), OUT_LENGTH}},
    {ROW(allot_explain),
     .params = {GOVERNOR_, IN_("request", REQUEST), OUT_OPTIONAL("out_explanation", EXPLANATION),
                BUFFER_, BUFFER_SIZE(ALLOT_TRUNCATED), OUT_LENGTH}},
    {ROW(allot_events_read),
     .params = {GOVERNOR_, {.name = "reader", .kind = INOUT, .shape = READER, .align = 8},
                OUT_("out_event", EVENT)}},
    {ROW(allot_error_message), .prepare = with_error,
     .params = {BUFFER_, BUFFER_SIZE(ALLOT_TRUNCATED), OUT_LENGTH}},
};
#define ROWS_COUNT (sizeof ROWS / sizeof ROWS[0])

/* ---- The structs ---------------------------------------------------------------------------- */

#define FIELD(type, field, k, ...)                                                                 \
    {.name = #field, .offset = offsetof(type, field), .width = sizeof(((type *)0)->field),         \
     .kind = k, .numbers = {0, __VA_ARGS__}}
#define CHOICE(type, field, last_)                                                                 \
    {.name = #field, .offset = offsetof(type, field), .width = 4, .kind = ENUM, .last = last_}
#define LINK(type, field, k)                                                                       \
    {.name = #field, .offset = offsetof(type, field), .width = 8, .kind = k}
#define SETTING(field, zero, max) FIELD(allot_config, field, NUMBER, zero, max, MAX - 1, max)
#define OUTSIDE ALLOT_ERROR_CONFIG

static const struct field CONFIG_FIELDS[] = {
    SETTING(tenants_max, OUTSIDE, OUTSIDE),
    FIELD(allot_config, capacity_bytes, NUMBER, OUTSIDE, OUTSIDE, 1ull << 48, OUTSIDE),
    SETTING(groups_max, SAME, OUTSIDE),
    SETTING(grants_max, OUTSIDE, OUTSIDE),
    SETTING(ghost_keys_max, SAME, OUTSIDE),
    SETTING(events_max, SAME, OUTSIDE),
    SETTING(waiters_max, SAME, OUTSIDE),
    SETTING(victims_max, OUTSIDE, SAME),
    SETTING(patience_ns, SAME, SAME),
    SETTING(quantum_bytes, SAME, OUTSIDE),
    SETTING(headroom_bytes, SAME, OUTSIDE),
    SETTING(busy_cooldown_ns, SAME, SAME),
    SETTING(promise_ns, OUTSIDE, SAME),
    SETTING(freed_shows_ns, SAME, SAME),
    SETTING(idle_claim_ns, SAME, SAME),
    SETTING(inactive_limit_ns, SAME, SAME),
    CHOICE(allot_config, pool_pressure, 1),
    SETTING(warning_percent, OUTSIDE, OUTSIDE),
    SETTING(high_percent, OUTSIDE, OUTSIDE),
    FIELD(allot_config, critical_percent, NUMBER, OUTSIDE, OUTSIDE, 256 + 95, OUTSIDE),
    SETTING(hysteresis_percent, SAME, OUTSIDE),
    SETTING(high_relief_percent, SAME, OUTSIDE),
    SETTING(critical_relief_percent, SAME, OUTSIDE),
    CHOICE(allot_config, clock, ALLOT_CLOCK_MANUAL),
    {.kind = END},
};
static const struct field GROUP_FIELDS[] = {
    FIELD(allot_group_config, reserved, NUMBER, SAME, ALLOT_ERROR_NEWER, 1, ALLOT_ERROR_NEWER),
    LINK(allot_group_config, name, TEXT),
    FIELD(allot_group_config, name_length, NUMBER, SAME, ALLOT_ERROR_TEXT, 256, ALLOT_ERROR_TEXT),
    LINK(allot_group_config, parent, GROUP),
    FIELD(allot_group_config, guarantee_bytes, NUMBER, SAME, OUTSIDE, (1ull << 48) - 1,
          ALLOT_ERROR_GUARANTEES_EXCEED),
    FIELD(allot_group_config, limit_bytes, NUMBER, OUTSIDE, SAME, MAX - 1, OUTSIDE),
    {.kind = END},
};
static const struct field TENANT_FIELDS[] = {
    CHOICE(allot_tenant_config, priority, ALLOT_PRIORITY_CRITICAL),
    LINK(allot_tenant_config, name, TEXT),
    FIELD(allot_tenant_config, name_length, NUMBER, SAME, ALLOT_ERROR_TEXT, 256, ALLOT_ERROR_TEXT),
    LINK(allot_tenant_config, parent, GROUP),
    FIELD(allot_tenant_config, guarantee_bytes, NUMBER, SAME, OUTSIDE, (1ull << 48) - 1,
          ALLOT_ERROR_GUARANTEES_EXCEED),
    FIELD(allot_tenant_config, limit_bytes, NUMBER, OUTSIDE, SAME, MAX - 1, OUTSIDE),
    FIELD(allot_tenant_config, burst_bytes, NUMBER, OUTSIDE, SAME, MAX - 1, OUTSIDE),
    CHOICE(allot_tenant_config, isolation, ALLOT_ISOLATION_HARD),
    CHOICE(allot_tenant_config, policy, ALLOT_POLICY_HYBRID),
    FIELD(allot_tenant_config, grants_max[0], NUMBER, SAME, SAME, MAX - 1, SAME),
    FIELD(allot_tenant_config, grants_max[3], NUMBER, SAME, SAME, MAX - 1, SAME),
    FIELD(allot_tenant_config, rate_interval_ns, NUMBER, SAME, SAME, MAX - 1, SAME),
    FIELD(allot_tenant_config, rate_bucket_depth, NUMBER, OUTSIDE, OUTSIDE, 1ull << 63, OUTSIDE),
    {.kind = END},
};
static const struct field REQUEST_FIELDS[] = {
    CHOICE(allot_request_spec, allocation_type, ALLOT_BACKGROUND),
    LINK(allot_request_spec, tenant, TENANT),
    FIELD(allot_request_spec, bytes, NUMBER, ALLOT_ERROR_ZERO_BYTES, ALLOT_ERROR_TOO_LARGE,
          1ull << 44, ALLOT_ERROR_TOO_LARGE),
    FIELD(allot_request_spec, key, NUMBER, SAME, SAME, MAX - 1, SAME),
    FIELD(allot_request_spec, cookie, NUMBER, SAME, SAME, MAX - 1, SAME),
    FIELD(allot_request_spec, ttl_ns, NUMBER, SAME, SAME, MAX - 1, SAME),
    FIELD(allot_request_spec, cost, NUMBER, SAME, SAME, MAX - 1, SAME),
    CHOICE(allot_request_spec, flags, ALLOT_REQUEST_EVICTABLE | ALLOT_REQUEST_PINNED),
    {.kind = END},
};
static const struct field READER_FIELDS[] = {
    FIELD(allot_event_reader, reserved, NUMBER, SAME, ALLOT_ERROR_NEWER, 1, ALLOT_ERROR_NEWER),
    FIELD(allot_event_reader, position, NUMBER, SAME, ALLOT_NONE, MAX - 1, ALLOT_NONE),
    FIELD(allot_event_reader, lost, NUMBER, SAME, SAME, MAX - 1, SAME),
    FIELD(allot_event_reader, lost_now, NUMBER, SAME, SAME, MAX - 1, SAME),
    {.kind = END},
};

static const struct {
    size_t size;
    const struct field *fields;
} SHAPES[] = {
    [CONFIG] = {sizeof(allot_config), CONFIG_FIELDS},
    [GROUP_CONFIG] = {sizeof(allot_group_config), GROUP_FIELDS},
    [TENANT_CONFIG] = {sizeof(allot_tenant_config), TENANT_FIELDS},
    [REQUEST] = {sizeof(allot_request_spec), REQUEST_FIELDS},
    [DENIAL] = {sizeof(allot_denial), NULL},
    [VICTIM] = {sizeof(allot_victim), NULL},
    [REPORT] = {sizeof(allot_balance_report), NULL},
    [USAGE] = {sizeof(allot_usage), NULL},
    [POOL] = {sizeof(allot_pool), NULL},
    [EXPLANATION] = {sizeof(allot_explanation), NULL},
    [READER] = {sizeof(allot_event_reader), READER_FIELDS},
    [EVENT] = {sizeof(allot_event), NULL},
};

/* ---- What is counted ------------------------------------------------------------------------ */

static unsigned long cells, tried, not_applicable, missing, failed, cases;
/* What the cell at hand is called, and how it does. */
static const char *in_row = "-", *in_class = "-";
static unsigned cell_cases, cell_failures;

static void fail(const char *what, const char *expected, const char *seen) {
    cell_failures++;
    fprintf(stdout, "failed: %s, %s: %s: expected %s, seen %s\n", in_row, in_class, what, expected,
            seen);
    fflush(stdout);
}

static void expect(const char *what, int right, const char *expected) {
    cell_cases++;
    if (!right) {
        fail(what, expected, "otherwise");
    }
}

/* A call that prepares a case and cannot fail. */
static void must_at(allot_status status, allot_status expected, int line) {
    if (status != expected) {
        char message[256] = "";
        allot_error_message(message, sizeof message, NULL);
        printf("%s, %s: line %d: expected %d, seen %d: %s (%s)\n", in_row, in_class, line, expected,
               status, allot_status_text(status), message);
        exit(2);
    }
}
#define must(call) must_at(call, ALLOT_OK, __LINE__)
#define must_be(call, expected) must_at(call, expected, __LINE__)

/* ---- The caller's functions ----------------------------------------------------------------- */

/* What becomes of user_data, for the tests that count. Changed by any thread. */
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static unsigned drops, calls;

static void count(unsigned *counter) {
    pthread_mutex_lock(&counting);
    (*counter)++;
    pthread_mutex_unlock(&counting);
}
static unsigned counted(const unsigned *counter) {
    pthread_mutex_lock(&counting);
    unsigned seen = *counter;
    pthread_mutex_unlock(&counting);
    return seen;
}
static void count_from_zero(void) {
    pthread_mutex_lock(&counting);
    drops = calls = 0;
    pthread_mutex_unlock(&counting);
}
/* Waits for a thread of the library's, for long enough that only a fault takes longer. */
static int comes_to(const unsigned *counter, unsigned at_least) {
    const struct timespec moment = {0, 1000000};
    for (int turn = 0; turn < 20000; turn++) {
        if (counted(counter) >= at_least) {
            return 1;
        }
        nanosleep(&moment, NULL);
    }
    return 0;
}

static void plain_drop(void *user_data) {
    (void)user_data;
    count(&drops);
}
static allot_reclaim_answer plain_reclaim(allot_governor *governor, const allot_victim *victim,
                                          void *user_data) {
    (void)governor, (void)victim, (void)user_data;
    return ALLOT_RECLAIM_BUSY;
}
static void plain_pressure(allot_governor *governor, allot_pressure_level level, void *user_data) {
    (void)governor, (void)level, (void)user_data;
}
static void plain_ticket(allot_governor *governor, allot_ticket ticket, void *user_data) {
    (void)governor, (void)ticket, (void)user_data;
}

/* ---- The world of a case -------------------------------------------------------------------- */

static allot_request_spec request_of(allot_tenant tenant, allot_allocation_type type,
                                     uint64_t bytes) {
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;
    request.tenant = tenant;
    request.allocation_type = type;
    request.bytes = bytes;
    return request;
}

static allot_config small_config(uint64_t capacity_bytes) {
    allot_config config = ALLOT_CONFIG_INIT;
    config.capacity_bytes = capacity_bytes;
    config.tenants_max = 8;
    config.groups_max = 8;
    config.grants_max = 2048;
    config.ghost_keys_max = 0;
    config.events_max = 1024;
    config.waiters_max = 16;
    config.quantum_bytes = 0;
    config.pool_pressure = 0;
    config.clock = ALLOT_CLOCK_MANUAL;
    return config;
}

static allot_tenant register_one(allot_governor *governor, const char *name, allot_group parent,
                                 uint64_t limit_bytes) {
    allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
    allot_tenant tenant;
    config.name = name;
    config.name_length = strlen(name);
    config.parent = parent;
    config.limit_bytes = limit_bytes;
    config.isolation = ALLOT_ISOLATION_HARD;
    must(allot_tenant_register(governor, &config, &tenant));
    return tenant;
}

static allot_group group_one(allot_governor *governor, const char *name) {
    allot_group_config config = ALLOT_GROUP_CONFIG_INIT;
    allot_group group;
    config.name = name;
    config.name_length = strlen(name);
    must(allot_group_register(governor, &config, &group));
    return group;
}

static allot_grant grant_one(allot_governor *governor, allot_tenant tenant,
                             allot_allocation_type type, uint64_t bytes) {
    const allot_request_spec request = request_of(tenant, type, bytes);
    allot_grant grant;
    must(allot_try_request(governor, &request, &grant, NULL));
    return grant;
}

/* A request of all that a tenant may have: it waits for the grant that the tenant holds. */
static allot_ticket ticket_one(allot_governor *governor, allot_tenant tenant) {
    const allot_request_spec request = request_of(tenant, ALLOT_INFERENCE, 32 * MIB);
    allot_grant grant;
    allot_ticket ticket;
    must_be(allot_enqueue(governor, &request, MAX, &grant, &ticket, NULL), ALLOT_QUEUED);
    return ticket;
}

static void side_begin(struct side *side) {
    const allot_config config = small_config(64 * MIB);
    memset(side, 0, sizeof *side);
    must(allot_governor_new(&config, &side->governor));
    side->references = 1;
    allot_governor *governor = side->governor;
    side->group = group_one(governor, "empty");
    side->group_gone = group_one(governor, "gone");
    must(allot_group_unregister(governor, side->group_gone));
    side->tenant = register_one(governor, "one", 0, 32 * MIB);
    side->other = register_one(governor, "other", group_one(governor, "group"), ALLOT_UNLIMITED);
    side->gone = register_one(governor, "gone", 0, ALLOT_UNLIMITED);
    must(allot_tenant_unregister(governor, side->gone, ALLOT_UNREGISTER_IF_IDLE));
    side->grant_gone = grant_one(governor, side->tenant, ALLOT_INFERENCE, MIB);
    side->grant = grant_one(governor, side->tenant, ALLOT_INFERENCE, MIB);
    side->grant_other = grant_one(governor, side->other, ALLOT_INFERENCE, MIB);
    must(allot_grant_release(governor, side->tenant, side->grant_gone));
    must(allot_grant_pin(governor, side->tenant, side->grant));
    must(allot_snapshot_take(governor, &side->snapshot));
}

static void with_ticket(struct side *side) {
    side->ticket_gone = ticket_one(side->governor, side->tenant);
    must(allot_ticket_cancel(side->governor, side->ticket_gone));
    side->ticket = ticket_one(side->governor, side->tenant);
}

static void with_answer(struct side *side) {
    with_ticket(side);
    must(allot_grant_release(side->governor, side->tenant, side->grant));
}

/* The grant is a victim that waits to be polled. */
static void with_victim(struct side *side) {
    const allot_request_spec request = request_of(side->tenant, ALLOT_INFERENCE, MIB);
    allot_grant grant;
    must(allot_grant_release(side->governor, side->tenant, side->grant));
    side->grant = grant_one(side->governor, side->tenant, ALLOT_CACHE, 32 * MIB);
    must_be(allot_request(side->governor, &request, &grant, NULL), ALLOT_DENIED);
}

static void with_reservation(struct side *side) {
    const allot_request_spec request = request_of(side->tenant, ALLOT_INFERENCE, MIB);
    must(allot_reserve(side->governor, &request, 1000000000, &side->grant, NULL));
}

static void with_reference(struct side *side) {
    must(allot_governor_retain(side->governor));
    side->references++;
}

/* There is a message to be told. */
static void with_error(struct side *side) {
    (void)side;
    must_be(allot_governor_retain(NULL), ALLOT_ERROR_NULL);
}

static void side_end(struct side *side) {
    allot_snapshot_free(side->snapshot);
    if (side->references == 0) {
        return;
    }
    /* Nothing is left to be told of on standard error. */
    allot_tenant_unregister(side->governor, side->tenant, ALLOT_UNREGISTER_FORCE);
    allot_tenant_unregister(side->governor, side->other, ALLOT_UNREGISTER_FORCE);
    for (; side->references > 0; side->references--) {
        allot_governor_free(side->governor);
    }
}

static uint64_t mix(uint64_t digest, const void *bytes, size_t size) {
    const unsigned char *byte = bytes;
    for (size_t at = 0; at < size; at++) {
        digest = (digest ^ byte[at]) * 0x100000001b3ull;
    }
    return digest;
}

/* Everything that can be seen of a governor, and how much has happened in it. */
static uint64_t digest_of(const struct side *side) {
    uint64_t digest = 0xcbf29ce484222325ull;
    allot_snapshot *snapshot;
    allot_pool pool = ALLOT_POOL_INIT;
    allot_event_reader reader = ALLOT_EVENT_READER_INIT;
    allot_event event = ALLOT_EVENT_INIT;
    allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
    if (allot_governor_check(side->governor) != ALLOT_OK) {
        return 0;
    }
    must(allot_snapshot_take(side->governor, &snapshot));
    must(allot_snapshot_pool(snapshot, &pool));
    digest = mix(digest, &pool, sizeof pool);
    for (uint64_t place = 0; place < pool.tenants; place++) {
        allot_usage usage = ALLOT_USAGE_INIT;
        char name[256], group[256];
        uint64_t length;
        must(allot_snapshot_tenant(snapshot, place, &usage));
        must(allot_snapshot_tenant_name(snapshot, place, name, sizeof name, &length));
        digest = mix(mix(digest, &usage, sizeof usage), name, length);
        must(allot_snapshot_group_name(snapshot, place, group, sizeof group, &length));
        digest = mix(digest, group, length);
    }
    allot_snapshot_free(snapshot);
    const allot_tenant tenants[] = {side->tenant, side->other};
    for (size_t at = 0; at < 2; at++) {
        const allot_status status = allot_tenant_get(side->governor, tenants[at], &config);
        digest = mix(mix(digest, &status, sizeof status), &config, sizeof config);
    }
    while (allot_events_read(side->governor, &reader, &event) != ALLOT_NONE) {
    }
    return mix(digest, &reader.position, sizeof reader.position);
}

/* ---- A call with sound arguments ------------------------------------------------------------ */

struct place {
    unsigned char *bytes, *before;
    size_t size;
};

struct call {
    const struct row *row;
    struct world *world;
    union arg args[PARAMS_MAX];
    struct place places[PARAMS_MAX];
    /* Names that structs point to. */
    char *names[PARAMS_MAX];
    uint64_t digest[2];
};

static int params_of(const struct row *row) {
    int params = 0;
    while (params < PARAMS_MAX && row->params[params].kind != END) {
        params++;
    }
    return params;
}

static void *place_of(struct call *call, int at, size_t size) {
    struct place *place = &call->places[at];
    free(place->bytes);
    place->bytes = malloc(size);
    place->size = size;
    memset(place->bytes, PATTERN, size);
    return call->args[at].pointer = place->bytes;
}

static char *copy_of(const char *text) {
    char *copy = malloc(strlen(text));
    return memcpy(copy, text, strlen(text));
}

static void struct_in(struct call *call, int at, void *to) {
    const struct side *here = &call->world->here;
    const int updates = call->row->params[at].handle == ALLOT_ERROR_CONFIG;
    free(call->names[at]);
    call->names[at] = copy_of("new");
    switch (call->row->params[at].shape) {
    case CONFIG: {
        const allot_config config = small_config(64 * MIB);
        memcpy(to, &config, sizeof config);
        break;
    }
    case GROUP_CONFIG: {
        allot_group_config config = ALLOT_GROUP_CONFIG_INIT;
        config.name = call->names[at];
        config.name_length = 3;
        memcpy(to, &config, sizeof config);
        break;
    }
    case TENANT_CONFIG: {
        allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
        config.name = call->names[at];
        config.name_length = 3;
        config.rate_interval_ns = 1;
        /* The id of an update has to be the old one. */
        config.id[0] = updates ? 0 : 1;
        memcpy(to, &config, sizeof config);
        break;
    }
    case REQUEST: {
        const allot_request_spec request = request_of(here->tenant, ALLOT_INFERENCE, 4096);
        memcpy(to, &request, sizeof request);
        break;
    }
    case READER: {
        const allot_event_reader reader = ALLOT_EVENT_READER_INIT;
        memcpy(to, &reader, sizeof reader);
        break;
    }
    default:
        abort();
    }
}

static const char *text_for(const struct row *row) {
    if (row->call == call_allot_governor_new_toml) {
        return "capacity = \"64MiB\"\n";
    }
    return row->call == call_allot_group_find_name ? "group" : "one";
}

static void fill(struct call *call, int at) {
    const struct param *param = &call->row->params[at];
    const struct side *here = &call->world->here;
    union arg *arg = &call->args[at];
    arg->number = param->numbers.sound;
    switch (param->kind) {
    case GOVERNOR: arg->pointer = here->governor; break;
    case SNAPSHOT: arg->pointer = here->snapshot; break;
    case TENANT: arg->number = here->tenant; break;
    case GROUP: arg->number = here->group; break;
    case GRANT: arg->number = here->grant; break;
    case TICKET: arg->number = here->ticket; break;
    case IN:
    case ALL_IN:
    case INOUT: struct_in(call, at, place_of(call, at, SHAPES[param->shape].size)); break;
    case OUT: {
        const uint32_t size = (uint32_t)SHAPES[param->shape].size;
        memcpy(place_of(call, at, size), &size, sizeof size);
        break;
    }
    case VALUE: place_of(call, at, 2 * sizeof(uint64_t)); break;
    case TEXT: {
        const char *text = text_for(call->row);
        memcpy(place_of(call, at, strlen(text)), text, strlen(text));
        break;
    }
    case ID: {
        allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
        allot_tenant_get(here->governor, here->tenant, &config);
        memcpy(place_of(call, at, 16), config.id, 16);
        break;
    }
    case BUFFER: place_of(call, at, BUFFER_BYTES); break;
    case RECLAIM_FN: arg->reclaim = plain_reclaim; break;
    case PRESSURE_FN: arg->pressure = plain_pressure; break;
    case TICKET_FN: arg->ticket = plain_ticket; break;
    case USER_DATA: arg->pointer = &drops; break;
    case DROP_FN: arg->drop = plain_drop; break;
    case NUMBER:
        if (at > 0 && call->row->params[at - 1].kind == TEXT) {
            arg->number = strlen(text_for(call->row));
        }
        break;
    default: break;
    }
}

static void call_begin(struct call *call, const struct row *row, struct world *world) {
    memset(call, 0, sizeof *call);
    call->row = row;
    call->world = world;
    for (int at = 0; at < params_of(row); at++) {
        fill(call, at);
    }
}

/* Calls, and keeps what was answered as the caller would. */
static allot_status call_now(struct call *call) {
    const struct row *row = call->row;
    struct side *here = &call->world->here;
    const allot_status status = row->call(call->args);
    if (row->call == call_allot_governor_free && call->args[0].pointer == here->governor) {
        here->references--;
    }
    if (row->call == call_allot_governor_retain && status == ALLOT_OK) {
        here->references++;
    }
    if (row->call == call_allot_snapshot_free && call->args[0].pointer == here->snapshot) {
        here->snapshot = NULL;
    }
    return status;
}

static void call_end(struct call *call, allot_status status) {
    const struct row *row = call->row;
    const int last = params_of(row) - 1;
    void *made = NULL;
    if (status == ALLOT_OK && last >= 0 && row->params[last].kind == VALUE &&
        call->places[last].bytes != NULL) {
        memcpy(&made, call->places[last].bytes, sizeof made);
        if (row->call == call_allot_governor_new || row->call == call_allot_governor_new_toml) {
            allot_governor_free(made);
        }
        if (row->call == call_allot_snapshot_take) {
            allot_snapshot_free(made);
        }
    }
    for (int at = 0; at < PARAMS_MAX; at++) {
        free(call->places[at].bytes);
        free(call->places[at].before);
        free(call->names[at]);
    }
}

/* ---- A case --------------------------------------------------------------------------------- */

struct test {
    struct world world;
    struct call call;
};

static void test_begin(struct test *test, const struct row *row) {
    side_begin(&test->world.here);
    side_begin(&test->world.there);
    if (row->prepare != NULL) {
        row->prepare(&test->world.here);
        row->prepare(&test->world.there);
    }
    call_begin(&test->call, row, &test->world);
    count_from_zero();
}

static int is_known(allot_status status) {
    return strcmp(allot_status_text(status), allot_status_text(12345)) != 0;
}

static int is_of_handle(allot_status status) {
    return status == ALLOT_ERROR_FOREIGN || status == ALLOT_ERROR_GONE ||
           status == ALLOT_ERROR_STALE_GRANT || status == ALLOT_ERROR_NOT_YOURS ||
           status == ALLOT_ERROR_STALE_TICKET;
}

static int is_expected(const struct row *row, allot_status status, int expected) {
    if (row->traits & NO_STATUS) {
        return status == ALLOT_OK;
    }
    switch (expected) {
    case SAME: return status == row->sound;
    case SETUP: return status == row->sound || status == ALLOT_ERROR_CONFIG;
    case HANDLE: return is_of_handle(status);
    default: return status == expected;
    }
}

static const char *text_of(const struct row *row, int expected, char *text, size_t size) {
    const int number = expected == SAME ? row->sound : expected;
    if (expected == HANDLE) {
        return "an error of a handle";
    }
    snprintf(text, size, "%d (%s)", number, allot_status_text(number));
    return text;
}

static int is_written(const struct call *call, int at) {
    const struct place *place = &call->places[at];
    return place->before != NULL && memcmp(place->bytes, place->before, place->size) != 0;
}

/* After an error nothing is written, after an answer nothing of a struct beyond its fields. */
static void check_places(const struct call *call, const char *what, allot_status status) {
    for (int at = 0; at < params_of(call->row); at++) {
        const struct param *param = &call->row->params[at];
        const struct place *place = &call->places[at];
        const int reads_only = param->kind == IN || param->kind == ALL_IN || param->kind == TEXT;
        char told[200];
        snprintf(told, sizeof told, "%s: %s", what, param->name);
        if ((status < 0 || reads_only) && is_written(call, at)) {
            fail(told, "to be as it was", "written");
        }
        if (param->kind != OUT || place->before == NULL || status < 0) {
            continue;
        }
        if (memcmp(place->bytes, place->before, sizeof(uint32_t)) != 0) {
            fail(told, "its struct_size", "another");
        }
        for (size_t byte = SHAPES[param->shape].size; byte < place->size; byte++) {
            if (place->bytes[byte] != place->before[byte]) {
                fail(told, "a tail as it was", "written");
                break;
            }
        }
    }
}

/* Whoever took user_data lets it go once, and nobody else: by the end of what the library's thread
 * is just telling, which may be after the governor was given back. */
static void check_drops(const struct call *call, const char *what, allot_status status) {
    const int last = params_of(call->row) - 1;
    if (last < 0 || call->row->params[last].kind != DROP_FN) {
        return;
    }
    const unsigned expected = status >= 0 && call->args[last].drop != NULL;
    if (!comes_to(&drops, expected) || counted(&drops) != expected) {
        char seen[32];
        snprintf(seen, sizeof seen, "%u", counted(&drops));
        fail(what, expected ? "drop_fn to be called once" : "drop_fn not to be called", seen);
    }
}

/* Calls, and looks at all there is to be seen. */
static void test_end(struct test *test, const char *what, int expected) {
    struct call *call = &test->call;
    const int params = params_of(call->row);
    char told[200], wanted[120], seen[120];
    for (int at = 0; at < params; at++) {
        struct place *place = &call->places[at];
        if (place->bytes != NULL) {
            place->before = malloc(place->size);
            memcpy(place->before, place->bytes, place->size);
        }
    }
    call->digest[0] = digest_of(&test->world.here);
    call->digest[1] = digest_of(&test->world.there);
    const allot_status status = call_now(call);
    cell_cases++;
    if (!is_expected(call->row, status, expected)) {
        fail(what, text_of(call->row, expected, wanted, sizeof wanted),
             text_of(call->row, status, seen, sizeof seen));
    }
    check_places(call, what, status);
    snprintf(told, sizeof told, "%s: a governor", what);
    const int nothing = status < 0 || (call->row->traits & NO_STATUS);
    if (nothing && call->digest[0] != digest_of(&test->world.here)) {
        fail(told, "to be as it was", "changed");
    }
    if (call->digest[1] != digest_of(&test->world.there)) {
        fail(told, "the other one to be as it was", "changed");
    }
    side_end(&test->world.here);
    side_end(&test->world.there);
    check_drops(call, what, status);
    call_end(call, status);
}

/* ---- The classes ---------------------------------------------------------------------------- */

/* Why a class has no case for a function. */
static const char NO_POINTER[] = "no pointer";
static const char NOTHING_ALIGNED[] = "no pointer that has to be aligned";
static const char NO_HANDLE[] = "no handle";
static const char NO_GRANT[] = "no grant";
static const char ENDS_NOTHING[] = "ends nothing by a number";
static const char NO_NUMBER[] = "no number";
static const char NO_STRUCT[] = "no struct";
static const char NO_ENUM[] = "no enumeration";
static const char NO_TEXT[] = "no text";
static const char NO_CALLBACK[] = "no function of the caller's runs in it";
static const char NO_GOVERNOR[] = "no governor";

static int is_handle(enum kind kind) {
    return kind == TENANT || kind == GROUP || kind == GRANT || kind == TICKET;
}
static int is_struct(enum kind kind) {
    return kind == IN || kind == ALL_IN || kind == OUT || kind == INOUT;
}
static int is_read(enum kind kind) { return kind == IN || kind == ALL_IN || kind == INOUT; }
static int is_function(enum kind kind) {
    return kind == RECLAIM_FN || kind == PRESSURE_FN || kind == TICKET_FN;
}

static void set_field(struct test *test, int at, const struct field *field, uint64_t value) {
    unsigned char *to = test->call.places[at].bytes + field->offset;
    if (field->width == 4) {
        const uint32_t narrow = (uint32_t)value;
        memcpy(to, &narrow, sizeof narrow);
    } else {
        memcpy(to, &value, sizeof value);
    }
}

/* What a case is called: the parameter, the field, and what is wrong with it. */
static const char *named(const char *param, const char *field, const char *how) {
    static char name[200];
    snprintf(name, sizeof name, "%s%s%s %s", param, field[0] != 0 ? "." : "", field, how);
    return name;
}

static const char *null_pointer(const struct row *row) {
    for (int at = 0; at < params_of(row); at++) {
        const struct param *param = &row->params[at];
        const int buffer = param->kind == BUFFER || param->kind == TEXT || param->kind == ID;
        const int required = !param->optional && param->kind != USER_DATA && param->kind != DROP_FN;
        struct test test;
        if (param->align == 0 && !buffer && required && !is_function(param->kind)) {
            continue;
        }
        test_begin(&test, row);
        if (is_function(param->kind) || param->kind == DROP_FN) {
            test.call.args[at].reclaim = NULL;
            test.call.args[at].drop = NULL;
        } else {
            test.call.args[at].pointer = NULL;
        }
        test_end(&test, named(param->name, "", "NULL"), required ? ALLOT_ERROR_NULL : SAME);
        if (buffer && at + 1 < params_of(row) && row->params[at + 1].kind == NUMBER) {
            /* None of no size is none at all. */
            test_begin(&test, row);
            test.call.args[at].pointer = NULL;
            test.call.args[at + 1].number = 0;
            test_end(&test, named(param->name, "", "NULL of size 0"),
                     row->params[at + 1].numbers.zero);
        }
        if (is_read(param->kind) && param->shape != CONFIG && param->shape != REQUEST &&
            param->shape != READER) {
            const struct field *field = SHAPES[param->shape].fields;
            while (field->kind != TEXT) {
                field++;
            }
            test_begin(&test, row);
            set_field(&test, at, field, 0);
            test_end(&test, named(param->name, field->name, "NULL"), ALLOT_ERROR_NULL);
        }
    }
    return cell_cases > 0 ? NULL : NO_POINTER;
}

static const char *misaligned_pointer(const struct row *row) {
    for (int at = 0; at < params_of(row); at++) {
        const struct param *param = &row->params[at];
        for (size_t by = 1; by < param->align; by *= 2) {
            struct test test;
            test_begin(&test, row);
            test.call.args[at].pointer = (char *)test.call.args[at].pointer + by;
            test_end(&test, named(param->name, "", "misaligned"), ALLOT_ERROR_MISALIGNED);
        }
    }
    return cell_cases > 0 ? NULL : NOTHING_ALIGNED;
}

/* A handle of a kind that cannot be used: one that is gone, or another governor's. */
static uint64_t handle_of(const struct side *side, enum kind kind, int gone) {
    switch (kind) {
    case TENANT: return gone ? side->gone : side->tenant;
    case GROUP: return gone ? side->group_gone : side->group;
    case GRANT: return gone ? side->grant_gone : side->grant;
    default: return gone ? side->ticket_gone : side->ticket;
    }
}

static int gone_answer(enum kind kind) {
    switch (kind) {
    case GRANT: return ALLOT_ERROR_STALE_GRANT;
    case TICKET: return ALLOT_ERROR_STALE_TICKET;
    default: return ALLOT_ERROR_GONE;
    }
}

enum wrong { GONE, FOREIGN, LATER, BEYOND, FIRST, ALL_BITS, WRONGS };
static const char *const WRONG_NAMES[] = {"gone", "another governor's", "of a later generation",
                                          "of no slot", "of generation 0", "UINT64_MAX"};

static uint64_t wrong_handle(const struct test *test, enum kind kind, enum wrong wrong) {
    const uint64_t handle = handle_of(&test->world.here, kind, 0);
    switch (wrong) {
    case GONE: return handle_of(&test->world.here, kind, 1);
    case FOREIGN: return handle_of(&test->world.there, kind, 0);
    case LATER: return kind == TICKET ? handle + 1000000 : handle + (1ull << 24);
    case BEYOND: return handle | 0xfffffe;
    /* A slot that nobody has had yet. */
    case FIRST: return (handle & 0xffull << 56) | ((ALLOT_SLOT(handle) + 5) & 0xffffff);
    default: return MAX;
    }
}

static int wrong_answer(const struct row *row, enum kind kind, enum wrong wrong) {
    if (kind == TENANT && row->params[2].kind == GRANT && wrong == GONE) {
        /* That the grant is not its own is seen first. */
        return HANDLE;
    }
    if (wrong == GONE || kind == TICKET) {
        return gone_answer(kind);
    }
    return wrong == FOREIGN ? ALLOT_ERROR_FOREIGN : HANDLE;
}

static void wrong_handles(const struct row *row, enum wrong wrong) {
    for (int at = 0; at < params_of(row); at++) {
        const struct param *param = &row->params[at];
        struct test test;
        if (is_handle(param->kind)) {
            test_begin(&test, row);
            test.call.args[at].number = wrong_handle(&test, param->kind, wrong);
            test_end(&test, named(param->name, "", WRONG_NAMES[wrong]),
                     wrong_answer(row, param->kind, wrong));
        }
        const struct field *field = is_read(param->kind) ? SHAPES[param->shape].fields : NULL;
        for (; field != NULL && field->kind != END; field++) {
            if (!is_handle(field->kind)) {
                continue;
            }
            test_begin(&test, row);
            set_field(&test, at, field, wrong_handle(&test, field->kind, wrong));
            test_end(&test, named(param->name, field->name, WRONG_NAMES[wrong]),
                     param->handle != 0 ? param->handle : wrong_answer(row, field->kind, wrong));
        }
    }
}

static const char *stale_handle(const struct row *row) {
    for (enum wrong wrong = 0; wrong < WRONGS; wrong++) {
        if (wrong != FOREIGN) {
            wrong_handles(row, wrong);
        }
    }
    if (row->params[0].kind == GOVERNOR) {
        /* What is no governor, as far as that can be seen. */
        uint64_t *zeros = calloc(512, sizeof *zeros);
        struct test test;
        test_begin(&test, row);
        test.call.args[0].pointer = zeros;
        test_end(&test, "governor no governor", ALLOT_ERROR_NOT_A_GOVERNOR);
        free(zeros);
    }
    return cell_cases > 0 ? NULL : NO_HANDLE;
}

static const char *foreign_handle(const struct row *row) {
    wrong_handles(row, FOREIGN);
    return cell_cases > 0 ? NULL : NO_HANDLE;
}

static const char *foreign_grant(const struct row *row) {
    for (int at = 0; at < params_of(row); at++) {
        struct test test;
        if (row->params[at].kind != GRANT) {
            continue;
        }
        test_begin(&test, row);
        test.call.args[at].number = test.world.here.grant_other;
        test_end(&test, "grant another tenant's", ALLOT_ERROR_NOT_YOURS);
        test_begin(&test, row);
        test.call.args[at - 1].number = test.world.here.other;
        test_end(&test, "tenant another one", ALLOT_ERROR_NOT_YOURS);
    }
    return cell_cases > 0 ? NULL : NO_GRANT;
}

static const char *double_release(const struct row *row) {
    struct test test;
    if (!(row->traits & ENDS)) {
        return ENDS_NOTHING;
    }
    test_begin(&test, row);
    must_be(call_now(&test.call), row->sound);
    test_end(&test, "the second time", row->again);
    return NULL;
}

/* Every number of a row, and every one of its structs, with one value. */
static void numbers(const struct row *row, const char *how,
                    uint64_t (*value)(const struct numbers *),
                    int (*answer)(const struct numbers *)) {
    for (int at = 0; at < params_of(row); at++) {
        const struct param *param = &row->params[at];
        struct test test;
        if (param->kind == NUMBER) {
            test_begin(&test, row);
            test.call.args[at].number = value(&param->numbers);
            test_end(&test, named(param->name, "", how), answer(&param->numbers));
        }
        const struct field *field = is_read(param->kind) ? SHAPES[param->shape].fields : NULL;
        for (; field != NULL && field->kind != END; field++) {
            if (field->kind != NUMBER) {
                continue;
            }
            test_begin(&test, row);
            set_field(&test, at, field, value(&field->numbers));
            const int expected = answer(&field->numbers);
            /* What a text says for itself is not looked at in the struct. */
            test_end(&test, named(param->name, field->name, how),
                     param->optional && expected == ALLOT_ERROR_CONFIG ? SETUP : expected);
        }
    }
}

static uint64_t zero_value(const struct numbers *numbers) { return (void)numbers, 0; }
static int zero_answer(const struct numbers *numbers) { return numbers->zero; }
static uint64_t max_value(const struct numbers *numbers) { return (void)numbers, MAX; }
static int max_answer(const struct numbers *numbers) { return numbers->max; }
static uint64_t over_value(const struct numbers *numbers) { return numbers->over; }
static int over_answer(const struct numbers *numbers) { return numbers->overflow; }

static const char *zero(const struct row *row) {
    numbers(row, "0", zero_value, zero_answer);
    for (int at = 0; at < params_of(row); at++) {
        const enum kind kind = row->params[at].kind;
        struct test test;
        if (is_handle(kind)) {
            test_begin(&test, row);
            test.call.args[at].number = 0;
            test_end(&test, named(row->params[at].name, "", "0"),
                     kind == TICKET ? ALLOT_ERROR_STALE_TICKET : ALLOT_ERROR_FOREIGN);
        }
    }
    return cell_cases > 0 ? NULL : NO_NUMBER;
}

static const char *all_bits(const struct row *row) {
    numbers(row, "UINT64_MAX", max_value, max_answer);
    return cell_cases > 0 ? NULL : NO_NUMBER;
}

static const char *overflow(const struct row *row) {
    numbers(row, "beyond its bound", over_value, over_answer);
    return cell_cases > 0 ? NULL : NO_NUMBER;
}

#define NONE_AT_ALL LONG_MIN

/* Every struct of a row with a size, bytes behind it, and the last of those. */
static void sizes(const struct row *row, const char *how, long more, unsigned char last,
                  int expected) {
    for (int at = 0; at < params_of(row); at++) {
        const struct param *param = &row->params[at];
        struct test test;
        if (!is_struct(param->kind)) {
            continue;
        }
        const size_t known = SHAPES[param->shape].size;
        const size_t size = more == NONE_AT_ALL ? 0 : known + (size_t)more;
        test_begin(&test, row);
        struct place *place = &test.call.places[at];
        /* No byte more than it says, but for its size. */
        unsigned char *bytes = calloc(1, size < sizeof(uint32_t) ? sizeof(uint32_t) : size);
        memcpy(bytes, place->bytes, size < known ? size : known);
        const uint32_t told = (uint32_t)size;
        memcpy(bytes, &told, sizeof told);
        if (size > known) {
            bytes[size - 1] = last;
        }
        free(place->bytes);
        place->bytes = bytes;
        place->size = size < sizeof told ? sizeof told : size;
        test.call.args[at].pointer = bytes;
        test_end(&test, named(param->name, "struct_size", how), expected);
    }
}

static const char *size_zero(const struct row *row) {
    sizes(row, "0", NONE_AT_ALL, 0, ALLOT_ERROR_STRUCT_SIZE);
    return cell_cases > 0 ? NULL : NO_STRUCT;
}

static const char *size_short(const struct row *row) {
    sizes(row, "short by 8", -8, 0, ALLOT_ERROR_STRUCT_SIZE);
    sizes(row, "short by 3", -3, 0, ALLOT_ERROR_STRUCT_SIZE);
    for (int at = 0; at < params_of(row); at++) {
        struct test test;
        if (row->params[at].kind != ALL_IN) {
            continue;
        }
        test_begin(&test, row);
        const size_t size = SHAPES[row->params[at].shape].size;
        unsigned char *two = place_of(&test.call, at, 2 * size);
        struct_in(&test.call, at, two);
        struct_in(&test.call, at, two + size);
        memset(two + size, 0, sizeof(uint32_t));
        test.call.args[at + 1].number = 2;
        test_end(&test, "the second one of another size", ALLOT_ERROR_STRUCT_SIZE);
    }
    return cell_cases > 0 ? NULL : NO_STRUCT;
}

static const char *size_long(const struct row *row) {
    sizes(row, "long by 8, all zero", 8, 0, SAME);
    sizes(row, "long by 1024, all zero", 1024, 0, SAME);
    sizes(row, "long by 4, all zero", 4, 0, ALLOT_ERROR_STRUCT_SIZE);
    sizes(row, "longer than any struct", 8192, 0, ALLOT_ERROR_STRUCT_SIZE);
    return cell_cases > 0 ? NULL : NO_STRUCT;
}

static const char *size_long_set(const struct row *row) {
    sizes(row, "long by 8, the last byte set", 8, 1, ALLOT_ERROR_NEWER);
    sizes(row, "long by 1024, the last byte set", 1024, 1, ALLOT_ERROR_NEWER);
    return cell_cases > 0 ? NULL : NO_STRUCT;
}

static const char *bad_enum(const struct row *row) {
    const uint32_t steps[] = {1, 2, 255, 256, UINT32_MAX};
    for (int at = 0; at < params_of(row); at++) {
        const struct param *param = &row->params[at];
        for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++) {
            const uint32_t by = steps[step];
            struct test test;
            if (param->kind == ENUM) {
                test_begin(&test, row);
                test.call.args[at].number = by == UINT32_MAX ? by : param->last + by;
                test_end(&test, named(param->name, "", "no number of it"), ALLOT_ERROR_ENUM);
            }
            const struct field *field = is_read(param->kind) ? SHAPES[param->shape].fields : NULL;
            for (; field != NULL && field->kind != END; field++) {
                if (field->kind != ENUM) {
                    continue;
                }
                test_begin(&test, row);
                set_field(&test, at, field, by == UINT32_MAX ? by : field->last + by);
                test_end(&test, named(param->name, field->name, "no number of it"),
                         ALLOT_ERROR_ENUM);
            }
        }
    }
    return cell_cases > 0 ? NULL : NO_ENUM;
}

/* Every text of a row is this one. */
static void texts(const struct row *row, const char *how, const char *text, size_t length,
                  int expected, int expected_long) {
    for (int at = 0; at < params_of(row); at++) {
        const struct param *param = &row->params[at];
        struct test test;
        if (param->kind == TEXT) {
            test_begin(&test, row);
            memcpy(place_of(&test.call, at, length), text, length);
            test.call.args[at + 1].number = length;
            const int is_file = row->call == call_allot_governor_new_toml;
            test_end(&test, named(param->name, "", how), is_file ? expected_long : expected);
        }
        const struct field *field = is_read(param->kind) ? SHAPES[param->shape].fields : NULL;
        for (; field != NULL && field->kind != END; field++) {
            if (field->kind != TEXT) {
                continue;
            }
            test_begin(&test, row);
            free(test.call.names[at]);
            test.call.names[at] = malloc(length);
            memcpy(test.call.names[at], text, length);
            set_field(&test, at, field, (uint64_t)(uintptr_t)test.call.names[at]);
            set_field(&test, at, field + 1, length);
            test_end(&test, named(param->name, field->name, how), expected);
        }
    }
}

static const char *bad_utf8(const struct row *row) {
    static const char *const TEXTS[] = {"\xff", "ok\x80", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82",
                                        "\xf4\x90\x80\x80"};
    for (size_t at = 0; at < sizeof TEXTS / sizeof TEXTS[0]; at++) {
        texts(row, "no UTF-8", TEXTS[at], strlen(TEXTS[at]), ALLOT_ERROR_UTF8, ALLOT_ERROR_UTF8);
    }
    return cell_cases > 0 ? NULL : NO_TEXT;
}

static const char *nul_inside(const struct row *row) {
    texts(row, "a NUL inside", "a\0b", 3, ALLOT_ERROR_TEXT, ALLOT_ERROR_TEXT);
    texts(row, "a NUL first", "\0ab", 3, ALLOT_ERROR_TEXT, ALLOT_ERROR_TEXT);
    texts(row, "a NUL last", "ab", 3, ALLOT_ERROR_TEXT, ALLOT_ERROR_TEXT);
    return cell_cases > 0 ? NULL : NO_TEXT;
}

static const char *long_name(const struct row *row) {
    char *text = malloc(MIB);
    memset(text, 'a', MIB);
    /* As a file it is one key without a value. */
    texts(row, "of 1 MiB", text, MIB, ALLOT_ERROR_TEXT, ALLOT_ERROR_CONFIG);
    free(text);
    return cell_cases > 0 ? NULL : NO_TEXT;
}

/* ---- Hostile functions of the caller's ------------------------------------------------------ */

enum behaviour { COUNTS, PANICS, REENTERS, FREES };

/* What hostile functions know; one scene at a time. */
static struct {
    struct world world;
    enum behaviour behaviour;
    /* What the function that lets go does. */
    enum behaviour drop_behaviour;
    int inside, has_freed, was_early;
    /* Above 0: the last reference may be given back by who is told. */
    unsigned may_free;
} scene;
static unsigned hostile_drops;

/* Every function of the table once, in a governor that may be in the middle of anything. */
static void call_everything(void) {
    allot_governor *governor = scene.world.here.governor;
    for (size_t at = 0; at < ROWS_COUNT; at++) {
        const struct row *row = &ROWS[at];
        struct call call;
        if (row->call == call_allot_governor_free || row->call == call_allot_governor_retain) {
            if (allot_governor_retain(governor) == ALLOT_OK) {
                allot_governor_free(governor);
            }
            continue;
        }
        call_begin(&call, row, &scene.world);
        const allot_status status = call_now(&call);
        const int is_fault = status == ALLOT_ERROR_PANICKED || status == ALLOT_ERROR_OTHER ||
                             status == ALLOT_ERROR_FORKED || !is_known(status);
        if (is_fault) {
            fail(row->name, "an answer from within a callback", allot_status_text(status));
        }
        call_end(&call, status);
    }
}

/* Says whether this call is to do something: the first one at a time. */
static int enter(void) {
    pthread_mutex_lock(&counting);
    const int first = scene.inside++ == 0;
    calls++;
    pthread_mutex_unlock(&counting);
    return first;
}
static void leave(void) {
    pthread_mutex_lock(&counting);
    scene.inside--;
    pthread_mutex_unlock(&counting);
}

static void behave(enum behaviour behaviour, allot_governor *governor) {
    if (behaviour == REENTERS) {
        call_everything();
    }
    if (behaviour == FREES && !scene.has_freed) {
        scene.has_freed = 1;
        allot_governor_free(governor);
    }
}

static allot_reclaim_answer hostile_reclaim(allot_governor *governor, const allot_victim *victim,
                                            void *user_data) {
    (void)user_data;
    if (enter() && victim->struct_size == sizeof *victim) {
        behave(scene.behaviour, governor);
    }
    leave();
    return ALLOT_RECLAIM_FREED;
}
static void hostile_pressure(allot_governor *governor, allot_pressure_level level,
                             void *user_data) {
    (void)level, (void)user_data;
    if (enter()) {
        behave(scene.behaviour, governor);
    }
    leave();
}
static void hostile_ticket(allot_governor *governor, allot_ticket ticket, void *user_data) {
    (void)ticket, (void)user_data;
    if (enter()) {
        if (scene.behaviour == FREES) {
            /* What has made the answer has returned by then. */
            comes_to(&scene.may_free, 1);
        }
        behave(scene.behaviour, governor);
    }
    leave();
}
static void hostile_drop(void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&counting);
    scene.was_early |= scene.inside > 0;
    pthread_mutex_unlock(&counting);
    behave(scene.drop_behaviour, scene.world.here.governor);
    count(&hostile_drops);
}

static void scene_begin(enum behaviour behaviour) {
    struct side *here = &scene.world.here;
    allot_config config = small_config(4 * MIB);
    memset(&scene, 0, sizeof scene);
    count_from_zero();
    hostile_drops = 0;
    scene.behaviour = behaviour;
    config.pool_pressure = 1;
    config.busy_cooldown_ns = 0;
    config.clock = ALLOT_CLOCK_MONOTONIC;
    must(allot_governor_new(&config, &here->governor));
    here->references = 1;
    here->group = group_one(here->governor, "group");
    here->tenant = register_one(here->governor, "one", 0, ALLOT_UNLIMITED);
    here->other = register_one(here->governor, "other", 0, ALLOT_UNLIMITED);
    here->grant = grant_one(here->governor, here->tenant, ALLOT_INFERENCE, MIB);
    must(allot_grant_pin(here->governor, here->tenant, here->grant));
}

/* The memory is full of what may go. */
static void fill_with_caches(allot_grant caches[3]) {
    const struct side *here = &scene.world.here;
    for (int at = 0; at < 3; at++) {
        caches[at] = grant_one(here->governor, here->other, ALLOT_CACHE, MIB);
    }
}

static void scene_end(const char *what, allot_status status) {
    struct side *here = &scene.world.here;
    if (!scene.has_freed) {
        allot_pool pool = ALLOT_POOL_INIT;
        expect(what, is_known(status) && status != ALLOT_ERROR_PANICKED, "an answer");
        expect(what, allot_governor_check(here->governor) == ALLOT_OK, "a governor that is well");
        must(allot_pool_usage(here->governor, &pool));
        expect(what, pool.live_bytes <= pool.capacity_bytes, "no more than the capacity in use");
        if (scene.drop_behaviour == COUNTS) {
            side_end(here);
        }
    }
    allot_snapshot_free(here->snapshot);
}

static void expect_dropped(const char *what) {
    expect(what, comes_to(&hostile_drops, 1), "drop_fn to be called");
    expect(what, counted(&hostile_drops) == 1, "drop_fn to be called once");
    expect(what, !scene.was_early, "drop_fn after the last call has returned");
}

static int at_of(const struct row *row, enum kind kind) {
    int at = params_of(row) - 1;
    while (at >= 0 && row->params[at].kind != kind) {
        at--;
    }
    return at;
}

/* Memory is short: of what may go, for a ticket that has been waiting since it might not. */
static void make_short(const struct row *row) {
    struct side *here = &scene.world.here;
    allot_grant caches[3];
    fill_with_caches(caches);
    if (at_of(row, TICKET) > 0) {
        const allot_request_spec request = request_of(here->tenant, ALLOT_INFERENCE, MIB);
        allot_grant grant;
        for (int at = 0; at < 3; at++) {
            must(allot_grant_pin(here->governor, here->other, caches[at]));
        }
        must_be(allot_enqueue(here->governor, &request, MAX, &grant, &here->ticket, NULL),
                ALLOT_QUEUED);
        for (int at = 0; at < 3; at++) {
            must(allot_grant_unpin(here->governor, here->other, caches[at]));
        }
    }
}

/* Calls a function that has to ask others for theirs. */
static allot_status call_when_short(const struct row *row) {
    struct call call;
    count_from_zero();
    call_begin(&call, row, &scene.world);
    for (int at = 0; at < params_of(row); at++) {
        if (row->params[at].shape == REQUEST) {
            const allot_request_spec request =
                request_of(scene.world.here.tenant, ALLOT_INFERENCE, MIB);
            memcpy(call.args[at].pointer, &request, sizeof request);
        } else if (row->params[at].kind == NUMBER) {
            const int is_time = strstr(row->params[at].name, "_ns") != NULL;
            call.args[at].number = is_time ? 150000000 : 4 * MIB;
        }
    }
    if (row->call == call_allot_grant_grow_evicting) {
        call.args[3].number = MIB;
    }
    const allot_status status = call_now(&call);
    call_end(&call, status);
    return status;
}

/* Who is asked: on the thread that is short or on another one, for all or for one tenant. */
static void hostile_reclaims(const struct row *row, enum behaviour behaviour) {
    const char *const modes[] = {"asked for all", "asked for one tenant", "asked on a thread"};
    for (int mode = 0; mode < 3; mode++) {
        scene_begin(behaviour);
        make_short(row);
        allot_governor *governor = scene.world.here.governor;
        const allot_tenant other = scene.world.here.other;
        const uint64_t timeout_ns = mode == 2 ? 10000000000ull : 0;
        allot_reclaim_fn asked =
            behaviour == PANICS ? allot_test_panicking_reclaim : hostile_reclaim;
        if (mode == 1) {
            must(allot_tenant_on_reclaim(governor, other, 0, asked, NULL, hostile_drop));
        } else {
            must(allot_on_reclaim(governor, timeout_ns, asked, NULL, hostile_drop));
        }
        const allot_status status = call_when_short(row);
        if (behaviour == PANICS) {
            allot_pool pool = ALLOT_POOL_INIT;
            must(allot_pool_usage(governor, &pool));
            expect(modes[mode], pool.reclaim_panics > 0, "a panic to be counted");
            expect(modes[mode], status >= 0, "an answer, not an error");
        } else {
            expect(modes[mode], calls > 0, "to be asked");
        }
        scene_end(modes[mode], status);
        expect_dropped(modes[mode]);
    }
}

static void hostile_pressures(const struct row *row, enum behaviour behaviour) {
    scene_begin(behaviour);
    make_short(row);
    allot_governor *governor = scene.world.here.governor;
    allot_pressure_fn told = behaviour == PANICS ? allot_test_panicking_pressure : hostile_pressure;
    must(allot_on_pressure(governor, told, NULL, hostile_drop));
    const allot_status status = call_when_short(row);
    const int always = row->traits == TELLS || row->call == call_allot_balance;
    if (always && behaviour != PANICS) {
        expect("told of pressure", calls > 0, "to be told");
    }
    scene_end("told of pressure", status);
    if (behaviour == FREES && !scene.has_freed) {
        return;
    }
    expect_dropped("told of pressure");
}

/* The library's thread tells of a ticket that has its answer. */
static void hostile_tickets(enum behaviour behaviour) {
    scene_begin(behaviour);
    struct side *here = &scene.world.here;
    allot_grant grant = grant_one(here->governor, here->other, ALLOT_MODEL_LOAD, 3 * MIB);
    const allot_request_spec request = request_of(here->tenant, ALLOT_INFERENCE, MIB);
    allot_ticket_fn told = behaviour == PANICS ? allot_test_panicking_ticket : hostile_ticket;
    allot_ticket panics;
    allot_governor *governor = here->governor;
    must_be(allot_enqueue(governor, &request, MAX, &grant, &here->ticket, NULL), ALLOT_QUEUED);
    must_be(allot_enqueue(governor, &request, MAX, &grant, &panics, NULL), ALLOT_QUEUED);
    must(allot_ticket_on_ready(here->governor, here->ticket, told, NULL, hostile_drop));
    if (behaviour == PANICS) {
        must(allot_ticket_on_ready(here->governor, panics, told, NULL, allot_test_panicking_drop));
    }
    count_from_zero();
    must(allot_tenant_unregister(here->governor, here->other, ALLOT_UNREGISTER_FORCE));
    count(&scene.may_free);
    if (behaviour == PANICS) {
        expect_dropped("told of a ticket");
        must(allot_ticket_poll(here->governor, here->ticket, &grant, NULL));
    } else {
        expect("told of a ticket", comes_to(&calls, 1), "to be told");
        expect_dropped("told of a ticket");
    }
    scene_end("told of a ticket", ALLOT_OK);
}

/* A function that lets user_data go, within the row's function. */
static void hostile_drops_of(const struct row *row, enum behaviour behaviour) {
    scene_begin(COUNTS);
    struct side *here = &scene.world.here;
    allot_governor *governor = here->governor;
    const allot_request_spec request = request_of(here->tenant, ALLOT_INFERENCE, 4 * MIB - 1);
    allot_drop_fn drop = behaviour == PANICS ? allot_test_panicking_drop : hostile_drop;
    allot_grant grant;
    struct call call;
    scene.drop_behaviour = behaviour;
    must_be(allot_enqueue(governor, &request, MAX, &grant, &here->ticket, NULL), ALLOT_QUEUED);
    if (at_of(row, TICKET) > 0) {
        must(allot_ticket_on_ready(governor, here->ticket, plain_ticket, NULL, drop));
    } else if (at_of(row, PRESSURE_FN) > 0 || row->call == call_allot_governor_free) {
        must(allot_on_pressure(governor, plain_pressure, NULL, drop));
    } else if (row->call == call_allot_on_reclaim) {
        must(allot_on_reclaim(governor, 0, plain_reclaim, NULL, drop));
    } else {
        must(allot_tenant_on_reclaim(governor, here->tenant, 0, plain_reclaim, NULL, drop));
    }
    if (row->call == call_allot_tenant_register) {
        /* Asked for what it holds until its slot gets another owner. */
        must(allot_tenant_unregister(governor, here->tenant, ALLOT_UNREGISTER_DRAIN));
        must(allot_grant_release(governor, here->tenant, here->grant));
    }
    if (row->call == call_allot_ticket_poll) {
        must(allot_tenant_unregister(governor, here->tenant, ALLOT_UNREGISTER_FORCE));
    }
    call_begin(&call, row, &scene.world);
    const allot_status status = call_now(&call);
    call_end(&call, status);
    if (behaviour != PANICS) {
        expect_dropped("let go");
    }
    if (row->call != call_allot_governor_free) {
        scene_end("let go", status);
    }
    scene.drop_behaviour = COUNTS;
    if (!scene.has_freed) {
        side_end(here);
    }
}

static const char *hostile(const struct row *row, enum behaviour behaviour) {
    if (row->traits & RECLAIMS) {
        hostile_reclaims(row, behaviour);
    }
    if (row->traits & TELLS) {
        hostile_pressures(row, behaviour);
    }
    if (row->traits & TELLS_READY) {
        hostile_tickets(behaviour);
    }
    if (row->traits & DROPS) {
        hostile_drops_of(row, behaviour);
    }
    return cell_cases > 0 ? NULL : NO_CALLBACK;
}

static const char *callback_panics(const struct row *row) { return hostile(row, PANICS); }
static const char *callback_reenters(const struct row *row) { return hostile(row, REENTERS); }
static const char *callback_frees(const struct row *row) { return hostile(row, FREES); }

/* ---- A library with a fault, and a fork ----------------------------------------------------- */

static const char *after_a_panic(const struct row *row) {
    struct test test;
    if (row->params[0].kind != GOVERNOR) {
        return NO_GOVERNOR;
    }
    test_begin(&test, row);
    must_be(allot_test_panic(test.world.here.governor), ALLOT_ERROR_PANICKED);
    test_end(&test, "after a panic", row->traits & GIVES_BACK ? SAME : ALLOT_ERROR_PANICKED);
    return NULL;
}

/* In the child: 0 if it is told so, and nothing is written. */
static int call_in_child(struct call *call) {
    const struct row *row = call->row;
    for (int at = 0; at < params_of(row); at++) {
        struct place *place = &call->places[at];
        if (place->bytes != NULL) {
            place->before = malloc(place->size);
            memcpy(place->before, place->bytes, place->size);
        }
    }
    const allot_status status = row->call(call->args);
    if (!(row->traits & NO_STATUS) && status != ALLOT_ERROR_FORKED) {
        return 1;
    }
    for (int at = 0; at < params_of(row); at++) {
        if (is_written(call, at)) {
            return 2;
        }
    }
    allot_governor_free(call->world->here.governor);
    return 0;
}

static void hears_of_it(allot_governor *governor, allot_ticket ticket, void *user_data) {
    (void)governor, (void)ticket, (void)user_data;
    count(&calls);
}

static const char *in_a_fork(const struct row *row) {
    struct test test;
    struct side *here = &test.world.here;
    uint64_t bytes = 0;
    int ended = 0;
    if (row->params[0].kind != GOVERNOR) {
        return NO_GOVERNOR;
    }
    side_begin(here);
    side_begin(&test.world.there);
    with_ticket(here);
    must(allot_ticket_on_ready(here->governor, here->ticket, hears_of_it, NULL, NULL));
    call_begin(&test.call, row, &test.world);
    count_from_zero();
    const uint64_t before = digest_of(here);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        _exit(call_in_child(&test.call));
    }
    expect("fork", child > 0 && waitpid(child, &ended, 0) == child, "a child");
    expect("the child", ended == 0, "ALLOT_ERROR_FORKED, and nothing written");
    expect("the parent", before == digest_of(here), "all as it was");
    must(allot_grant_bytes(here->governor, here->tenant, here->grant, &bytes));
    expect("the parent", bytes == MIB, "its grant");
    must(allot_grant_release(here->governor, here->tenant, here->grant));
    expect("the parent", comes_to(&calls, 1), "to be told of its ticket");
    call_end(&test.call, ALLOT_ERROR_FORKED);
    side_end(here);
    side_end(&test.world.there);
    return NULL;
}

static const char *sound(const struct row *row) {
    struct test test;
    test_begin(&test, row);
    test_end(&test, "sound", SAME);
    return NULL;
}

static const struct {
    const char *name;
    const char *(*run)(const struct row *row);
} CLASSES[] = {
    {"sound", sound},
    {"NULL", null_pointer},
    {"misaligned", misaligned_pointer},
    {"stale handle", stale_handle},
    {"another governor's handle", foreign_handle},
    {"another tenant's grant", foreign_grant},
    {"double release", double_release},
    {"zero", zero},
    {"UINT64_MAX", all_bits},
    {"overflow", overflow},
    {"struct_size 0", size_zero},
    {"struct_size short", size_short},
    {"struct_size long, zero tail", size_long},
    {"struct_size long, tail set", size_long_set},
    {"bad enum", bad_enum},
    {"invalid UTF-8", bad_utf8},
    {"embedded NUL", nul_inside},
    {"1 MiB name", long_name},
    {"callback panics", callback_panics},
    {"callback re-enters", callback_reenters},
    {"callback frees the governor", callback_frees},
    {"after a panic", after_a_panic},
    {"in a fork", in_a_fork},
};
#define CLASSES_COUNT (sizeof CLASSES / sizeof CLASSES[0])

/* ---- Races ---------------------------------------------------------------------------------- */

#define ROUNDS 150

static struct {
    struct side side;
    pthread_barrier_t begin;
    allot_status answers[4];
    unsigned handed_over;
} race;

static void *race_polls(void *unused) {
    allot_grant grant;
    pthread_barrier_wait(&race.begin);
    do {
        race.answers[0] = allot_ticket_poll(race.side.governor, race.side.ticket, &grant, NULL);
    } while (race.answers[0] == ALLOT_QUEUED);
    return unused;
}
static void *race_waits(void *unused) {
    allot_grant grant;
    pthread_barrier_wait(&race.begin);
    race.answers[1] = allot_ticket_wait(race.side.governor, race.side.ticket, MAX, &grant, NULL);
    return unused;
}
static void *race_cancels(void *unused) {
    pthread_barrier_wait(&race.begin);
    race.answers[2] = allot_ticket_cancel(race.side.governor, race.side.ticket);
    return unused;
}
static void *race_listens(void *unused) {
    uint64_t wait_ns;
    pthread_barrier_wait(&race.begin);
    for (int turn = 0; turn < 20; turn++) {
        if (allot_ticket_on_ready(race.side.governor, race.side.ticket, hears_of_it, NULL,
                                  plain_drop) == ALLOT_OK) {
            race.handed_over++;
        }
        allot_ticket_estimate(race.side.governor, race.side.ticket, &wait_ns);
    }
    return unused;
}

/* The library's thread may be looking at a ticket that is cancelled, and gives its bytes back. */
static int comes_to_use(const struct side *side, uint64_t bytes) {
    const struct timespec moment = {0, 1000000};
    allot_usage usage = ALLOT_USAGE_INIT;
    for (int turn = 0; turn < 20000; turn++) {
        must(allot_tenant_usage(side->governor, side->tenant, &usage));
        if (usage.used_bytes == bytes) {
            return 1;
        }
        nanosleep(&moment, NULL);
    }
    return 0;
}

/* A ticket that all are at: one gets the answer or cancels it, whoever listened is let go once. */
static void race_for_a_ticket(int cancels) {
    void *(*const roles[])(void *) = {race_polls, race_waits, race_listens, race_cancels};
    const int threads = cancels ? 4 : 3;
    pthread_t handles[4];
    memset(&race.answers, 0, sizeof race.answers);
    race.handed_over = 0;
    race.answers[2] = ALLOT_ERROR_STALE_TICKET;
    side_begin(&race.side);
    with_ticket(&race.side);
    count_from_zero();
    pthread_barrier_init(&race.begin, NULL, (unsigned)threads + 1);
    for (int at = 0; at < threads; at++) {
        pthread_create(&handles[at], NULL, roles[at], NULL);
    }
    pthread_barrier_wait(&race.begin);
    must(allot_grant_release(race.side.governor, race.side.tenant, race.side.grant));
    for (int at = 0; at < threads; at++) {
        pthread_join(handles[at], NULL);
    }
    int winners = 0;
    for (int at = 0; at < 3; at++) {
        winners += race.answers[at] == ALLOT_OK;
        const int lost = race.answers[at] == ALLOT_ERROR_STALE_TICKET;
        expect("a loser", lost || race.answers[at] == ALLOT_OK, "ALLOT_ERROR_STALE_TICKET");
    }
    expect("a ticket", winners == 1, "one winner");
    expect("a ticket", comes_to_use(&race.side, race.answers[2] == ALLOT_OK ? 0 : 32 * MIB),
           "its bytes with the winner, or back");
    side_end(&race.side);
    pthread_barrier_destroy(&race.begin);
    expect("those who listen", comes_to(&drops, race.handed_over), "to be let go");
    expect("those who listen", counted(&drops) == race.handed_over, "to be let go once");
}

static void *race_frees(void *governor) {
    allot_pool pool = ALLOT_POOL_INIT;
    pthread_barrier_wait(&race.begin);
    allot_pool_usage(governor, &pool);
    allot_governor_free(governor);
    return NULL;
}

/* Everybody gives a reference back while the library's thread tells of a ticket. */
static void race_to_the_end(void) {
    pthread_t handles[3];
    side_begin(&race.side);
    with_ticket(&race.side);
    count_from_zero();
    must(allot_ticket_on_ready(race.side.governor, race.side.ticket, hears_of_it, NULL,
                               plain_drop));
    pthread_barrier_init(&race.begin, NULL, 4);
    for (int at = 0; at < 3; at++) {
        must(allot_governor_retain(race.side.governor));
        pthread_create(&handles[at], NULL, race_frees, race.side.governor);
    }
    pthread_barrier_wait(&race.begin);
    allot_tenant_unregister(race.side.governor, race.side.tenant, ALLOT_UNREGISTER_FORCE);
    side_end(&race.side);
    for (int at = 0; at < 3; at++) {
        pthread_join(handles[at], NULL);
    }
    pthread_barrier_destroy(&race.begin);
    expect("the one who listens", comes_to(&drops, 1), "to be let go");
    expect("the one who listens", counted(&drops) == 1, "to be let go once");
}

/* A function that goes on after all others have given the governor back. */
static void linger(allot_governor *governor) {
    const struct timespec moment = {0, 20000000};
    if (enter()) {
        comes_to(&scene.may_free, 1);
        nanosleep(&moment, NULL);
        expect("one that lingers", allot_governor_check(governor) == ALLOT_OK, "a governor");
        call_everything();
    }
    leave();
}
static allot_reclaim_answer lingering_reclaim(allot_governor *governor, const allot_victim *victim,
                                              void *user_data) {
    (void)victim, (void)user_data;
    linger(governor);
    return ALLOT_RECLAIM_BUSY;
}
static void lingering_ticket(allot_governor *governor, allot_ticket ticket, void *user_data) {
    (void)ticket, (void)user_data;
    linger(governor);
}

/* The caller gives its reference back while a function of its own still runs on a thread. */
static void outlived_by_a_callback(int on_tickets) {
    scene_begin(COUNTS);
    struct side *here = &scene.world.here;
    allot_governor *governor = here->governor;
    const allot_request_spec request = request_of(here->tenant, ALLOT_INFERENCE, MIB);
    allot_grant caches[3];
    allot_grant grant;
    fill_with_caches(caches);
    if (on_tickets) {
        for (int at = 0; at < 3; at++) {
            must(allot_grant_pin(governor, here->other, caches[at]));
        }
        must_be(allot_enqueue(governor, &request, MAX, &grant, &here->ticket, NULL), ALLOT_QUEUED);
        must(allot_ticket_on_ready(governor, here->ticket, lingering_ticket, NULL, hostile_drop));
        must(allot_grant_release(governor, here->other, caches[0]));
        expect("a ticket", comes_to(&calls, 1), "to be told");
    } else {
        must(allot_on_reclaim(governor, 1000000, lingering_reclaim, NULL, hostile_drop));
        must_be(allot_request(governor, &request, &grant, NULL), ALLOT_DENIED);
    }
    count(&scene.may_free);
    allot_governor_free(governor);
    expect_dropped("one that lingers");
}

/* A child that makes a governor of its own has one, and its thread; its child has not. */
static void fork_of_ones_own(void) {
    int ended = 0;
    side_begin(&race.side);
    with_ticket(&race.side);
    /* AddressSanitizer's allocator does not survive a fork in which another thread is within it, as
       one is that begins. */
    if (!ADDRESS_SANITIZER) {
        must(allot_ticket_on_ready(race.side.governor, race.side.ticket, hears_of_it, NULL, NULL));
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        struct side own;
        side_begin(&own);
        with_ticket(&own);
        count_from_zero();
        must(allot_ticket_on_ready(own.governor, own.ticket, hears_of_it, NULL, plain_drop));
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            const allot_status status = allot_governor_check(own.governor);
            allot_governor_free(own.governor);
            _exit(status == ALLOT_ERROR_FORKED ? 0 : 1);
        }
        waitpid(grandchild, &ended, 0);
        must(allot_grant_release(own.governor, own.tenant, own.grant));
        const int heard = comes_to(&calls, 1);
        side_end(&own);
        const int still = allot_governor_check(race.side.governor) == ALLOT_ERROR_FORKED;
        _exit(ended == 0 && heard && still && counted(&drops) == 1 ? 0 : 1);
    }
    waitpid(child, &ended, 0);
    expect("a fork", ended == 0, "a governor of its own");
    side_end(&race.side);
}

/* The library panics in a call within which the last reference was given back. */
static void panics_at_the_end(void) {
    scene_begin(COUNTS);
    must(allot_on_reclaim(scene.world.here.governor, 0, hostile_reclaim, NULL, hostile_drop));
    const allot_status status = allot_test_panic_at_the_end(scene.world.here.governor);
    expect("a panic at the end", status == ALLOT_ERROR_PANICKED, "ALLOT_ERROR_PANICKED");
}

/* ---- All of it ------------------------------------------------------------------------------ */

static void run_cell(const struct row *row, size_t class, int table) {
    in_row = row->name;
    in_class = CLASSES[class].name;
    cell_cases = cell_failures = 0;
    const char *why_not = CLASSES[class].run(row);
    cells++;
    cases += cell_cases;
    if (cell_failures > 0) {
        failed++;
    }
    if (cell_cases > 0) {
        tried++;
    } else if (why_not != NULL) {
        not_applicable++;
    } else {
        missing++;
        printf("missing: %s, %s: neither a case nor a reason\n", in_row, in_class);
    }
    if (table && cell_cases > 0) {
        printf(" %u%s |", cell_cases, cell_failures > 0 ? " FAILED" : "");
    } else if (table) {
        printf(" %s |", why_not != NULL ? why_not : "MISSING");
    }
}

static void run_rows(int table) {
    if (table) {
        printf("| |");
        for (size_t class = 0; class < CLASSES_COUNT; class++) {
            printf(" %s |", CLASSES[class].name);
        }
        printf("\n|---|");
        for (size_t class = 0; class < CLASSES_COUNT; class++) {
            printf("---|");
        }
        printf("\n");
    }
    for (size_t at = 0; at < ROWS_COUNT; at++) {
        if (table) {
            printf("| %s |", ROWS[at].name);
        }
        for (size_t class = 0; class < CLASSES_COUNT; class++) {
            run_cell(&ROWS[at], class, table);
        }
        if (table) {
            printf("\n");
        }
    }
}

static void run_races(void) {
    in_row = "all of them";
    in_class = "races";
    cell_cases = cell_failures = 0;
    for (int round = 0; round < ROUNDS; round++) {
        race_for_a_ticket(round % 2);
        race_to_the_end();
    }
    for (int round = 0; round < 5; round++) {
        outlived_by_a_callback(0);
        outlived_by_a_callback(1);
    }
    panics_at_the_end();
    fork_of_ones_own();
    printf("races %u: %u failed\n", cell_cases, cell_failures);
    failed += cell_failures > 0;
}

/* Every function of the header has a row, and every row is a function of it. */
static void compare_with(char **functions, int count_) {
    for (int at = 0; at < count_; at++) {
        size_t row = 0;
        while (row < ROWS_COUNT && strcmp(ROWS[row].name, functions[at]) != 0) {
            row++;
        }
        if (row == ROWS_COUNT) {
            missing += CLASSES_COUNT;
            cells += CLASSES_COUNT;
            printf("missing: %s has no row\n", functions[at]);
        }
    }
    for (size_t row = 0; row < ROWS_COUNT; row++) {
        int at = 0;
        while (at < count_ && strcmp(ROWS[row].name, functions[at]) != 0) {
            at++;
        }
        if (count_ > 0 && at == count_) {
            failed++;
            printf("failed: %s is no function of the header\n", ROWS[row].name);
        }
    }
}

int main(int argc, char **argv) {
    const int table = argc > 1 && strcmp(argv[1], "--table") == 0;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    compare_with(argv + 1 + table, argc - 1 - table);
    run_rows(table);
    run_races();
    printf("cells %lu: %lu tried, %lu do not apply, %lu missing, %lu failed (%lu cases)\n", cells,
           tried, not_applicable, missing, failed, cases);
    return missing > 0 || failed > 0;
}
