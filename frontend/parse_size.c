/* Sizes and numbers as people write them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/options.h"
#include "include/nidus.h"

static bool fail(char *error, const char *fmt, const char *s, const char *more)
{
    snprintf(error, NIDUS_ERROR_SIZE, fmt, s, more);
    return false;
}

bool parse_size(const char *s, uint64_t unit, uint64_t *bytes, char *error)
{
    static const char units[] = "KMGT";
    const char *letter;
    uint64_t n, factor = unit;
    char *end;

    errno = 0;
    if (!isdigit((unsigned char)*s)) /* strtoull would take "-1" and "" */
        return fail(error, "'%s' is not a size; write it like 512M or 4G%s", s, "");
    n = strtoull(s, &end, 10);
    letter = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (letter) {
        factor = UINT64_C(1) << 10 * (unsigned)(letter - units + 1);
        end++;
    }
    if (*end != '\0')
        return fail(error, "'%s': unknown unit '%s'; use K, M, G or T", s, end);
    if (errno == ERANGE || (factor && n > UINT64_MAX / factor))
        return fail(error, "'%s' does not fit in 64 bits%s", s, "");
    *bytes = n * factor;
    return true;
}

bool parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *n, char *error)
{
    char *end;
    uint64_t v;

    errno = 0;
    v = strtoull(s, &end, 0);
    if (!isdigit((unsigned char)*s) || *end != '\0' || errno == ERANGE || v < min || v > max) {
        snprintf(error, NIDUS_ERROR_SIZE, "'%s' is not a number from %ju to %ju", s, (uintmax_t)min,
                 (uintmax_t)max);
        return false;
    }
    *n = v;
    return true;
}
