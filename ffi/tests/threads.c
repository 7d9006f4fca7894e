/*
 * Eight threads call everything at random for some seconds, and a ledger of their own says what has
 * to be held in the end.
 *
 *   threads [--race] [SECONDS [SEED]]
 *
 * Each request has a record in the ledger before it is made; its cookie names the record, so that
 * whoever is asked for a victim finds it even before the requesting thread knows the grant. A
 * record ends once: by whoever's release was answered, or by the callback that answers FREED. Bytes
 * of the ledger change after the call that changed them, so it is right at rest, and only there:
 *
 *   at rest     each live record holds exactly its bytes, and their sums are what tenants and the
 *               pool say; reservations alone may have run out unseen
 *   always      the pool never holds more than the largest capacity it ever had; of several threads
 *               that release one grant one is answered OK; what may not be evicted is not
 *   in the end  nothing is held, nobody waits, each callback that was set was let go once
 *
 * --race makes two threads use one reader of events, which the header forbids: a race within the
 * library that ThreadSanitizer has to report.
 */

#define _POSIX_C_SOURCE 200809L

#include "allot.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 8
#define MIB (1ull << 20)
#define CAPACITY_MAX (64 * MIB)
#define CAPACITY_MIN (40 * MIB)
#define BYTES_MAX (1 * MIB)
#define MS 1000000ull
#define RECORDS 8192u
#define CALLBACKS (1u << 20)
#define OWN_MAX 48
#define COMMON_MAX 24
#define TICKETS_MAX 32
#define PROMISES_MAX 64
/* Steps after which a verb that nobody called is a fault of this program. */
#define STEPS_FOR_ALL 50000ull
#define REST_SECONDS_MAX 20

#define VERBS(X)                                                                                   \
    X(try_request) X(request) X(request_all) X(reserve) X(commit) X(acquire) X(attainable)         \
    X(estimate_wait) X(enqueue) X(poll) X(wait) X(cancel) X(ticket_estimate) X(on_ready) X(grow)   \
    X(grow_evicting) X(shrink) X(true_up) X(touch) X(pin) X(unpin) X(keep_alive) X(bytes)          \
    X(release) X(release_twice) X(next_victim) X(decline) X(on_reclaim) X(tenant_on_reclaim)       \
    X(on_pressure) X(report_pressure) X(pressure) X(report_measured) X(report_measured_process)    \
    X(balance) X(tenant_usage) X(pool_usage) X(snapshot) X(explain) X(events_read)                 \
    X(set_capacity) X(clock_now) X(tenant_register) X(tenant_update) X(tenant_get)                 \
    X(tenant_find) X(tenant_find_name) X(tenant_name) X(tenant_unregister) X(group_register)       \
    X(group_update) X(group_find_name) X(group_unregister) X(retain) X(free) X(check)              \
    X(error_message) X(victim_asked) X(ticket_told) X(pressure_told)

#define AS_ENUM(name) V_##name,
#define AS_TEXT(name) #name,
enum { VERBS(AS_ENUM) VERB_COUNT };
static const char *const verb_names[] = {VERBS(AS_TEXT)};
static uint64_t counts[VERB_COUNT];

static uint64_t add(uint64_t *to, uint64_t by) {
    return __atomic_fetch_add(to, by, __ATOMIC_RELAXED);
}

/* A call, counted by its name. */
#define CALL(name, call) (add(&counts[V_##name], 1), (call))

static uint64_t seed;

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "threads.c:%d, seed %llu: ", __LINE__, (unsigned long long)seed);          \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n");                                                                     \
        exit(1);                                                                                   \
    } while (0)

/* A set of statuses, and whether one is in it. */
#define S(status) (1ull << ((status) + 40))
#define EXPECT(what, status, set)                                                                  \
    do {                                                                                           \
        if (!(S(status) & (set))) FAIL("%s answered %s", what, allot_status_text(status));         \
    } while (0)
#define OK_ONLY S(ALLOT_OK)
#define ENDED_SET (S(ALLOT_EVICTED) | S(ALLOT_ERROR_STALE_GRANT))
#define BUSY_SET S(ALLOT_ERROR_BUSY)
#define ANSWERED_SET (S(ALLOT_OK) | S(ALLOT_DENIED))

/* --- random numbers: a sequence for each thread, those of the library's included --- */

static __thread uint64_t dice;
static uint64_t dice_made;

static uint64_t mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static uint64_t below(uint64_t end) {
    if (dice == 0) dice = mixed(seed + add(&dice_made, 1)) | 1;
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return mixed(dice) % end;
}

static uint64_t some_bytes(void) { return 1 + below(below(4) == 0 ? BYTES_MAX : BYTES_MAX / 16); }

static void nap(uint64_t ns) {
    struct timespec time = {0, (long)ns};
    nanosleep(&time, NULL);
}

static double now_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- the world --- */

static allot_governor *governor;
static int stopping;

static int is_stopping(void) { return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE); }

/* Tenants that stay: how they are asked for victims. */
enum { FREES, SLOW, DEFERS, POLLED, TENANTS };
static const char *const tenant_names[TENANTS] = {"frees", "slow", "defers", "polled"};
static allot_tenant tenants[TENANTS];

/* --- the ledger --- */

enum { NOBODY, ASKED, LIVE, ENDED };

struct record {
    pthread_mutex_t lock;
    uint32_t sequence;
    int state;
    /* Never evicted: a loaded model, or pinned from the start and for ever. */
    int firm;
    int reservation;
    unsigned released_ok;
    allot_tenant tenant;
    allot_grant grant;
    uint64_t bytes;
    /* What is freed for real when the grant goes. */
    void *memory;
};

/* A record, as long as its sequence is this one. */
struct entry {
    uint32_t index;
    uint32_t sequence;
    allot_tenant tenant;
    allot_grant grant;
};

static struct record records[RECORDS];
static uint32_t free_records[RECORDS];
static uint32_t free_count;
static pthread_mutex_t free_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t cookie_of(struct entry entry) {
    return (uint64_t)entry.sequence << 32 | entry.index;
}

/* A record for what is about to be asked for; none if there are too many. */
static int open_record(struct entry *out, allot_tenant tenant, uint64_t bytes, int firm) {
    pthread_mutex_lock(&free_lock);
    int some = free_count > 0;
    if (some) out->index = free_records[--free_count];
    pthread_mutex_unlock(&free_lock);
    if (!some) return 0;
    struct record *record = &records[out->index];
    pthread_mutex_lock(&record->lock);
    record->sequence++;
    record->state = ASKED;
    record->firm = firm;
    record->reservation = 0;
    record->released_ok = 0;
    record->tenant = tenant;
    record->grant = 0;
    record->bytes = bytes;
    record->memory = malloc(24);
    if (record->memory == NULL) FAIL("no memory");
    memset(record->memory, (int)(out->index & 0xff), 24);
    out->sequence = record->sequence;
    out->tenant = tenant;
    out->grant = 0;
    pthread_mutex_unlock(&record->lock);
    return 1;
}

