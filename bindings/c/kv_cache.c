/*
 * KV cache: two tenants, their conversations, and memory that is really taken and given back.
 *
 *     cc -pthread kv_cache.c $(pkg-config --cflags --libs allot) && ./a.out
 *
 * An inference server keeps the keys and values of every token in blocks. Here each block has a
 * grant: asked for before its memory is mapped, and ended after it is unmapped, so the ledger is
 * never behind the machine. What is resident is printed beside what the ledger says, and this ends
 * with 0 only if the two agree.
 *
 *     chat    critical   4 conversations   a quarter of the memory is guaranteed
 *     batch   low        6 conversations   lives on what nobody else needs
 *
 * Together they want five quarters of the memory. chat evicts batch's blocks; batch computes what
 * it has lost again when it needs it.
 *
 *     ./a.out [capacity in MiB [margin in MiB]]     64 and 8, unless said otherwise
 */

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* MAP_ANON */
#endif

#include <allot.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach/mach.h>
#endif

#define MIB (UINT64_C(1) << 20)
#define TOKEN_BYTES 16384u
#define BLOCK_TOKENS 16u
#define BLOCK_BYTES (TOKEN_BYTES * BLOCK_TOKENS)
#define CHAT_CONVERSATIONS 4u
#define CONVERSATIONS 10u
#define PATIENCE_NS UINT64_C(10000000000)

/* A place for a block. It has no memory before it is filled, and none after it was evicted. */
typedef struct block {
    unsigned char *memory;
    allot_grant grant;
} block;

typedef struct conversation {
    struct server *server;
    allot_tenant tenant;
    uint32_t first; /* where its blocks begin in the table */
    uint32_t tokens;
} conversation;

typedef struct server {
    allot_governor *governor;
    uint64_t capacity_bytes, margin_bytes, resident_before;
    uint32_t blocks_each; /* a conversation may have so many */
    conversation conversations[CONVERSATIONS];

    pthread_mutex_t lock; /* of what follows: held for moments, never by one who asks for memory */
    block *blocks;
    uint64_t evicted, computed_again;
    uint32_t finished; /* tenants that have nothing more to say */
    allot_pressure_level pressure_max;
} server;

/* Below 0 a call has failed and changed nothing; above 0 its answer is no plain yes. */
static allot_status check(allot_status status, const char *what) {
    char message[256];
    if (status >= 0) return status;
    allot_error_message(message, sizeof message, NULL);
    fprintf(stderr, "%s: %s (%s)\n", what, allot_status_text(status), message);
    exit(1);
}

static void insist(int holds, const char *otherwise) {
    if (holds) return;
    fprintf(stderr, "this does not add up: %s\n", otherwise);
    exit(1);
}

/* ---- Memory. Mapped, not allocated: what is unmapped leaves the process at once. ---- */

static unsigned char *map(uint64_t bytes) {
    void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    insist(memory != MAP_FAILED, "what was granted is not there");
    return (unsigned char *)memory;
}

static void unmap(unsigned char *memory, uint64_t bytes) {
    insist(munmap(memory, (size_t)bytes) == 0, "memory cannot be unmapped");
}

static uint64_t resident_bytes(void) {
#ifdef __APPLE__
    task_vm_info_data_t info;
    mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
    insist(task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&info, &count) == KERN_SUCCESS,
           "the task does not say what it holds");
    return info.phys_footprint;
#else
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    insist(file != NULL && fscanf(file, "%lu %lu", &total, &resident) == 2,
           "/proc/self/statm does not say what is resident");
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
#endif
}

/* ---- What the governor calls. ---- */

/*
 * A block has to go. This runs on whatever thread is short of memory, on several at once. It takes
 * the lock; that is why nobody asks for memory with the lock held.
 */
static allot_reclaim_answer give_way(allot_governor *governor, const allot_victim *victim,
                                     void *user_data) {
    server *self = (server *)user_data;
    block *found = &self->blocks[victim->cookie];
    (void)governor;
    pthread_mutex_lock(&self->lock);
    if (found->grant == victim->grant) { /* else its owner was faster, and has unmapped it */
        unmap(found->memory, BLOCK_BYTES);
        found->memory = NULL;
        found->grant = 0;
        self->evicted++;
    }
    pthread_mutex_unlock(&self->lock);
    return ALLOT_RECLAIM_FREED; /* and it is: when this returns, the bytes are another's */
}

/* A real server would make its batches smaller, or send new conversations elsewhere. */
static void note_pressure(allot_governor *governor, allot_pressure_level level, void *user_data) {
    server *self = (server *)user_data;
    (void)governor;
    pthread_mutex_lock(&self->lock);
    if (level > self->pressure_max) self->pressure_max = level;
    pthread_mutex_unlock(&self->lock);
}

