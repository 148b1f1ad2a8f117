/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes that outlive us: started in a session of their own, watched by pidfd, found and adopted again after a restart.
 *
 * A process is known by pid and start time together (a pid alone may be reused), and by a mark in its environment.
 * Ownership: a struct process belongs to the caller until process_release; releasing it never ends the process.
 * Thread rule: on the loop's thread.
 */
#ifndef FAIRWAY_RUNTIME_PROCESS_H
#define FAIRWAY_RUNTIME_PROCESS_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

struct process;

struct process_end {
    bool known;    /* false: an adopted process, whose exit status nobody was told */
    int exit_code; /* valid if known and signal is 0 */
    int signal;    /* that killed it; 0 if it exited */
};

/* "exit code 1", "killed by signal 9 (Killed)" */
enum { PROCESS_END_TEXT_MAX = 64 };
char *process_end_text(const struct process_end *end, char text[PROCESS_END_TEXT_MAX]);

struct process_events {
    void (*exited)(void *ctx, const struct process_end *end); /* once; then release it */
    void *ctx;
};

struct process_spec {
    const char *const *argv; /* argv[0]: the program, looked up in PATH if it has no slash */
    const char *const *env;  /* whole environment */
    const char *directory;   /* in which it starts; NULL: ours */
    const char *log_path;    /* stdout and stderr are appended to it */
    uint64_t memory_max;     /* bytes of private memory (RLIMIT_DATA); 0: no limit */
};

[[nodiscard]] int process_spawn(struct loop *loop, const struct process_spec *spec,
                                const struct process_events *events, struct process **ret_process,
                                struct err *err);

/* ERR_NOT_FOUND if no process has this pid and start time. */
[[nodiscard]] int process_adopt(struct loop *loop, pid_t pid, uint64_t start_time,
                                const struct process_events *events, struct process **ret_process,
                                struct err *err);

void process_release(struct process *p); /* NULL is fine */
pid_t process_pid(const struct process *p);
uint64_t process_start_time(
    const struct process *p); /* clock ticks since boot, as in /proc/PID/stat */
void process_signal(struct process *p, int signal); /* exactly this process, or nobody */
uint64_t process_memory(const struct process *p);   /* resident bytes; 0 if unknown */

/* Calls found() for every process of this machine whose environment has `name`, with the value. */
void process_scan(struct str name,
                  void (*found)(void *ctx, pid_t pid, uint64_t start_time, struct str value),
                  void *ctx);

/* Ends a process that nobody holds, if it still is the one with this start time. */
void process_kill(pid_t pid, uint64_t start_time);

#endif