/* Ends a record, unless it has ended. Who opened it closes it. */
static void end_locked(struct record *record) {
    if (record->state == ENDED) return;
    record->state = ENDED;
    free(record->memory);
    record->memory = NULL;
}

/* Ends it, and gives its place to the next: by the one thread that owns it. */
static void close_record(struct entry entry) {
    struct record *record = &records[entry.index];
    pthread_mutex_lock(&record->lock);
    if (record->sequence != entry.sequence) FAIL("a record was closed twice");
    end_locked(record);
    record->state = NOBODY;
    record->sequence++;
    pthread_mutex_unlock(&record->lock);
    pthread_mutex_lock(&free_lock);
    free_records[free_count++] = entry.index;
    pthread_mutex_unlock(&free_lock);
}

/* The request was granted. It may have been evicted before anybody was told. */
static void live_record(struct entry *entry, allot_grant grant) {
    struct record *record = &records[entry->index];
    entry->grant = grant;
    pthread_mutex_lock(&record->lock);
    if (record->sequence != entry->sequence) FAIL("a record went while it was asked for");
    record->grant = grant;
    if (record->state == ASKED) record->state = LIVE;
    pthread_mutex_unlock(&record->lock);
}

/* Its expiry ends it unseen, however firm it is to be. */
static void reserve_record(struct entry entry) {
    struct record *record = &records[entry.index];
    pthread_mutex_lock(&record->lock);
    record->reservation = 1;
    record->firm = 0;
    pthread_mutex_unlock(&record->lock);
}

static void change_bytes(struct entry entry, int64_t by) {
    struct record *record = &records[entry.index];
    pthread_mutex_lock(&record->lock);
    if (record->sequence == entry.sequence) record->bytes += (uint64_t)by;
    pthread_mutex_unlock(&record->lock);
}

static struct record seen(struct entry entry) {
    struct record *record = &records[entry.index];
    struct record copy;
    pthread_mutex_lock(&record->lock);
    memset(&copy, 0, sizeof copy);
    copy.sequence = record->sequence;
    copy.state = record->sequence == entry.sequence ? record->state : ENDED;
    copy.firm = record->firm;
    copy.bytes = record->bytes;
    copy.reservation = record->reservation;
    pthread_mutex_unlock(&record->lock);
    return copy;
}

/* Releases by whoever; says what the answer was, and ends the record. */
static allot_status release(struct entry entry) {
    struct record *record = &records[entry.index];
    allot_status status;
    while ((status = CALL(release, allot_grant_release(governor, entry.tenant, entry.grant))) ==
           ALLOT_ERROR_BUSY)
        sched_yield();
    EXPECT("release", status, OK_ONLY | ENDED_SET | S(ALLOT_ERROR_GONE));
    pthread_mutex_lock(&record->lock);
    if (record->sequence == entry.sequence) {
        if (status == ALLOT_OK && record->released_ok++ > 0) FAIL("released twice with OK");
        if (record->firm == 1 && status != ALLOT_OK && record->released_ok == 0)
            FAIL("what may not be evicted is gone: %s", allot_status_text(status));
        end_locked(record);
    }
    pthread_mutex_unlock(&record->lock);
    return status;
}

/* --- callbacks: each use of user_data is a place that has to be let go once --- */

struct callback {
    uint32_t kind;
    uint32_t set;
    uint32_t dropped;
};

static struct callback callbacks[CALLBACKS];
static uint64_t callbacks_made;

/* One more; NULL when all are used. */
static struct callback *new_callback(uint32_t kind) {
    if (__atomic_load_n(&callbacks_made, __ATOMIC_RELAXED) >= CALLBACKS - 64) return NULL;
    struct callback *callback = &callbacks[add(&callbacks_made, 1)];
    callback->kind = kind;
    return callback;
}

static void dropped(void *user_data) {
    struct callback *callback = user_data;
    if (__atomic_fetch_add(&callback->dropped, 1, __ATOMIC_RELAXED) > 0) FAIL("let go twice");
}

/* It was taken, or refused: then it is never let go. */
static void was_set(struct callback *callback, allot_status status) {
    __atomic_store_n(&callback->set, status == ALLOT_OK ? 1u : 2u, __ATOMIC_RELAXED);
}

/* Victims whose owners have answered "later": released by any thread. */
static struct entry promises[PROMISES_MAX];
static size_t promises_count;
static pthread_mutex_t promises_lock = PTHREAD_MUTEX_INITIALIZER;

static int promise(struct entry entry) {
    pthread_mutex_lock(&promises_lock);
    int room = promises_count < PROMISES_MAX;
    if (room) promises[promises_count++] = entry;
    pthread_mutex_unlock(&promises_lock);
    return room;
}

static int keep_promise(void) {
    struct entry entry;
    pthread_mutex_lock(&promises_lock);
    int some = promises_count > 0;
    if (some) entry = promises[--promises_count];
    pthread_mutex_unlock(&promises_lock);
    if (some) release(entry);
    return some;
}

static struct entry entry_of(const allot_victim *victim) {
    struct entry entry = {(uint32_t)victim->cookie, (uint32_t)(victim->cookie >> 32),
                          victim->tenant, victim->grant};
    if (entry.index >= RECORDS) FAIL("a victim with a cookie of nobody's");
    return entry;
}

/* Frees the memory of a victim; one that is unknown by now has ended. */
static void free_for_real(struct entry entry) {
    struct record *record = &records[entry.index];
    pthread_mutex_lock(&record->lock);
    if (record->sequence == entry.sequence) {
        if (record->firm) FAIL("asked for what may not be evicted");
        if (record->memory != NULL && *(unsigned char *)record->memory != (entry.index & 0xff))
            FAIL("the memory of a victim is another's");
        end_locked(record);
    }
    pthread_mutex_unlock(&record->lock);
}

static __thread int depth;

