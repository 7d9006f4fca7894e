/*
 * Allotment: a memory governor. Many tenants share one memory, and nobody over-commits it.
 *
 * Made from ffi/src by scripts/header.sh; do not edit. The contract is ffi/README.md. In short:
 *
 *   - a call answers allot_status: 0 done, above 0 an answer that is no fault, below 0 an error,
 *     and then nothing has changed
 *   - answers are written only where the status says so, through the last parameters
 *   - a struct begins with its size: begin with its _INIT macro
 *   - a text is a pointer and a length, UTF-8 without NUL
 *   - tenants, groups, grants and tickets are numbers; one that is stale or another governor's is
 *     refused and changes nothing
 *   - any thread may call; a callback runs with nothing held and may call any function
 *
 *   allot_governor *governor;
 *   allot_config config = ALLOT_CONFIG_INIT;
 *   config.capacity_bytes = 24ull << 30;
 *   if (allot_governor_new(&config, &governor) == ALLOT_OK) { ... allot_governor_free(governor); }
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef ALLOT_H
#define ALLOT_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header: that of the library it was made with. */
#define ALLOT_VERSION_MAJOR 0
#define ALLOT_VERSION_MINOR 1
#define ALLOT_VERSION_PATCH 0
#define ALLOT_VERSION "0.1.0"

/* The slot of a handle's account: what an event calls it. */
#define ALLOT_SLOT(handle) ((uint32_t)((handle) & 0xffffffu))

// The ABI of this header. A library of the same number can be put in place of another one; see
// ffi/README.md for what that promises.
#define ALLOT_ABI_VERSION 0

// Bytes without a bound: no limit.
#define ALLOT_UNLIMITED 18446744073709551615ull

// A time that never comes, in ns.
#define ALLOT_FOREVER 18446744073709551615ull

// A number that is not known.
#define ALLOT_UNKNOWN 18446744073709551615ull

// A count without a bound.
#define ALLOT_ANY_COUNT 4294967295

// Bytes of a name, at most.
#define ALLOT_NAME_BYTES_MAX 255

// A loaded model may be evicted. Other types always may.
#define ALLOT_REQUEST_EVICTABLE 1

// The grant is pinned from the start: never evicted until it is unpinned.
#define ALLOT_REQUEST_PINNED 2

// Most requests in one allot_request_all.
#define ALLOT_BATCH_MAX 64

// Holders named in an explanation, at most.
#define ALLOT_HOLDERS_MAX 5

// Victims and pins listed in an explanation one by one, at most; totals count all.
#define ALLOT_LISTED_MAX 16

// A governor: many tenants share its memory. Opaque, and counted: allot_governor_new answers one
// reference, allot_governor_retain adds one, allot_governor_free takes one away, and the last one
// ends it. Any thread may call it; a thread that calls it has to have a reference until the call
// has returned.
typedef struct allot_governor allot_governor;

// What there was when it was taken: the pool and all tenants, in the order of their slots. Opaque;
// any number of threads may look at one at once.
typedef struct allot_snapshot allot_snapshot;

// What a call answers: 0 it was done; above 0 an answer that is no fault; below 0 an error, and
// then nothing has changed. Numbers are never changed and never used again.
typedef int32_t allot_status;

// Where a governor's time comes from.
typedef uint32_t allot_clock;

// How a governor is set up. Begin with ALLOT_CONFIG_INIT, and set capacity_bytes.
typedef struct allot_config {
    // sizeof(allot_config).
    uint32_t struct_size;
    // Most tenants registered at once, 1 to 2^20. Costs address space, not memory.
    uint32_t tenants_max;
    // Bytes to share, 1 to 2^48 - 1. Has no default.
    uint64_t capacity_bytes;
    // Most groups registered at once, up to 2^16.
    uint32_t groups_max;
    // Most live grants, 1 to 2^23. Costs address space, not memory.
    uint32_t grants_max;
    // Content keys whose frequency is remembered after eviction, up to 2^28; 0: none.
    uint32_t ghost_keys_max;
    // Events kept for readers, up to 2^24, rounded up to a power of two; 0: none are recorded.
    uint32_t events_max;
    // Most requests that wait at once, up to 2^16; 0: nobody can wait.
    uint32_t waiters_max;
    // Most victims evicted for one request, at least 1.
    uint32_t victims_max;
    // How long a waiter may be passed over by smaller ones before bytes are set aside for it, ns.
    uint64_t patience_ns;
    // Bytes of claim bought beyond the need while the pool is far from full.
    uint64_t quantum_bytes;
    // Bytes freed beyond a shortage when victims are evicted for it.
    uint64_t headroom_bytes;
    // For how long a victim whose owner answered busy is left alone, in ns.
    uint64_t busy_cooldown_ns;
    // Within what time a deferred or polled victim has to be released, in ns, at least 1;
    // ALLOT_FOREVER: it may take for ever.
    uint64_t promise_ns;
    // Within what time memory that was said to be freed has to show in measurements, in ns.
    uint64_t freed_shows_ns;
    // After what time without a request a tenant's idle claim goes back, in ns; ALLOT_FOREVER:
    // never.
    uint64_t idle_claim_ns;
    // After what time without a request a tenant's ceiling comes down to what it holds while
    // memory is short, in ns; ALLOT_FOREVER: never.
    uint64_t inactive_limit_ns;
    // 1: the fill of the pool counts as pressure; 0: only what is reported does.
    uint32_t pool_pressure;
    // Percent of capacity at which a warning is raised.
    uint32_t warning_percent;
    // Percent of capacity at which pressure is High.
    uint32_t high_percent;
    // Percent of capacity at which pressure is Critical.
    uint32_t critical_percent;
    // Percentage points below a threshold at which its level ends.
    uint32_t hysteresis_percent;
    // Percent of live bytes a step of the balancer frees at High.
    uint32_t high_relief_percent;
    // Percent of live bytes a step of the balancer frees at Critical.
    uint32_t critical_relief_percent;
    // Where time comes from: one of the ALLOT_CLOCK numbers.
    allot_clock clock;
} allot_config;

// A registered group of one governor, by value; never 0. Refused once the group is gone.
typedef uint64_t allot_group;

// A group. Begin with ALLOT_GROUP_CONFIG_INIT.
typedef struct allot_group_config {
    // sizeof(allot_group_config).
    uint32_t struct_size;
    // 0.
    uint32_t reserved;
    // What people call it: UTF-8 without NUL, at most 255 bytes. Read during the call only.
    const char *name;
    // Bytes of the name.
    uint64_t name_length;
    // The group above; 0: directly below the pool.
    allot_group parent;
    // Floor of the whole group, in bytes; its children's guarantees come out of it.
    uint64_t guarantee_bytes;
    // Ceiling of the whole group, in bytes; ALLOT_UNLIMITED: the parent's.
    uint64_t limit_bytes;
} allot_group_config;

// Who goes first when not all can. The weight decides fair shares.
typedef uint32_t allot_priority;

// How strictly a tenant's own limits bind it. The pool's capacity binds everybody always.
typedef uint32_t allot_isolation;

// The order in which the grants of one tenant go.
typedef uint32_t allot_policy;

// A tenant. Begin with ALLOT_TENANT_CONFIG_INIT.
typedef struct allot_tenant_config {
    // sizeof(allot_tenant_config).
    uint32_t struct_size;
    // One of the ALLOT_PRIORITY numbers.
    allot_priority priority;
    // A UUID, in the order in which it is written. All zero: one made of the name, always the same
    // for the same name, as the configuration file does.
    uint8_t id[16];
    // What people call it: UTF-8 without NUL, at most 255 bytes. Read during the call only.
    const char *name;
    // Bytes of the name.
    uint64_t name_length;
    // The group above; 0: directly below the pool.
    allot_group parent;
    // Floor in bytes: always granted, never reclaimed.
    uint64_t guarantee_bytes;
    // Ceiling in bytes; ALLOT_UNLIMITED: the parent's.
    uint64_t limit_bytes;
    // Higher ceiling while pressure is Normal, for ALLOT_ISOLATION_SOFT; ALLOT_UNLIMITED: the
    // limit.
    uint64_t burst_bytes;
    // One of the ALLOT_ISOLATION numbers.
    allot_isolation isolation;
    // One of the ALLOT_POLICY numbers.
    allot_policy policy;
    // Most live grants of each allocation type, by its number; ALLOT_ANY_COUNT: not limited.
    uint32_t grants_max[4];
    // Time per request in ns; 0: the rate is not limited.
    uint64_t rate_interval_ns;
    // Requests that may come at once when the tenant has been quiet, at least 1.
    uint64_t rate_bucket_depth;
} allot_tenant_config;

