/* Runs the suites: all of them, those named on the command line, or --list. CK_FORK=no for gdb. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITE(name) Suite *suite_##name(void);
#include "tests/suites.def"
#undef SUITE

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
#define SUITE(name) { #name, suite_##name },
#include "tests/suites.def"
#undef SUITE
};

static int wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return 1;
    }
    return argc == 1;
}

int main(int argc, char **argv)
{
    SRunner *runner = srunner_create(NULL);
    int failed, added = 0;

    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (argc == 2 && strcmp(argv[1], "--list") == 0) {
            puts(suites[i].name);
            added++;
        } else if (wanted(suites[i].name, argc, argv)) {
            srunner_add_suite(runner, suites[i].make());
            added++;
        }
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return EXIT_SUCCESS;
    if (!added) {
        fprintf(stderr, "tests: no suite of that name; tests --list\n");
        return 2;
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