/* Calls back into the governor, as a callback may. */
static void call_again(allot_governor *of) {
    allot_usage usage = ALLOT_USAGE_INIT;
    allot_request_spec spec = ALLOT_REQUEST_SPEC_INIT;
    struct entry entry;
    allot_status status;
    if (depth++ == 0 && open_record(&entry, tenants[FREES], 1 + below(4096), 0)) {
        spec.tenant = entry.tenant;
        spec.bytes = seen(entry).bytes;
        spec.cookie = cookie_of(entry);
        spec.allocation_type = ALLOT_CACHE;
        if (below(2)) status = CALL(try_request, allot_try_request(of, &spec, &entry.grant, NULL));
        else status = CALL(request, allot_request(of, &spec, &entry.grant, NULL));
        EXPECT("a request within a callback", status, ANSWERED_SET);
        if (status == ALLOT_OK) {
            live_record(&entry, entry.grant);
            release(entry);
        }
        close_record(entry);
    }
    depth--;
    EXPECT("usage", CALL(tenant_usage, allot_tenant_usage(of, tenants[below(TENANTS)], &usage)),
           OK_ONLY);
    EXPECT("retain", CALL(retain, allot_governor_retain(of)), OK_ONLY);
    CALL(free, allot_governor_free(of));
}

static allot_reclaim_answer asked(allot_governor *of, const allot_victim *victim, void *user_data) {
    struct callback *callback = user_data;
    struct entry entry = entry_of(victim);
    add(&counts[V_victim_asked], 1);
    if (__atomic_load_n(&callback->dropped, __ATOMIC_RELAXED)) FAIL("called after it was let go");
    if (victim->struct_size != sizeof *victim || victim->bytes == 0) FAIL("a strange victim");
    if (below(4) == 0) call_again(of);
    if (callback->kind == SLOW && below(8) == 0) nap(below(4 * MS));
    if (below(8) == 0) return below(2) ? ALLOT_RECLAIM_BUSY : 77;
    if (callback->kind == DEFERS && below(4) && promise(entry)) return ALLOT_RECLAIM_DEFERRED;
    free_for_real(entry);
    return ALLOT_RECLAIM_FREED;
}

static void pressed(allot_governor *of, allot_pressure_level level, void *user_data) {
    allot_pressure_level now;
    add(&counts[V_pressure_told], 1);
    if (__atomic_load_n(&((struct callback *)user_data)->dropped, __ATOMIC_RELAXED))
        FAIL("told of pressure after it was let go");
    if (level > ALLOT_PRESSURE_CRITICAL) FAIL("a strange level");
    EXPECT("pressure", CALL(pressure, allot_pressure(of, &now)), OK_ONLY);
}

/* --- tickets: anybody may look for anybody's answer --- */

struct waiting {
    allot_ticket ticket;
    struct entry entry;
};

static struct waiting line[TICKETS_MAX];
static size_t line_count;
static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;

static int stand(struct waiting waiting) {
    pthread_mutex_lock(&line_lock);
    int room = line_count < TICKETS_MAX;
    if (room) line[line_count++] = waiting;
    pthread_mutex_unlock(&line_lock);
    return room;
}

static int somebody(struct waiting *out) {
    pthread_mutex_lock(&line_lock);
    int some = line_count > 0;
    if (some) *out = line[below(line_count)];
    pthread_mutex_unlock(&line_lock);
    return some;
}

/* Takes a ticket that has ended out of the line: whoever had its answer does, once. */
static void leave(allot_ticket ticket) {
    pthread_mutex_lock(&line_lock);
    for (size_t place = 0; place < line_count; place++) {
        if (line[place].ticket == ticket) {
            line[place] = line[--line_count];
            break;
        }
    }
    pthread_mutex_unlock(&line_lock);
}

/* --- a thread --- */

struct thread {
    pthread_t id;
    int number;
    struct entry own[OWN_MAX];
    size_t own_count;
    allot_event_reader reader;
    uint64_t read_to;
    uint64_t made;
};

static uint64_t steps_total;

/* Grants that several threads use at once. Whoever takes one out closes its record. */
struct shared_grant {
    struct entry entry;
    unsigned users;
    int leaving;
};
static struct shared_grant common[COMMON_MAX];
static pthread_mutex_t common_lock = PTHREAD_MUTEX_INITIALIZER;

static void drop_one(struct thread *self, size_t place) {
    struct entry entry = self->own[place];
    self->own[place] = self->own[--self->own_count];
    allot_status first = release(entry);
    if (below(8) == 0) {
        allot_status again =
            CALL(release_twice, allot_grant_release(governor, entry.tenant, entry.grant));
        EXPECT("a second release", again,
               S(ALLOT_ERROR_STALE_GRANT) | (first == ALLOT_OK ? 0 : ENDED_SET));
    }
    close_record(entry);
}

static void keep(struct thread *self, struct entry entry) {
    if (self->own_count == OWN_MAX) drop_one(self, below(OWN_MAX));
    if (below(16) == 0) {
        pthread_mutex_lock(&common_lock);
        for (size_t place = 0; place < COMMON_MAX; place++) {
            if (common[place].entry.grant == 0 && !seen(entry).firm) {
                common[place].entry = entry;
                pthread_mutex_unlock(&common_lock);
                return;
            }
        }
        pthread_mutex_unlock(&common_lock);
    }
    self->own[self->own_count++] = entry;
}

/* A request of one of the tenants that stay, with its record. */
static int prepare(allot_request_spec *spec, struct entry *entry) {
    static const allot_request_spec empty = ALLOT_REQUEST_SPEC_INIT;
    *spec = empty;
    spec->allocation_type = below(16) == 0 ? ALLOT_MODEL_LOAD : 1 + (uint32_t)below(3);
    if (below(8) == 0) spec->flags |= ALLOT_REQUEST_EVICTABLE;
    int firm = spec->allocation_type == ALLOT_MODEL_LOAD && spec->flags == 0;
    if (below(32) == 0) {
        spec->flags |= ALLOT_REQUEST_PINNED;
        firm = 1;
    }
    spec->tenant = tenants[below(TENANTS)];
    spec->bytes = some_bytes();
    spec->key = below(3) ? 0 : below(64);
    spec->cost = (uint32_t)below(100);
    if (below(8) == 0) spec->ttl_ns = below(10 * MS);
    if (!open_record(entry, spec->tenant, spec->bytes, firm)) return 0;
    spec->cookie = cookie_of(*entry);
    return 1;
}

static void check_denial(const allot_denial *denial, const allot_request_spec *spec) {
    if (denial->reason < ALLOT_REASON_TENANT_LIMIT || denial->reason > ALLOT_REASON_AUDIT_FULL ||
        denial->asked_bytes != spec->bytes)
        FAIL("a strange denial: reason %u, %llu bytes", denial->reason,
             (unsigned long long)denial->asked_bytes);
}