// A registered tenant of one governor, by value; never 0. Refused once the tenant is gone.
typedef uint64_t allot_tenant;

// What becomes of a tenant's grants when it is unregistered.
typedef uint32_t allot_unregister_how;

// What memory is taken for. Decides who goes first when memory is short.
typedef uint32_t allot_allocation_type;

// What is asked for. Begin with ALLOT_REQUEST_SPEC_INIT, and set tenant, allocation_type and
// bytes.
typedef struct allot_request_spec {
    // sizeof(allot_request_spec).
    uint32_t struct_size;
    // What the memory is taken for.
    allot_allocation_type allocation_type;
    // Who asks.
    allot_tenant tenant;
    // How much, 1 byte to 16 TiB less one byte.
    uint64_t bytes;
    // Names the content, so that its frequency is remembered when it is evicted and comes back; 0:
    // no name.
    uint64_t key;
    // A number of the caller's own, handed back with the victim when the grant is evicted.
    uint64_t cookie;
    // For how long the content is good, in ns; an expired grant goes before all others.
    // ALLOT_FOREVER: it does not expire.
    uint64_t ttl_ns;
    // What it costs to rebuild the content, in any unit the tenant uses for all its requests; 0
    // counts as 1.
    uint32_t cost;
    // ALLOT_REQUEST_EVICTABLE, ALLOT_REQUEST_PINNED, both or 0.
    uint32_t flags;
} allot_request_spec;

// A grant of one governor, by value; never 0. Whoever has it holds its bytes until
// allot_grant_release, or until it is evicted.
typedef uint64_t allot_grant;

// Why a request was denied. Numbers are never changed and never used again; 0 is no reason.
typedef uint32_t allot_denial_reason;

// What kind of account a number names.
typedef uint32_t allot_account_kind;

// Why a request was denied. Begin with ALLOT_DENIAL_INIT. Written where a call answers
// ALLOT_DENIED, and only there.
typedef struct allot_denial {
    // sizeof(allot_denial).
    uint32_t struct_size;
    // Which check refused: one of the ALLOT_REASON numbers.
    allot_denial_reason reason;
    // The account at which it refused.
    uint64_t account;
    // What that is: one of the ALLOT_ACCOUNT numbers.
    allot_account_kind account_kind;
    // 1: the same request can succeed later without a change of configuration.
    uint32_t waiting_can_help;
    // Bytes asked for.
    uint64_t asked_bytes;
    // Bytes missing at that account; 0 where bytes are not what is short.
    uint64_t short_bytes;
    // Bytes that account had left.
    uint64_t available_bytes;
    // The limit that applied: bytes, or grants for ALLOT_REASON_GRANT_COUNT.
    uint64_t limit;
    // When the same request can succeed, ns from now; ALLOT_UNKNOWN.
    uint64_t retry_after_ns;
    // Bytes of grants in the way that are pinned or kept alive.
    uint64_t pinned_bytes;
    // One of those grants; 0: none was met.
    uint64_t pinned_first;
    // How many were met.
    uint32_t pinned_grants;
    // 0.
    uint32_t reserved;
} allot_denial;

// A request that waits, by value; never 0. Ends when its answer is taken or it is cancelled.
typedef uint64_t allot_ticket;

// Told that allot_ticket_poll has an answer, once. Called on a thread of the library's, with
// nothing held, so it may call any function. The governor is valid during the call. Must not jump;
// what it throws ends the process.
typedef void (*allot_ticket_fn)(struct allot_governor *governor,
                                allot_ticket ticket,
                                void *user_data);

// Lets user_data go: called once, when nobody will call the callback any more, on the thread that
// replaced it, that ended what it was set for, or on which its last call has returned. May be
// NULL. Must not throw or jump.
typedef void (*allot_drop_fn)(void *user_data);

// What an owner answers when its grant is chosen. Any other number counts as ALLOT_RECLAIM_BUSY.
typedef uint32_t allot_reclaim_answer;

// A grant that was chosen to go. Begin with ALLOT_VICTIM_INIT.
typedef struct allot_victim {
    // sizeof(allot_victim).
    uint32_t struct_size;
    // What it was requested for.
    allot_allocation_type allocation_type;
    // Who holds it.
    allot_tenant tenant;
    // The grant.
    allot_grant grant;
    // Bytes it holds.
    uint64_t bytes;
    // The number the caller gave it.
    uint64_t cookie;
    // The name of its content.
    uint64_t key;
} allot_victim;

// Asked for a victim: frees its memory and answers ALLOT_RECLAIM_FREED, or says what becomes of
// it. Called with nothing held, by several threads at once, so it may call any function. The
// victim is valid during the call; the governor as well, for longer with allot_governor_retain.
// Must not jump; what it throws ends the process.
typedef allot_reclaim_answer (*allot_reclaim_fn)(struct allot_governor *governor,
                                                 const struct allot_victim *victim,
                                                 void *user_data);

// How short memory is.
typedef uint32_t allot_pressure_level;

// Told that the pressure in force is another one now. Called with nothing held, by one thread at a
// time, so it may call any function. The governor is valid during the call. Must not jump; what it
// throws ends the process.
typedef void (*allot_pressure_fn)(struct allot_governor *governor,
                                  allot_pressure_level level,
                                  void *user_data);

// What a step of the balancer saw and did. Begin with ALLOT_BALANCE_REPORT_INIT.
typedef struct allot_balance_report {
    // sizeof(allot_balance_report).
    uint32_t struct_size;
    // Pressure before anything was freed.
    allot_pressure_level pressure;
    // Bytes in live grants before anything was freed.
    uint64_t live_bytes;
    // Bytes that are free now.
    uint64_t freed_bytes;
    // Bytes whose owners promised to free them.
    uint64_t deferred_bytes;
    // Grants that ended.
    uint32_t evicted_grants;
    // Reservations that were given back because nobody committed them.
    uint32_t reservations_expired;
} allot_balance_report;

// What a tenant uses. Begin with ALLOT_USAGE_INIT.
typedef struct allot_usage {
    // sizeof(allot_usage).
    uint32_t struct_size;
    // Its priority.
    allot_priority priority;
    // The tenant.
    allot_tenant tenant;
    // Its id.
    uint8_t id[16];
    // Bytes in live grants.
    uint64_t used_bytes;
    // Bytes set aside for a request of the tenant that has waited long.
    uint64_t set_aside_bytes;
    // Bytes that were measured; ALLOT_UNKNOWN.
    uint64_t measured_bytes;
    // Bytes of those that are in no grant.
    uint64_t unaccounted_bytes;
    // The most bytes in use at once.
    uint64_t peak_bytes;
    // Bytes paid for: in use, guaranteed, or idle.
    uint64_t claimed_bytes;
    // Floor.
    uint64_t guarantee_bytes;
    // Ceiling in force; ALLOT_UNLIMITED: the parent's.
    uint64_t limit_bytes;
    // Fair share as of the last step of the balancer.
    uint64_t share_bytes;
    // Requests granted so far.
    uint64_t granted;
    // Requests denied so far.
    uint64_t denied;
    // Grants evicted so far.
    uint64_t evicted;
    // Bytes of those.
    uint64_t evicted_bytes;
    // Its isolation.
    allot_isolation isolation;
    // 1: the ceiling is lower than configured, because the tenant asks for nothing while memory is
    // short.
    uint32_t limit_lowered;
} allot_usage;

