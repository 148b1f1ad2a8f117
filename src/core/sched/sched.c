/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads, their states, and whose turn it is. */
#include "core/sched/sched.h"

#include <string.h>

#include "core/place/trial.h"
#include "core/sched/sched_internal.h"

/* ---- states ---- */

#define TO(state) (1u << (state))
static const unsigned moves[] = {
    [SCHED_OUT] = TO(SCHED_PENDING) | TO(SCHED_HELD) | TO(SCHED_RUNNING) | TO(SCHED_EVICTING),
    [SCHED_PENDING] = TO(SCHED_HELD) | TO(SCHED_RUNNING) | TO(SCHED_OUT),
    [SCHED_HELD] = TO(SCHED_RUNNING) | TO(SCHED_PENDING) | TO(SCHED_OUT),
    [SCHED_RUNNING] = TO(SCHED_EVICTING) | TO(SCHED_PENDING) | TO(SCHED_OUT),
    [SCHED_EVICTING] = TO(SCHED_PENDING) | TO(SCHED_OUT),
};

void sched_move(struct sched_workload *w, enum sched_state to)
{
    CHECK(moves[w->state] & TO(to));
    w->state = to;
}

struct quota_amount sched_amount(const struct sched_spec *spec, unsigned members)
{
    struct quota_amount sum;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        sum.of[r] = spec->amount.of[r] * (int64_t)members;
    return sum;
}

static struct str key_of(const uint64_t *id)
{
    return (struct str){(const char *)id, sizeof(*id)};
}

struct sched_workload *sched_find(const struct sched *s, uint64_t id)
{
    struct map_node *node = map_find(&s->by_id, key_of(&id));
    return node ? container_of(node, struct sched_workload, by_id) : NULL;
}

/* ---- who waits ---- */

static struct sched_workload *in_queue(struct list *link)
{
    return container_of(link, struct sched_workload, in_queue);
}

bool sched_goes_before(const struct sched_spec *a, const struct sched_spec *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->created != b->created ? a->created < b->created : a->id < b->id;
}

/* ---- what has changed ---- */

void sched_all_changed(struct sched *s)
{
    s->all_at = ++s->version;
    s->freed_count = 0;
}

static void quota_changed(struct sched *s)
{
    s->quota_at = ++s->version;
}

/* At the version that comes next. */
static void room_comes(struct sched *s, const struct place_lease *l)
{
    if (s->freed_count == SCHED_FREED_MAX) {
        s->all_at = s->version + 1;
        s->freed_count = 0;
    }
    s->freed[s->freed_count++] = (struct sched_freed){s->version + 1, place_lease_slot(l)};
}

void sched_ghosts_go(struct sched *s, struct sched_ghosts *g)
{
    for (unsigned k = 0; k < g->count; k++)
        room_comes(s, place_lease_find(s->place, g->first + k));
    sched_ghosts_release(s, g);
    quota_changed(s);
}

static void running_changes(struct sched *s, int queue)
{
    s->changes[queue]++;
    s->labelled[queue] = false;
}

static bool room_has_come(const struct sched *s, const struct sched_workload *w)
{
    for (unsigned i = s->freed_count; i-- > 0 && s->freed[i].version > w->tried;)
        if (s->freed[i].slot < s->place->node_count &&
            place_fits_now(s->place, s->freed[i].slot, &w->spec.request))
            return true;
    return false;
}

/* Since it was tried. */
static bool could_start_now(const struct sched *s, const struct sched_workload *w, nsec now)
{
    if (w->tried <= s->all_at || (w->why != SCHED_WHY_ROOM && w->why != SCHED_WHY_QUOTA) ||
        sched_reserve_admits(s, w, now))
        return true;
    return w->why == SCHED_WHY_ROOM ? room_has_come(s, w) : s->quota_at > w->tried;
}

/* Most come last: looked for from the end. */
static void enqueue(struct sched *s, struct sched_workload *w)
{
    struct list *queue = &s->waiting[w->spec.queue], *after = queue->previous;
    struct list **cursor = &s->cursor[w->spec.queue];
    while (after != queue && sched_goes_before(&w->spec, &in_queue(after)->spec))
        after = after->previous;
    list_insert_before(after->next, &w->in_queue);
    w->tried = 0;
    s->queue_count = MAX(s->queue_count, w->spec.queue + 1);
    if (*cursor == queue || sched_goes_before(&w->spec, &in_queue(*cursor)->spec))
        *cursor = &w->in_queue;
}