static void ask(struct thread *self) {
    allot_request_spec spec;
    allot_denial denial = ALLOT_DENIAL_INIT;
    struct entry entry;
    allot_grant grant = 0;
    allot_status status;
    if (!prepare(&spec, &entry)) return;
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        status = CALL(try_request, allot_try_request(governor, &spec, &grant, &denial));
        break;
    case 3:
        status = CALL(acquire, allot_acquire(governor, &spec, below(2 * MS), &grant, &denial));
        break;
    case 4:
        reserve_record(entry);
        status = CALL(reserve, allot_reserve(governor, &spec, below(8 * MS), &grant, &denial));
        break;
    default:
        status = CALL(request, allot_request(governor, &spec, &grant, &denial));
    }
    EXPECT("a request", status, ANSWERED_SET);
    if (status == ALLOT_DENIED) {
        check_denial(&denial, &spec);
        close_record(entry);
        return;
    }
    live_record(&entry, grant);
    keep(self, entry);
}

static void ask_for_all(struct thread *self) {
    allot_request_spec specs[4];
    struct entry entries[4];
    allot_grant grants[4];
    size_t count = 0;
    while (count < 4 && prepare(&specs[count], &entries[count])) count++;
    allot_status status =
        CALL(request_all, allot_request_all(governor, specs, count, grants, NULL));
    EXPECT("request_all", status, ANSWERED_SET);
    for (size_t place = 0; place < count; place++) {
        if (status == ALLOT_OK) {
            live_record(&entries[place], grants[place]);
            keep(self, entries[place]);
        } else {
            close_record(entries[place]);
        }
    }
}

/* What may be answered where nobody but the governor and the polled owner ends a grant. */
static uint64_t changed_set(struct entry entry) {
    int firm = seen(entry).firm;
    return OK_ONLY | BUSY_SET | (firm ? 0 : ENDED_SET);
}

/* A verb that several threads may use on one grant at once. */
static void use_any(struct entry entry) {
    uint64_t by = 1 + below(4096), bytes = 0;
    allot_status status = ALLOT_OK;
    uint64_t set = changed_set(entry);
    switch (below(9)) {
    case 0:
        status = CALL(grow, allot_grant_grow(governor, entry.tenant, entry.grant, by, NULL));
        EXPECT("grow", status, set | S(ALLOT_DENIED));
        if (status == ALLOT_OK) change_bytes(entry, (int64_t)by);
        break;
    case 1:
        status = CALL(grow_evicting, allot_grant_grow_evicting(governor, entry.tenant, entry.grant,
                                                               by, NULL));
        EXPECT("grow_evicting", status, set | S(ALLOT_DENIED));
        if (status == ALLOT_OK) change_bytes(entry, (int64_t)by);
        break;
    case 2:
        status = CALL(shrink, allot_grant_shrink(governor, entry.tenant, entry.grant, by));
        EXPECT("shrink", status, set | S(ALLOT_ERROR_SHRINK_TOO_MUCH));
        if (status == ALLOT_OK) change_bytes(entry, -(int64_t)by);
        break;
    case 3:
        status = CALL(touch, allot_grant_touch(governor, entry.tenant, entry.grant));
        EXPECT("touch", status, set);
        break;
    case 4:
        status = CALL(pin, allot_grant_pin(governor, entry.tenant, entry.grant));
        EXPECT("pin", status, set);
        break;
    case 5:
    case 6:
        if (seen(entry).firm) break;
        status = CALL(unpin, allot_grant_unpin(governor, entry.tenant, entry.grant));
        EXPECT("unpin", status, set);
        break;
    case 7:
        status = CALL(keep_alive, allot_grant_keep_alive(governor, entry.tenant, entry.grant,
                                                         below(MS)));
        EXPECT("keep_alive", status, set);
        break;
    default:
        status = CALL(bytes, allot_grant_bytes(governor, entry.tenant, entry.grant, &bytes));
        EXPECT("bytes", status, set & ~BUSY_SET);
        if (status == ALLOT_OK && bytes == 0) FAIL("a live grant of no bytes");
    }
}

static void use_own(struct thread *self) {
    if (self->own_count == 0) return;
    size_t place = below(self->own_count);
    struct entry entry = self->own[place];
    struct record record = seen(entry);
    uint64_t to = some_bytes();
    allot_status status;
    if (record.reservation) {
        status = CALL(commit, allot_grant_commit(governor, entry.tenant, entry.grant));
        EXPECT("commit", status,
               OK_ONLY | BUSY_SET | S(ALLOT_ERROR_EXPIRED) | S(ALLOT_ERROR_STALE_GRANT));
        pthread_mutex_lock(&records[entry.index].lock);
        if (status == ALLOT_OK) records[entry.index].reservation = 0;
        pthread_mutex_unlock(&records[entry.index].lock);
        if (status != ALLOT_OK && status != ALLOT_ERROR_BUSY) drop_one(self, place);
        return;
    }
    if (below(8)) {
        use_any(entry);
        return;
    }
    status = CALL(true_up, allot_grant_true_up(governor, entry.tenant, entry.grant, to, NULL));
    EXPECT("true_up", status, changed_set(entry) | S(ALLOT_DENIED));
    if (status == ALLOT_OK) change_bytes(entry, (int64_t)to - (int64_t)record.bytes);
}

/* Several threads use one grant, and several may release it at once. */
static void use_common(void) {
    size_t place = below(COMMON_MAX);
    int ends = below(24) == 0, last;
    pthread_mutex_lock(&common_lock);
    struct shared_grant *shared = &common[place];
    struct entry entry = shared->entry;
    if (entry.grant != 0) shared->users++;
    pthread_mutex_unlock(&common_lock);
    if (entry.grant == 0) return;
    if (ends) release(entry);
    else if (!seen(entry).reservation) use_any(entry);
    pthread_mutex_lock(&common_lock);
    shared->leaving |= ends;
    last = --shared->users == 0 && shared->leaving;
    if (last) memset(shared, 0, sizeof *shared);
    pthread_mutex_unlock(&common_lock);
    if (last) close_record(entry);
}

static void served(struct thread *self, struct waiting waiting, allot_status status,
                   allot_grant grant) {
    if (status == ALLOT_QUEUED || status == ALLOT_ERROR_STALE_TICKET) return;
    leave(waiting.ticket);
    if (status != ALLOT_OK) {
        close_record(waiting.entry);
        return;
    }
    live_record(&waiting.entry, grant);
    if (self != NULL) {
        keep(self, waiting.entry);
    } else {
        release(waiting.entry);
        close_record(waiting.entry);
    }
}