// The whole. Begin with ALLOT_POOL_INIT.
typedef struct allot_pool {
    // sizeof(allot_pool).
    uint32_t struct_size;
    // Pressure in force.
    allot_pressure_level pressure;
    // Bytes to share.
    uint64_t capacity_bytes;
    // Bytes in live grants.
    uint64_t live_bytes;
    // Bytes claimed by tenants and groups: in use, guaranteed, or idle.
    uint64_t claimed_bytes;
    // Bytes that were measured of the process; ALLOT_UNKNOWN.
    uint64_t measured_bytes;
    // Bytes that were measured and are in no grant.
    uint64_t unaccounted_bytes;
    // Fair share for each unit of weight beyond the guarantees, as of the last step of the
    // balancer.
    uint64_t share_bytes;
    // Frees that were not seen in what was measured, so far.
    uint64_t shortfalls;
    // Owners that did not answer in time when they were asked for a grant, so far.
    uint64_t reclaim_timeouts;
    // Owners that panicked when they were asked, so far.
    uint64_t reclaim_panics;
    // Registered groups.
    uint32_t groups;
    // Registered tenants.
    uint32_t tenants;
    // Requests that wait.
    uint32_t waiters;
    // 0.
    uint32_t reserved;
} allot_pool;

// What would decide a request now. Begin with ALLOT_EXPLANATION_INIT.
typedef struct allot_explanation {
    // sizeof(allot_explanation).
    uint32_t struct_size;
    // The check that refuses; 0: the request would be granted at once.
    allot_denial_reason reason;
    // The account that refuses.
    uint64_t account;
    // What that is.
    allot_account_kind account_kind;
    // 1: the same request can succeed later without a change of configuration.
    uint32_t waiting_can_help;
    // Bytes asked for.
    uint64_t asked_bytes;
    // Bytes missing at the account that refuses.
    uint64_t short_bytes;
    // Bytes in use there, guarantees that are not used included.
    uint64_t used_bytes;
    // Its limit in force: bytes, or grants for ALLOT_REASON_GRANT_COUNT.
    uint64_t limit;
    // Bytes of the grants that allot_request would evict.
    uint64_t plan_bytes;
    // Bytes still missing after that; 0: the request would be granted.
    uint64_t plan_missing_bytes;
    // Bytes of grants in the way that are pinned or kept alive.
    uint64_t pinned_bytes;
    // Grants that allot_request would evict.
    uint32_t plan_grants;
    // Grants in the way that are pinned or kept alive.
    uint32_t pinned_grants;
    // Entries of holders.
    uint32_t holders_count;
    // Entries of victims.
    uint32_t victims_count;
    // Entries of pinned.
    uint32_t pinned_count;
    // 0.
    uint32_t reserved;
    // The largest holders below the account that refuses, largest first.
    allot_tenant holders[5];
    // Bytes that each of them holds.
    uint64_t holder_bytes[5];
    // The first grants that would be evicted, in that order.
    allot_grant victims[16];
    // Bytes that each of them holds.
    uint64_t victim_bytes[16];
    // The first grants in the way that are pinned or kept alive.
    allot_grant pinned[16];
} allot_explanation;

// How far a reader of events has got. Begin with ALLOT_EVENT_READER_INIT: with the oldest event
// that is kept. The caller's own; one thread at a time reads with it.
typedef struct allot_event_reader {
    // sizeof(allot_event_reader).
    uint32_t struct_size;
    // 0.
    uint32_t reserved;
    // The sequence of the event that is read next.
    uint64_t position;
    // Losses of a full audit log that were told.
    uint64_t lost;
    // With ALLOT_LOST: how many events were lost since the last one that was read.
    uint64_t lost_now;
} allot_event_reader;

// What kind of thing happened. Numbers are never changed and never used again.
typedef uint32_t allot_event_kind;

// An event. Begin with ALLOT_EVENT_INIT. Fields that mean nothing for a kind are 0.
typedef struct allot_event {
    // sizeof(allot_event).
    uint32_t struct_size;
    // What: one of the ALLOT_EVENT numbers; others are for the library's own log.
    allot_event_kind kind;
    // Its place among all events.
    uint64_t sequence;
    // When, in ns of the governor's clock.
    uint64_t time_ns;
    // The grant concerned.
    uint64_t grant;
    // The bytes that were asked for, granted, released.
    uint64_t bytes;
    // One more number, by kind.
    uint64_t detail;
    // What the account used when the event was recorded.
    uint64_t used_bytes;
    // The slot of the account concerned: ALLOT_SLOT of its handle; 0 for the pool, and for a
    // request of a tenant that is gone and whose slot another one has.
    uint32_t account;
    // The number of the allocation type.
    uint32_t allocation_type;
    // The state before, for changes of state.
    uint32_t from;
    // The state after, for changes of state.
    uint32_t to;
    // The number of the reason, for denials.
    uint32_t reason;
    // What it costs to rebuild the content, where that is recorded.
    uint32_t cost;
} allot_event;

// Done.
#define ALLOT_OK 0

// The request is denied; the denial record says by which check. Nothing is held.
#define ALLOT_DENIED 1

// The request waits for its turn; the ticket stands for it.
#define ALLOT_QUEUED 2

// The grant was evicted meanwhile: its bytes are back, or on their way back.
#define ALLOT_EVICTED 3

// There is none: no victim, no event, no such name, nothing known.
#define ALLOT_NONE 4

// Events were lost since the last one that was read; the record says how many.
#define ALLOT_LOST 5

// The text did not fit and was cut; the length says how long it is.
#define ALLOT_TRUNCATED 6

// A pointer is NULL that may not be.
#define ALLOT_ERROR_NULL -1

// A pointer is not aligned as its type asks for.
#define ALLOT_ERROR_MISALIGNED -2

// struct_size is none that this struct ever had, or elements of an array differ in it.
#define ALLOT_ERROR_STRUCT_SIZE -3

// A field is set that this library does not know: it is older than the header, or the struct was
// not initialised.
#define ALLOT_ERROR_NEWER -4

// A number is none of those that this enumeration has, or a flag is none of them.
#define ALLOT_ERROR_ENUM -5

// A text is not UTF-8.
#define ALLOT_ERROR_UTF8 -6

// A text is too long, or has a NUL inside.
#define ALLOT_ERROR_TEXT -7

// The pointer is no governor, or none any more.
#define ALLOT_ERROR_NOT_A_GOVERNOR -8

// The process is a fork of the one that made the governor; what was granted is the parent's.
#define ALLOT_ERROR_FORKED -9

// The library has a fault: it panicked, in this call or in an earlier one. Releases still work.
#define ALLOT_ERROR_PANICKED -10

// This library was built without that.
#define ALLOT_ERROR_UNSUPPORTED -11

// The system gives no further thread.
#define ALLOT_ERROR_THREAD -12

// A value of a configuration is out of range; allot_error_message names it.
#define ALLOT_ERROR_CONFIG -13

// The handle belongs to another governor.
#define ALLOT_ERROR_FOREIGN -14

// The tenant or group is not registered (any more).
#define ALLOT_ERROR_GONE -15

// The grant has ended, or never was: a grant is returned exactly once.
#define ALLOT_ERROR_STALE_GRANT -16

// The grant is another tenant's.
#define ALLOT_ERROR_NOT_YOURS -17

// Another thread is changing the same grant; call again.
#define ALLOT_ERROR_BUSY -18

// Zero bytes; a grant holds at least one.
#define ALLOT_ERROR_ZERO_BYTES -19

// More bytes than one grant can hold, 16 TiB less one.
#define ALLOT_ERROR_TOO_LARGE -20

// A grant cannot give back all that it holds or more; release it.
#define ALLOT_ERROR_SHRINK_TOO_MUCH -21

// The grant is no reservation that waits to be committed.
#define ALLOT_ERROR_NOT_RESERVED -22

// The reservation's time has run out.
#define ALLOT_ERROR_EXPIRED -23

// A tenant with this id is registered already.
#define ALLOT_ERROR_DUPLICATE_TENANT -24

// The table of tenants or groups is full.
#define ALLOT_ERROR_TABLE_FULL -25

// Groups are nested too deep.
#define ALLOT_ERROR_TOO_DEEP -26

// The guarantees would promise more than their parent has.
#define ALLOT_ERROR_GUARANTEES_EXCEED -27

// Others use the bytes of the guarantee now.
#define ALLOT_ERROR_GUARANTEE_UNAVAILABLE -28

// The tenant still holds grants.
#define ALLOT_ERROR_GRANTS_LIVE -29

// The group still has children.
#define ALLOT_ERROR_HAS_CHILDREN -30

// The audit log has no room for the record of this.
#define ALLOT_ERROR_AUDIT_FULL -31

// Other threads are changing the same account; call again.
#define ALLOT_ERROR_CONTENDED -32

