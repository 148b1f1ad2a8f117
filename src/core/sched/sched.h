/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which workload runs: admission over core/place (where) and core/quota (how much may whom). Pure:
 * events go in with their time, decisions come out by sched_next, as in core/pool.
 *
 * A workload is a gang: members_min to members_max members that are alike. It has room and quota for
 * all of its members or for none.
 *
 *   OUT -> PENDING -> RUNNING -> OUT          the usual life
 *          PENDING -> HELD -> RUNNING         others had to make room first
 *          RUNNING -> EVICTING -> PENDING     it had to make room, or its node or GPU is lost
 *
 * Rules:
 * - Whose turn it is among the first of each queue is quota's decision (quota_next); in a queue: priority,
 *   then who was created first, then the lower id. Who cannot start has a reason (sched_why) and does
 *   not block the next. It is tried again when something has changed for the better.
 * - A gang starts with as many members as quota and room have, at least members_min; with just those
 *   if others made room for it.
 * - Preemption: who cannot start may evict RUNNING preemptible workloads, but never inference for anything
 *   else. What a queue has of its own (its nominal quota) its workloads have by priority, then by start;
 *   who finds no room in it borrows. Who does not borrow may evict who does, in other queues (reclaim),
 *   and anybody of lower priority; who borrows may evict those of lower priority in its own queue that
 *   borrow too. So nobody is evicted by whom it may evict, nor in circles.
 *   Borrowers first, then lower priority, then fewer evictions, then less lost work. None is evicted that
 *   is not needed: with any single one of the victims left, it would not fit.
 * - The preemptor (one at a time) is HELD: what it needs of free room, and whatever its victims
 *   leave, is leased to ghosts until all of them are gone; then it starts. After hold_max it is
 *   PENDING again, and a victim that has not gone by then helps nobody.
 * - Reservation (EASY backfill: Lifka, "The ANL/IBM SP Scheduling System", 1995): who has quota, but room
 *   only when others end, and nobody to evict, may be promised the time at which it fits by the
 *   expected durations of what runs, and where. One workload at a time. Others of its priority and lower
 *   may use that room, and the quota it needs, only if they are expected to end by then. What
 *   should have ended ends soon; what has no expected duration never does, but for who has waited for
 *   age_max: room for it is kept free until it is enough, whenever that is. The reservation goes over
 *   to a higher priority. Of equals who has waited for age_max has it first, and of these the oldest; but
 *   a time that was promised is kept.
 * - Quota follows decisions, room follows facts: who is EVICTING has no quota any more, a HELD one
 *   has it; the leases of the evicted are theirs until sched_ended.
 * - A workload that was evicted or has failed sleeps before it is tried again: backoff_min, doubled each
 *   time, up to backoff_max.
 *
 * Invariants: sched_check. Same state, same events: same decisions, but for the order of evictions that
 * one lost node or GPU causes. A state made anew by sched_restore and sched_submit is the same state, after
 * sched_changed: a promised time is worked out anew.
 * Bounds: workloads_max, else ERR_FULL. Members and ghosts need leases in place (leases_max).
 * Ownership: struct sched_workload is the caller's memory, from sched_submit or sched_restore until OUT.
 * place and quota are borrowed, and all leases in place are the scheduler's. Quotas may be changed
 * behind its back, if sched_changed follows; nodes by sched_node_put and sched_node_remove. While a
 * workload is not OUT, its queue's number must not be given to another queue.
 * Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_SCHED_H
#define FAIRWAY_CORE_SCHED_H

#include "base/heap.h"
#include "base/list.h"
#include "core/place/place.h"
#include "core/quota/quota.h"

enum {
    SCHED_MEMBER_BITS = 10,
    SCHED_MEMBERS_MAX = 1 << SCHED_MEMBER_BITS,
};
enum { SCHED_FREED_MAX = 64 }; /* nodes with room since all were tried; with more, all are tried */
#define SCHED_ID_MAX (UINT64_MAX >> (SCHED_MEMBER_BITS + 1)) /* the highest bit marks ghosts */

enum sched_state { SCHED_OUT, SCHED_PENDING, SCHED_HELD, SCHED_RUNNING, SCHED_EVICTING };

