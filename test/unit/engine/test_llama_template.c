/* SPDX-License-Identifier: Apache-2.0 */
/* The system text that a model's own template puts in front. */
#include "test.h"

#ifdef FAIRWAY_LLAMA
#include "engine/llama_template.h"

static void finds(const char *text, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    llama_template_default_system(str_from(text), &out);
    if (!str_eq(buf_str(&out), str_from(expected)))
        fail_msg("%s: got \"%.*s\"", text, STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static void test_published_shapes(void **state)
{
    finds("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
          "{{ '<|im_start|>system\\nYou are Smol<|im_end|>\\n' }}{% endif %}{{'x'}}",
          "<|im_start|>system\nYou are Smol<|im_end|>\n");
    finds("{%- if messages[0][\"role\"] != \"system\" -%}\n  {{- \"say \\\"hi\\\"\" -}}{% endif %}",
          "say \"hi\"");
    finds("{% if messages[0].role != 'system' %}{{ 'a\nb' }}", "a\nb"); /* as a file holds it */
}

static void test_what_is_no_literal_is_left_alone(void **state)
{
    finds("", "");
    finds("{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}", "");
    finds("{% if messages[0]['role'] != 'system' %}{{ default_system }}", "");
    finds("{% if messages[0]['role'] != 'system' %}{{ 'a' + name }}", "");
    finds("{% if messages[0]['role'] != 'system' and x %}{{ 'a' }}", "");
    finds("{% if messages[0]['role'] != 'system' %}{{ 'never closed", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_shapes),
        cmocka_unit_test(test_what_is_no_literal_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
int main(void)
{
    puts("skipped: built without libllama");
    return 0;
}
#endif