// The ticket has ended, or is another governor's.
#define ALLOT_ERROR_STALE_TICKET -33

// An error that this library has no number for; allot_error_message says what it is.
#define ALLOT_ERROR_OTHER -34

// The clock of the system that is never set back.
#define ALLOT_CLOCK_MONOTONIC 0

// A clock that stands still until allot_clock_advance_ns: with it and one thread the same calls
// give the same answers.
#define ALLOT_CLOCK_MANUAL 1

// Weight 1; evicted first.
#define ALLOT_PRIORITY_LOW 0

// Weight 2.
#define ALLOT_PRIORITY_NORMAL 1

// Weight 3.
#define ALLOT_PRIORITY_HIGH 2

// Weight 4; evicted last.
#define ALLOT_PRIORITY_CRITICAL 3

// The tenant's limits are ignored; its guarantee is kept.
#define ALLOT_ISOLATION_NONE 0

// Up to burst_bytes while pressure is Normal, limit_bytes when it is High, the fair share when it
// is Critical.
#define ALLOT_ISOLATION_SOFT 1

// limit_bytes, whatever the pressure.
#define ALLOT_ISOLATION_HARD 2

// Least recently touched first.
#define ALLOT_POLICY_LRU 0

// Least often touched first.
#define ALLOT_POLICY_LFU 1

// Soonest to expire first, what never expires last.
#define ALLOT_POLICY_TTL 2

// Largest first.
#define ALLOT_POLICY_SIZE 3

// Least value per byte first.
#define ALLOT_POLICY_HYBRID 4

// Refuse while it holds grants.
#define ALLOT_UNREGISTER_IF_IDLE 0

// No new grants; the live ones run on until they are released.
#define ALLOT_UNREGISTER_DRAIN 1

// All grants end now.
#define ALLOT_UNREGISTER_FORCE 2

// Weights: persistent, not evicted unless marked evictable.
#define ALLOT_MODEL_LOAD 0

// A running request.
#define ALLOT_INFERENCE 1

// Results and KV blocks that can be rebuilt.
#define ALLOT_CACHE 2

// Work nobody waits for.
#define ALLOT_BACKGROUND 3

// The tenant's own limit in force.
#define ALLOT_REASON_TENANT_LIMIT 1

// The limit of a group above the tenant.
#define ALLOT_REASON_GROUP_LIMIT 2

// The capacity of the whole.
#define ALLOT_REASON_CAPACITY 3

// The tenant's limit on the number of grants of this type.
#define ALLOT_REASON_GRANT_COUNT 4

// The tenant's rate of requests.
#define ALLOT_REASON_RATE_LIMIT 5

// The table of grants is full.
#define ALLOT_REASON_SLOTS_EXHAUSTED 6

// The bound of steps ran out before the answer was certain; call again.
#define ALLOT_REASON_CONTENDED 7

// The request waited for its turn, which did not come in time.
#define ALLOT_REASON_WAITED_TOO_LONG 8

// As many requests wait as can.
#define ALLOT_REASON_WAITERS_EXHAUSTED 9

// The audit log has no room for the records, and nothing is granted without them.
#define ALLOT_REASON_AUDIT_FULL 10

// The whole; its number is 0.
#define ALLOT_ACCOUNT_POOL 0

// A group, by its allot_group.
#define ALLOT_ACCOUNT_GROUP 1

// A tenant, by its allot_tenant.
#define ALLOT_ACCOUNT_TENANT 2

// The memory is free now; the grant has ended.
#define ALLOT_RECLAIM_FREED 0

// The owner will call allot_grant_release, or allot_grant_decline: within promise_ns of the
// configuration, or the grant counts as declined.
#define ALLOT_RECLAIM_DEFERRED 1

// Not now: the grant is left alone for a while.
#define ALLOT_RECLAIM_BUSY 2

// There is enough.
#define ALLOT_PRESSURE_NORMAL 0

// Background work and caches give way; bursts end.
#define ALLOT_PRESSURE_HIGH 1

// Everything above its fair share gives way.
#define ALLOT_PRESSURE_CRITICAL 2

// A request was granted.
#define ALLOT_EVENT_GRANTED 1

// A request was denied; reason says by which check, detail how many bytes were short.
#define ALLOT_EVENT_DENIED 2

// A grant grew by bytes.
#define ALLOT_EVENT_GROWN 3

// A grant shrank by bytes.
#define ALLOT_EVENT_SHRUNK 4

// A grant was released by its owner.
#define ALLOT_EVENT_RELEASED 5

// A grant was taken back.
#define ALLOT_EVENT_EVICTED 6

// An account was registered.
#define ALLOT_EVENT_REGISTERED 7

// An account was unregistered.
#define ALLOT_EVENT_UNREGISTERED 8

// The limits of an account were changed.
#define ALLOT_EVENT_LIMITS_CHANGED 9

// Pressure went from level from to level to.
#define ALLOT_EVENT_PRESSURE_CHANGED 10

// The capacity was changed to bytes.
#define ALLOT_EVENT_CAPACITY_CHANGED 11

// A reservation ran out before it was used.
#define ALLOT_EVENT_RESERVATION_EXPIRED 12

// A grant was still held when its owner was gone.
#define ALLOT_EVENT_LEAK 13

// The owner of a grant was asked for it and did not answer in time.
#define ALLOT_EVENT_RECLAIM_TIMED_OUT 14

// The owner of a grant was asked for it and panicked.
#define ALLOT_EVENT_RECLAIM_PANICKED 15

// Memory that was said to be freed was not seen to be: bytes are still measured.
#define ALLOT_EVENT_FREED_NOT_SEEN 16

// A request stands in line; grant is its number there.
#define ALLOT_EVENT_QUEUED 27

// A request that stood in line was given up by its owner.
#define ALLOT_EVENT_WITHDRAWN 28

// The answer to a request that has waited was taken by its owner; detail is the grant.
#define ALLOT_EVENT_TAKEN 29

// The owner of a grant was asked for it and keeps it: to is 1 for busy, 2 for later.
#define ALLOT_EVENT_RECLAIM_ANSWERED 30

// Somebody used a verb of an emergency.
#define ALLOT_EVENT_EMERGENCY 31

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The text of a status: one line of English in lower case, ended by a NUL.
//
// Owns: the library; valid for ever. Threads: any. Blocks: no. Returns: never NULL, also for a
// number that is no status. Since: 0.1.
const char *allot_status_text(allot_status status);

// What the last error on the calling thread was, with the values and bounds that its status
// cannot say: a line of English in lower case, or several for a configuration.
//
// Writes at most buffer_size bytes to buffer, always ended by a NUL if buffer_size is above 0, and
// the length of the whole text without NUL to *out_length. A call that answers 0 or above leaves
// the message of an earlier error as it was; at first it is empty.
//
// Owns: the caller the buffer. Threads: any; each has its own message. Blocks: no. Returns:
// ALLOT_OK, ALLOT_TRUNCATED, ALLOT_ERROR_NULL for a buffer that is NULL with a size above 0.
// buffer may be NULL with size 0, out_length may be NULL. Since: 0.1.
allot_status allot_error_message(char *buffer,
                                 uint64_t buffer_size,
                                 uint64_t *out_length);

// The version of the library, as "major.minor.patch" with a NUL.
//
// Owns: the library; valid for ever. Threads: any. Blocks: no. Returns: never NULL. Since: 0.1.
const char *allot_version(void);

// The ABI of the library: to be compared with ALLOT_ABI_VERSION of the header.
//
// Threads: any. Blocks: no. Returns: the number. Since: 0.1.
uint32_t allot_abi_version(void);

// Makes a governor over config->capacity_bytes.
//
// Owns: the caller gets one reference, to be given back by allot_governor_free. Threads: any.
// Blocks: no; reserves address space. Returns: ALLOT_OK; ALLOT_ERROR_CONFIG for a value out of
// range, which allot_error_message names; ALLOT_ERROR_ENUM. Since: 0.1.
allot_status allot_governor_new(const struct allot_config *config,
                                struct allot_governor **out_governor);

