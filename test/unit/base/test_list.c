/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "test.h"

struct item {
    int id;
    struct list link;
};

static void assert_order(struct list *head, const char *expected)
{
    char text[16] = "";
    list_each(item, head, struct item, link) snprintf(text + strlen(text), 4, "%d", item->id);
    assert_string_equal(text, expected);
}

static void test_order(void **state)
{
    struct list head;
    struct item items[4] = {{.id = 0}, {.id = 1}, {.id = 2}, {.id = 3}};
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_first(&head, struct item, link));
    list_append(&head, &items[1].link);
    list_append(&head, &items[2].link);
    list_prepend(&head, &items[0].link);
    list_insert_before(&items[2].link, &items[3].link);
    assert_order(&head, "0132");
    assert_ptr_equal(list_first(&head, struct item, link), &items[0]);
    list_remove(&items[3].link);
    list_remove(&items[3].link); /* twice is fine */
    assert_order(&head, "012");
}

static void test_removal_while_walking(void **state)
{
    struct list head;
    struct item items[4] = {{.id = 0}, {.id = 1}, {.id = 2}, {.id = 3}};
    list_init(&head);
    for (int i = 0; i < 4; i++)
        list_append(&head, &items[i].link);
    list_each(item, &head, struct item, link)
    {
        if (item->id % 2 == 0) {
            list_remove(&item->link);
            memset(item, 0xFF, sizeof(*item));
        }
    }
    assert_order(&head, "13");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_removal_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
