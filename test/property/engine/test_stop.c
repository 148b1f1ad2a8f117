/* SPDX-License-Identifier: Apache-2.0 */
/* Random texts and stop strings over a tiny alphabet, against a search that sees the whole text. */
#include "engine/stop.h"
#include "test.h"

enum { ROUNDS = 20000, TEXT_MAX = 24, STOPS_MAX = 3 };

static struct str random_string(uint64_t *chance, char *room, size_t least, size_t most)
{
    size_t len = least + test_below(chance, most - least + 1);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)('a' + test_below(chance, 2));
    return (struct str){room, len};
}

/* Where the answer ends: at the first byte that completes a stop string, the longest of them. */
static bool oracle_cut(struct str text, const struct str *stops, size_t count, size_t *ret_cut)
{
    for (size_t end = 1; end <= text.len; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < count; i++)
            if (str_ends(str_sub(text, 0, end), stops[i]))
                longest = MAX(longest, stops[i].len);
        if (longest) {
            *ret_cut = end - longest;
            return true;
        }
    }
    return false;
}

/* May this much go out when no stop string is complete yet? Not if what follows may become one. */
static size_t oracle_safe(struct str text, const struct str *stops, size_t count)
{
    for (size_t from = 0; from < text.len; from++)
        for (size_t i = 0; i < count; i++)
            if (str_starts(stops[i], str_sub(text, from, text.len)))
                return from;
    return text.len;
}

static void test_against_a_plain_search(void **state)
{
    uint64_t seed = test_seed(1), chance = seed;
    for (int round = 0; round < ROUNDS; round++) {
        struct arena arena;
        struct stop stop;
        char text_room[TEXT_MAX], stop_rooms[STOPS_MAX][5];
        struct str stops[STOPS_MAX];
        size_t count = test_below(&chance, STOPS_MAX + 1), cut = 0;
        for (size_t i = 0; i < count; i++)
            stops[i] = random_string(&chance, stop_rooms[i], 1, 5);
        struct str text = random_string(&chance, text_room, 0, TEXT_MAX);
        arena_init(&arena, 1 << 12);
        assert_int_equal(stop_init(&stop, &arena, stops, count), 0);
        for (size_t at = 0; at < text.len && !stop.matched;) {
            size_t wanted = 1 + test_below(&chance, 4), piece = MIN(wanted, text.len - at);
            size_t before = stop.released;
            stop_put(&stop, str_sub(text, at, at + piece));
            at += piece;
            struct str seen = str_sub(text, 0, at);
            bool found = oracle_cut(seen, stops, count, &cut);
            PROPERTY(stop.matched == found && stop.released >= before, seed, round);
            PROPERTY(stop.released == (found ? cut : oracle_safe(seen, stops, count)), seed, round);
        }
        bool found = stop.matched;
        stop_end(&stop);
        PROPERTY(stop.released == (found ? cut : text.len), seed, round);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_plain_search)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