// Makes a governor from the text of a configuration file (docs/CONFIG.md), with all its groups and
// tenants registered: allot_tenant_find_name and allot_group_find_name find them. What such a text
// cannot say is taken from config, which may be NULL; capacity, thresholds of pressure and most
// grants come from the text.
//
// The text is UTF-8 of at most 16 MiB, without NUL. It is not kept.
//
// Owns: the caller gets one reference, to be given back by allot_governor_free. Threads: any.
// Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_CONFIG, and allot_error_message says in which line
// what is wrong; ALLOT_ERROR_UNSUPPORTED from a library without it. Since: 0.1.
allot_status allot_governor_new_toml(const char *text,
                                     uint64_t text_length,
                                     const struct allot_config *config,
                                     struct allot_governor **out_governor);

// Adds a reference, for another thread or owner to give back.
//
// Owns: one more reference, to be given back by allot_governor_free. Threads: any. Blocks: no.
// Returns: ALLOT_OK. Since: 0.1.
allot_status allot_governor_retain(struct allot_governor *governor);

// Gives one reference back. The last one ends the governor: tickets are cancelled, functions of
// the caller's are let go (drop_fn), and if grants are live one line on standard error says whose.
// NULL does nothing. In a fork of the process that made it nothing happens: it is the parent's.
//
// Owns: takes the reference. Threads: any, also within a callback; a call or a callback that is
// under way keeps the governor until it has returned, and what belongs to it until its drop_fn.
// Blocks: no; waits for no callback. Since: 0.1.
void allot_governor_free(struct allot_governor *governor);

// Whether the governor is well.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK, ALLOT_ERROR_FORKED in a fork of the process that
// made it, ALLOT_ERROR_PANICKED if a call has panicked. Since: 0.1.
allot_status allot_governor_check(struct allot_governor *governor);

// Changes the capacity while everything runs. Below what is in use nothing is taken away: requests
// are denied until enough was released or evicted.
//
// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_CONFIG for 0
// or more than 2^48 - 1 bytes; ALLOT_ERROR_GUARANTEES_EXCEED. Since: 0.1.
allot_status allot_governor_set_capacity(struct allot_governor *governor,
                                         uint64_t capacity_bytes);

// The time by the governor's clock, in ns since it was made: that of events.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_now_ns. Since: 0.1.
allot_status allot_clock_now_ns(struct allot_governor *governor,
                                uint64_t *out_now_ns);

// Moves a clock of ALLOT_CLOCK_MANUAL on; it stops at 2^64 - 1.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_UNSUPPORTED for another clock.
// Since: 0.1.
allot_status allot_clock_advance_ns(struct allot_governor *governor,
                                    uint64_t by_ns);

// Registers a group.
//
// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK and *out_group;
// ALLOT_ERROR_CONFIG for limits out of order; ALLOT_ERROR_TEXT and ALLOT_ERROR_UTF8 for the name;
// ALLOT_ERROR_TOO_DEEP; ALLOT_ERROR_TABLE_FULL; ALLOT_ERROR_GUARANTEES_EXCEED;
// ALLOT_ERROR_GUARANTEE_UNAVAILABLE; ALLOT_ERROR_GONE and ALLOT_ERROR_FOREIGN for the parent;
// ALLOT_ERROR_CONTENDED as for allot_tenant_register. Since: 0.1.
allot_status allot_group_register(struct allot_governor *governor,
                                  const struct allot_group_config *config,
                                  allot_group *out_group);

// Changes guarantee, limit and name of a group while it runs. A name of length 0 leaves it as it
// is; parent has to be 0 or what it was registered with. Below what is in use nothing is taken
// away.
//
// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; errors as for
// allot_group_register; ALLOT_ERROR_CONTENDED if another thread changed it meanwhile: call again.
// Since: 0.1.
allot_status allot_group_update(struct allot_governor *governor,
                                allot_group group,
                                const struct allot_group_config *config);

// Unregisters a group without children.
//
// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_HAS_CHILDREN;
// ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. Since: 0.1.
allot_status allot_group_unregister(struct allot_governor *governor,
                                    allot_group group);

// Finds a group by its name; the one in the lowest slot if several have it.
//
// Threads: any. Blocks: on the administrative mutex; steps grow with the number of accounts.
// Returns: ALLOT_OK and *out_group; ALLOT_NONE; ALLOT_ERROR_TEXT; ALLOT_ERROR_UTF8. Since: 0.1.
allot_status allot_group_find_name(struct allot_governor *governor,
                                   const char *name,
                                   uint64_t name_length,
                                   allot_group *out_group);

// Registers a tenant. Its guarantee is paid for when this returns.
//
// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK and *out_tenant;
// ALLOT_ERROR_CONFIG for limits out of order; ALLOT_ERROR_ENUM; ALLOT_ERROR_TEXT and
// ALLOT_ERROR_UTF8 for the name; ALLOT_ERROR_DUPLICATE_TENANT; ALLOT_ERROR_TABLE_FULL;
// ALLOT_ERROR_GUARANTEES_EXCEED; ALLOT_ERROR_GUARANTEE_UNAVAILABLE; ALLOT_ERROR_GONE and
// ALLOT_ERROR_FOREIGN for the parent; ALLOT_ERROR_CONTENDED if the one place left is a gone
// tenant's, of which another thread is still asking for something: call again. Since: 0.1.
allot_status allot_tenant_register(struct allot_governor *governor,
                                   const struct allot_tenant_config *config,
                                   allot_tenant *out_tenant);

// Changes a tenant while it runs: everything but id and parent, which have to be 0 or what they
// were. A name of length 0 leaves it as it is, so what allot_tenant_get answers can be changed and
// given back. A limit below what is used takes nothing away; further requests are denied. Requests
// that wait and fit by it are served; who has to be evicted for them, allot_balance evicts.
//
// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; errors as for
// allot_tenant_register; ALLOT_ERROR_CONTENDED if another thread changed it meanwhile: call again.
// Since: 0.1.
allot_status allot_tenant_update(struct allot_governor *governor,
                                 allot_tenant tenant,
                                 const struct allot_tenant_config *config);

// The configuration a tenant has now, without its name: for allot_tenant_update.
//
// Threads: any. Blocks: on the administrative mutex; allocates. Returns: ALLOT_OK and
// *out_config; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. Since: 0.1.
allot_status allot_tenant_get(struct allot_governor *governor,
                              allot_tenant tenant,
                              struct allot_tenant_config *out_config);

// Unregisters a tenant. Its requests that wait are answered at once: ALLOT_ERROR_GONE. While it
// drains its reclaim callback stays, and is let go when its slot gets another tenant or the
// governor ends.
//
// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_GRANTS_LIVE
// with ALLOT_UNREGISTER_IF_IDLE while it holds grants; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN;
// ALLOT_ERROR_ENUM. Since: 0.1.
allot_status allot_tenant_unregister(struct allot_governor *governor,
                                     allot_tenant tenant,
                                     allot_unregister_how how);

// Finds a tenant by the 16 bytes of its id.
//
// Threads: any. Blocks: no; lock-free. Returns: ALLOT_OK and *out_tenant; ALLOT_NONE. Since: 0.1.
allot_status allot_tenant_find(struct allot_governor *governor,
                               const uint8_t *id,
                               allot_tenant *out_tenant);

// Finds a tenant by its name; the one in the lowest slot if several have it.
//
// Threads: any. Blocks: on the administrative mutex; steps grow with the number of accounts.
// Returns: ALLOT_OK and *out_tenant; ALLOT_NONE; ALLOT_ERROR_TEXT; ALLOT_ERROR_UTF8. Since: 0.1.
allot_status allot_tenant_find_name(struct allot_governor *governor,
                                    const char *name,
                                    uint64_t name_length,
                                    allot_tenant *out_tenant);

// What people call a tenant: at most buffer_size bytes with a NUL, and in *out_length how long the
// name is without it.
//
// Owns: the caller the buffer. Threads: any. Blocks: on the administrative mutex; allocates.
// Returns: ALLOT_OK; ALLOT_TRUNCATED; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. buffer may be NULL
// with size 0, out_length may be NULL. Since: 0.1.
allot_status allot_tenant_name(struct allot_governor *governor,
                               allot_tenant tenant,
                               char *buffer,
                               uint64_t buffer_size,
                               uint64_t *out_length);

