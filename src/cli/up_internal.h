/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by up.c (the program), up_replace.c (one process takes over from another) and up_demo.c (the first model, and what a
 * person sees meanwhile). */
#ifndef FAIRWAY_CLI_UP_INTERNAL_H
#define FAIRWAY_CLI_UP_INTERNAL_H

#include <pthread.h>

#include "base/str.h"
#include "base/time.h"
#include "cli/front.h"
#include "cli/handover.h"
#include "controller/controller.h"
#include "gpu/inventory.h"

struct up_options {
    struct front_options front;
    const char *demo, *state, *join_listen, *gpus_text;
    const struct gpu_inventory *gpus; /* what gpus_text says; NULL: those that are here */
    struct str join_host;
    uint16_t join_port;
    bool detach, replace;
    nsec grace;
    int ready_fd; /* one byte is written when ready ("r") or failed ("f"); -1: none */
};

struct up {
    struct up_options o;
    struct front front;
    struct controller *controller; /* NULL: not yet, or handed over */
    struct tls_server *join_tls;   /* own; NULL: plain */

    bool started;
    int handover_listener;       /* -1: none */
    int conversation;            /* with the process that this one takes over from; -1: none */
    struct handover_offer offer; /* of that process */
    bool replaced;               /* another has taken over from this one */
    pthread_mutex_t mutex;       /* over `settled` */
    pthread_cond_t changed;
    bool settled; /* the routes are those of a controller that knows its replicas */
};

/* ---- up.c ---- */
/* admin_listener: borrow, from an earlier controller; 0: none. */
[[nodiscard]] int up_start_controller(struct up *up, int admin_listener, struct err *err);

/* ---- up_replace.c ---- */
/* With --replace: asks the process that runs there, if one does. */
[[nodiscard]] int up_ask_old(struct up *up, struct err *err);
/* It ends its controller: this process may start one. */
[[nodiscard]] int up_release_old(struct up *up, struct err *err);
/* Waits for the routes, accepts connections, and lets the old one drain. */
[[nodiscard]] int up_take_over(struct up *up, struct err *err);
void up_on_settled(void *up);
void up_listen_for_next(struct up *up);
/* Somebody asks on up->handover_listener. True: it has taken over, and this process has only to drain. */
bool up_hand_over(struct up *up);
void up_replace_fini(struct up *up);

/* ---- up_demo.c ---- */
/* Applies the model `chat` from options->demo and shows its way to readiness. */
[[nodiscard]] int up_demo(const struct up_options *o, const char *url, struct err *err);

#endif
