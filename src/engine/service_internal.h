/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the service: service.c routes and answers small requests, prompt.c turns prompts into tokens,
 * call.c takes an inference request from its body to its jobs and to its end, call_answer.c from
 * news to bytes. Thread rule: the loop's thread.
 */
#ifndef FAIRWAY_ENGINE_SERVICE_INTERNAL_H
#define FAIRWAY_ENGINE_SERVICE_INTERNAL_H

#include "api/openai_reply.h"
#include "api/openai_request.h"
#include "base/rng.h"
#include "engine/meters.h"
#include "engine/service.h"
#include "observe/trace.h"

enum {
    CALL_ARENA_CAP = 64 << 20, /* of one request: its body's tree, its tokens */
    CALL_ID_MAX = 40,
    ANSWER_MAX = 64 << 20, /* of one whole answer, in bytes */
};

enum service_state { SERVICE_LOADING, SERVICE_READY, SERVICE_DRAINING };

struct service {
    struct service_options options;
    enum service_state state;
    struct meters meters;
    struct list calls; /* running ones */
    struct rng random;
    uint64_t accepted; /* inference requests, for the faults */
    char fingerprint[32];
    int64_t created;
    struct buf scratch; /* own; what is being written */
};

/* One answer of a request. */
struct choice {
    struct call *call;
    struct job *job;             /* own; NULL once it ended */
    struct buf text;             /* own; when not streamed */
    struct answer_token *tokens; /* own; when not streamed and log probabilities are wanted */
    size_t token_count;
    size_t offset; /* bytes of text before the token that is written next */
    size_t shown;  /* bytes of text in the chunks */
    size_t skip;   /* bytes of text to come that the client has already: a resumed answer */
    bool opened;   /* its first chunk is written */
    const char *finish;
    nsec last_token;
    float *vector; /* own; taken over from the job */
};

struct call {
    struct service *service;
    struct list link;
    struct http_exchange *x; /* borrow; NULL: answered, or the client left */
    struct arena arena;
    enum openai_kind kind;
    struct openai_request request;
    struct openai_reply reply;
    char id[CALL_ID_MAX];
    struct choice *choices; /* in the arena */
    size_t count;
    size_t open;    /* choices whose job has not ended */
    bool streaming; /* the head is written */
    bool progress;  /* chunks say what another replica would need to go on */
    bool blocked;   /* the client reads slowly: news stay where they are */
    bool pinned;    /* in use: not to be freed yet */
    int status;     /* of the answer */
    nsec began;
    struct trace_id trace;
    struct openai_usage usage;
    nsec first_token; /* since it began; 0: none yet */
};

/* An inference request: answers it now or later. */
void call_begin(struct service *s, struct http_exchange *x, enum openai_kind kind);
/* From http_service. */
void call_departed(struct http_exchange *x);
void call_writable(struct http_exchange *x);

/* The news of a job (job.notify). */
void call_news(struct job *job);
/* The exchange is over: counts and logs it, and cancels what still runs. */
void call_close(struct call *call, int status);

/* Writes what the news say, or keeps it for the whole answer. May close the call. */
void answer_news(struct choice *choice, const struct job_news *news);
/* The engine stops: an error instead of the rest. Closes the call. */
void answer_cut(struct call *call);
/* All choices have ended well: writes the rest, and closes the call. */
void answer_complete(struct call *call);

void service_error(struct service *s, struct http_exchange *x, const struct api_error *error);
void service_json(struct http_exchange *x, int status, const struct buf *body);
/* The tokens of a prompt, or (NULL) of the request's conversation, in the arena: at most as many as
 * the context holds. `param` is the field that an error names. */
int service_tokens(struct service *s, struct arena *arena, const struct openai_request *request,
                   const struct openai_prompt *prompt, struct str param, int32_t **ret_tokens,
                   size_t *ret_count, struct api_error *error);
/* Says that a prompt of (at least) `count` tokens does not fit; returns ERR_INVALID. */
int service_too_long(struct arena *arena, uint32_t most, bool at_least, size_t count,
                     struct str param, struct api_error *error);

#endif