#define TICKET_SET                                                                                 \
    (ANSWERED_SET | S(ALLOT_QUEUED) | S(ALLOT_ERROR_STALE_TICKET) | S(ALLOT_ERROR_GONE))

static void told(allot_governor *of, allot_ticket ticket, void *user_data) {
    struct waiting found = {0, {0, 0, 0, 0}};
    allot_grant grant = 0;
    add(&counts[V_ticket_told], 1);
    if (__atomic_load_n(&((struct callback *)user_data)->dropped, __ATOMIC_RELAXED))
        FAIL("told of a ticket after it was let go");
    if (below(2)) return;
    pthread_mutex_lock(&line_lock);
    for (size_t place = 0; place < line_count; place++)
        if (line[place].ticket == ticket) found = line[place];
    pthread_mutex_unlock(&line_lock);
    if (found.ticket == 0) return;
    allot_status status = CALL(poll, allot_ticket_poll(of, ticket, &grant, NULL));
    EXPECT("poll within a callback", status, TICKET_SET & ~S(ALLOT_QUEUED));
    served(NULL, found, status, grant);
}

static void tell_me(struct waiting waiting) {
    struct callback *callback = new_callback(0);
    if (callback == NULL) return;
    allot_status status = CALL(
        on_ready, allot_ticket_on_ready(governor, waiting.ticket, told, callback, dropped));
    EXPECT("on_ready", status, OK_ONLY | S(ALLOT_ERROR_STALE_TICKET));
    was_set(callback, status);
}

static void stand_in_line(struct thread *self) {
    struct waiting waiting;
    allot_request_spec spec;
    allot_denial denial = ALLOT_DENIAL_INIT;
    allot_grant grant = 0;
    if (!prepare(&spec, &waiting.entry)) return;
    allot_status status = CALL(enqueue, allot_enqueue(governor, &spec, below(20 * MS), &grant,
                                                      &waiting.ticket, &denial));
    EXPECT("enqueue", status, ANSWERED_SET | S(ALLOT_QUEUED));
    if (status == ALLOT_DENIED) check_denial(&denial, &spec);
    if (status != ALLOT_QUEUED) waiting.ticket = 0;
    if (status == ALLOT_QUEUED && !stand(waiting)) {
        EXPECT("cancel", CALL(cancel, allot_ticket_cancel(governor, waiting.ticket)), OK_ONLY);
        close_record(waiting.entry);
    }
    served(self, waiting, status, grant);
    if (status == ALLOT_QUEUED && below(2)) tell_me(waiting);
}

static void look_at_line(struct thread *self) {
    struct waiting waiting;
    allot_grant grant = 0;
    uint64_t wait_ns;
    allot_status status;
    if (!somebody(&waiting)) return;
    switch (below(6)) {
    case 0:
        status = CALL(wait, allot_ticket_wait(governor, waiting.ticket, below(MS), &grant, NULL));
        EXPECT("wait", status, TICKET_SET);
        served(self, waiting, status, grant);
        break;
    case 1:
        status = CALL(cancel, allot_ticket_cancel(governor, waiting.ticket));
        EXPECT("cancel", status, OK_ONLY | S(ALLOT_ERROR_STALE_TICKET));
        if (status == ALLOT_OK) {
            leave(waiting.ticket);
            close_record(waiting.entry);
        }
        break;
    case 2:
        tell_me(waiting);
        break;
    case 3:
        status = CALL(ticket_estimate, allot_ticket_estimate(governor, waiting.ticket, &wait_ns));
        EXPECT("estimate", status, OK_ONLY | S(ALLOT_ERROR_STALE_TICKET));
        break;
    default:
        status = CALL(poll, allot_ticket_poll(governor, waiting.ticket, &grant, NULL));
        EXPECT("poll", status, TICKET_SET);
        served(self, waiting, status, grant);
    }
}

/* Victims of who is polled, and promises of who has answered "later". */
static void look_for_victims(void) {
    allot_victim victim = ALLOT_VICTIM_INIT;
    allot_status status = CALL(next_victim, allot_next_victim(governor, &victim));
    EXPECT("next_victim", status, OK_ONLY | S(ALLOT_NONE));
    if (status == ALLOT_OK) {
        struct entry entry = entry_of(&victim);
        if (below(3)) {
            release(entry);
        } else {
            status = CALL(decline, allot_grant_decline(governor, victim.tenant, victim.grant));
            EXPECT("decline", status,
                   OK_ONLY | ENDED_SET | BUSY_SET | S(ALLOT_ERROR_GONE));
        }
    }
    keep_promise();
}

static void set_callback(void) {
    uint32_t which = (uint32_t)below(5);
    struct callback *callback = new_callback(which);
    allot_status status;
    if (callback == NULL) return;
    if (which == POLLED) {
        /* For a moment somebody is asked for the victims of those who are polled. */
        callback->kind = FREES;
        status = CALL(on_reclaim, allot_on_reclaim(governor, 0, asked, callback, dropped));
        was_set(callback, status);
        callback = new_callback(FREES);
        if (callback == NULL) return;
        EXPECT("on_reclaim", status, OK_ONLY);
        status = CALL(on_reclaim, allot_on_reclaim(governor, 0, NULL, callback, dropped));
    } else if (which < POLLED) {
        uint64_t timeout_ns = which == SLOW ? 2 * MS : 0;
        status = CALL(tenant_on_reclaim, allot_tenant_on_reclaim(governor, tenants[which],
                                                                 timeout_ns, asked, callback,
                                                                 dropped));
    } else {
        status = CALL(on_pressure, allot_on_pressure(governor, pressed, callback, dropped));
    }
    EXPECT("setting a callback", status, OK_ONLY);
    was_set(callback, status);
}

static void press(void) {
    allot_balance_report report = ALLOT_BALANCE_REPORT_INIT;
    allot_pressure_level level = below(4) ? ALLOT_PRESSURE_NORMAL : (uint32_t)below(3);
    allot_status status;
    switch (below(6)) {
    case 0:
        status = CALL(report_pressure, allot_report_pressure(governor, level));
        break;
    case 1:
        status = CALL(report_measured, allot_report_measured(governor, tenants[below(TENANTS)],
                                                             below(2) ? ALLOT_UNKNOWN : MIB));
        break;
    case 2:
        status = CALL(report_measured_process,
                      allot_report_measured_process(governor, below(4) ? ALLOT_UNKNOWN : MIB));
        break;
    case 3:
        status = CALL(pressure, allot_pressure(governor, &level));
        break;
    default:
        status = CALL(balance, allot_balance(governor, below(4) == 0, &report));
        if (report.live_bytes > CAPACITY_MAX) FAIL("more in use than there ever was");
    }
    EXPECT("pressure", status, OK_ONLY);
}

