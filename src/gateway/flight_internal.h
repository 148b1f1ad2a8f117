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

/* A replica's turn: the only one, or one of two while the request is hedged. */
struct flight_call {
    struct flight *flight;
    struct http_call *http; /* NULL: it does not run */
    int leg;                /* of the pool's request */
    struct verdict verdict; /* that sent it */
    unsigned attempt;       /* its number in the record */
    struct flight_trace_call trace;
    int status;  /* 0: no head yet */
    bool stream; /* it answers with events */
    bool begun;  /* its first byte has been told to the pool */
    char content_type[FLIGHT_CONTENT_TYPE_MAX];
    struct buf held; /* own: an incomplete event, or an answer until complete */
};

struct flight {
    struct ticket ticket;
    struct worker *worker;
    struct http_exchange *exchange; /* borrow; NULL after the client left */
    struct model_pool *pool;        /* ref */
    struct model_pool *asked_pool;  /* borrow: of the model that was asked for */
    unsigned fallbacks;             /* how many of its chain have been looked at */
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
    bool said_all;  /* the stream's last event is out: a client may leave with it */
    char id[FLIGHT_ID_LEN + 1];
    struct loop_timer keepalive;

    struct flight_call calls[POOL_LEGS];
    struct flight_call *
        call; /* the one that answers; before that the first, or what is left of two; NULL: none yet */
    struct loop_timer hedge; /* runs until the first call is late */

    /* a stream that another replica could go on with */
    bool may_resume; /* as asked */
    bool resumable;  /* and as the engine can */
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

/* Of a replica's process, for the log. */
static inline int64_t flight_run(const struct flight_call *c)
{
    return c ? (int64_t)c->verdict.decision.replica : 0;
}

/* The body for a replica that begins at the beginning. */
static inline struct str flight_body(const struct flight *f)
{
    return f->edited.max ? buf_str(&f->edited) : http_exchange_request(f->exchange)->body;
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
void flight_aim(struct flight *f, const struct table_entry *target); /* at a model's pool */
void flight_end(struct flight *f); /* the client has its answer: out of the pool's hands, freed */

/* flight_record.c: what happened to it, for `fairway why`. */
void flight_record_begin(struct flight *f, enum queue_band band);
void flight_record_fell_back(struct flight *f);
void flight_record_dispatched(struct flight_call *c);
void flight_record_left(struct flight_call *c, const char *outcome); /* a replica that failed it */
void flight_record_end(struct flight *f, int64_t cost);

/* flight_account.c: what it used, when it is over. */
void flight_settle(struct flight *f); /* before its ticket ends */
void flight_reckon(struct flight *f);

/* flight_resume.c: a replica broke off in mid-stream. False: nobody can go on with it. */
bool flight_resume(struct flight *f);

/* flight_fallback.c: the pool has refused it. False: no other model takes it. */
bool flight_fall_back(struct flight *f);

/* flight_hedge.c: one request at two replicas, when the first is late. */
void flight_hedge_init(struct flight *f);
void flight_hedge_arm(struct flight *f, nsec at); /* NSEC_NEVER: not at all */
void flight_choose(struct flight_call *c);        /* this one answers: the other is left */
bool flight_lose_leg(struct flight_call *c);      /* it failed. False: there is no other */

/* flight_upstream.c: towards the replica that a verdict names. */
void flight_dispatch(struct flight *f, struct verdict *v); /* releases it */
void flight_cut(struct flight *f);                         /* whatever runs */

#endif
