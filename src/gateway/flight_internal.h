/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by flight.c (states, client side) and flight_upstream.c (the call to a replica). */
#ifndef FAIRWAY_GATEWAY_FLIGHT_INTERNAL_H
#define FAIRWAY_GATEWAY_FLIGHT_INTERNAL_H

#include "api/openai_resume.h"
#include "api/openai_usage.h"
#include "gateway/flight.h"
#include "gateway/flight_trace.h"
#include "gateway/meters.h"

enum flight_state { FLIGHT_WAITING, FLIGHT_CALLING, FLIGHT_ANSWERING, FLIGHT_ENDED };

enum {
    FLIGHT_ANSWER_MAX = 32 * 1024 * 1024, /* a whole answer that is held until complete: else 502 */
    FLIGHT_EVENT_MAX = 4 * 1024 * 1024,   /* one event of a stream: else the stream breaks */
    FLIGHT_ID_LEN = 20,                   /* "req_" and 16 hexadecimal digits */
    FLIGHT_CONTENT_TYPE_MAX = 128,
};

struct flight {
    struct ticket ticket;
    struct worker *worker;
    struct http_exchange *exchange; /* borrow; NULL after the client left */
    struct model_pool *pool;        /* ref */
    struct tenant *tenant;          /* borrow */
    struct routes_price price;
    struct limit_rules limits;
    struct limit_hold hold; /* of its tenant's limits: open until its end */
    struct rate_headers rates;
    uint64_t *blocks; /* own; see flight_request */
    struct str upstream_path;
    struct buf edited; /* own; see flight_request */
    bool stream;
    bool usage_asked, generates; /* see flight_request */
    const struct dialect
        *dialect; /* of the client; applied to what goes out, and to nothing else */
    void *spoken; /* own: the dialect's state; NULL: it has none */
    enum flight_state state;
    bool head_sent; /* of the response to the client */
    char id[FLIGHT_ID_LEN + 1];
    struct loop_timer keepalive;

    /* the present call */
    struct http_call *call;
    uint64_t replica;
    int upstream_status;
    bool upstream_stream; /* it answers with events */
    char content_type[FLIGHT_CONTENT_TYPE_MAX];
    struct buf held; /* own: an incomplete event, or an answer until complete */

    /* a stream that another replica could go on with */
    bool resumable;
    struct openai_resume_state resume;
    struct buf
        resumed; /* own: the body that asks for the rest; empty before the first resumption */
    unsigned resumptions;

    /* for metrics and the access log */
    nsec started, waited, first_chunk, last_chunk;
    uint64_t chunks, events, bytes; /* a chunk is what one read brought: some events */
    struct openai_usage usage;      /* as the engine says; else reckoned at the end */
    bool usage_known;
    uint64_t charged; /* events that its tenant was charged for while they passed */
    unsigned retries;
    size_t prompt_length; /* bytes of the request's body */
    struct flight_trace trace;
    int status;         /* answered; 499: the client left */
    const char *reason; /* static: the code of the error it ended with; NULL: none */
    uint64_t record;    /* its number among the worker's */
};

static inline struct model_meters *flight_meters(struct flight *f)
{
    return model_pool_meters(f->pool);
}

void flight_move(struct flight *f, enum flight_state to);

/* flight.c: towards the client. */
void flight_send_head(struct flight *f, int status, struct str content_type);
void flight_send_chunk(struct flight *f, struct str events); /* of the engine's format */
void flight_send_event(struct flight *f,
                       struct str event); /* of the client's dialect; the last one */
void flight_send_end(struct flight *f);   /* of a stream that is complete; its usage is known */
void flight_send_whole(struct flight *f, int status, struct str content_type, struct str body);
void flight_fail(struct flight *f, int status, struct str code, struct str message,
                 nsec retry_after);
void flight_end(struct flight *f); /* the client has its answer: out of the pool's hands, freed */

/* flight_record.c: what happened to it, for `fairway why`. */
void flight_record_begin(struct flight *f, enum queue_band band);
void flight_record_dispatched(struct flight *f);
void flight_record_left(struct flight *f, const char *outcome); /* a replica that failed it */
void flight_record_end(struct flight *f, int64_t cost);

/* flight_account.c: what it used, when it is over. */
void flight_settle(struct flight *f); /* before its ticket ends */
void flight_reckon(struct flight *f);

/* flight_resume.c: a replica broke off in mid-stream. False: nobody can go on with it. */
bool flight_resume(struct flight *f);

/* flight_upstream.c: towards the replica that the verdict names. */
void flight_call(struct flight *f);

#endif