void sched_dequeue(struct sched *s, struct sched_workload *w)
{
    struct list **cursor = &s->cursor[w->spec.queue];
    if (heap_has(&w->sleeping))
        heap_remove(&s->sleeping, &w->sleeping);
    if (w->reserved)
        sched_reserve_drop(s);
    if (*cursor == &w->in_queue)
        *cursor = w->in_queue.next;
    list_remove(&w->in_queue);
}

static bool wakes_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct sched_workload *x = container_of(a, const struct sched_workload, sleeping);
    const struct sched_workload *y = container_of(b, const struct sched_workload, sleeping);
    return x->sleeps_until != y->sleeps_until ? x->sleeps_until < y->sleeps_until
                                              : x->spec.id < y->spec.id;
}

static void pend(struct sched *s, struct sched_workload *w, nsec now)
{
    sched_move(w, SCHED_PENDING);
    w->members = 0;
    if (w->sleeps_until > now) {
        w->why = SCHED_WHY_SLEEPS;
        heap_insert(&s->sleeping, &w->sleeping);
    } else {
        w->why = SCHED_WHY_NEW;
        enqueue(s, w);
    }
}

static void forget_running(struct sched *s, struct sched_workload *w)
{
    running_changes(s, w->spec.queue);
    list_remove(&w->in_running);
    list_remove(&w->in_decided);
    if (heap_has(&w->ending))
        heap_remove(&s->ending, &w->ending);
}

void sched_wait(struct sched *s, struct sched_workload *w, nsec now)
{
    forget_running(s, w);
    w->evicted_for = 0;
    pend(s, w, now);
}

static struct sched_workload *first_asleep(const struct sched *s)
{
    struct heap_node *top = heap_top(&s->sleeping);
    return top ? container_of(top, struct sched_workload, sleeping) : NULL;
}

static void wake(struct sched *s, nsec now)
{
    struct sched_workload *w;
    while ((w = first_asleep(s)) && w->sleeps_until <= now) {
        heap_remove(&s->sleeping, &w->sleeping);
        w->why = SCHED_WHY_NEW;
        enqueue(s, w);
    }
}

/* ---- who has something ---- */

static bool runs_before(const struct sched_workload *a, const struct sched_workload *b)
{
    if (a->spec.priority != b->spec.priority)
        return a->spec.priority > b->spec.priority;
    return a->started != b->started ? a->started < b->started : a->spec.id < b->spec.id;
}

static bool link_runs_before(const struct sched_workload *w, struct list *link)
{
    return runs_before(w, container_of(link, struct sched_workload, in_running));
}

/* Looked for from both ends: few have a high priority. */
void sched_list_running(struct sched *s, struct sched_workload *w)
{
    struct list *running = &s->running[w->spec.queue], *before = running->next,
                *after = running->previous;
    running_changes(s, w->spec.queue);
    s->queue_count = MAX(s->queue_count, w->spec.queue + 1);
    while (after != running && link_runs_before(w, after) && !link_runs_before(w, before)) {
        after = after->previous;
        before = before->next;
    }
    bool from_start = after != running && link_runs_before(w, after);
    list_insert_before(from_start ? before : after->next, &w->in_running);
}

static bool ends_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct sched_workload *x = container_of(a, const struct sched_workload, ending);
    const struct sched_workload *y = container_of(b, const struct sched_workload, ending);
    if (x->ends != y->ends)
        return x->ends < y->ends;
    return x->started != y->started ? x->started < y->started : x->spec.id < y->spec.id;
}

void sched_list_ending(struct sched *s, struct sched_workload *w)
{
    w->ends = w->state == SCHED_EVICTING ? 0
              : w->spec.expected         ? nsec_after(w->started, w->spec.expected)
                                         : NSEC_NEVER;
    if (heap_has(&w->ending))
        heap_changed(&s->ending, &w->ending);
    else
        heap_insert(&s->ending, &w->ending);
}

void sched_run(struct sched *s, struct sched_workload *w, unsigned members, nsec now)
{
    sched_dequeue(s, w);
    sched_move(w, SCHED_RUNNING);
    w->members = members;
    w->started = w->checkpoint = now;
    sched_list_running(s, w);
    sched_list_ending(s, w);
    s->has_started = true;
}

bool sched_is_nothing(const struct quota_amount *a)
{
    static const struct quota_amount nothing;
    return memcmp(a, &nothing, sizeof(nothing)) == 0;
}

