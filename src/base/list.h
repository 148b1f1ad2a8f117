/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive doubly linked list: the link is a member of the listed object, so that nothing is
 * allocated and removal needs no search. A head is a link that points to itself when the list is
 * empty; a link that is in no list points to itself too (list_init), so that list_remove is safe
 * twice.
 */
#ifndef FAIRWAY_BASE_LIST_H
#define FAIRWAY_BASE_LIST_H

#include <stdbool.h>

#include "base/check.h"

struct list {
    struct list *next, *previous; /* borrow */
};

static inline void list_init(struct list *l)
{
    l->next = l->previous = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_before(struct list *where, struct list *link)
{
    link->next = where;
    link->previous = where->previous;
    where->previous->next = link;
    where->previous = link;
}

static inline void list_append(struct list *head, struct list *link)
{
    list_insert_before(head, link);
}

static inline void list_prepend(struct list *head, struct list *link)
{
    list_insert_before(head->next, link);
}

static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

#define list_first(head, type, member) \
    (list_empty(head) ? NULL : container_of((head)->next, type, member))

/* `item` may be removed (and freed) inside the loop. */
#define list_each(item, head, type, member)                                 \
    for (type *item = container_of((head)->next, type, member),             \
              *item##_next = container_of(item->member.next, type, member); \
         &item->member != (head);                                           \
         item = item##_next, item##_next = container_of(item->member.next, type, member))

#endif