static void look(void) {
    allot_pool pool = ALLOT_POOL_INIT;
    allot_usage usage = ALLOT_USAGE_INIT;
    allot_snapshot *snapshot;
    char text[64];
    uint64_t length;
    if (below(4)) {
        EXPECT("usage",
               CALL(tenant_usage,
                    allot_tenant_usage(governor, tenants[below(TENANTS)], &usage)), OK_ONLY);
        EXPECT("pool", CALL(pool_usage, allot_pool_usage(governor, &pool)), OK_ONLY);
    } else {
        EXPECT("snapshot", CALL(snapshot, allot_snapshot_take(governor, &snapshot)), OK_ONLY);
        EXPECT("pool", allot_snapshot_pool(snapshot, &pool), OK_ONLY);
        for (uint64_t place = 0; place < pool.tenants; place++) {
            EXPECT("tenant", allot_snapshot_tenant(snapshot, place, &usage), OK_ONLY);
            EXPECT("name", allot_snapshot_tenant_name(snapshot, place, text, 4, &length),
                   OK_ONLY | S(ALLOT_TRUNCATED));
            EXPECT("name", allot_snapshot_group_name(snapshot, place, text, 64, &length), OK_ONLY);
        }
        allot_snapshot_free(snapshot);
    }
    if (pool.live_bytes > CAPACITY_MAX || usage.used_bytes > CAPACITY_MAX)
        FAIL("%llu bytes in use, more than there ever was", (unsigned long long)pool.live_bytes);
}

static void wonder(void) {
    allot_request_spec spec = ALLOT_REQUEST_SPEC_INIT;
    allot_explanation explanation = ALLOT_EXPLANATION_INIT;
    char text[512];
    uint64_t number;
    spec.tenant = tenants[below(TENANTS)];
    spec.bytes = some_bytes();
    switch (below(5)) {
    case 0:
        EXPECT("attainable", CALL(attainable, allot_attainable(governor, &spec, &number)), OK_ONLY);
        break;
    case 1:
        EXPECT("estimate_wait",
               CALL(estimate_wait, allot_estimate_wait(governor, &spec, &number)), OK_ONLY);
        break;
    case 2:
        EXPECT("clock", CALL(clock_now, allot_clock_now_ns(governor, &number)), OK_ONLY);
        EXPECT("check", CALL(check, allot_governor_check(governor)), OK_ONLY);
        spec.bytes = 0;
        EXPECT("a request of nothing", allot_try_request(governor, &spec, &number, NULL),
               S(ALLOT_ERROR_ZERO_BYTES));
        EXPECT("message", CALL(error_message, allot_error_message(text, sizeof text, &number)),
               OK_ONLY);
        if (number == 0) FAIL("an error without a message");
        break;
    default:
        EXPECT("explain", CALL(explain, allot_explain(governor, &spec, &explanation, text,
                                                      sizeof text, &number)),
               OK_ONLY | S(ALLOT_TRUNCATED));
    }
}

static void read_events(struct thread *self) {
    allot_event event = ALLOT_EVENT_INIT;
    for (int turn = 0; turn < 32; turn++) {
        allot_status status =
            CALL(events_read, allot_events_read(governor, &self->reader, &event));
        EXPECT("events_read", status, OK_ONLY | S(ALLOT_NONE) | S(ALLOT_LOST));
        if (status == ALLOT_LOST && self->reader.lost_now == 0) FAIL("lost no events");
        if (status == ALLOT_NONE) return;
        if (status != ALLOT_OK) continue;
        if (self->read_to != 0 && event.sequence < self->read_to) FAIL("events out of order");
        self->read_to = event.sequence + 1;
    }
}

static void change_settings(void) {
    allot_tenant tenant = tenants[below(TENANTS)];
    allot_tenant found;
    allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
    char text[32];
    uint64_t length;
    uint64_t capacity = CAPACITY_MIN + below(CAPACITY_MAX - CAPACITY_MIN + 1);
    EXPECT("set_capacity", CALL(set_capacity, allot_governor_set_capacity(governor, capacity)),
           OK_ONLY);
    EXPECT("get", CALL(tenant_get, allot_tenant_get(governor, tenant, &config)), OK_ONLY);
    config.priority = (uint32_t)below(4);
    config.policy = (uint32_t)below(5);
    config.limit_bytes = CAPACITY_MAX / 4 + below(CAPACITY_MAX / 2);
    config.burst_bytes = ALLOT_UNLIMITED;
    config.grants_max[ALLOT_CACHE] = below(2) ? ALLOT_ANY_COUNT : 20 + (uint32_t)below(60);
    EXPECT("update", CALL(tenant_update, allot_tenant_update(governor, tenant, &config)),
           OK_ONLY | S(ALLOT_ERROR_CONTENDED));
    EXPECT("find", CALL(tenant_find, allot_tenant_find(governor, config.id, &found)), OK_ONLY);
    if (found != tenant) FAIL("another tenant was found");
    EXPECT("name", CALL(tenant_name, allot_tenant_name(governor, tenant, text, sizeof text,
                                                       &length)), OK_ONLY);
    EXPECT("find_name",
           CALL(tenant_find_name, allot_tenant_find_name(governor, text, length, &found)), OK_ONLY);
    if (found != tenant) FAIL("another tenant was found by its name");
    EXPECT("retain", CALL(retain, allot_governor_retain(governor)), OK_ONLY);
    CALL(free, allot_governor_free(governor));
}