// Asks for memory: looks and answers, evicts nothing. Goes before requests that wait if it fits
// while they do not.
//
// Owns: the caller the grant, to be given back by allot_grant_release. Threads: any. Blocks: no;
// no lock, no allocation, no system call, bounded steps. Returns: ALLOT_OK and *out_grant;
// ALLOT_DENIED and *out_denial, which may be NULL; ALLOT_ERROR_GONE, ALLOT_ERROR_FOREIGN for the
// tenant; ALLOT_ERROR_ZERO_BYTES; ALLOT_ERROR_TOO_LARGE; ALLOT_ERROR_ENUM. Since: 0.1.
allot_status allot_try_request(struct allot_governor *governor,
                               const struct allot_request_spec *request,
                               allot_grant *out_grant,
                               struct allot_denial *out_denial);

// Asks for memory, and evicts what may go when it is short: the tenant's own grants at its own
// limit, those of others below it when the pool or a group is short.
//
// Owns: the caller the grant, to be given back by allot_grant_release. Threads: any. Blocks: as
// long as reclaim callbacks take, which it calls with nothing held; if the memory is there it is
// allot_try_request. Returns: as allot_try_request. Since: 0.1.
allot_status allot_request(struct allot_governor *governor,
                           const struct allot_request_spec *request,
                           allot_grant *out_grant,
                           struct allot_denial *out_denial);

// Asks for several grants, of one or several tenants: all of them or none. Evicts nothing.
//
// requests points to count structs one after the other, all of the struct_size of the first;
// out_grants has room for count grants. Of no requests all are granted.
//
// Owns: the caller the grants. Threads: any. Blocks: no; allocates. Returns: ALLOT_OK and
// out_grants; ALLOT_DENIED and *out_denial for the first that was refused; ALLOT_ERROR_CONFIG for
// more than ALLOT_BATCH_MAX; errors as for allot_try_request. Since: 0.1.
allot_status allot_request_all(struct allot_governor *governor,
                               const struct allot_request_spec *requests,
                               uint64_t count,
                               allot_grant *out_grants,
                               struct allot_denial *out_denial);

// Sets bytes aside for up to ttl_ns for a grant that is still being prepared: counted, never
// evicted, and given back unless allot_grant_commit is called in time. Evicts like allot_request.
//
// Owns: the caller the grant to be; allot_grant_release gives it back early. Threads: any. Blocks:
// as allot_request. Returns: as allot_request. Since: 0.1.
allot_status allot_reserve(struct allot_governor *governor,
                           const struct allot_request_spec *request,
                           uint64_t ttl_ns,
                           allot_grant *out_grant,
                           struct allot_denial *out_denial);

// Asks for memory, and where waiting can help waits for up to wait_ns_max for its turn: first in
// first out within the tenant, and fair between tenants by weight.
//
// Owns: the caller the grant. Threads: any. Blocks: for up to wait_ns_max by the governor's clock,
// and as long as reclaim callbacks take. Returns: as allot_request, with
// ALLOT_REASON_WAITED_TOO_LONG and ALLOT_REASON_WAITERS_EXHAUSTED; ALLOT_ERROR_GONE if the tenant
// was unregistered meanwhile. Since: 0.1.
allot_status allot_acquire(struct allot_governor *governor,
                           const struct allot_request_spec *request,
                           uint64_t wait_ns_max,
                           allot_grant *out_grant,
                           struct allot_denial *out_denial);

// The most bytes, at most those asked for, that the request could be granted now, counting what
// would be evicted for it. Changes nothing. How much tenants of equal priority would give up
// depends on how much is asked for; where whole grants may not go it is an upper bound.
//
// Threads: any. Blocks: on the administrative mutex; allocates; steps grow with tenants and
// grants. Returns: ALLOT_OK and *out_bytes; errors as for allot_try_request. Since: 0.1.
allot_status allot_attainable(struct allot_governor *governor,
                              const struct allot_request_spec *request,
                              uint64_t *out_bytes);

// How long the request would wait if it were queued now, in ns, by the rate at which waiters were
// served lately; ALLOT_UNKNOWN if that is not known, and wherever waiting cannot help. Changes
// nothing.
//
// Threads: any. Blocks: as allot_attainable. Returns: ALLOT_OK and *out_wait_ns; errors as for
// allot_try_request. Since: 0.1.
allot_status allot_estimate_wait(struct allot_governor *governor,
                                 const struct allot_request_spec *request,
                                 uint64_t *out_wait_ns);

// Gives a grant back. Exactly once: a second time is ALLOT_ERROR_STALE_GRANT and changes nothing.
// One that was evicted has nothing to give back: it answers ALLOT_EVICTED, in the end
// ALLOT_ERROR_STALE_GRANT as well, and need not be called.
//
// Owns: takes the grant. Threads: any. Blocks: no; no lock, no allocation, no system call. While
// requests wait it also hands over what came free. Returns: ALLOT_OK; ALLOT_EVICTED if it was
// evicted meanwhile, and nothing is lost; ALLOT_ERROR_STALE_GRANT; ALLOT_ERROR_NOT_YOURS;
// ALLOT_ERROR_FOREIGN; ALLOT_ERROR_GONE; ALLOT_ERROR_BUSY while another thread is changing it.
// Since: 0.1.
allot_status allot_grant_release(struct allot_governor *governor,
                                 allot_tenant tenant,
                                 allot_grant grant);

// Adds bytes to a grant, without evicting.
//
// Threads: any. Blocks: no; no lock, no allocation, no system call, bounded steps. Returns:
// ALLOT_OK; ALLOT_DENIED and *out_denial, which may be NULL; ALLOT_EVICTED if it was evicted
// meanwhile; errors as for allot_grant_release; ALLOT_ERROR_ZERO_BYTES; ALLOT_ERROR_TOO_LARGE.
// Since: 0.1.
allot_status allot_grant_grow(struct allot_governor *governor,
                              allot_tenant tenant,
                              allot_grant grant,
                              uint64_t by_bytes,
                              struct allot_denial *out_denial);

// Adds bytes to a grant, and evicts like allot_request when memory is short; never the grant
// itself.
//
// Threads: any. Blocks: as long as reclaim callbacks take. Returns: as allot_grant_grow.
// Since: 0.1.
allot_status allot_grant_grow_evicting(struct allot_governor *governor,
                                       allot_tenant tenant,
                                       allot_grant grant,
                                       uint64_t by_bytes,
                                       struct allot_denial *out_denial);

// Gives back part of a grant; at least 1 byte stays.
//
// Threads: any. Blocks: no; no lock, no allocation, no system call. Returns: ALLOT_OK;
// ALLOT_EVICTED if it was evicted meanwhile; ALLOT_ERROR_SHRINK_TOO_MUCH; errors as for
// allot_grant_release; ALLOT_ERROR_ZERO_BYTES. Since: 0.1.
allot_status allot_grant_shrink(struct allot_governor *governor,
                                allot_tenant tenant,
                                allot_grant grant,
                                uint64_t by_bytes);

// Grows or shrinks a grant to what was measured, at least 1 byte. Does not evict.
//
// Threads: any. Blocks: no. Returns: as allot_grant_grow and allot_grant_shrink. Since: 0.1.
allot_status allot_grant_true_up(struct allot_governor *governor,
                                 allot_tenant tenant,
                                 allot_grant grant,
                                 uint64_t measured_bytes,
                                 struct allot_denial *out_denial);

// Tells the eviction queue that the content was used.
//
// Threads: any. Blocks: no; a few plain accesses. Returns: ALLOT_OK; ALLOT_EVICTED if it was
// evicted meanwhile; errors as for allot_grant_release. Since: 0.1.
allot_status allot_grant_touch(struct allot_governor *governor,
                               allot_tenant tenant,
                               allot_grant grant);

// Forbids eviction of a grant until allot_grant_unpin.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_EVICTED if it is too late; errors as for
// allot_grant_release. Since: 0.1.
allot_status allot_grant_pin(struct allot_governor *governor,
                             allot_tenant tenant,
                             allot_grant grant);

// Allows eviction of a grant again.
//
// Threads: any. Blocks: no. Returns: as allot_grant_pin. Since: 0.1.
allot_status allot_grant_unpin(struct allot_governor *governor,
                               allot_tenant tenant,
                               allot_grant grant);

// Forbids eviction of a grant for so long from now on.
//
// Threads: any. Blocks: no. Returns: as allot_grant_pin. Since: 0.1.
allot_status allot_grant_keep_alive(struct allot_governor *governor,
                                    allot_tenant tenant,
                                    allot_grant grant,
                                    uint64_t for_ns);

