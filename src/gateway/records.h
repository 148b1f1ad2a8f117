/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to each request and why: the newest records of a worker, for `fairway why` and `fairway top`. A record is there
 * from the request's arrival on and is filled in as the request goes its way.
 *
 * Bounded: RECORDS_MAX per worker; the oldest gives way, even if its request still runs. Ownership: the ring is its worker's.
 * Thread rule: a record is written through record_begin and record_update by its worker, and copied out by any thread.
 */
#ifndef FAIRWAY_GATEWAY_RECORDS_H
#define FAIRWAY_GATEWAY_RECORDS_H

#include <pthread.h>

#include "base/json.h"
#include "base/time.h"
#include "core/queue/queue.h"

enum { RECORDS_MAX = 2048, RECORD_ATTEMPTS_MAX = 6, RECORD_NAME_MAX = 64, RECORD_ID_MAX = 24 };

struct model_pool;
struct ticket;

enum record_state { RECORD_WAITING, RECORD_RUNNING, RECORD_ENDED };

/* One replica's turn. Times since the arrival. */
struct record_attempt {
    uint64_t replica;
    int candidates; /* replicas that could have taken it */
    bool hedge;     /* a second one beside the first, which was late */
    nsec dispatched, ended;
    int status; /* HTTP, of the replica; 0: it gave none */
    const char
        *outcome; /* static: "served", "failed", "resumed elsewhere" ... ; NULL: it goes on */
};

struct record {
    uint64_t number; /* 0: none yet; the ring's own business */
    char id[RECORD_ID_MAX];
    char tenant[RECORD_NAME_MAX], model[RECORD_NAME_MAX];
    char asked[RECORD_NAME_MAX]; /* the model that was asked for and could not; "": it is `model` */
    enum queue_band band;
    enum record_state state;
    bool stream;
    nsec arrived_wall, waited, first_chunk, took; /* first_chunk 0: none */
    int status;                                   /* of the answer; 0: none yet */
    const char *reason;                           /* static: why it ended as it did; NULL: well */
    struct model_pool *pool;                      /* borrow, as the next; while it waits */
    const struct ticket *ticket;
    size_t position; /* while it waits: see model_pool_place */
    nsec expected_wait;
    struct queue_reason queue; /* why it was its turn, the last time */
    unsigned attempts;         /* all; the first RECORD_ATTEMPTS_MAX are kept */
    struct record_attempt attempt[RECORD_ATTEMPTS_MAX];
    uint64_t input_tokens, cached_tokens, output_tokens;
    bool usage_reported; /* by the replica; else it is an estimate */
    int64_t cost;        /* millionths of money */
};

struct records {
    pthread_mutex_t mutex;
    struct record *ring; /* own */
    uint64_t next;       /* number of the next record, from 1 */
};

void records_init(struct records *r);
void records_fini(struct records *r);

/* A new record with this id; the number names it from now on. */
uint64_t records_add(struct records *r, const struct record *first);
/* The record, to be written until records_unlock; NULL (and nothing to unlock) if it had to give way. */
struct record *records_lock(struct records *r, uint64_t number);
void records_unlock(struct records *r);

/* The record of this id, until records_unlock; NULL (and nothing to unlock) if there is none. */
struct record *records_find(struct records *r, struct str id);
/* The newest first, at most `max`; how many. */
size_t records_newest(struct records *r, struct record *ret_records, size_t max);

void record_write(const struct record *r, struct json_writer *w);

#endif
