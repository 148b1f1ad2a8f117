/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "store/gguf.h"
#include "test.h"

/* ---- a small writer ---- */

static void put_number(struct buf *b, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf_put_char(b, (char)(value >> 8 * i));
}

static void put_string(struct buf *b, const char *text)
{
    put_number(b, strlen(text), 8);
    buf_put(b, str_from(text));
}

static void put_text(struct buf *b, const char *key, const char *value)
{
    put_string(b, key);
    put_number(b, 8, 4);
    put_string(b, value);
}

static void put_u32(struct buf *b, const char *key, uint32_t value)
{
    put_string(b, key);
    put_number(b, 4, 4);
    put_number(b, value, 4);
}

static void put_tensor(struct buf *b, const char *name, uint64_t columns, uint64_t rows,
                       uint32_t type, uint64_t offset)
{
    put_string(b, name);
    put_number(b, 2, 4);
    put_number(b, columns, 8);
    put_number(b, rows, 8);
    put_number(b, type, 4);
    put_number(b, offset, 8);
}

static void put_data(struct buf *b, size_t size)
{
    while (b->len % 32)
        buf_put_char(b, 0);
    while (size--)
        buf_put_char(b, 'x');
}

static void begin(struct buf *b, uint32_t version, uint64_t tensors, uint64_t entries)
{
    buf_init(b, 1 << 20);
    buf_put(b, STR("GGUF"));
    put_number(b, version, 4);
    put_number(b, tensors, 8);
    put_number(b, entries, 8);
}

static void expect_problem(struct buf *b, const char *words)
{
    struct gguf_facts facts;
    struct err err;
    assert_int_equal(gguf_read(buf_str(b), &facts, &err), ERR_INVALID);
    if (!strstr(err.message, words))
        fail_msg("'%s' is not in: %s", words, err.message);
    buf_fini(b);
}

/* ---- tests ---- */

static void test_a_real_model(void **state)
{
    struct gguf_facts f;
    struct err err;
    assert_int_equal(gguf_read_file(TEST_DATA "/models/stories260K-q8_0.gguf", &f, &err), 0);
    assert_string_equal(f.architecture, "llama");
    assert_int_equal(f.layers, 5);
    assert_int_equal(f.heads, 8);
    assert_int_equal(f.kv_heads, 4);
    assert_int_equal(f.embedding_length, 64);
    assert_false(f.has_chat_template);
    assert_true(f.parameters > 200000 && f.parameters < 400000);
    assert_int_equal(gguf_kv_bytes_per_token(&f), 2 * 5 * 4 * (8 + 8));
}

static void test_facts(void **state)
{
    struct gguf_facts f;
    struct buf b;
    begin(&b, 3, 1, 4);
    put_text(&b, "general.architecture", "toy");
    put_text(&b, "general.name", "A toy");
    put_u32(&b, "toy.context_length", 77);
    put_text(&b, "tokenizer.chat_template", "{}");
    put_tensor(&b, "w", 32, 2, 8, 0);
    put_data(&b, 68);
    assert_int_equal(gguf_read(buf_str(&b), &f, NULL), 0);
    assert_string_equal(f.name, "A toy");
    assert_int_equal(f.context_length, 77);
    assert_int_equal(f.parameters, 64);
    assert_true(f.has_chat_template);
    buf_fini(&b);
}

static void test_what_is_no_model(void **state)
{
    struct buf b;
    buf_init(&b, 100);
    buf_put(&b, STR("PK\x03\x04 something else"));
    expect_problem(&b, "does not begin with GGUF");
    begin(&b, 1, 0, 0);
    expect_problem(&b, "version");
    begin(&b, 3, UINT64_MAX, 0);
    expect_problem(&b, "count");
    begin(&b, 3, 0, 0);
    expect_problem(&b, "architecture");
}

static void test_a_file_that_was_cut_off(void **state)
{
    struct buf b;
    begin(&b, 3, 1, 1);
    put_text(&b, "general.architecture", "toy");
    put_tensor(&b, "w", 32, 2, 8, 0);
    put_data(&b, 67);
    expect_problem(&b, "cut off");
}

static void test_numbers_that_overflow(void **state)
{
    struct buf b;
    begin(&b, 3, 1, 1);
    put_text(&b, "general.architecture", "toy");
    put_tensor(&b, "w", UINT64_MAX, 2, 0, 0);
    expect_problem(&b, "too large");
    begin(&b, 3, 1, 1);
    put_text(&b, "general.architecture", "toy");
    put_tensor(&b, "w", 32, 1, 0, UINT64_MAX & ~UINT64_C(31));
    expect_problem(&b, "too large");
    begin(&b, 3, 0, 1);
    put_string(&b, "a");
    put_number(&b, 9, 4);          /* array */
    put_number(&b, 10, 4);         /* of 64-bit numbers */
    put_number(&b, UINT64_MAX, 8); /* very many */
    expect_problem(&b, "ends in its header");
}

/* Every prefix is refused in an orderly way. */
static void test_every_prefix(void **state)
{
    struct gguf_facts f;
    struct buf b;
    begin(&b, 3, 1, 2);
    put_text(&b, "general.architecture", "toy");
    put_u32(&b, "toy.block_count", 3);
    put_tensor(&b, "w", 32, 2, 8, 0);
    put_data(&b, 68);
    for (size_t len = 0; len < b.len; len++) {
        char *exact = malloc(len ? len : 1); /* so that a read past the end is seen */
        memcpy(exact, b.ptr, len);
        assert_int_equal(gguf_read((struct str){exact, len}, &f, NULL), ERR_INVALID);
        free(exact);
    }
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_real_model),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_what_is_no_model),
        cmocka_unit_test(test_a_file_that_was_cut_off),
        cmocka_unit_test(test_numbers_that_overflow),
        cmocka_unit_test(test_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
