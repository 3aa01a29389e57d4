/* hasty_json_*: reading, building and writing values. */
#include "check.h"

#include <math.h>

static hasty_json *parse(const char *text)
{
    hasty_json *json = NULL;
    CHECK_OK(hasty_json_parse(text, strlen(text), &json));
    return json;
}

static void check_text_of(const char *file, int line, const hasty_json *json, const char *wanted)
{
    char text[4096];
    size_t needed = 0;
    check_status(file, line, "hasty_json_to_text", hasty_json_to_text(json, text, sizeof text, &needed), HASTY_OK);
    check_text(file, line, "the JSON", text, wanted);
}

#define CHECK_JSON(json, wanted) check_text_of(__FILE__, __LINE__, json, wanted)

/* ---- parsing ---- */

TEST(every_kind_is_told)
{
    hasty_json *all = parse(" [ null, true, 1, \"s\", [], {} ] ");
    static const int32_t kinds[] = {HASTY_JSON_NULL,   HASTY_JSON_BOOL,  HASTY_JSON_NUMBER,
                                    HASTY_JSON_STRING, HASTY_JSON_ARRAY, HASTY_JSON_OBJECT};
    CHECK_INT(hasty_json_kind(all), HASTY_JSON_ARRAY);
    CHECK_INT(hasty_json_len(all), 6);
    for (size_t i = 0; i < 6; i++)
        CHECK_INT(hasty_json_kind(hasty_json_at(all, i)), kinds[i]);
    CHECK(hasty_json_at(all, 6) == NULL);
    CHECK(hasty_json_at(all, SIZE_MAX) == NULL);
    CHECK_INT(hasty_json_kind(NULL), -1);
    hasty_json_free(all);
}

TEST(a_scalar_is_a_document_too)
{
    hasty_json *number = parse("42"), *text = parse("\"x\""), *null = parse("null");
    CHECK_INT(hasty_json_kind(number), HASTY_JSON_NUMBER);
    CHECK_STR(hasty_json_as_string(text), "x");
    CHECK_INT(hasty_json_kind(null), HASTY_JSON_NULL);
    hasty_json_free(number);
    hasty_json_free(text);
    hasty_json_free(null);
}

