/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan/plan.h"

struct counts {
    unsigned current;       /* of the wanted revision, staying */
    unsigned current_ready; /* of those, ready */
    unsigned old;           /* of other revisions, staying */
    unsigned old_ready;
    unsigned all; /* not stopped, draining ones too */
};

static bool stays(const struct plan_replica *p)
{
    return p->replica->state != REPLICA_DRAINING && p->replica->state != REPLICA_STOPPED;
}

static struct counts count_replicas(const struct plan_wish *wish,
                                    const struct plan_replica *replicas, size_t count)
{
    struct counts n = {0};
    for (size_t i = 0; i < count; i++) {
        bool ready = replicas[i].replica->state == REPLICA_READY;
        n.all += replicas[i].replica->state != REPLICA_STOPPED;
        if (!stays(&replicas[i]))
            continue;
        if (replicas[i].revision == wish->revision) {
            n.current++;
            n.current_ready += ready;
        } else {
            n.old++;
            n.old_ready += ready;
        }
    }
    return n;
}

/* The one to give up first: not ready before ready, then the youngest. */
static const struct plan_replica *least_useful(const struct plan_replica *replicas, size_t count,
                                               uint64_t revision, bool of_revision)
{
    const struct plan_replica *worst = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct plan_replica *p = &replicas[i];
        if (!stays(p) || (p->revision == revision) != of_revision)
            continue;
        bool ready = p->replica->state == REPLICA_READY;
        bool worst_ready = worst && worst->replica->state == REPLICA_READY;
        if (!worst || (worst_ready && !ready) ||
            (ready == worst_ready && p->number > worst->number))
            worst = p;
    }
    return worst;
}

static void drain_all(const struct plan_replica *replicas, size_t count, nsec now)
{
    for (size_t i = 0; i < count; i++)
        replica_drain(replicas[i].replica, REPLICA_DELETED, now);
}

static void drain_surplus(const struct plan_wish *wish, const struct plan_replica *replicas,
                          size_t count, nsec now)
{
    struct counts n = count_replicas(wish, replicas, count);
    for (; n.current > wish->desired; n.current--)
        replica_drain(least_useful(replicas, count, wish->revision, true)->replica,
                      REPLICA_SCALED_DOWN, now);
}

static void drain_outdated(const struct plan_wish *wish, const struct plan_replica *replicas,
                           size_t count, nsec now)
{
    struct counts n = count_replicas(wish, replicas, count);
    while (n.old) {
        const struct plan_replica *p = least_useful(replicas, count, wish->revision, false);
        bool ready = p->replica->state == REPLICA_READY;
        if (ready && n.current_ready + n.old_ready <= wish->desired)
            return;
        replica_drain(p->replica, REPLICA_OUTDATED, now);
        n.old--;
        n.old_ready -= ready;
    }
}

unsigned plan_model(const struct plan_wish *wish, const struct plan_replica *replicas, size_t count,
                    nsec now)
{
    if (wish->deleted) {
        drain_all(replicas, count, now);
        return 0;
    }
    drain_surplus(wish, replicas, count, now);
    drain_outdated(wish, replicas, count, now);
    struct counts n = count_replicas(wish, replicas, count);
    unsigned missing = wish->desired > n.current ? wish->desired - n.current : 0;
    /* Without old ones a draining replica does not hold a new one back; with them the surge is the
     * limit. */
    unsigned limit = wish->desired + wish->surge;
    unsigned there = n.old ? n.all : n.current;
    return there < limit ? MIN(missing, limit - there) : 0;
}
