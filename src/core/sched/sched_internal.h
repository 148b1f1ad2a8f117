/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of core/sched share. */
#ifndef FAIRWAY_CORE_SCHED_INTERNAL_H
#define FAIRWAY_CORE_SCHED_INTERNAL_H

#include "core/sched/sched.h"

#define SCHED_GHOST          (UINT64_C(1) << 63)
#define SCHED_GHOST_RESERVED (SCHED_GHOST | UINT64_C(1) << 62)

/* The only way from state to state. */
void sched_move(struct sched_workload *w, enum sched_state to);
/* Known from now on, in no list. See sched_submit. */
[[nodiscard]] int sched_enter(struct sched *s, struct sched_workload *w);
/* In one queue. */
bool sched_goes_before(const struct sched_spec *a, const struct sched_spec *b);
/* It waits no more. */
void sched_dequeue(struct sched *s, struct sched_workload *w);
/* PENDING from RUNNING, EVICTING or HELD: in its queue or asleep. */
void sched_wait(struct sched *s, struct sched_workload *w, nsec now);
/* RUNNING from PENDING or HELD, which has its room and quota. */
void sched_run(struct sched *s, struct sched_workload *w, unsigned members, nsec now);
void sched_list_running(struct sched *s, struct sched_workload *w);
void sched_evict(struct sched *s, struct sched_workload *w, enum sched_evict_why why,
                 uint64_t evicted_for, nsec now);

/* Everybody who waits is to be tried. */
void sched_all_changed(struct sched *s);
/* They are released, and who waits for room there is to be tried. */
void sched_ghosts_go(struct sched *s, struct sched_ghosts *g);
/* It is known when it ends, or not. */
void sched_list_ending(struct sched *s, struct sched_workload *w);
bool sched_queue_is_open(const struct quota *q, int queue);

/* Of a RUNNING or HELD one. */
void sched_give_quota_back(struct sched *s, const struct sched_workload *w, nsec now);
/* Of so many members. */
struct quota_amount sched_amount(const struct sched_spec *spec, unsigned members);
/* The queue of one that holds nothing may be gone. */
bool sched_is_nothing(const struct quota_amount *a);

/* ---- gang.c ---- */

/* Room for as many members as there is, at most `most`, or place's error and nothing. */
[[nodiscard]] int sched_place(struct sched *s, const struct sched_workload *w, unsigned most,
                              nsec now, unsigned *ret_members);
void sched_unplace(struct sched *s, const struct sched_workload *w, unsigned members);
/* True: it is RUNNING. False: w->why. */
bool sched_start(struct sched *s, struct sched_workload *w, nsec now);

/* ---- preempt.c ---- */

/* False: there is nobody that it may evict. */
bool sched_has_candidates(struct sched *s, struct sched_workload *w);
/* True: it is HELD, and its victims are to be evicted. */
bool sched_preempt(struct sched *s, struct sched_workload *w, nsec now);

/* ---- hold.c ---- */

/* Ghosts on what is free of this room. False: place has no lease left, and there are none. */
bool sched_ghosts_fill(struct sched *s, struct sched_ghosts *g, const struct place_lease *room,
                       unsigned members, nsec now);
void sched_ghosts_release(struct sched *s, struct sched_ghosts *g);
/* The room is held: w is HELD, and has its quota. */
void sched_hold_begin(struct sched *s, struct sched_workload *w, unsigned victims, nsec now);
bool sched_hold_has_victim(const struct sched *s, const struct sched_workload *w);
/* The victim is gone: its leases go to ghosts. */
void sched_hold_take_over(struct sched *s, struct sched_workload *victim);
/* The held one is PENDING again. */
void sched_hold_cancel(struct sched *s, nsec now);
/* All victims are gone. The one that has started; NULL: its room was lost, it is PENDING. */
struct sched_workload *sched_hold_end(struct sched *s, nsec now);
void sched_hold_count_victims(struct sched *s);

/* ---- reserve.c ---- */

/* The reservation, as time has gone on: before anybody is tried. */
void sched_reserve_refresh(struct sched *s, nsec now);
/* It has quota and nobody to evict, and no room: it has the reservation now, if it may. */
void sched_reserve(struct sched *s, struct sched_workload *w, nsec now);
void sched_reserve_drop(struct sched *s);
/* Nodes have changed, or more: the time that was promised may be wrong. */
void sched_reserve_forget(struct sched *s);
/* Is it the one that has the reservation, or of higher priority? */
bool sched_reserve_yields(const struct sched *s, const struct sched_workload *w);
/* It, or one that will have ended in time. */
bool sched_reserve_admits(const struct sched *s, const struct sched_workload *w, nsec now);
/* Lets what is reserved be used until it is resumed after an attempt of w's. */
void sched_reserve_suspend(struct sched *s);
void sched_reserve_resume(struct sched *s, const struct sched_workload *w, nsec now);
/* Would so many members take quota from it? */
bool sched_reserve_needs_quota(const struct sched *s, const struct sched_workload *w,
                               unsigned members, nsec now);
/* Does it have something on a node with reserved room? */
bool sched_reserve_meets(const struct sched *s, const struct sched_workload *w);

#endif
