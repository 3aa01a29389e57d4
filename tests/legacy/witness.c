/* Stands between a program and libhasty, and says at the end on which threads the program has called.
 *
 * A program's data is safe on its main thread only, so whoever turns it into JSON, or takes it from there, must be on that thread. Linked with
 * libhasty; comes first by LD_PRELOAD, or is loaded in its place.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <hasty.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_uint here, elsewhere;

static void *watch(const char *name)
{
    atomic_fetch_add(gettid() == getpid() ? &here : &elsewhere, 1);
    void *library = dlopen("libhasty.so.0", RTLD_NOW | RTLD_NOLOAD);
    void *function = library ? dlsym(library, name) : NULL;
    if (!function)
        abort();
    dlclose(library);
    return function;
}

#define WATCH(type, name, parameters, arguments)                                                    \
    type name parameters                                                                            \
    {                                                                                               \
        type(*real) parameters = (type(*) parameters)watch(#name);                                  \
        return real arguments;                                                                      \
    }

WATCH(hasty_status, hasty_request_json, (const hasty_request *req, const hasty_json **out), (req, out))
WATCH(hasty_status, hasty_json_parse, (const void *text, size_t len, hasty_json **out), (text, len, out))
WATCH(hasty_json *, hasty_json_new_object, (void), ())
WATCH(hasty_json *, hasty_json_new_int, (int64_t value), (value))
WATCH(hasty_json *, hasty_json_new_string, (const void *utf8, size_t len), (utf8, len))
WATCH(hasty_status, hasty_response_send_json_value, (hasty_response *res, const hasty_json *value), (res, value))

__attribute__((destructor)) static void testify(void)
{
    fprintf(stderr, "witness: %u calls on the main thread, %u elsewhere\n", here, elsewhere);
}