/* Groups and tenants that come and go: their grants, a waiter, a callback, and an end. */
static void come_and_go(struct thread *self) {
    allot_group group;
    allot_group_config group_config = ALLOT_GROUP_CONFIG_INIT;
    allot_tenant tenant;
    allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
    allot_request_spec spec = ALLOT_REQUEST_SPEC_INIT;
    struct entry entries[3];
    size_t held = 0;
    char name[48];
    allot_status status;
    config.name = group_config.name = name;
    config.name_length = group_config.name_length = (uint64_t)snprintf(
        name, sizeof name, "guest %d of thread %d", (int)self->made++, self->number);
    EXPECT("group_register", CALL(group_register, allot_group_register(governor, &group_config,
                                                                       &group)), OK_ONLY);
    EXPECT("group_find_name",
           CALL(group_find_name, allot_group_find_name(governor, name, config.name_length,
                                                       &config.parent)), OK_ONLY);
    if (config.parent != group) FAIL("another group was found");
    group_config.limit_bytes = 8 * MIB;
    EXPECT("group_update", CALL(group_update, allot_group_update(governor, group, &group_config)),
           OK_ONLY | S(ALLOT_ERROR_CONTENDED));
    EXPECT("register", CALL(tenant_register, allot_tenant_register(governor, &config, &tenant)),
           OK_ONLY);
    EXPECT("a group with a child", CALL(group_unregister, allot_group_unregister(governor, group)),
           S(ALLOT_ERROR_HAS_CHILDREN));
    struct callback *callback = new_callback(FREES);
    if (callback != NULL && below(2)) {
        status = CALL(tenant_on_reclaim, allot_tenant_on_reclaim(governor, tenant, 0, asked,
                                                                 callback, dropped));
        EXPECT("tenant_on_reclaim", status, OK_ONLY);
        was_set(callback, status);
    }
    spec.tenant = tenant;
    spec.allocation_type = ALLOT_CACHE;
    while (held < 3) {
        spec.bytes = some_bytes();
        if (!open_record(&entries[held], tenant, spec.bytes, 0)) break;
        spec.cookie = cookie_of(entries[held]);
        allot_grant grant = 0;
        status = CALL(request, allot_request(governor, &spec, &grant, NULL));
        EXPECT("a request of a guest", status, ANSWERED_SET);
        if (status == ALLOT_DENIED) {
            close_record(entries[held]);
            break;
        }
        live_record(&entries[held++], grant);
    }
    allot_unregister_how how = (uint32_t)below(3);
    status = CALL(tenant_unregister, allot_tenant_unregister(governor, tenant, how));
    EXPECT("unregister", status,
           OK_ONLY | (how == ALLOT_UNREGISTER_IF_IDLE ? S(ALLOT_ERROR_GRANTS_LIVE) : 0));
    int gone = status == ALLOT_OK;
    for (size_t place = 0; place < held; place++) {
        status = release(entries[place]);
        if (how == ALLOT_UNREGISTER_FORCE && status == ALLOT_OK) FAIL("released what was ended");
        close_record(entries[place]);
    }
    double until = now_seconds() + REST_SECONDS_MAX;
    /* A grant that was being evicted ends when its owner has answered. */
    while (!gone) {
        status = CALL(tenant_unregister,
                      allot_tenant_unregister(governor, tenant, ALLOT_UNREGISTER_IF_IDLE));
        gone = status == ALLOT_OK;
        if (!gone && now_seconds() > until) FAIL("a tenant without grants cannot go");
        if (!gone) sched_yield();
    }
    while ((status = CALL(group_unregister, allot_group_unregister(governor, group))) != ALLOT_OK) {
        EXPECT("group_unregister", status, S(ALLOT_ERROR_HAS_CHILDREN));
        if (now_seconds() > until) FAIL("a group without children cannot go");
        sched_yield();
    }
}

static void step(struct thread *self) {
    uint64_t which = below(1000);
    if (which < 250) ask(self);
    else if (which < 270) ask_for_all(self);
    else if (which < 330) stand_in_line(self);
    else if (which < 440) look_at_line(self);
    else if (which < 640) use_own(self);
    else if (which < 740) use_common();
    else if (which < 860 && self->own_count > 0) drop_one(self, below(self->own_count));
    else if (which < 910) look_for_victims();
    else if (which < 920) set_callback();
    else if (which < 940) press();
    else if (which < 955) look();
    else if (which < 970) wonder();
    else if (which < 980) read_events(self);
    else if (which < 990) change_settings();
    else come_and_go(self);
}

static void *run(void *argument) {
    struct thread *self = argument;
    static const allot_event_reader reader = ALLOT_EVENT_READER_INIT;
    uint64_t steps = 0;
    self->reader = reader;
    dice = mixed(seed ^ (uint64_t)self->number << 32) | 1;
    for (; !is_stopping(); steps++) step(self);
    CALL(free, allot_governor_free(governor));
    add(&steps_total, steps);
    return NULL;
}

/* --- at rest --- */

/* Why the books do not agree yet, in the words of whoever looked last. */
static char disagreement[160];

/* Whether a record and the governor agree. A thread of the library's that is still in a callback
   may be between the two: then they do a moment later. */
static int record_agrees(struct record *record, allot_tenant *tenant, uint64_t *bytes) {
    int same = 1;
    *bytes = 0;
    pthread_mutex_lock(&record->lock);
    *tenant = record->tenant;
    if (record->state == LIVE) {
        allot_status status = allot_grant_bytes(governor, record->tenant, record->grant, bytes);
        if (record->reservation && status != ALLOT_OK) {
            end_locked(record);
            *bytes = 0;
        } else {
            same = status == ALLOT_OK && *bytes == record->bytes;
        }
        if (!same)
            snprintf(disagreement, sizeof disagreement,
                     "a grant of %llu bytes by the ledger holds %llu: %s",
                     (unsigned long long)record->bytes, (unsigned long long)*bytes,
                     allot_status_text(status));
    }
    pthread_mutex_unlock(&record->lock);
    return same;
}

static int sums_agree(const char *whose, uint64_t ledger, uint64_t used) {
    if (ledger != used)
        snprintf(disagreement, sizeof disagreement, "%s holds %llu bytes by the ledger, uses %llu",
                 whose, (unsigned long long)ledger, (unsigned long long)used);
    return ledger == used;
}

/* Whether the books agree by now. */
static int agrees(void) {
    uint64_t all = 0, sums[TENANTS] = {0}, bytes;
    allot_tenant tenant;
    allot_pool pool = ALLOT_POOL_INIT;
    int same = 1;
    EXPECT("balance", allot_balance(governor, 0, NULL), OK_ONLY);
    for (uint32_t index = 0; index < RECORDS; index++) {
        same &= record_agrees(&records[index], &tenant, &bytes);
        all += bytes;
        for (int place = 0; bytes > 0 && place < TENANTS; place++)
            if (tenant == tenants[place]) sums[place] += bytes;
    }
    for (int place = 0; place < TENANTS; place++) {
        allot_usage usage = ALLOT_USAGE_INIT;
        EXPECT("usage", allot_tenant_usage(governor, tenants[place], &usage), OK_ONLY);
        same &= sums_agree(tenant_names[place], sums[place], usage.used_bytes);
    }
    EXPECT("pool", allot_pool_usage(governor, &pool), OK_ONLY);
    same &= sums_agree("the pool", all, pool.live_bytes);
    if (pool.waiters != 0) snprintf(disagreement, sizeof disagreement, "somebody waits");
    return same && pool.waiters == 0;
}

static void come_to_rest(const char *when) {
    double until = now_seconds() + REST_SECONDS_MAX;
    while (!agrees()) {
        if (now_seconds() > until) FAIL("%s: %s", when, disagreement);
        nap(MS);
    }
}