/* Why a workload is pending. */
enum sched_why {
    SCHED_WHY_NEW,      /* not tried yet */
    SCHED_WHY_SLEEPS,   /* it was evicted or has failed: until sleeps_until */
    SCHED_WHY_CLOSED,   /* its queue was removed, or is none */
    SCHED_WHY_INVALID,  /* the request makes no sense */
    SCHED_WHY_QUOTA,    /* more than its queue may have */
    SCHED_WHY_ROOM,     /* fits nowhere */
    SCHED_WHY_LEASES,   /* place has no more leases */
    SCHED_WHY_RESERVED, /* it would take the quota of the one that has the reservation */
};

enum sched_evict_why { SCHED_PREEMPTED, SCHED_RECLAIMED, SCHED_ROOM_LOST };

struct sched_spec {
    uint64_t id; /* 1 to SCHED_ID_MAX */
    int queue, priority;
    nsec created;
    bool inference, preemptible;
    unsigned members_min, members_max; /* 1 to SCHED_MEMBERS_MAX */
    struct place_request request;      /* of one member */
    struct quota_amount amount;        /* of one member, against the quota */
    nsec start_cost;                   /* what a start takes: lost when it is evicted */
    nsec expected;                     /* how long it runs; 0: not known */
};

struct sched_workload {
    struct sched_spec spec; /* set by the caller */
    /* What outlives a restart; zero of a new one. */
    enum sched_state state;
    unsigned members;   /* that it has quota or leases for; not PENDING */
    unsigned evictions; /* so far */
    unsigned requeues;  /* evictions and failures */
    nsec sleeps_until, started, checkpoint;
    uint64_t evicted_for; /* EVICTING: the HELD one's id; 0: nobody's */
    enum sched_evict_why evict_why;
    nsec hold_until; /* HELD */
    bool reserved;   /* PENDING: it has the reservation */
    /* The scheduler's business; may be read. */
    enum sched_why why;
    uint64_t tried;           /* at which version of the state */
    bool would_borrow;        /* as a claimant, */
    uint64_t would_borrow_at; /* at which of its queue's changes */
    bool
        borrows; /* RUNNING, if its queue is labelled: more than its queue has of its own, after those before it */
    double lost;                /* likewise: thousandths of GPUs x seconds */
    nsec ends;                  /* RUNNING, EVICTING: when it is expected to */
    nsec no_reservation_until;  /* there was none to be had, */
    uint64_t reservation_tried; /* at which of its epochs */
    struct heap_node ending;    /* RUNNING or EVICTING */
    struct heap_node by_cost;
    struct heap_node sleeping;
    struct list in_queue;   /* PENDING and awake */
    struct list in_running; /* RUNNING: of its queue, by priority, then start */
    struct list in_decided; /* RUNNING or EVICTING, decision not yet taken */
    struct map_node by_id;
};

enum sched_decision_kind { SCHED_START, SCHED_EVICT };

struct sched_decision {
    enum sched_decision_kind kind;
    struct sched_workload *workload; /* why, for whom: evict_why, evicted_for */
};

struct sched_options {
    unsigned workloads_max;
    nsec backoff_min, backoff_max, hold_max;
    nsec age_max; /* after it room is kept for who waits, if it is nothing else but large */
};

/* Room that is leased to nobody: the owners first, first + 1, ... */
struct sched_ghosts {
    uint64_t first;
    unsigned count;
};

struct sched_reservation {
    struct sched_workload *of; /* NULL: there is none */
    nsec at;                   /* when it starts at the latest; NSEC_NEVER: not known */
    struct place_lease room[SCHED_MEMBERS_MAX]; /* where each of members_min will be */
    struct sched_ghosts ghosts;                 /* on what of it is free */
    bool firm;                                  /* all who wait were asked since it was given */
    bool stale;                                 /* is to be worked out anew */
    bool incomplete;                            /* more of it may be free than has ghosts */
    nsec again;           /* when somebody may ask for one again; 0: nobody waits for that */
    uint64_t epoch;       /* what was known of who can have one */
    uint64_t asked_at[2]; /* the version at which somebody has asked; [1]: who has waited long */
};

/* Of what a queue has of its own, what is used by its running ones of a priority and higher. */
struct sched_before {
    int priority;
    uint64_t at; /* which of the queue's changes */
    struct quota_amount used;
};