TEST(what_is_no_json_is_refused_with_line_and_column)
{
    static const char *const wrong[] = {
        "",       " ",   "{",     "[1,]",      "{\"a\":1,}", "{a:1}", "'x'",      "tru", "nul",         "01",
        "+1",     "1.",  ".5",    "1e",        "-",          "NaN",   "Infinity", "\"x", "\"\\x\"",     "\"\\u12\"",
        "\"\n\"", "1 2", "[1] x", "{\"a\" 1}", "[1 2]",      "{1:2}", "\"\t\"",   "]",   "\"\\ud800\"", "/* */ 1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        static const char mark;
        hasty_json *untouched = (hasty_json *)(uintptr_t)&mark, *json = untouched;
        if (!CHECK_STATUS(hasty_json_parse(wrong[i], strlen(wrong[i]), &json), HASTY_ERR_INVALID))
            check_fail(__FILE__, __LINE__, "%s was taken", wrong[i]);
        CHECK(json == untouched && "outputs are written on success only");
        CHECK_ERROR_NAMES("line ");
        CHECK_ERROR_NAMES("column");
    }
    hasty_json *json = NULL;
    CHECK_STATUS(hasty_json_parse("{\n \"a\": 1,\n \"b\" 2}", 19, &json), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("line 3");
    CHECK_STATUS(hasty_json_parse("\"\xff\"", 3, &json), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_parse("1\0", 2, &json), HASTY_ERR_INVALID);
}

TEST(the_length_is_the_truth)
{
    hasty_json *json = NULL;
    REQUIRE_OK(hasty_json_parse("123456", 3, &json));
    CHECK_JSON(json, "123");
    hasty_json_free(json);
}

TEST(a_document_may_be_128_deep)
{
    char *deep = check_format("%s%s", check_repeat("[", 128), check_repeat("]", 128));
    hasty_json *json = NULL;
    CHECK_OK(hasty_json_parse(deep, strlen(deep), &json));
    CHECK_JSON(json, deep);
    hasty_json_free(json);
    char *deeper = check_format("%s%s", check_repeat("[", 129), check_repeat("]", 129));
    json = NULL;
    CHECK_STATUS(hasty_json_parse(deeper, strlen(deeper), &json), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("128");
    char *abyss = check_repeat("{\"a\":[", 200000);
    CHECK_STATUS(hasty_json_parse(abyss, strlen(abyss), &json), HASTY_ERR_INVALID);
    CHECK(json == NULL);
}

TEST(members_keep_their_order_and_the_last_duplicate_wins)
{
    hasty_json *json = parse("{\"z\":1,\"a\":2,\"m\":3,\"a\":4}");
    CHECK_INT(hasty_json_len(json), 3);
    int64_t a = 0;
    CHECK_OK(hasty_json_as_int(hasty_json_get(json, "a"), &a));
    CHECK_INT(a, 4);
    CHECK_STR(hasty_json_key_at(json, 0), "z");
    hasty_json_free(json);

    json = parse("{\"z\":1,\"a\":2,\"m\":3}");
    CHECK_STR(hasty_json_key_at(json, 0), "z");
    CHECK_STR(hasty_json_key_at(json, 1), "a");
    CHECK_STR(hasty_json_key_at(json, 2), "m");
    CHECK_ABSENT(hasty_json_key_at(json, 3));
    CHECK_OK(hasty_json_as_int(hasty_json_at(json, 1), &a));
    CHECK_INT(a, 2);
    CHECK_JSON(json, "{\"z\":1,\"a\":2,\"m\":3}");
    hasty_json_free(json);
}

/* ---- strings ---- */

TEST(strings_are_decoded_and_end_in_nul)
{
    hasty_json *json =
        parse("[\"\", \"a\\n\\t\\\"\\\\\\/\\b\\f\\r\", \"\\u00e9\\ud83d\\ude00\", \"é😀\", \"a\\u0000b\"]");
    CHECK_STR(hasty_json_as_string(hasty_json_at(json, 0)), "");
    CHECK_STR(hasty_json_as_string(hasty_json_at(json, 1)), "a\n\t\"\\/\b\f\r");
    CHECK_STR(hasty_json_as_string(hasty_json_at(json, 2)), "é😀");
    CHECK_STR(hasty_json_as_string(hasty_json_at(json, 3)), "é😀");
    hasty_str nul = hasty_json_as_string(hasty_json_at(json, 4));
    CHECK_BYTES(nul.data, nul.len, "a\0b", 3);
    CHECK_INT(nul.data[3], '\0');
    hasty_json_free(json);
}

TEST(what_is_no_string_reads_as_absent)
{
    hasty_json *json = parse("[1, null, [], {}, true]");
    for (size_t i = 0; i < 5; i++)
        CHECK_ABSENT(hasty_json_as_string(hasty_json_at(json, i)));
    hasty_json_free(json);
}

/* ---- numbers and booleans ---- */

TEST(integers_keep_all_their_bits)
{
    hasty_json *json = parse("[0, -1, 9223372036854775807, -9223372036854775808]");
    static const int64_t wanted[] = {0, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 4; i++) {
        int64_t value = 99;
        CHECK_OK(hasty_json_as_int(hasty_json_at(json, i), &value));
        CHECK(value == wanted[i]);
    }
    CHECK_JSON(json, "[0,-1,9223372036854775807,-9223372036854775808]");
    hasty_json_free(json);
}

TEST(what_is_no_int64_is_not_read_as_one)
{
    hasty_json *json = parse("[1.5, 9223372036854775808, 1e300, \"1\", null, true, [], {}]");
    for (size_t i = 0; i < hasty_json_len(json); i++) {
        int64_t value = 99;
        CHECK_STATUS(hasty_json_as_int(hasty_json_at(json, i), &value), HASTY_ERR_INVALID);
        CHECK_INT(value, 99);
    }
    hasty_json_free(json);
}

TEST(every_number_is_a_double)
{
    hasty_json *json = parse("[1, -2.5, 1e3, 9223372036854775808, 0.1]");
    static const double wanted[] = {1, -2.5, 1000, 9223372036854775808.0, 0.1};
    for (size_t i = 0; i < 5; i++) {
        double value = 99;
        CHECK_OK(hasty_json_as_double(hasty_json_at(json, i), &value));
        CHECK(value == wanted[i]);
    }
    hasty_json_free(json);
    json = parse("\"1\"");
    double value = 99;
    CHECK_STATUS(hasty_json_as_double(json, &value), HASTY_ERR_INVALID);
    CHECK(value == 99);
    hasty_json_free(json);
}

TEST(only_booleans_are_booleans)
{
    hasty_json *json = parse("[true, false, 1, 0, \"true\", null]");
    int32_t value = 99;
    CHECK_OK(hasty_json_as_bool(hasty_json_at(json, 0), &value));
    CHECK_INT(value, 1);
    CHECK_OK(hasty_json_as_bool(hasty_json_at(json, 1), &value));
    CHECK_INT(value, 0);
    value = 99;
    for (size_t i = 2; i < 6; i++)
        CHECK_STATUS(hasty_json_as_bool(hasty_json_at(json, i), &value), HASTY_ERR_INVALID);
    CHECK_INT(value, 99);
    hasty_json_free(json);
}

/* ---- looking up ---- */

TEST(get_finds_members_of_objects_only)
{
    hasty_json *json = parse("{\"a\": {\"b\": 1}, \"\": 2}");
    CHECK(hasty_json_get(json, "a") != NULL);
    CHECK(hasty_json_get(json, "") != NULL);
    CHECK(hasty_json_get(json, "A") == NULL);
    CHECK(hasty_json_get(json, "absent") == NULL);
    CHECK(hasty_json_get(hasty_json_get(json, "a"), "b") != NULL);
    CHECK(hasty_json_get(hasty_json_get(json, "absent"), "b") == NULL);
    CHECK(hasty_json_get(hasty_json_get(json, ""), "b") == NULL);
    hasty_json_free(json);
}

TEST(find_takes_a_json_pointer)
{
    /* the examples of RFC 6901, section 5 */
    hasty_json *json = parse("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,"
                             "\"k\\\"l\":6,\" \":7,\"m~n\":8}");
    static const char *const pointers[] = {"/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n"};
    CHECK(hasty_json_find(json, "") == json);
    CHECK_INT(hasty_json_kind(hasty_json_find(json, "/foo")), HASTY_JSON_ARRAY);
    CHECK_STR(hasty_json_as_string(hasty_json_find(json, "/foo/0")), "bar");
    CHECK_STR(hasty_json_as_string(hasty_json_find(json, "/foo/1")), "baz");
    for (size_t i = 0; i < 9; i++) {
        int64_t value = -1;
        CHECK_OK(hasty_json_as_int(hasty_json_find(json, pointers[i]), &value));
        CHECK_INT(value, i);
    }
    static const char *const nothing[] = {"foo",    "/foo/2", "/foo/01",        "/foo/-",   "/foo/+1",
                                          "/foo/x", "/foo/",  "/absent",        "/foo/0/x", "//",
                                          "/m~n",   "/m~2n",  "/foo/4294967296"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        if (!CHECK(hasty_json_find(json, nothing[i]) == NULL))
            check_fail(__FILE__, __LINE__, "%s was found", nothing[i]);
    hasty_json_free(json);
}

/* ---- building ---- */

TEST(values_are_built_and_written)
{
    hasty_json *object = hasty_json_new_object(), *array = hasty_json_new_array();
    CHECK_OK(hasty_json_push(array, hasty_json_new_null()));
    CHECK_OK(hasty_json_push(array, hasty_json_new_bool(1)));
    CHECK_OK(hasty_json_push(array, hasty_json_new_bool(0)));
    CHECK_OK(hasty_json_push(array, hasty_json_new_int(INT64_MIN)));
    CHECK_OK(hasty_json_push(array, hasty_json_new_double(1.5)));
    CHECK_OK(hasty_json_push(array, hasty_json_new_object()));
    CHECK_OK(hasty_json_set(object, "list", array));
    CHECK_OK(hasty_json_set(object, "text", hasty_json_new_string("a\"\\\n\x01é", 7)));
    CHECK_OK(hasty_json_set(object, "empty", hasty_json_new_string(NULL, 0)));
    CHECK_JSON(object, "{\"list\":[null,true,false,-9223372036854775808,1.5,{}],"
                       "\"text\":\"a\\\"\\\\\\n\\u0001é\",\"empty\":\"\"}");
    hasty_json_free(object);
}

TEST(any_number_but_zero_is_true)
{
    hasty_json *json = hasty_json_new_bool(-7);
    CHECK_JSON(json, "true");
    hasty_json_free(json);
}

TEST(setting_a_key_again_replaces_its_value_in_place)
{
    hasty_json *object = hasty_json_new_object();
    CHECK_OK(hasty_json_set(object, "a", hasty_json_new_int(1)));
    CHECK_OK(hasty_json_set(object, "b", hasty_json_new_string("long enough to be on the heap", 29)));
    CHECK_OK(hasty_json_set(object, "c", hasty_json_new_int(3)));
    CHECK_OK(hasty_json_set(object, "b", hasty_json_new_array()));
    CHECK_INT(hasty_json_len(object), 3);
    CHECK_JSON(object, "{\"a\":1,\"b\":[],\"c\":3}");
    hasty_json_free(object);
}

TEST(a_key_may_come_from_the_object_itself)
{
    hasty_json *object = parse("{\"key\":\"key\",\"other\":\"new\"}");
    CHECK_OK(hasty_json_set(object, hasty_json_as_string(hasty_json_get(object, "key")).data, hasty_json_new_int(1)));
    CHECK_OK(hasty_json_set(object, hasty_json_key_at(object, 0).data, hasty_json_new_int(2)));
    CHECK_OK(hasty_json_set(object, hasty_json_as_string(hasty_json_get(object, "other")).data, hasty_json_new_int(3)));
    CHECK_JSON(object, "{\"key\":2,\"other\":\"new\",\"new\":3}");
    hasty_json_free(object);
}

TEST(a_key_may_be_any_bytes)
{
    hasty_json *object = hasty_json_new_object();
    CHECK_OK(hasty_json_set_bytes(object, "a\0b", 3, hasty_json_new_int(1)));
    CHECK_OK(hasty_json_set_bytes(object, NULL, 0, hasty_json_new_int(2)));
    CHECK_OK(hasty_json_set_bytes(object, "abc", 2, hasty_json_new_int(3)));
    hasty_str key = hasty_json_key_at(object, 0);
    CHECK_BYTES(key.data, key.len, "a\0b", 3);
    CHECK_STR(hasty_json_key_at(object, 1), "");
    CHECK_STR(hasty_json_key_at(object, 2), "ab");
    CHECK_JSON(object, "{\"a\\u0000b\":1,\"\":2,\"ab\":3}");
    hasty_json_free(object);
}

TEST(invalid_utf_8_becomes_the_replacement_character)
{
    hasty_json *json = hasty_json_new_string("a\377b", 3);
    CHECK_STR(hasty_json_as_string(json), "a\357\277\275b");
    hasty_json_free(json);
}

TEST(what_cannot_hold_members_takes_none_and_frees_the_value)
{
    hasty_json *number = hasty_json_new_int(1), *array = hasty_json_new_array(), *object = hasty_json_new_object();
    CHECK_STATUS(hasty_json_set(number, "a", hasty_json_new_string("freed", 5)), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_push(number, hasty_json_new_string("freed", 5)), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_set(array, "a", hasty_json_new_string("freed", 5)), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_push(object, hasty_json_new_string("freed", 5)), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_set(NULL, "a", hasty_json_new_string("freed", 5)), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_json_push(NULL, hasty_json_new_string("freed", 5)), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_json_set(object, NULL, hasty_json_new_string("freed", 5)), HASTY_ERR_NULL);
    CHECK_JSON(number, "1");
    CHECK_JSON(array, "[]");
    CHECK_JSON(object, "{}");
    hasty_json_free(number);
    hasty_json_free(array);
    hasty_json_free(object);
}

TEST(a_value_has_one_parent_and_is_no_part_of_itself)
{
    hasty_json *one = hasty_json_new_object(), *two = hasty_json_new_array(), *child = hasty_json_new_array();
    CHECK_OK(hasty_json_set(one, "child", child));
    CHECK_STATUS(hasty_json_push(two, child), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_set(one, "again", child), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_set(one, "child", child), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_set(one, "self", one), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_push(two, two), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_json_push(child, one), HASTY_ERR_INVALID); /* one is the parent of child */
    CHECK_JSON(one, "{\"child\":[]}");
    CHECK_JSON(two, "[]");
    CHECK_OK(hasty_json_push(child, hasty_json_new_int(1))); /* a child is still the caller's to fill */
    CHECK_JSON(one, "{\"child\":[1]}");
    hasty_json_free(one);
    hasty_json_free(two);
}

TEST(a_clone_is_a_value_of_its_own)
{
    hasty_json *object = parse("{\"a\":{\"b\":[1,\"x\"]}}"), *clone = NULL, *part = NULL;
    REQUIRE_OK(hasty_json_clone(object, &clone));
    REQUIRE_OK(hasty_json_clone(hasty_json_get(object, "a"), &part));
    CHECK_OK(hasty_json_set(clone, "c", hasty_json_new_int(2)));
    CHECK_OK(hasty_json_set(clone, "part", part)); /* a clone has no parent */
    CHECK_JSON(object, "{\"a\":{\"b\":[1,\"x\"]}}");
    hasty_json_free(object);
    CHECK_JSON(clone, "{\"a\":{\"b\":[1,\"x\"]},\"c\":2,\"part\":{\"b\":[1,\"x\"]}}");
    hasty_json_free(clone);
}

TEST(a_value_may_be_built_and_freed_however_deep)
{
    hasty_json *top = hasty_json_new_array();
    for (int i = 0; i < (check_small() ? 2000 : 100000); i++) {
        hasty_json *outer = hasty_json_new_array();
        if (!CHECK_OK(hasty_json_push(outer, top)))
            break;
        top = outer;
    }
    hasty_json_free(top);
}

/* ---- writing ---- */

TEST(to_text_tells_what_it_needs)
{
    hasty_json *json = parse("{\"a\":[1,2,3],\"b\":\"é\"}");
    const char *wanted = "{\"a\":[1,2,3],\"b\":\"é\"}";
    size_t needed = 0, again = 0;
    CHECK_STATUS(hasty_json_to_text(json, NULL, 0, &needed), HASTY_ERR_LIMIT);
    CHECK_INT(needed, strlen(wanted) + 1);
    char *text = check_keep(malloc(needed + 8));
    memset(text, 'x', needed + 8);
    CHECK_STATUS(hasty_json_to_text(json, text, needed - 1, &again), HASTY_ERR_LIMIT);
    CHECK_INT(again, needed);
    CHECK_INT(text[needed - 1], 'x');
    CHECK_OK(hasty_json_to_text(json, text, needed, &again));
    CHECK_INT(again, needed);
    CHECK_TEXT(text, wanted);
    CHECK_INT(text[needed], 'x');
    hasty_json_free(json);
}

TEST(what_is_written_can_be_parsed_again)
{
    static const char *const texts[] = {"[1.5,-0.25,1e300,5e-324,0.1,123456789012345680000.0]", "\"\\u007f\\u2028é😀\"",
                                        "{\"\":{\"\":{}}}", "[[],[[]],{}]", "18446744073709551615"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        hasty_json *first = parse(texts[i]);
        char text[256], text_again[256];
        size_t needed;
        CHECK_OK(hasty_json_to_text(first, text, sizeof text, &needed));
        hasty_json *second = parse(text);
        CHECK_OK(hasty_json_to_text(second, text_again, sizeof text_again, &needed));
        CHECK_TEXT(text_again, text);
        hasty_json_free(first);
        hasty_json_free(second);
    }
}

TEST(doubles_that_json_cannot_write_still_make_json)
{
    static const double doubles[] = {(double)INFINITY, -(double)INFINITY, (double)NAN};
    for (size_t i = 0; i < 3; i++) {
        hasty_json *json = hasty_json_new_double(doubles[i]);
        if (json == NULL) /* refused: as good */
            continue;
        char text[64];
        size_t needed;
        CHECK_OK(hasty_json_to_text(json, text, sizeof text, &needed));
        hasty_json *again = NULL;
        CHECK_OK(hasty_json_parse(text, strlen(text), &again));
        hasty_json_free(again);
        hasty_json_free(json);
    }
}

TEST(a_large_document_goes_there_and_back)
{
    int count = check_small() ? 1000 : 50000;
    hasty_json *array = hasty_json_new_array();
    for (int i = 0; i < count; i++) {
        hasty_json *object = hasty_json_new_object();
        hasty_json_set(object, "id", hasty_json_new_int(i));
        hasty_json_set(object, "name", hasty_json_new_string("somebody", 8));
        CHECK_OK(hasty_json_push(array, object));
    }
    size_t needed = 0;
    CHECK_STATUS(hasty_json_to_text(array, NULL, 0, &needed), HASTY_ERR_LIMIT);
    char *text = check_keep(malloc(needed));
    CHECK_OK(hasty_json_to_text(array, text, needed, &needed));
    hasty_json *again = NULL;
    REQUIRE_OK(hasty_json_parse(text, needed - 1, &again));
    CHECK_INT(hasty_json_len(again), count);
    int64_t id = -1;
    CHECK_OK(hasty_json_as_int(hasty_json_get(hasty_json_at(again, (size_t)count - 1), "id"), &id));
    CHECK_INT(id, count - 1);
    hasty_json_free(array);
    hasty_json_free(again);
}

TEST(an_object_of_many_members_is_built_and_searched_quickly)
{
    int count = check_small() ? 500 : 20000;
    hasty_json *object = hasty_json_new_object();
    char key[32];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        CHECK_OK(hasty_json_set(object, key, hasty_json_new_int(i)));
    }
    for (int i = 0; i < count; i += 7) {
        int64_t value = -1;
        snprintf(key, sizeof key, "key-%d", i);
        CHECK_OK(hasty_json_as_int(hasty_json_get(object, key), &value));
        CHECK_INT(value, i);
    }
    hasty_json_free(object);
}

CHECK_MAIN
