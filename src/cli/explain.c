/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "api/resource.h"
#include "cli/cli.h"

static int run(int argc, char **argv)
{
    const char *arguments[1];
    int count;
    int done = cli_parse(&verb_explain, argc, argv, NULL, 0, arguments, 1, &count);
    if (done)
        return MAX(done, 0);
    if (count == 0)
        return cli_usage(&verb_explain, "say what: model, or a field such as model.spec.engine");
    struct buf text;
    struct err err;
    buf_init(&text, 1024 * 1024);
    int error = resource_explain(str_from(arguments[0]), &text, &err);
    if (!error)
        fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
    return error ? cli_fail(&err) : CLI_OK;
}

const struct verb verb_explain = {
    .name = "explain",
    .arguments = "KIND[.FIELD...]",
    .summary = "Explain the fields of a manifest",
    .help = "fairway explain model.spec.engine\n",
    .run = run,
};
