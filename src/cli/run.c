/* SPDX-License-Identifier: Apache-2.0 */
/* `fairway run FILE.gguf "prompt"`: a Fairway of its own for one answer, in a folder that goes away. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/converse.h"

/* Starts `fairway up --demo FILE` with everything it says going to a log. */
static pid_t start(const char *state, const char *file, int *ret_ready)
{
    int ready[2];
    if (pipe(ready))
        return -1;
    pid_t child = fork();
    if (child == 0) {
        char self[] = "/proc/self/exe", log_path[PATH_MAX];
        snprintf(log_path, sizeof(log_path), "%s/out.log", state);
        int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(ready[1], STDOUT_FILENO); /* its request to try is printed when it is ready */
        dup2(log, STDERR_FILENO);
        close(ready[0]);
        close(ready[1]);
        setpgid(0, 0);
        execl(self, "fairway", "up", "--listen", "127.0.0.1:0", "--state", state, "--demo", file,
              "--quiet", (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    *ret_ready = ready[0];
    return child;
}

static void print_log(const char *state)
{
    char path[PATH_MAX], line[4096];
    snprintf(path, sizeof(path), "%s/out.log", state);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        fputs(line, stderr);
    if (file)
        fclose(file);
}

static int ask(const char *state, const char *prompt)
{
    struct client_reply reply;
    struct err err;
    char url[256];
    if (client_call(state, "GET", "/v1/status", STR_NONE, &reply, &err))
        return cli_fail(&err);
    snprintf(url, sizeof(url), "%s", cli_text(json_get(reply.body, STR("gateway")), ""));
    client_reply_fini(&reply);
    struct conversation c = {.base_url = url, .model = "chat"};
    buf_init(&c.messages, CONVERSATION_MAX);
    int result = converse(&c, str_from(prompt), &err) ? cli_fail(&err) : CLI_OK;
    buf_fini(&c.messages);
    return result;
}

static void remove_folder(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

static int run(int argc, char **argv)
{
    const char *arguments[2];
    int count, ready = -1;
    int done = cli_parse(&verb_run, argc, argv, NULL, 0, arguments, 2, &count);
    if (done)
        return MAX(done, 0);
    if (count < 2)
        return cli_usage(&verb_run, "give a model file and a prompt");
    const char *folder = getenv("TMPDIR");
    char state[PATH_MAX], byte;
    snprintf(state, sizeof(state), "%s/fairway-run-XXXXXX", folder ? folder : "/tmp");
    if (!mkdtemp(state))
        return CLI_FAILED;
    pid_t child = start(state, arguments[0], &ready);
    int result = CLI_FAILED;
    if (child > 0 && read(ready, &byte, 1) == 1)
        result = ask(state, arguments[1]);
    else
        print_log(state);
    if (child > 0) {
        kill(child, SIGTERM);
        waitpid(child, NULL, 0);
    }
    close(ready);
    remove_folder(state);
    return result;
}

const struct verb verb_run = {
    .name = "run",
    .arguments = "FILE.gguf PROMPT",
    .summary = "Load a model, answer one prompt, and stop",
    .help = "Nothing need be running; nothing is left behind.\n",
    .run = run,
};
