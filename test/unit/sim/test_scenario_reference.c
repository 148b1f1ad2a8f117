/* SPDX-License-Identifier: Apache-2.0 */
/* docs/simulate.md ends with what the tables say. FAIRWAY_UPDATE=1 writes that part anew. */
#include "sim/scenario.h"
#include "test.h"

#include <unistd.h>

#define PAGE TEST_DATA "/../../docs/simulate.md"
#define HEAD "Written by the tables in `scenario.c`; a test keeps it up to date.\n\n"

static void test_page_is_up_to_date(void **state)
{
    struct buf wanted, page;
    buf_init(&wanted, 1 << 20);
    buf_init(&page, 1 << 20);
    scenario_reference(&wanted);
    FILE *file = fopen(PAGE, "r+");
    assert_non_null(file);
    char *room = buf_reserve(&page, 1 << 19);
    buf_commit(&page, fread(room, 1, 1 << 19, file));
    size_t head = str_find(buf_str(&page), STR(HEAD)) + strlen(HEAD);
    assert_true(head <= page.len);
    if (getenv("FAIRWAY_UPDATE")) {
        assert_int_equal(fseek(file, (long)head, SEEK_SET), 0);
        assert_int_equal(fwrite(wanted.ptr, 1, wanted.len, file), wanted.len);
        assert_int_equal(ftruncate(fileno(file), (off_t)(head + wanted.len)), 0);
    } else if (!str_eq(str_sub(buf_str(&page), head, page.len), buf_str(&wanted))) {
        fail_msg("docs/simulate.md is out of date: run this test with FAIRWAY_UPDATE=1");
    }
    fclose(file);
    buf_fini(&wanted);
    buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page_is_up_to_date)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
