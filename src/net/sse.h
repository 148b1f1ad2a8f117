/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events: where in a stream of bytes the whole events end. No input or output.
 *
 * A line ends with LF, CRLF or CR; an event ends with a blank line. A CR at the end of the bytes
 * counts as a line's end at once; the LF that may still come is then a blank line of its own, which
 * every reader of events skips.
 *
 * Ownership: none. Thread rule: none.
 */
#ifndef FAIRWAY_NET_SSE_H
#define FAIRWAY_NET_SSE_H

#include "base/str.h"

/*
 * The length of the part of `bytes` that ends with the last whole event, 0 if there is none. The
 * bytes begin where an event begins; of their first `seen` it is known that no event ends there.
 */
size_t sse_whole_events(struct str bytes, size_t seen);

/* How many whole events with something in them. A comment counts as one. */
size_t sse_count_events(struct str events);

#endif
