/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/nvml_api.h"

#include <dlfcn.h>
#include <stdio.h>

#include "base/err.h"

static const struct {
    const char *name;
    size_t offset;
    bool required;
} symbols[] = {
#define X(required, type, member, symbol, arguments) \
    {symbol, offsetof(struct nvml_api, member), required},
    NVML_FUNCTIONS(X)
#undef X
};

/* The first required function that is missing; NULL: all are there. */
static const char *find_symbols(struct nvml_api *api)
{
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *function = dlsym(api->library, symbols[i].name);
        if (!function && symbols[i].required)
            return symbols[i].name;
        *(void **)(void *)((char *)api + symbols[i].offset) = function;
    }
    return NULL;
}

int nvml_api_load(struct nvml_api *api, const char *path, char *problem, size_t size)
{
    *api = (struct nvml_api){.library = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (!api->library) {
        snprintf(problem, size, "%s; it comes with NVIDIA's driver", dlerror());
        return ERR_NOT_FOUND;
    }
    const char *missing = find_symbols(api);
    if (!missing)
        return 0;
    snprintf(problem, size, "%s lacks %s; a newer driver has it", path, missing);
    nvml_api_unload(api);
    return ERR_UNSUPPORTED;
}

void nvml_api_unload(struct nvml_api *api)
{
    if (api->library)
        dlclose(api->library);
    *api = (struct nvml_api){0};
}