void sched_give_quota_back(struct sched *s, const struct sched_workload *w, nsec now)
{
    struct quota_amount amount = sched_amount(&w->spec, w->members);
    if (!sched_is_nothing(&amount))
        CHECK(quota_give_back(s->quota, w->spec.queue, &amount, now) == 0);
}

void sched_evict(struct sched *s, struct sched_workload *w, enum sched_evict_why why,
                 uint64_t evicted_for, nsec now)
{
    sched_move(w, SCHED_EVICTING);
    sched_give_quota_back(s, w, now);
    w->evict_why = why;
    w->evicted_for = evicted_for;
    w->evictions++;
    sched_list_ending(s, w);
    running_changes(s, w->spec.queue);
    list_remove(&w->in_running);
    list_append(&s->decided, &w->in_decided);
    quota_changed(s);
}

/* Of one that is RUNNING or EVICTING and is no more. */
static void take_all(struct sched *s, struct sched_workload *w, nsec now)
{
    if (w->state == SCHED_RUNNING)
        sched_give_quota_back(s, w, now);
    for (unsigned k = 0; k < w->members; k++)
        room_comes(s, place_lease_find(s->place, sched_owner(w->spec.id, k)));
    if (sched_hold_has_victim(s, w))
        sched_hold_take_over(s, w);
    else
        sched_unplace(s, w, w->members);
    s->reservation.incomplete = true;
    quota_changed(s);
}

static void leave(struct sched *s, struct sched_workload *w)
{
    sched_dequeue(s, w);
    sched_move(w, SCHED_OUT);
    w->members = 0;
    w->evicted_for = 0;
    forget_running(s, w);
    map_remove(&s->by_id, &w->by_id);
}

static nsec back_off(const struct sched_options *o, unsigned requeues)
{
    nsec delay = o->backoff_min;
    for (unsigned i = 1; i < requeues && delay < o->backoff_max; i++)
        delay = delay > o->backoff_max / 2 ? o->backoff_max : 2 * delay;
    return MIN(delay, o->backoff_max);
}

/* ---- events ---- */

struct sched_options sched_options_default(void)
{
    return (struct sched_options){
        .workloads_max = 4096,
        .backoff_min = SEC(10),
        .backoff_max = SEC(600),
        .hold_max = SEC(300),
        .age_max = SEC(1800),
    };
}

static void *must(void *memory)
{
    CHECK(memory);
    return memory;
}

void sched_init(struct sched *s, const struct sched_options *options, struct place *place,
                struct quota *quota)
{
    size_t n = options->workloads_max, leases = place->options.leases_max;
    CHECK(n > 0 && options->age_max > 0 && options->backoff_min > 0 &&
          options->backoff_max >= options->backoff_min);
    memset(s, 0, sizeof(*s));
    s->options = *options;
    s->place = place;
    s->quota = quota;
    s->version = s->all_at = 1;
    s->has_started = true;
    arena_init(&s->memory, n * 4 * sizeof(void *) + leases * sizeof(*s->saved) + 1024);
    s->chosen = must(arena_array(&s->memory, n, sizeof(struct sched_workload *)));
    s->saved = must(arena_array(&s->memory, leases, sizeof(*s->saved)));
    heap_init_fixed(&s->sleeping, wakes_before,
                    must(arena_array(&s->memory, n, sizeof(struct heap_node *))), n);
    heap_init_fixed(&s->candidates, NULL,
                    must(arena_array(&s->memory, n, sizeof(struct heap_node *))), n);
    heap_init_fixed(&s->ending, ends_before,
                    must(arena_array(&s->memory, n, sizeof(struct heap_node *))), n);
    s->ghosts.first = SCHED_GHOST;
    s->reservation.ghosts.first = SCHED_GHOST_RESERVED;
    map_init(&s->by_id);
    list_init(&s->decided);
    for (int q = 0; q < QUOTA_NODES_MAX; q++) {
        list_init(&s->running[q]);
        s->changes[q] = 1;
        list_init(&s->waiting[q]);
        s->cursor[q] = &s->waiting[q];
    }
}

void sched_fini(struct sched *s)
{
    map_fini(&s->by_id);
    arena_fini(&s->memory);
}

static bool spec_valid(const struct sched_spec *spec)
{
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (spec->amount.of[r] < 0 || spec->amount.of[r] > QUOTA_AMOUNT_MAX)
            return false;
    return spec->id >= 1 && spec->id <= SCHED_ID_MAX && spec->queue >= 0 &&
           spec->queue < QUOTA_NODES_MAX && spec->members_min >= 1 &&
           spec->members_min <= spec->members_max && spec->members_max <= SCHED_MEMBERS_MAX &&
           spec->start_cost >= 0 && spec->expected >= 0;
}