// Makes a reservation a grant.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_EXPIRED if its time ran out: its bytes
// go back by allot_grant_release, or else by allot_balance; ALLOT_ERROR_NOT_RESERVED if it is a
// grant already; errors as for allot_grant_release. Since: 0.1.
allot_status allot_grant_commit(struct allot_governor *governor,
                                allot_tenant tenant,
                                allot_grant grant);

// Keeps a victim that was polled or deferred: it is live again, and left alone for a while.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_STALE_GRANT if it has ended or nobody
// waits for it; errors as for allot_grant_release. Since: 0.1.
allot_status allot_grant_decline(struct allot_governor *governor,
                                 allot_tenant tenant,
                                 allot_grant grant);

// Bytes a grant holds now.
//
// Threads: any. Blocks: no; a few loads. Returns: ALLOT_OK and *out_bytes; ALLOT_EVICTED if it was
// evicted meanwhile; errors as for allot_grant_release. Since: 0.1.
allot_status allot_grant_bytes(struct allot_governor *governor,
                               allot_tenant tenant,
                               allot_grant grant,
                               uint64_t *out_bytes);

// Asks for memory; where it is not there and waiting can help, gets a place in line for up to
// wait_ns_max by the governor's clock. Evicts like allot_request, once; what may go later is
// evicted by allot_ticket_wait and allot_balance.
//
// Owns: the caller the grant, or the ticket: to be ended by taking its answer or by
// allot_ticket_cancel. Threads: any. Blocks: as allot_request; not for its turn; allocates.
// Returns: ALLOT_OK and *out_grant; ALLOT_QUEUED and *out_ticket; ALLOT_DENIED and *out_denial
// where waiting cannot help, or too many wait; errors as for allot_try_request. Since: 0.1.
allot_status allot_enqueue(struct allot_governor *governor,
                           const struct allot_request_spec *request,
                           uint64_t wait_ns_max,
                           allot_grant *out_grant,
                           allot_ticket *out_ticket,
                           struct allot_denial *out_denial);

// The answer to a ticket, if there is one by now; with it the ticket ends.
//
// Owns: the caller the grant. Threads: any. Blocks: on mutexes, for moments. Returns: ALLOT_OK and
// *out_grant; ALLOT_QUEUED: it still waits; ALLOT_DENIED and *out_denial, with
// ALLOT_REASON_WAITED_TOO_LONG; ALLOT_ERROR_GONE if the tenant was unregistered meanwhile;
// ALLOT_ERROR_STALE_TICKET. Since: 0.1.
allot_status allot_ticket_poll(struct allot_governor *governor,
                               allot_ticket ticket,
                               allot_grant *out_grant,
                               struct allot_denial *out_denial);

// Waits for the answer to a ticket, for up to timeout_ns of real time. While it is first in line
// it evicts what may go by now; a callback that runs within it and waits for the same ticket is
// answered at once.
//
// Owns: the caller the grant. Threads: any; another one may cancel the ticket meanwhile. Blocks:
// for up to timeout_ns, and as long as reclaim callbacks take. Returns: as allot_ticket_poll;
// ALLOT_QUEUED when the time is over. Since: 0.1.
allot_status allot_ticket_wait(struct allot_governor *governor,
                               allot_ticket ticket,
                               uint64_t timeout_ns,
                               allot_grant *out_grant,
                               struct allot_denial *out_denial);

// Gives a place in line up. A grant that it was just given goes back: by the time this returns, or
// when the look at the ticket ends that another thread, or the library's, has begun before.
//
// Owns: takes the ticket. Threads: any. Blocks: on mutexes, for moments. Returns: ALLOT_OK;
// ALLOT_ERROR_STALE_TICKET if its answer was taken, or it was cancelled before. Since: 0.1.
allot_status allot_ticket_cancel(struct allot_governor *governor,
                                 allot_ticket ticket);

// How long a ticket will still wait, in ns from now on, by the rate at which waiters were served
// lately; ALLOT_UNKNOWN if that is not known, 0 if it has its answer.
//
// Threads: any. Blocks: on mutexes, for moments; steps grow with the line. Returns: ALLOT_OK and
// *out_wait_ns; ALLOT_ERROR_STALE_TICKET. Since: 0.1.
allot_status allot_ticket_estimate(struct allot_governor *governor,
                                   allot_ticket ticket,
                                   uint64_t *out_wait_ns);

// Sets who is told when a ticket has an answer, at once if it has one. The answer stays until
// allot_ticket_poll takes it. A second call replaces the first. Who takes the answer or cancels
// the ticket earlier may still meet a call that is under way on the library's thread.
//
// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
// Blocks: on mutexes, for moments; the first one starts a thread. Returns: ALLOT_OK;
// ALLOT_ERROR_NULL for no function; ALLOT_ERROR_STALE_TICKET; ALLOT_ERROR_THREAD. Since: 0.1.
allot_status allot_ticket_on_ready(struct allot_governor *governor,
                                   allot_ticket ticket,
                                   allot_ticket_fn function,
                                   void *user_data,
                                   allot_drop_fn drop_fn);

// Sets who is asked for victims of tenants without a function of their own; NULL: nobody, they
// are polled by allot_next_victim.
//
// With timeout_ns 0 it runs on the thread that is short of memory, or balances: within
// allot_request, allot_reserve, allot_acquire, allot_enqueue, allot_grant_grow_evicting,
// allot_ticket_wait and allot_balance. With more it runs on a thread of the library's, and whoever
// is short waits at most so long: without an answer in time the grant counts as busy, and one that
// is freed later ends then.
//
// Set it before other threads ask for memory: a call that began earlier does not expect that its
// last reference is freed by a callback.
//
// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
// Blocks: no. Returns: ALLOT_OK. Since: 0.1.
allot_status allot_on_reclaim(struct allot_governor *governor,
                              uint64_t timeout_ns,
                              allot_reclaim_fn function,
                              void *user_data,
                              allot_drop_fn drop_fn);

// The same for victims of one tenant; NULL: those are asked of whom allot_on_reclaim has set.
//
// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
// Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN.
// Since: 0.1.
allot_status allot_tenant_on_reclaim(struct allot_governor *governor,
                                     allot_tenant tenant,
                                     uint64_t timeout_ns,
                                     allot_reclaim_fn function,
                                     void *user_data,
                                     allot_drop_fn drop_fn);

// The next victim of a tenant that has nobody to be asked. Its owner frees the memory and calls
// allot_grant_release, or keeps it and calls allot_grant_decline; after promise_ns of the
// configuration it counts as declined. Poll often.
//
// Threads: any. Blocks: on a mutex, for moments. Returns: ALLOT_OK and *out_victim; ALLOT_NONE.
// Since: 0.1.
allot_status allot_next_victim(struct allot_governor *governor,
                               struct allot_victim *out_victim);

// Sets who is told when the pressure in force is another one than it was told last, at first
// ALLOT_PRESSURE_NORMAL; NULL: nobody. Runs within allot_report_pressure,
// allot_report_measured_process, allot_balance, and calls that evict, on the thread that calls
// them; never within allot_try_request, allot_grant_grow and allot_grant_release. How full the
// pool is, is looked at by allot_balance: without it nobody is told of that.
//
// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
// Blocks: no. Returns: ALLOT_OK. Since: 0.1.
allot_status allot_on_pressure(struct allot_governor *governor,
                               allot_pressure_fn function,
                               void *user_data,
                               allot_drop_fn drop_fn);

// Reports how short the machine is: of what the operating system tells. It can only raise the
// pressure that the pool's own fill makes.
//
// Threads: any. Blocks: as long as a pressure callback takes. Returns: ALLOT_OK; ALLOT_ERROR_ENUM.
// Since: 0.1.
allot_status allot_report_pressure(struct allot_governor *governor,
                                   allot_pressure_level level);

// The pressure in force.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_level. Since: 0.1.
allot_status allot_pressure(struct allot_governor *governor,
                            allot_pressure_level *out_level);

// Reports what a tenant really holds, in bytes, however it was measured; ALLOT_UNKNOWN: it is not
// measured any more. What it holds beyond its grants counts as pressure from the next step of the
// balancer on. No limit is measured by it.
//
// Threads: any. Blocks: on mutexes, for moments. Returns: ALLOT_OK; ALLOT_ERROR_GONE;
// ALLOT_ERROR_FOREIGN. Since: 0.1.
allot_status allot_report_measured(struct allot_governor *governor,
                                   allot_tenant tenant,
                                   uint64_t bytes);