/* ---- A conversation. ---- */

static uint32_t blocks_of(const conversation *talk) {
    return (talk->tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
}

/* Stands for the keys and values of a token: the same each time they are computed. */
static unsigned char value_of(const conversation *talk, uint32_t token) {
    return (unsigned char)(talk->first * 7 + token * 3 + 1);
}

/* While a block is pinned only its own thread changes it, so this looks without the lock. */
static unsigned char *memory_of(const conversation *talk, uint32_t token) {
    const block *found = &talk->server->blocks[talk->first + token / BLOCK_TOKENS];
    return found->memory + token % BLOCK_TOKENS * TOKEN_BYTES;
}

static void compute(const conversation *talk, uint32_t token) {
    memset(memory_of(talk, token), value_of(talk, token), TOKEN_BYTES);
}

/*
 * Asks, then takes. Where memory is short this evicts what may go, and waits for its turn if that
 * is not enough. The grant comes pinned: nobody evicts it before its memory is in the table.
 */
static void add_block(conversation *talk, uint32_t number) {
    server *self = talk->server;
    block *added = &self->blocks[talk->first + number];
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;
    allot_grant grant = 0;
    unsigned char *memory;
    allot_status status;

    request.tenant = talk->tenant;
    request.allocation_type = ALLOT_CACHE;
    request.bytes = BLOCK_BYTES;
    request.cookie = talk->first + number; /* comes back with the victim */
    request.flags = ALLOT_REQUEST_PINNED;
    status = allot_acquire(self->governor, &request, PATIENCE_NS, &grant, NULL);
    insist(check(status, "a block") == ALLOT_OK, "no room for a block");

    memory = map(BLOCK_BYTES);
    pthread_mutex_lock(&self->lock);
    added->memory = memory;
    added->grant = grant;
    pthread_mutex_unlock(&self->lock);
}

typedef allot_status (*grant_call)(allot_governor *, allot_tenant, allot_grant);

/* One call about a grant; for an instant another thread may be changing the same one. */
static allot_status ask(const conversation *talk, grant_call call, allot_grant grant) {
    allot_status status;
    do {
        status = call(talk->server->governor, talk->tenant, grant);
    } while (status == ALLOT_ERROR_BUSY);
    return check(status, "a grant");
}

/* Keeps a block, if it is there. Pinning calls nothing back, so the lock may be held. */
static int pin_block(conversation *talk, uint32_t number) {
    server *self = talk->server;
    const block *found = &self->blocks[talk->first + number];
    allot_status status = ALLOT_EVICTED;
    pthread_mutex_lock(&self->lock);
    if (found->memory != NULL) status = ask(talk, allot_grant_pin, found->grant);
    pthread_mutex_unlock(&self->lock);
    return status == ALLOT_OK;
}

/* Gives a block back: first the memory, then the grant. */
static void drop_block(conversation *talk, uint32_t number) {
    server *self = talk->server;
    block *dropped = &self->blocks[talk->first + number];
    allot_grant grant;
    pthread_mutex_lock(&self->lock);
    grant = dropped->grant;
    if (grant != 0) unmap(dropped->memory, BLOCK_BYTES);
    dropped->memory = NULL;
    dropped->grant = 0;
    pthread_mutex_unlock(&self->lock);
    /* ALLOT_EVICTED is fine: somebody is about to ask for it, and finds it unmapped. */
    if (grant != 0) ask(talk, allot_grant_release, grant);
}

/* Makes the whole conversation be there and stay: what was evicted is computed again. */
static void hold(conversation *talk) {
    uint32_t number, token;
    for (number = 0; number < blocks_of(talk); number++) {
        if (pin_block(talk, number)) continue;
        drop_block(talk, number); /* it may be on its way out, but not there yet */
        add_block(talk, number);
        for (token = number * BLOCK_TOKENS;
             token < talk->tokens && token < (number + 1) * BLOCK_TOKENS; token++) {
            compute(talk, token);
        }
        pthread_mutex_lock(&talk->server->lock);
        talk->server->computed_again++;
        pthread_mutex_unlock(&talk->server->lock);
    }
}

/* From here on its blocks may be evicted, those used longest ago first. */
static void let_go(conversation *talk) {
    uint32_t number;
    for (number = 0; number < blocks_of(talk); number++) {
        allot_grant grant = talk->server->blocks[talk->first + number].grant;
        ask(talk, allot_grant_touch, grant);
        ask(talk, allot_grant_unpin, grant);
    }
}

/* A turn: the next tokens, each of which looks at all before it. */
static void speak(conversation *talk, uint32_t tokens) {
    uint32_t before;
    hold(talk);
    for (; tokens > 0; tokens--) {
        for (before = 0; before < talk->tokens; before++) {
            insist(*memory_of(talk, before) == value_of(talk, before), "a token is another one");
        }
        if (talk->tokens % BLOCK_TOKENS == 0) add_block(talk, talk->tokens / BLOCK_TOKENS);
        compute(talk, talk->tokens++);
    }
    let_go(talk);
}

static void hang_up(conversation *talk) {
    uint32_t number;
    for (number = 0; number < blocks_of(talk); number++) drop_block(talk, number);
    talk->tokens = 0;
}

/* ---- Threads: one for the conversations of each tenant. ---- */

static void *talk_until_full(void *first) {
    conversation *talk = (conversation *)first;
    server *self = talk->server;
    uint32_t count = talk == self->conversations ? CHAT_CONVERSATIONS
                                                 : CONVERSATIONS - CHAT_CONVERSATIONS;
    uint32_t turn, each;
    for (turn = 0; turn < self->blocks_each; turn++) {
        for (each = 0; each < count; each++) speak(&talk[each], BLOCK_TOKENS);
    }
    pthread_mutex_lock(&self->lock);
    self->finished++;
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void *hang_up_soon(void *talk) {
    struct timespec soon = {0, 20000000};
    nanosleep(&soon, NULL);
    hang_up((conversation *)talk);
    return NULL;
}

/* ---- The books. ---- */

static uint64_t live_bytes(const server *self) {
    allot_pool pool = ALLOT_POOL_INIT;
    check(allot_pool_usage(self->governor, &pool), "usage");
    insist(pool.live_bytes <= self->capacity_bytes, "more is granted than there is");
    return pool.live_bytes;
}

/* With no thread under way the ledger and the machine say the same. */
static void audit(const server *self, const char *when) {
    uint64_t live = live_bytes(self), resident = resident_bytes(), apart;
    resident = resident > self->resident_before ? resident - self->resident_before : 0;
    apart = resident > live ? resident - live : live - resident;
    printf("%-30s ledger %5.1f MiB   resident %5.1f MiB\n", when, (double)live / (double)MIB,
           (double)resident / (double)MIB);
    insist(apart <= self->margin_bytes, "ledger and resident set are further apart than allowed");
}

/* Beside the work: a look at pressure now and then. A real server does this every second or so. */
static void look_after(server *self) {
    struct timespec pause = {0, 5000000};
    uint64_t most = 0, live;
    uint32_t finished = 0;
    while (finished < 2) {
        nanosleep(&pause, NULL);
        check(allot_balance(self->governor, 0, NULL), "balance"); /* 0: evicts nothing */
        live = live_bytes(self);
        if (live > most) most = live;
        pthread_mutex_lock(&self->lock);
        finished = self->finished;
        pthread_mutex_unlock(&self->lock);
    }
    printf("  meanwhile never more than %.1f MiB\n", (double)most / (double)MIB);
}

/* The balancer frees memory before anybody asks for it, until the pressure is normal again. */
static void relieve(server *self) {
    allot_balance_report report = ALLOT_BALANCE_REPORT_INIT;
    do {
        check(allot_balance(self->governor, 1, &report), "balance");
        printf("  balance: pressure %u, %.1f MiB freed\n", (unsigned)report.pressure,
               (double)report.freed_bytes / (double)MIB);
    } while (report.pressure != ALLOT_PRESSURE_NORMAL && report.freed_bytes > 0);
    insist(report.pressure == ALLOT_PRESSURE_NORMAL, "the balancer brought no relief");
}

/* ---- The story. ---- */

static allot_tenant tenant(server *self, const char *name, allot_priority priority,
                           allot_isolation isolation, uint64_t guarantee_bytes) {
    allot_tenant_config config = ALLOT_TENANT_CONFIG_INIT;
    allot_tenant registered = 0;
    config.name = name;
    config.name_length = strlen(name);
    config.priority = priority;
    config.isolation = isolation; /* soft: at critical pressure not beyond its fair share */
    config.guarantee_bytes = guarantee_bytes;
    check(allot_tenant_register(self->governor, &config, &registered), name);
    return registered;
}

static void open_up(server *self) {
    allot_config config = ALLOT_CONFIG_INIT;
    allot_tenant chat, batch;
    uint32_t each;
    pthread_mutex_init(&self->lock, NULL);
    self->blocks_each = (uint32_t)(self->capacity_bytes / 8 / BLOCK_BYTES);
    self->blocks = (block *)calloc((size_t)self->blocks_each * CONVERSATIONS, sizeof(block));
    insist(self->blocks != NULL && self->blocks_each > 0, "there is no table of blocks");

    config.capacity_bytes = self->capacity_bytes;
    check(allot_governor_new(&config, &self->governor), "governor");
    check(allot_on_reclaim(self->governor, 0, give_way, self, NULL), "on_reclaim");
    check(allot_on_pressure(self->governor, note_pressure, self, NULL), "on_pressure");
    chat = tenant(self, "chat", ALLOT_PRIORITY_CRITICAL, ALLOT_ISOLATION_SOFT,
                  self->capacity_bytes / 4);
    batch = tenant(self, "batch", ALLOT_PRIORITY_LOW, ALLOT_ISOLATION_NONE, 0);
    for (each = 0; each < CONVERSATIONS; each++) {
        conversation *talk = &self->conversations[each];
        talk->server = self;
        talk->tenant = each < CHAT_CONVERSATIONS ? chat : batch;
        talk->first = each * self->blocks_each;
        talk->tokens = 0;
    }
    self->resident_before = resident_bytes();
}

static void converse(server *self) {
    pthread_t chat, batch;
    insist(pthread_create(&chat, NULL, talk_until_full, &self->conversations[0]) == 0, "thread");
    insist(pthread_create(&batch, NULL, talk_until_full,
                          &self->conversations[CHAT_CONVERSATIONS]) == 0, "thread");
    look_after(self);
    pthread_join(chat, NULL);
    pthread_join(batch, NULL);
    printf("  %llu blocks were evicted, %llu computed again\n", (unsigned long long)self->evicted,
           (unsigned long long)self->computed_again);
    insist(self->evicted > 0, "memory was short, and nobody gave way");
}

/*
 * batch loads an adapter, one block larger than what is free and what may be evicted for it: chat's
 * conversations may not. So it stands in line, until one of them is hung up.
 */
static void load_adapter(server *self) {
    conversation *leaving = &self->conversations[0];
    allot_request_spec request = ALLOT_REQUEST_SPEC_INIT;
    allot_denial denial = ALLOT_DENIAL_INIT;
    allot_grant grant = 0;
    allot_ticket ticket = 0;
    allot_status status;
    unsigned char *memory;
    pthread_t thread;

    request.tenant = self->conversations[CHAT_CONVERSATIONS].tenant;
    request.allocation_type = ALLOT_MODEL_LOAD; /* not evicted: it does not say that it may be */
    request.bytes = self->capacity_bytes;
    check(allot_attainable(self->governor, &request, &request.bytes), "attainable");
    request.bytes += BLOCK_BYTES;

    status = allot_enqueue(self->governor, &request, PATIENCE_NS, &grant, &ticket, &denial);
    insist(check(status, "enqueue") == ALLOT_QUEUED, "there was room after all");
    printf("  an adapter of %.1f MiB waits for its turn\n", (double)request.bytes / (double)MIB);

    insist(pthread_create(&thread, NULL, hang_up_soon, leaving) == 0, "thread");
    status = allot_ticket_wait(self->governor, ticket, PATIENCE_NS, &grant, &denial);
    insist(check(status, "wait") == ALLOT_OK, "its turn did not come");
    memory = map(request.bytes);
    memset(memory, 1, (size_t)request.bytes);
    pthread_join(thread, NULL);
    audit(self, "one has hung up: it is loaded");

    unmap(memory, request.bytes);
    check(allot_grant_release(self->governor, request.tenant, grant), "release");
}

int main(int count, char **values) {
    static server self; /* all 0 */
    uint32_t each;
    self.capacity_bytes = (count > 1 ? strtoul(values[1], NULL, 10) : 64) * MIB;
    self.margin_bytes = (count > 2 ? strtoul(values[2], NULL, 10) : 8) * MIB;

    open_up(&self);
    audit(&self, "before the first word");
    converse(&self);
    audit(&self, "all have spoken");
    relieve(&self);
    insist(self.pressure_max == ALLOT_PRESSURE_CRITICAL, "memory was short, and nobody was told");
    audit(&self, "the balancer has been here");
    load_adapter(&self);
    for (each = 0; each < CONVERSATIONS; each++) hang_up(&self.conversations[each]);
    audit(&self, "all have hung up");
    insist(live_bytes(&self) == 0, "something is still granted");

    allot_governor_free(self.governor);
    pthread_mutex_destroy(&self.lock);
    free(self.blocks);
    return 0;
}