static uint32_t open_records(void) {
    pthread_mutex_lock(&free_lock);
    uint32_t open = RECORDS - free_count;
    pthread_mutex_unlock(&free_lock);
    return open;
}

static void let_all_go(struct thread *threads) {
    double until = now_seconds() + REST_SECONDS_MAX;
    for (int number = 0; number < THREADS; number++)
        while (threads[number].own_count > 0) drop_one(&threads[number], 0);
    for (size_t place = 0; place < COMMON_MAX; place++) {
        if (common[place].entry.grant == 0) continue;
        release(common[place].entry);
        close_record(common[place].entry);
    }
    /* With no record open, what agrees is 0 everywhere. */
    while (open_records() > 0) {
        if (now_seconds() > until) FAIL("%u records are open in the end", open_records());
        nap(MS);
    }
    come_to_rest("in the end");
}

static void all_let_go(void) {
    double until = now_seconds() + REST_SECONDS_MAX;
    uint64_t made = add(&callbacks_made, 0), set = 0;
    for (uint64_t place = 0; place < made; place++) {
        struct callback *callback = &callbacks[place];
        uint32_t expected = callback->set == 1;
        set += expected;
        while (__atomic_load_n(&callback->dropped, __ATOMIC_ACQUIRE) != expected) {
            if (now_seconds() > until) FAIL("a callback was not let go once");
            nap(MS);
        }
    }
    printf("%llu callbacks set, each let go once\n", (unsigned long long)set);
}

static void set_up(void) {
    allot_config config = ALLOT_CONFIG_INIT;
    config.capacity_bytes = CAPACITY_MAX;
    config.grants_max = RECORDS;
    config.events_max = 4096;
    config.waiters_max = 64;
    config.quantum_bytes = 64 << 10;
    config.patience_ns = 5 * MS;
    config.busy_cooldown_ns = MS;
    config.promise_ns = 20 * MS;
    config.idle_claim_ns = 50 * MS;
    config.inactive_limit_ns = 100 * MS;
    EXPECT("governor_new", allot_governor_new(&config, &governor), OK_ONLY);
    for (uint32_t index = 0; index < RECORDS; index++) {
        pthread_mutex_init(&records[index].lock, NULL);
        free_records[free_count++] = index;
    }
    for (int place = 0; place < TENANTS; place++) {
        allot_tenant_config tenant = ALLOT_TENANT_CONFIG_INIT;
        tenant.name = tenant_names[place];
        tenant.name_length = strlen(tenant.name);
        tenant.guarantee_bytes = place == FREES ? 0 : 4 * MIB;
        EXPECT("register", allot_tenant_register(governor, &tenant, &tenants[place]), OK_ONLY);
        if (place == POLLED) continue;
        struct callback *callback = new_callback((uint32_t)place);
        was_set(callback, ALLOT_OK);
        EXPECT("tenant_on_reclaim",
               allot_tenant_on_reclaim(governor, tenants[place], place == SLOW ? 2 * MS : 0, asked,
                                       callback, dropped), OK_ONLY);
    }
}

/* Cancels all who wait. Who is just told of a ticket may take its answer first. */
static void end_tickets(void) {
    double until = now_seconds() + REST_SECONDS_MAX;
    struct waiting waiting;
    while (somebody(&waiting)) {
        allot_status status = allot_ticket_cancel(governor, waiting.ticket);
        EXPECT("cancel", status, OK_ONLY | S(ALLOT_ERROR_STALE_TICKET));
        if (status == ALLOT_OK) {
            leave(waiting.ticket);
            close_record(waiting.entry);
        } else if (now_seconds() > until) {
            FAIL("a ticket has ended, and nobody has its answer");
        }
    }
}

static void print_counts(void) {
    for (int verb = 0; verb < VERB_COUNT; verb++) {
        uint64_t count = add(&counts[verb], 0);
        printf("%s %llu%s", verb_names[verb], (unsigned long long)count,
               verb % 6 == 5 || verb == VERB_COUNT - 1 ? "\n" : ", ");
        if (count == 0 && steps_total >= STEPS_FOR_ALL)
            FAIL("%s was never called", verb_names[verb]);
    }
}

/* --- the planted race --- */

static allot_event_reader shared_reader = ALLOT_EVENT_READER_INIT;

static void *read_together(void *nothing) {
    allot_event event = ALLOT_EVENT_INIT;
    for (int turn = 0; turn < 2000; turn++) allot_events_read(governor, &shared_reader, &event);
    return nothing;
}

static int plant_race(void) {
    pthread_t other;
    allot_request_spec spec = ALLOT_REQUEST_SPEC_INIT;
    allot_grant grant;
    spec.tenant = tenants[0];
    spec.bytes = 1;
    for (int turn = 0; turn < 1000; turn++) {
        EXPECT("a request", allot_try_request(governor, &spec, &grant, NULL), OK_ONLY);
        EXPECT("release", allot_grant_release(governor, tenants[0], grant), OK_ONLY);
    }
    if (pthread_create(&other, NULL, read_together, NULL) != 0) FAIL("no thread");
    read_together(NULL);
    pthread_join(other, NULL);
    allot_governor_free(governor);
    printf("two threads have used one reader\n");
    return 0;
}

int main(int argc, char **argv) {
    static struct thread threads[THREADS];
    int race = argc > 1 && strcmp(argv[1], "--race") == 0;
    double seconds = argc > 1 + race ? atof(argv[1 + race]) : 2;
    seed = argc > 2 + race ? strtoull(argv[2 + race], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    set_up();
    if (race) return plant_race();
    for (int number = 0; number < THREADS; number++) {
        threads[number].number = number;
        EXPECT("retain", allot_governor_retain(governor), OK_ONLY);
        if (pthread_create(&threads[number].id, NULL, run, &threads[number]) != 0)
            FAIL("no thread");
    }
    double until = now_seconds() + seconds;
    while (now_seconds() < until) nap(5 * MS);
    __atomic_store_n(&stopping, 1, __ATOMIC_RELEASE);
    for (int number = 0; number < THREADS; number++) pthread_join(threads[number].id, NULL);
    end_tickets();
    while (keep_promise()) continue;
    EXPECT("report_pressure", allot_report_pressure(governor, ALLOT_PRESSURE_NORMAL), OK_ONLY);
    come_to_rest("at rest");
    let_all_go(threads);
    allot_governor_free(governor);
    all_let_go();
    print_counts();
    printf("%llu steps in %.1f s: all adds up\n", (unsigned long long)steps_total, seconds);
    return 0;
}
