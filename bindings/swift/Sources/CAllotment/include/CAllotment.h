/*
 * include/allot.h for Swift. Swift imports no macro that is an initialiser, so that what a struct
 * begins with is a function here; and it has no atomics that are as old as the systems this runs
 * on.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef CALLOTMENT_H
#define CALLOTMENT_H

#include "../../../../../include/allot.h"

#include <stdbool.h>

static inline allot_config callot_config(void) {
    allot_config config = ALLOT_CONFIG_INIT;
    return config;
}

static inline allot_group_config callot_group_config(void) {
    allot_group_config config = ALLOT_GROUP_CONFIG_INIT;
    return config;
}

static inline allot_tenant_config callot_tenant_config(void) {
    allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
    return config;
}

static inline allot_request_spec callot_request_spec(void) {
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;
    return request;
}

static inline allot_denial callot_denial(void) {
    allot_denial denial = ALLOT_DENIAL_INIT;
    return denial;
}

static inline allot_victim callot_victim(void) {
    allot_victim victim = ALLOT_VICTIM_INIT;
    return victim;
}

static inline allot_balance_report callot_balance_report(void) {
    allot_balance_report report = ALLOT_BALANCE_REPORT_INIT;
    return report;
}

static inline allot_usage callot_usage(void) {
    allot_usage usage = ALLOT_USAGE_INIT;
    return usage;
}

static inline allot_pool callot_pool(void) {
    allot_pool pool = ALLOT_POOL_INIT;
    return pool;
}

static inline allot_explanation callot_explanation(void) {
    allot_explanation explanation = ALLOT_EXPLANATION_INIT;
    return explanation;
}

static inline allot_event callot_event(void) {
    allot_event event = ALLOT_EVENT_INIT;
    return event;
}

static inline allot_event_reader callot_event_reader(void) {
    allot_event_reader reader = ALLOT_EVENT_READER_INIT;
    return reader;
}

/* A flag that is raised once. Whoever sees it sees what was written before it was raised. */
static inline bool callot_is_raised(const uint32_t *flag) {
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
}

/* Whether it was this call that raised it. */
static inline bool callot_raise(uint32_t *flag) {
    return __atomic_exchange_n(flag, 1, __ATOMIC_ACQ_REL) == 0;
}

#endif /* CALLOTMENT_H */