int sched_enter(struct sched *s, struct sched_workload *w)
{
    if (!spec_valid(&w->spec))
        return ERR_INVALID;
    if (sched_find(s, w->spec.id))
        return ERR_CONFLICT;
    if (s->by_id.count == s->options.workloads_max)
        return ERR_FULL;
    w->tried = 0;
    w->reservation_tried = w->would_borrow_at = 0;
    w->by_cost = w->sleeping = w->ending = (struct heap_node){0};
    list_init(&w->in_queue);
    list_init(&w->in_running);
    list_init(&w->in_decided);
    map_insert(&s->by_id, key_of(&w->spec.id), &w->by_id);
    return 0;
}

int sched_submit(struct sched *s, struct sched_workload *w, nsec now)
{
    w->state = SCHED_OUT;
    int error = sched_enter(s, w);
    if (error)
        return error;
    pend(s, w, now);
    w->reserved &= !s->reservation.of && w->why == SCHED_WHY_NEW;
    if (w->reserved) {
        s->reservation.of = w;
        sched_reserve_forget(s);
    }
    return 0;
}

void sched_ended(struct sched *s, struct sched_workload *w, enum sched_end end, nsec now)
{
    CHECK(w->state == SCHED_RUNNING || w->state == SCHED_EVICTING);
    take_all(s, w, now);
    if (end == SCHED_COMPLETED) {
        leave(s, w);
        return;
    }
    w->requeues++;
    w->sleeps_until = nsec_after(now, back_off(&s->options, w->requeues));
    sched_wait(s, w, now);
}

void sched_withdraw(struct sched *s, struct sched_workload *w, nsec now)
{
    if (w->state == SCHED_OUT)
        return;
    if (w->state == SCHED_HELD)
        sched_hold_cancel(s, now);
    else if (w->state != SCHED_PENDING)
        take_all(s, w, now);
    leave(s, w);
}

void sched_checkpoint(struct sched_workload *w, nsec now)
{
    w->checkpoint = now;
}

void sched_changed(struct sched *s)
{
    sched_reserve_forget(s);
    for (int queue = 0; queue < s->queue_count; queue++)
        running_changes(s, queue);
    s->has_started = true;
    sched_all_changed(s);
}

static bool lost_room(const struct place_node *n, const struct place_lease *l)
{
    if (n->removed)
        return true;
    for (int i = 0; i < n->spec.gpu_count; i++)
        if (l->gpus >> i & 1 && n->spec.gpus[i].faulty)
            return true;
    return false;
}

static void evict_lost(struct sched *s, uint64_t node, nsec now)
{
    const struct place_lease *l = NULL;
    while ((l = place_lease_next(s->place, l))) {
        const struct place_node *n =
            &s->place->nodes[container_of(l, struct place_holding, lease)->node];
        if (l->node != node || l->owner & SCHED_GHOST || !lost_room(n, l))
            continue;
        struct sched_workload *w = sched_find(s, l->owner >> SCHED_MEMBER_BITS);
        CHECK(w);
        if (w->state == SCHED_RUNNING)
            sched_evict(s, w, SCHED_ROOM_LOST, 0, now);
    }
}

int sched_node_put(struct sched *s, const struct place_node_spec *spec, nsec now)
{
    sched_reserve_forget(s);
    int error = place_node_put(s->place, spec);
    if (error)
        return error;
    evict_lost(s, spec->id, now);
    sched_all_changed(s);
    return 0;
}

void sched_node_remove(struct sched *s, uint64_t node, nsec now)
{
    sched_reserve_forget(s);
    place_node_remove(s->place, node);
    evict_lost(s, node, now);
}

/* ---- decisions ---- */

bool sched_queue_is_open(const struct quota *q, int queue)
{
    return queue < q->count && q->nodes[queue].used && !q->nodes[queue].draining &&
           q->nodes[queue].children == 0;
}

static void try_none(struct sched *s, int queue)
{
    list_each(w, &s->waiting[queue], struct sched_workload, in_queue)
    {
        w->why = SCHED_WHY_CLOSED;
        w->tried = s->version;
    }
    s->cursor[queue] = &s->waiting[queue];
}

