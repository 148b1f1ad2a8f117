/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this tenant ask for so much now? Reserves under all of its limits in one step, or refuses with 429 and the name of the limit.
 * Thread rule: on the worker's thread.
 */
#ifndef FAIRWAY_GATEWAY_ADMISSION_H
#define FAIRWAY_GATEWAY_ADMISSION_H

#include "gateway/flight.h"

/* False when the request was refused and answered. Else its hold is open, and the flight closes it. */
bool admission_reserve(struct flight_request *r);

/* What tokens cost, in millionths, rounded to the nearest. */
uint64_t admission_cost(const struct openai_usage *u, const struct routes_price *price);

#endif
