/* SPDX-License-Identifier: Apache-2.0 */
/* `fairway up --replace`: both sides of a handover (cli/handover.h tells the conversation). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/up_internal.h"

#define SETTLED_WITHIN SEC(60) /* the controller gives up on its replicas' answers earlier */
#define RESTART_WITHIN SEC(30) /* for the failed one to let go of the state folder */
#define RESTART_PERIOD MSEC(50)

/* ---- the new one ---- */

/* Port 0 is any. */
static int check_address(const struct up *up, struct err *err)
{
    const struct front_options *o = &up->front.o;
    if (!o->listen_given ||
        ((o->port == 0 || o->port == up->offer.port) && str_eq(o->host, str_from(up->offer.host))))
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "the running Fairway listens on %s port %u and --replace keeps that: leave "
                   "--listen out, or stop it with `fairway down` first",
                   up->offer.host, up->offer.port);
}

int up_ask_old(struct up *up, struct err *err)
{
    int error = handover_ask(up->o.state, &up->conversation, &up->offer, err);
    if (error) {
        up->conversation = -1;
        return error == ERR_NOT_FOUND ? 0 : error;
    }
    error = check_address(up, err);
    up->front.o.host = str_from(up->offer.host);
    up->front.o.port = up->offer.port;
    return error;
}

int up_release_old(struct up *up, struct err *err)
{
    return up->conversation < 0 ? 0 : handover_release(up->conversation, err);
}

void up_on_settled(void *ctx)
{
    struct up *up = ctx;
    pthread_mutex_lock(&up->mutex);
    up->settled = true;
    pthread_cond_signal(&up->changed);
    pthread_mutex_unlock(&up->mutex);
}

static int wait_until_settled(struct up *up, struct err *err)
{
    struct timespec until;
    int error = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SETTLED_WITHIN / NSEC_PER_SEC;
    pthread_mutex_lock(&up->mutex);
    while (!up->settled && !error)
        error = pthread_cond_timedwait(&up->changed, &up->mutex, &until);
    pthread_mutex_unlock(&up->mutex);
    return error ? err_set(err, ERR_TIMEOUT, "the running replicas were not found in time") : 0;
}

int up_take_over(struct up *up, struct err *err)
{
    if (up->conversation < 0)
        return 0;
    int error = wait_until_settled(up, err);
    if (error)
        return error;
    gateway_accept(up->front.gateway);
    if (handover_finish(up->conversation, err))
        log_warn("the process that is replaced has ended early", log_str("error", err->message));
    close(up->conversation);
    up->conversation = -1;
    return 0;
}

/* ---- the old one ---- */

void up_listen_for_next(struct up *up)
{
    struct err err;
    if (handover_listen(up->o.state, &up->handover_listener, &err))
        log_warn("this process cannot be replaced, only stopped", log_str("error", err.message));
}

static struct handover_offer offer_of(struct up *up, int admin)
{
    struct handover_offer offer = {.port = gateway_port(up->front.gateway), .admin = admin};
    snprintf(offer.host, sizeof(offer.host), "%.*s", STR_ARG(up->front.o.host));
    offer.listener_count =
        gateway_listeners(up->front.gateway, offer.listeners, HANDOVER_LISTENERS_MAX);
    return offer;
}

static void end_controller(struct up *up)
{
    close(up->handover_listener); /* its file is the next one's */
    up->handover_listener = -1;
    if (up->controller)
        controller_leave(up->controller);
    controller_free(up->controller);
    up->controller = NULL;
}

/* The other one's lock may end a moment after its conversation. True: it holds the lock all the time, so it does run. */
static bool go_on(struct up *up, int admin)
{
    const struct timespec pause = {.tv_nsec = RESTART_PERIOD};
    nsec until = clock_now() + RESTART_WITHIN;
    struct err err;
    int error;
    while ((error = up_start_controller(up, admin, &err)) && clock_now() < until)
        nanosleep(&pause, NULL);
    if (error == ERR_CONFLICT)
        return true;
    if (error)
        log_error("the gateway goes on without a controller: start `fairway up --replace`",
                  log_str("error", err.message));
    up_listen_for_next(up);
    return false;
}

/* From here on the other one may start its controller, or fail to. */
static bool release(struct up *up, int conversation, int admin)
{
    struct err err;
    end_controller(up);
    if (!handover_released(conversation, &err) && !handover_await_finish(conversation, &err))
        return true;
    log_error("the process that was to take over has failed: this one goes on",
              log_str("error", err.message));
    return go_on(up, admin);
}

bool up_hand_over(struct up *up)
{
    struct err err;
    int conversation, admin = up->controller ? dup(controller_admin_listener(up->controller)) : 0;
    const struct handover_offer offer = offer_of(up, admin);
    bool replaced = false;
    if (handover_answer(up->handover_listener, &offer, &conversation, &err)) {
        log_warn("a handover was not begun", log_str("error", err.message));
    } else {
        if (handover_await_release(conversation, &err))
            log_warn("a handover was broken off", log_str("error", err.message));
        else
            replaced = release(up, conversation, admin);
        close(conversation);
    }
    if (admin)
        close(admin);
    return replaced;
}

void up_replace_fini(struct up *up)
{
    handover_offer_close(&up->offer);
    if (up->conversation >= 0)
        close(up->conversation);
    if (up->handover_listener >= 0)
        close(up->handover_listener);
}
