/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's way to a running Fairway: the admin API on a socket file in the state folder, by libcurl. What goes on
 * longer than CLIENT_TIMEOUT has failed, but for streams.
 * Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CLI_CLIENT_H
#define FAIRWAY_CLI_CLIENT_H

#include "cli/cli.h"

#define CLIENT_TIMEOUT SEC(60)

struct client_reply {
    int status;
    struct arena arena; /* holds the tree */
    struct json *body;  /* NULL when empty */
    struct buf text;
};

void client_reply_fini(struct client_reply *r);

/*
 * One call of the admin API. 0 with a 2xx status; else the error's code, with the server's message in err. ERR_UNAVAILABLE:
 * Fairway is not running (with this state folder).
 */
[[nodiscard]] int client_call(const char *state_dir, const char *method, const char *path,
                              struct str body, struct client_reply *ret_reply, struct err *err);

/* A conversation that keeps its connection, with the admin API of a state folder or what serves a part of it elsewhere. */
struct client;
struct client_options {
    const char *url;     /* unix:SOCKET, http://HOST:PORT or https://HOST:PORT */
    const char *token;   /* a bearer's, or NULL */
    const char *ca_file; /* of https: who signed its certificate; NULL: the system's authorities */
    nsec timeout;        /* of a call; 0: CLIENT_TIMEOUT */
};
/* ERR_INVALID: the URL is none of these. What the options point to is borrowed. */
[[nodiscard]] int client_open(const struct client_options *options, struct client **ret_client,
                              struct err *err);
void client_close(struct client *c); /* NULL is fine */
/* The first line of a file. */
enum { CLIENT_TOKEN_MAX = 256 };
[[nodiscard]] int client_read_token(const char *path, char ret_token[CLIENT_TOKEN_MAX],
                                    struct err *err);
/* As client_call. */
[[nodiscard]] int client_send(struct client *c, const char *method, const char *path,
                              struct str body, struct client_reply *ret_reply, struct err *err);

/* Streams the bytes of a GET to chunk() as they come. url NULL: the admin API. */
struct client_stream {
    const char *state_dir;
    const char *url;                            /* absolute; or NULL */
    const char *path;                           /* with url NULL */
    struct str post;                            /* a JSON body to POST; ptr NULL: GET */
    const char *api_key;                        /* or NULL */
    bool (*chunk)(void *ctx, struct str bytes); /* false ends it */
    void *ctx;
};
[[nodiscard]] int client_stream(const struct client_stream *s, int *ret_status, struct err *err);

/* GET `path`, printed by `print` for people, or as a tree. Returns the exit code. */
int client_show(const char *state_option, const char *path, enum cli_output output,
                void (*print)(const struct json *body));

#endif
