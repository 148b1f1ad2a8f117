/* SPDX-License-Identifier: Apache-2.0 */
#include "net/watchdog.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"

enum { FRAMES_MAX = 32, BACKTRACE_MAX = 8192 };

#define PATIENCE MSEC(200) /* for a thread to answer the signal */

struct watched {
    struct loop *loop; /* NULL: free */
    const char *name;
    uint64_t progress;
    nsec since; /* it stands there */
    bool reported;
};

struct watchdog {
    struct watchdog_options options;
    pthread_t thread;
    pthread_mutex_t mutex; /* over the rest */
    pthread_cond_t changed;
    bool stopping;
    struct watched loops[WATCHDOG_LOOPS_MAX];
};

/* ---- what the signal's handler shares with the watchdog's thread ---- */

static void *frames[FRAMES_MAX];
static int frame_count;
static sem_t taken;

/* glibc's backtrace() is not promised to be safe in a handler; it is once its library is loaded (watchdog_new), unless the thread
 * is just loading another. A thread that is stuck anyway is worth that. */
static void on_signal(int number)
{
    int saved = errno;
    frame_count = backtrace(frames, FRAMES_MAX);
    sem_post(&taken);
    errno = saved;
}

static int signal_number(void)
{
    return SIGRTMIN;
}

static struct timespec from_now(clockid_t clock, nsec delay)
{
    struct timespec t;
    clock_gettime(clock, &t);
    nsec at = SEC(t.tv_sec) + t.tv_nsec + delay;
    return (struct timespec){at / NSEC_PER_SEC, at % NSEC_PER_SEC};
}

/* Of the loop's thread; nothing when it does not answer in time. */
static void take_backtrace(const struct loop *loop, struct buf *out)
{
    const struct timespec until = from_now(CLOCK_REALTIME, PATIENCE);
    int thread = loop_thread(loop), waited;
    while (sem_trywait(&taken) == 0) /* an answer that came too late for its question */
        ;
    if (!thread || syscall(SYS_tgkill, getpid(), thread, signal_number()))
        return;
    while ((waited = sem_timedwait(&taken, &until)) && errno == EINTR)
        ;
    char **names = waited ? NULL : backtrace_symbols(frames, frame_count);
    for (int i = 0; names && i < frame_count; i++)
        buf_printf(out, "%s\n", names[i]);
    free(names);
}

/* ---- the watchdog's thread ---- */

static void look_at(struct watchdog *w, struct watched *l, nsec now)
{
    uint64_t progress = loop_progress(l->loop);
    if (progress != l->progress || !loop_thread(l->loop)) {
        l->progress = progress;
        l->since = now;
        l->reported = false;
        return;
    }
    if (now - l->since < w->options.limit || l->reported)
        return;
    struct buf text;
    buf_init(&text, BACKTRACE_MAX);
    take_backtrace(l->loop, &text);
    l->reported = true;
    w->options.report(w->options.ctx, l->name, now - l->since, buf_str(&text));
    buf_fini(&text);
}

static void *run(void *arg)
{
    struct watchdog *w = arg;
    pthread_mutex_lock(&w->mutex);
    while (!w->stopping) {
        const struct timespec until = from_now(CLOCK_MONOTONIC, w->options.limit / 2);
        pthread_cond_timedwait(&w->changed, &w->mutex, &until);
        nsec now = clock_now();
        for (size_t i = 0; i < WATCHDOG_LOOPS_MAX && !w->stopping; i++)
            if (w->loops[i].loop)
                look_at(w, &w->loops[i], now);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

struct watchdog *watchdog_new(const struct watchdog_options *options)
{
    struct watchdog *w = NEW(struct watchdog);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_condattr_t monotonic;
    w->options = *options;
    sem_init(&taken, 0, 0);
    frame_count = backtrace(frames, 1); /* loads its library */
    sigaction(signal_number(), &action, NULL);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int error = pthread_create(&w->thread, NULL, run, w);
    CHECK(!error);
    return w;
}

void watchdog_free(struct watchdog *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    mem_free(w);
}

void watchdog_watch(struct watchdog *w, struct loop *loop, const char *name)
{
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < WATCHDOG_LOOPS_MAX; i++) {
        if (w->loops[i].loop)
            continue;
        w->loops[i] = (struct watched){.loop = loop, .name = name, .since = clock_now()};
        break;
    }
    pthread_mutex_unlock(&w->mutex);
}

void watchdog_forget(struct watchdog *w, struct loop *loop)
{
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < WATCHDOG_LOOPS_MAX; i++)
        if (w->loops[i].loop == loop)
            w->loops[i].loop = NULL;
    pthread_mutex_unlock(&w->mutex);
}
