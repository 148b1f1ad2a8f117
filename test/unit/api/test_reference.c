/* SPDX-License-Identifier: Apache-2.0 */
/* docs/api-reference.md says what the tables say. FAIRWAY_UPDATE=1 writes the page anew. */
#include "api/resource.h"
#include "test.h"

#define PAGE TEST_DATA "/../../docs/api-reference.md"

static void test_page_is_up_to_date(void **state)
{
    struct buf wanted, found;
    buf_init(&wanted, 1 << 20);
    buf_init(&found, 1 << 20);
    resource_reference(&wanted);
    assert_int_equal(wanted.error, 0);
    bool update = getenv("FAIRWAY_UPDATE") != NULL;
    FILE *page = fopen(PAGE, update ? "w+" : "r");
    assert_non_null(page);
    if (update)
        assert_int_equal(fwrite(wanted.ptr, 1, wanted.len, page), wanted.len);
    rewind(page);
    char *room = buf_reserve(&found, wanted.len + 1);
    buf_commit(&found, fread(room, 1, wanted.len + 1, page));
    fclose(page);
    if (!str_eq(buf_str(&wanted), buf_str(&found)))
        fail_msg("docs/api-reference.md is out of date: run this test with FAIRWAY_UPDATE=1");
    buf_fini(&wanted);
    buf_fini(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page_is_up_to_date)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
