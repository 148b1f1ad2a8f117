/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libllama's fixed list of chat formats leaves out of a model's own template: the system text
 * that many templates begin with when the conversation has none. Pure.
 *
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_ENGINE_LLAMA_TEMPLATE_H
#define FAIRWAY_ENGINE_LLAMA_TEMPLATE_H

#include "base/buf.h"

/*
 * Finds the literal that a template prints where `messages[0]['role'] != 'system'` holds, and writes
 * it with its escapes resolved. Nothing is written when there is no such place or it is no plain
 * literal.
 */
void llama_template_default_system(struct str text, struct buf *out);

#endif