struct sched {
    struct sched_options options;
    struct place *place; /* borrow */
    struct quota *quota; /* borrow */
    struct arena memory;
    struct map by_id;
    uint64_t version; /* of what who waits goes by */
    /* What the newer versions are about: with the last of these, everything; quota came back; room did,
     * on these nodes (slots). Who waits for something else need not be tried. */
    uint64_t all_at, quota_at;
    struct sched_freed {
        uint64_t version;
        int slot;
    } freed[SCHED_FREED_MAX];
    unsigned freed_count;
    int queue_count;                      /* queues that anybody has been in lie below this */
    struct list waiting[QUOTA_NODES_MAX]; /* PENDING and awake, in order */
    struct list *cursor[QUOTA_NODES_MAX]; /* before it all were tried at this version */
    bool has_started;                     /* anybody, or more has changed, since all were tried */
    uint64_t cursors_at;                  /* at which version */
    struct heap sleeping;                 /* PENDING and asleep */
    struct list running[QUOTA_NODES_MAX]; /* by queue: by priority, then start, then id */
    /* Of who runs in a queue: whose `borrows` is as it is without a claimant, and how many borrow. */
    uint64_t changes[QUOTA_NODES_MAX]; /* from 1 */
    struct sched_before before[QUOTA_NODES_MAX];
    bool labelled[QUOTA_NODES_MAX];
    unsigned borrowers[QUOTA_NODES_MAX];
    struct list decided;         /* decisions to be taken */
    struct sched_workload *held; /* at most one; NULL: none */
    unsigned victims;            /* of the held one: still there */
    struct sched_ghosts ghosts;  /* of the held one */
    struct sched_reservation reservation;
    struct heap ending;             /* RUNNING or EVICTING: who ends first */
    struct heap candidates;         /* to be victims, while they are chosen */
    struct sched_workload **chosen; /* own (memory), likewise */
    struct place_lease *saved;      /* own (memory), likewise: their leases */
    size_t saved_count;
    struct place_lease wanted[SCHED_MEMBERS_MAX]; /* likewise: where the gang would be */
};

/* 10 s to 10 min, hold for at most 5 min, of age after 30 min, 4096 workloads. */
struct sched_options sched_options_default(void);
/* place and quota: empty of leases and holdings. */
void sched_init(struct sched *s, const struct sched_options *options, struct place *place,
                struct quota *quota);
void sched_fini(struct sched *s);

/* The owner in place of a workload's member. */
static inline uint64_t sched_owner(uint64_t id, unsigned member)
{
    return id << SCHED_MEMBER_BITS | member;
}

/* ---- events ---- */

/* PENDING. ERR_INVALID: the spec makes no sense. ERR_CONFLICT: the id is in use. ERR_FULL. */
[[nodiscard]] int sched_submit(struct sched *s, struct sched_workload *w, nsec now);
/* What is RUNNING, EVICTING or HELD (w->state) after a restart, with its leases (of a HELD one: the
 * ghosts), after the nodes. An EVICTING one is decided anew. As sched_submit; place_restore's errors; then
 * nothing has changed, and w is OUT: it has to be stopped and submitted. */
[[nodiscard]] int sched_restore(struct sched *s, struct sched_workload *w,
                                const struct place_lease *leases, size_t count, nsec now);
/* RUNNING or EVICTING, and all its members are gone. */
enum sched_end { SCHED_COMPLETED, SCHED_STOPPED };
/* SCHED_COMPLETED: it is OUT. SCHED_STOPPED, after an eviction or a failure: PENDING again. */
void sched_ended(struct sched *s, struct sched_workload *w, enum sched_end end, nsec now);
/* Nobody wants it any more, and no member is there: OUT, whatever the state. */
void sched_withdraw(struct sched *s, struct sched_workload *w, nsec now);
/* Work up to here is safe. */
void sched_checkpoint(struct sched_workload *w, nsec now);
/* Quotas were changed. Everything is looked at anew. */
void sched_changed(struct sched *s);
/* As place_node_put; users of faulty GPUs are evicted. */
[[nodiscard]] int sched_node_put(struct sched *s, const struct place_node_spec *spec, nsec now);
/* The node is lost or is to be emptied: all its users are evicted. */
void sched_node_remove(struct sched *s, uint64_t node, nsec now);

/* ---- decisions ---- */

bool sched_next(struct sched *s, nsec now, struct sched_decision *ret_decision);
/* The latest time to call sched_next again if nothing happens before. NSEC_NEVER: no need. */
nsec sched_wake_at(const struct sched *s);

/* NULL: none. */
struct sched_workload *sched_find(const struct sched *s, uint64_t id);
/* What is broken, as text; NULL: nothing. For tests: it looks at everything. */
const char *sched_check(const struct sched *s);

#endif