// Reports what the process as a whole really holds, in bytes; ALLOT_UNKNOWN: it is not measured
// any more. For processes that hold little beside what is granted here: all of it counts against
// the capacity, at once.
//
// Threads: any. Blocks: on a mutex, and as long as a pressure callback takes. Returns: ALLOT_OK.
// Since: 0.1.
allot_status allot_report_measured_process(struct allot_governor *governor,
                                           uint64_t bytes);

// One step of the balancer; call it every second or so, from one thread or several. Gives back
// what has run out, evaluates pressure and fair shares, and, with evicts 1, frees memory while it
// is short; with evicts 0 it evicts nothing.
//
// Threads: any. Blocks: as long as callbacks take; steps grow with the number of tenants. Returns:
// ALLOT_OK and *out_report, which may be NULL; ALLOT_ERROR_ENUM. Since: 0.1.
allot_status allot_balance(struct allot_governor *governor,
                           uint32_t evicts,
                           struct allot_balance_report *out_report);

// What a tenant uses now. At rest used_bytes is the sum of its grants; while others go on each
// figure is exact at the instant it is read.
//
// Threads: any. Blocks: on the administrative mutex; allocates. Returns: ALLOT_OK and *out_usage;
// ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. Since: 0.1.
allot_status allot_tenant_usage(struct allot_governor *governor,
                                allot_tenant tenant,
                                struct allot_usage *out_usage);

// The figures of the whole. Those of allot_snapshot_pool, without keeping the tenants.
//
// Threads: any. Blocks: on the administrative mutex; allocates; steps grow with the number of
// tenants. Returns: ALLOT_OK and *out_pool. Since: 0.1.
allot_status allot_pool_usage(struct allot_governor *governor,
                              struct allot_pool *out_pool);

// Reads everything in one pass.
//
// Owns: the caller the snapshot, to be given back by allot_snapshot_free; it does not need the
// governor any more. Threads: any. Blocks: on the administrative mutex; allocates. Returns:
// ALLOT_OK and *out_snapshot. Since: 0.1.
allot_status allot_snapshot_take(struct allot_governor *governor,
                                 struct allot_snapshot **out_snapshot);

// Gives a snapshot back. NULL does nothing.
//
// Owns: takes the snapshot. Threads: any, once nobody looks at it. Blocks: no. Since: 0.1.
void allot_snapshot_free(struct allot_snapshot *snapshot);

// The whole, as it was.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_pool. Since: 0.1.
allot_status allot_snapshot_pool(const struct allot_snapshot *snapshot,
                                 struct allot_pool *out_pool);

// The tenant at a place, from 0 to one less than tenants of allot_snapshot_pool.
//
// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_usage; ALLOT_NONE behind the last.
// Since: 0.1.
allot_status allot_snapshot_tenant(const struct allot_snapshot *snapshot,
                                   uint64_t place,
                                   struct allot_usage *out_usage);

// What people call the tenant at a place: at most buffer_size bytes with a NUL, and in *out_length
// how long the name is without it.
//
// Owns: the caller the buffer. Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_TRUNCATED;
// ALLOT_NONE behind the last. buffer may be NULL with size 0, out_length may be NULL. Since: 0.1.
allot_status allot_snapshot_tenant_name(const struct allot_snapshot *snapshot,
                                        uint64_t place,
                                        char *buffer,
                                        uint64_t buffer_size,
                                        uint64_t *out_length);

// What people call the group of the tenant at a place; nothing if it is directly below the pool.
//
// Owns: the caller the buffer. Threads: any. Blocks: no. Returns: as allot_snapshot_tenant_name.
// Since: 0.1.
allot_status allot_snapshot_group_name(const struct allot_snapshot *snapshot,
                                       uint64_t place,
                                       char *buffer,
                                       uint64_t buffer_size,
                                       uint64_t *out_length);

// Says what would decide a request now: the account and check that refuses, who holds the most,
// what would be evicted for it, what is in the way, and whether waiting can help. As a struct, and
// as text for people: at most buffer_size bytes with a NUL, and in *out_length how long the text
// is without it. Changes nothing. Exact at rest.
//
// Owns: the caller the buffer. Threads: any. Blocks: on the administrative mutex; allocates; steps
// grow with accounts and grants. Returns: ALLOT_OK; ALLOT_TRUNCATED, with *out_explanation written
// as well; errors as for allot_try_request. out_explanation and out_length may be NULL, buffer
// with size 0. Since: 0.1.
allot_status allot_explain(struct allot_governor *governor,
                           const struct allot_request_spec *request,
                           struct allot_explanation *out_explanation,
                           char *buffer,
                           uint64_t buffer_size,
                           uint64_t *out_length);

// Reads the next event. The governor keeps the last events_max of its configuration; what was
// overwritten before it was read is counted.
//
// Owns: the caller the reader, which is moved on. Threads: any, one for each reader. Blocks: no;
// allocates nothing. Returns: ALLOT_OK and *out_event; ALLOT_NONE: there is none yet; ALLOT_LOST
// and reader->lost_now: read on. Since: 0.1.
allot_status allot_events_read(struct allot_governor *governor,
                               struct allot_event_reader *reader,
                               struct allot_event *out_event);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ALLOT_H */

/* What each struct begins with. */

#define ALLOT_CONFIG_INIT                                                                          \
    {sizeof(allot_config), 16384, 0, 1024, 1048576, 262144, 0, 4096, 65536, 10000000000ull,        \
     1048576, 0, 1000000000, 10000000000ull, 10000000000ull, 10000000000ull, ALLOT_FOREVER, 1, 80, \
     90, 95, 5, 20, 40, ALLOT_CLOCK_MONOTONIC}

#define ALLOT_GROUP_CONFIG_INIT {sizeof(allot_group_config), 0, NULL, 0, 0, 0, ALLOT_UNLIMITED}

#define ALLOT_TENANT_CONFIG_INIT                                                                   \
    {sizeof(allot_tenant_config), ALLOT_PRIORITY_NORMAL,                                           \
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, NULL, 0, 0, 0, ALLOT_UNLIMITED,             \
     ALLOT_UNLIMITED, ALLOT_ISOLATION_SOFT, ALLOT_POLICY_HYBRID,                                   \
     {ALLOT_ANY_COUNT, ALLOT_ANY_COUNT, ALLOT_ANY_COUNT, ALLOT_ANY_COUNT}, 0, 1}

#define ALLOT_REQUEST_SPEC_INIT                                                                    \
    {sizeof(allot_request_spec), ALLOT_MODEL_LOAD, 0, 0, 0, 0, ALLOT_FOREVER, 1, 0}

#define ALLOT_DENIAL_INIT                                                                          \
    {sizeof(allot_denial), 0, 0, ALLOT_ACCOUNT_POOL, 0, 0, 0, 0, 0, ALLOT_UNKNOWN, 0, 0, 0, 0}

#define ALLOT_VICTIM_INIT {sizeof(allot_victim), 0, 0, 0, 0, 0, 0}

#define ALLOT_BALANCE_REPORT_INIT {sizeof(allot_balance_report), 0, 0, 0, 0, 0, 0}

#define ALLOT_USAGE_INIT                                                                           \
    {sizeof(allot_usage), ALLOT_PRIORITY_NORMAL, 0,                                                \
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, ALLOT_UNKNOWN, 0, 0, 0, 0,            \
     ALLOT_UNLIMITED, 0, 0, 0, 0, 0, ALLOT_ISOLATION_SOFT, 0}

#define ALLOT_POOL_INIT                                                                            \
    {sizeof(allot_pool), ALLOT_PRESSURE_NORMAL, 0, 0, 0, ALLOT_UNKNOWN, 0, 0, 0, 0, 0, 0, 0, 0, 0}

#define ALLOT_EXPLANATION_INIT                                                                     \
    {sizeof(allot_explanation), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,                 \
     {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0},                                                             \
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},                                             \
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},                                             \
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}

#define ALLOT_EVENT_INIT {sizeof(allot_event), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

#define ALLOT_EVENT_READER_INIT {sizeof(allot_event_reader), 0, 0, 0, 0}
