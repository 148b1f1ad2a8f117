/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by pool.c (queue and dispatch) and hedge.c (requests at two replicas). */
#ifndef FAIRWAY_CORE_POOL_INTERNAL_H
#define FAIRWAY_CORE_POOL_INTERNAL_H

#include "core/pool/pool.h"

static inline bool pool_is_hedged(const struct pool_request *request)
{
    return request->legs[0].place != ROUTE_NONE && request->legs[1].place != ROUTE_NONE;
}

#endif