/* The first of the queue that was not tried at this version; NULL: none. */
static struct sched_workload *head_of(struct sched *s, int queue, nsec now)
{
    struct list **cursor = &s->cursor[queue];
    if (*cursor != &s->waiting[queue] && !sched_queue_is_open(s->quota, queue))
        try_none(s, queue);
    while (*cursor != &s->waiting[queue]) {
        struct sched_workload *w = in_queue(*cursor);
        if (w->tried != s->version &&
            (could_start_now(s, w, now) || (!s->held && sched_has_candidates(s, w))))
            break;
        w->tried = s->version;
        *cursor = (*cursor)->next;
    }
    return *cursor == &s->waiting[queue] ? NULL : in_queue(*cursor);
}

static bool ask_alike(const struct sched_spec *a, const struct sched_spec *b)
{
    return a->priority == b->priority && a->inference == b->inference &&
           a->expected == b->expected && a->members_min == b->members_min &&
           memcmp(&a->request, &b->request, sizeof(a->request)) == 0 &&
           memcmp(&a->amount, &b->amount, sizeof(a->amount)) == 0;
}

/* The one before it in its queue asks for the same and has just failed: so would it. */
static bool fails_likewise(struct sched *s, struct sched_workload *w)
{
    struct list *previous = w->in_queue.previous;
    if (previous == &s->waiting[w->spec.queue] || w->reserved)
        return false;
    const struct sched_workload *p = in_queue(previous);
    if (p->tried != s->version || !ask_alike(&p->spec, &w->spec))
        return false;
    w->why = p->why;
    return true;
}

static struct sched_workload *whose_turn(struct sched *s, nsec now)
{
    struct quota_head heads[QUOTA_NODES_MAX];
    struct sched_workload *of[QUOTA_NODES_MAX];
    int count = 0;
    for (int queue = 0; queue < s->queue_count; queue++) {
        struct sched_workload *w = head_of(s, queue, now);
        if (!w)
            continue;
        heads[count] = (struct quota_head){queue, w->spec.priority, w->spec.created};
        of[count++] = w;
    }
    int next = quota_next(s->quota, heads, count, now);
    return next < 0 ? NULL : of[next];
}

static void begin_again(struct sched *s)
{
    if (s->cursors_at == s->version)
        return;
    s->cursors_at = s->version;
    for (int queue = 0; queue < s->queue_count; queue++)
        s->cursor[queue] = s->waiting[queue].next;
}

/* As a start may make others borrow, whom somebody then may evict, all are tried once more after the last:
 * while one is held nobody may. */
static struct sched_workload *next_to_try(struct sched *s, nsec now)
{
    begin_again(s);
    struct sched_workload *w = whose_turn(s, now);
    if (w || !s->has_started || s->held)
        return w;
    s->has_started = false;
    s->version++;
    begin_again(s);
    return whose_turn(s, now);
}

static bool take_decided(struct sched *s, struct sched_decision *ret_decision)
{
    struct sched_workload *w = list_first(&s->decided, struct sched_workload, in_decided);
    if (!w)
        return false;
    list_remove(&w->in_decided);
    *ret_decision = (struct sched_decision){SCHED_EVICT, w};
    return true;
}

static struct sched_workload *end_hold(struct sched *s, nsec now)
{
    if (!s->held)
        return NULL;
    if (s->victims == 0)
        return sched_hold_end(s, now);
    if (now >= s->held->hold_until)
        sched_hold_cancel(s, now);
    return NULL;
}

bool sched_next(struct sched *s, nsec now, struct sched_decision *ret_decision)
{
    if (take_decided(s, ret_decision))
        return true;
    wake(s, now);
    sched_reserve_refresh(s, now);
    struct sched_workload *w = end_hold(s, now);
    if (w) {
        *ret_decision = (struct sched_decision){SCHED_START, w};
        return true;
    }
    while ((w = next_to_try(s, now))) {
        bool could_start = could_start_now(s, w, now);
        w->tried = s->version;
        if (fails_likewise(s, w))
            continue;
        if (could_start && sched_start(s, w, now)) {
            *ret_decision = (struct sched_decision){SCHED_START, w};
            return true;
        }
        if (sched_preempt(s, w, now))
            return take_decided(s, ret_decision);
        sched_reserve(s, w, now);
    }
    s->reservation.firm = true;
    return false;
}

nsec sched_wake_at(const struct sched *s)
{
    const struct sched_workload *w = first_asleep(s);
    nsec at = w ? w->sleeps_until : NSEC_NEVER;
    return s->held ? MIN(at, s->held->hold_until) : at;
}
