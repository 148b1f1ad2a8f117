/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include "base/mem.h"

void heap_init(struct heap *h, heap_before_fn *before)
{
    *h = (struct heap){.before = before};
}

void heap_init_fixed(struct heap *h, heap_before_fn *before, struct heap_node **nodes, size_t cap)
{
    *h = (struct heap){.before = before, .nodes = nodes, .cap = cap, .fixed = true};
}

void heap_fini(struct heap *h)
{
    if (!h->fixed)
        mem_free(h->nodes);
    *h = (struct heap){.before = h->before};
}

static void place(struct heap *h, size_t index, struct heap_node *node)
{
    h->nodes[index] = node;
    node->place = index + 1;
}

static void sift_up(struct heap *h, size_t index)
{
    struct heap_node *node = h->nodes[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!h->before(node, h->nodes[parent]))
            break;
        place(h, index, h->nodes[parent]);
        index = parent;
    }
    place(h, index, node);
}

static void sift_down(struct heap *h, size_t index)
{
    struct heap_node *node = h->nodes[index];
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!h->before(h->nodes[child], node))
            break;
        place(h, index, h->nodes[child]);
        index = child;
    }
    place(h, index, node);
}

void heap_insert(struct heap *h, struct heap_node *node)
{
    CHECK(!heap_has(node));
    if (h->count == h->cap) {
        CHECK(!h->fixed);
        h->cap = MAX(h->cap * 2, (size_t)16);
        h->nodes = mem_resize(h->nodes, h->cap * sizeof(struct heap_node *));
    }
    place(h, h->count++, node);
    sift_up(h, h->count - 1);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    size_t index = node->place - 1;
    CHECK(index < h->count && h->nodes[index] == node);
    node->place = 0;
    struct heap_node *last = h->nodes[--h->count];
    if (last == node)
        return;
    place(h, index, last);
    heap_changed(h, last);
}

void heap_changed(struct heap *h, struct heap_node *node)
{
    size_t index = node->place - 1;
    CHECK(index < h->count && h->nodes[index] == node);
    sift_up(h, index);
    sift_down(h, node->place - 1);
}
