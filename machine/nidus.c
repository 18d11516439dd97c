/* include/nidus.h on top of the machine: creation, devices, loading. Running is in run.c, watching
 * in watch.c and monitor.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/block.h"
#include "cpu/control_regs.h"
#include "cpu/cpuid.h"
#include "cpu/jit/jit.h"
#include "devices/list.h"
#include "machine/acpi.h"
#include "machine/board.h"
#include "machine/load.h"
#include "machine/machine.h"
#include "roms/hello_vmx.h"

/* ---- time and entropy for the parts ---- */

static uint64_t clock_now_cb(void *owner)
{
    return machine_now(owner);
}

static void clock_sooner(void *owner, uint64_t deadline)
{
    struct nidus *m = owner;

    if (!m->running)
        return;
    cpu_limit(m->running, deadline);
    if (deadline < m->turn.mine)
        m->turn.mine = deadline;
}

/* xorshift128+: the gate's entropy, the same in every run with the same seed */
static uint64_t entropy_next(struct nidus *m)
{
    uint64_t a = m->entropy[0], b = m->entropy[1];

    m->entropy[0] = b;
    a ^= a << 23;
    m->entropy[1] = a ^ b ^ a >> 17 ^ b >> 26;
    return m->entropy[1] + b;
}

static uint64_t entropy_cb(void *owner)
{
    return entropy_next(owner);
}

static void entropy_bytes(void *owner, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(entropy_next(owner) >> 32);
}

static int64_t wall_seconds(void *owner)
{
    return ((struct nidus *)owner)->config.wall_seconds;
}

static void triple_fault(struct cpu *cpu, void *board)
{
    struct nidus *m = board;

    if (m->config.reboot)
        machine_reset_request(m);
    else
        machine_end(m, NIDUS_SHUTDOWN);
}

/* ---- creation ---- */

static bool fail(char *error, const struct err *e)
{
    snprintf(error, NIDUS_ERROR_SIZE, "%s", e->text);
    return false;
}

/* "max,+x2apic,-vmx-ept,vmx=off" */
static bool parse_cpu(struct nidus *m, const char *text, const struct cpu_model **model,
                      uint64_t *features, struct err *e)
{
    char copy[1024], *rest = copy, *item;

    if (strlen(text) >= sizeof copy)
        return err_set(e, "-cpu: the text is longer than %zu characters", sizeof copy - 1);
    strcpy(copy, text);
    item = strsep(&rest, ",");
    *model = cpu_model_find(item);
    if (!*model)
        return err_set(e, "-cpu: there is no model '%s'; -cpu help lists them", item);
    cpu_model_features(*model, features);
    while ((item = strsep(&rest, ",")) != NULL) {
        char *equals = strchr(item, '=');
        bool on = *item != '-';
        const char *name = *item == '-' || *item == '+' ? item + 1 : item;

        if (equals) {
            *equals = '\0';
            on = strcmp(equals + 1, "on") == 0;
            if (!on && strcmp(equals + 1, "off") != 0)
                return err_set(e, "-cpu: '%s=%s': write on or off", item, equals + 1);
        }
        if (!vmx_feature_set(&m->caps, name, on) && !feature_set(features, name, on))
            return err_set(e, "-cpu: there is no feature '%s'; -cpu help lists them", name);
    }
    return true;
}

/* Not an error: everything runs in the interpreter, and the user is told, once. */
static void native_missing(struct nidus *m, struct err *e)
{
    fprintf(stderr, "nidus: native code: %s; interpreting\n", e->text);
    m->config.accel = NIDUS_ACCEL_INTERP;
    *e = (struct err){ "" };
}

/* Not followed if it is a link: /tmp is everybody's. */
static bool open_perf_map(struct nidus *m, struct err *e)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    m->perf_map = fd < 0 ? NULL : fdopen(fd, "w");
    return m->perf_map || err_set(e, "-perfmap: %s: %s", path, strerror(errno));
}

static bool create_cpus(struct nidus *m, struct err *e)
{
    uint64_t features[FEATURE_WORDS] = { 0 };
    const struct cpu_model *model = NULL;

    vmx_caps_init(&m->caps);
    if (!parse_cpu(m, m->config.cpu, &model, features, e))
        return false;
    if (m->config.perf_map && !open_perf_map(m, e))
        return false;
    for (unsigned i = 0; i < m->config.cpus; i++) {
        struct cpu *cpu = cpu_create(i, model, features, m->bus, m->ports, &m->clock);

        m->cpu[m->cpu_count++] = cpu;
        cpu->count = m->config.cpus;
        cpu->board = m;
        cpu->entropy = entropy_cb;
        cpu->triple_fault = triple_fault;
        if (i == 0)
            vmx_caps_settle(&m->caps, cpu->features, cr4_valid_bits(cpu));
        if (cpu_has(cpu, FEAT_VMX))
            vmx_create(cpu, &m->caps);
        if (m->config.accel == NIDUS_ACCEL_NATIVE && !jit_attach(cpu, m->config.code_cache, e))
            native_missing(m, e);
        if (m->perf_map)
            jit_perf_map(cpu, m->perf_map);
    }
    return true;
}

static bool create(struct nidus *m, struct err *e)
{
    m->clock = (struct clock){ .now = clock_now_cb, .sooner = clock_sooner, .owner = m };
    m->bus = bus_create();
    m->ports = ports_create();
    m->entropy[0] = m->config.entropy ^ UINT64_C(0x9e3779b97f4a7c15);
    m->entropy[1] = UINT64_C(0xbf58476d1ce4e5b9);
    m->host = (struct device_host){
        .clock = &m->clock,
        .bus = m->bus,
        .ports = m->ports,
        .outside = { .owner = m, .entropy = entropy_bytes, .wall_seconds = wall_seconds }
    };
    return bus_add_ram(m->bus, m->config.ram, memory_low(m->config.ram), e) && create_cpus(m, e) &&
           board_create(m, e);
}

struct nidus *nidus_create(const struct nidus_config *config, char *error)
{
    struct nidus *m = calloc(1, sizeof *m);
    struct err e = { "" };

    if (!m)
        return NULL;
    m->config = *config;
    if (config->cpus < 1 || config->cpus > MACHINE_MAX_CPUS)
        err_set(&e, "1 to %d processors are possible", MACHINE_MAX_CPUS);
    else if (create(m, &e))
        return m;
    fail(error, &e);
    nidus_destroy(m);
    return NULL;
}

void nidus_destroy(struct nidus *m)
{
    board_destroy(m);
    for (unsigned i = 0; i < m->cpu_count; i++) {
        if (cpu_has(m->cpu[i], FEAT_VMX))
            vmx_destroy(m->cpu[i]);
        jit_detach(m->cpu[i]);
        cpu_destroy(m->cpu[i]);
    }
    if (m->perf_map)
        fclose(m->perf_map);
    if (m->image) {
        free(m->image->kernel);
        free(m->image->initrd);
        free(m->image->command_line);
        free(m->image);
    }
    if (m->ports)
        ports_destroy(m->ports);
    if (m->bus)
        bus_destroy(m->bus);
    free(m);
}

/* power-on, and what was given to boot into RAM */
static bool start(struct nidus *m, struct err *e)
{
    m->turn = (struct turn){ .stage = TURN_NONE };
    for (struct device *dev = m->devices; dev; dev = dev->next)
        device_reset(dev);
    for (unsigned i = 0; i < m->cpu_count; i++)
        cpu_reset(m->cpu[i]);
    if (!m->image)
        return true;
    board_firmware_setup(m);
    acpi_write_tables(m);
    return m->image->load(m, e);
}

void nidus_reset(struct nidus *m)
{
    struct err e = { "" };

    start(m, &e); /* it has worked before */
}

/* ---- devices ---- */

bool nidus_add_char(struct nidus *m, const char *device, const struct nidus_char *c, char *error)
{
    struct char_backend out = { .owner = c->owner, .write = c->write };
    struct err e = { "" };
    bool good;

    if (strncmp(device, "serial", 6) == 0 && device[6] >= '0' && device[6] <= '3' && !device[7])
        good = board_add_serial(m, (unsigned)(device[6] - '0'), &out, &e);
    else if (strcmp(device, "debugcon") == 0)
        good = board_add_debugcon(m, &out, &e);
    else if (strcmp(device, "virtio-console") == 0)
        good = board_add_virtio_console(m, &out, &e);
    else
        good = err_set(&e, "there is no character device '%s'", device);
    return good || fail(error, &e);
}

size_t nidus_input(struct nidus *m, const char *device, const uint8_t *bytes, size_t count)
{
    return board_input(m, device, bytes, count);
}

/* enum block_result and enum nidus_block_result have the same values */
_Static_assert((int)BLOCK_NO_SPACE == (int)NIDUS_BLOCK_NO_SPACE, "results pass through");

bool nidus_add_disk(struct nidus *m, const struct nidus_block *disk, char *error)
{
    struct block_backend b = {
        .owner = disk->owner,
        .size = disk->size,
        .read_only = disk->read_only,
        .read = (enum block_result(*)(void *, uint64_t, uint8_t *, size_t))disk->read,
        .write = (enum block_result(*)(void *, uint64_t, const uint8_t *, size_t))disk->write,
        .flush = (enum block_result(*)(void *))disk->flush
    };
    struct err e = { "" };

    return board_add_disk(m, &b, &e) || fail(error, &e);
}

/* the value of "key=" in "name,key=value,...", or the default */
static bool property(const char *text, const char *key, unsigned long *value)
{
    const char *at = strchr(text, ',');

    while (at) {
        size_t n = strlen(key);

        if (strncmp(at + 1, key, n) == 0 && at[1 + n] == '=') {
            char *end;

            *value = strtoul(at + 2 + n, &end, 0);
            return end != at + 2 + n && (*end == '\0' || *end == ',') && *value <= 0xffff;
        }
        at = strchr(at + 1, ',');
    }
    return true;
}

static bool add_rng(struct nidus *m, const char *text, struct err *e)
{
    return board_add_rng(m, e);
}

static bool add_console(struct nidus *m, const char *text, struct err *e)
{
    return err_set(e, "'%s': say where it goes: virtio-console,stdio or virtio-console,file:PATH",
                   text);
}

static bool add_testdev(struct nidus *m, const char *text, struct err *e)
{
    return board_add_testdev(m, e);
}

static bool add_exit_port(struct nidus *m, const char *text, struct err *e)
{
    unsigned long base = 0x501, size = 2;

    if (!property(text, "iobase", &base) || !property(text, "iosize", &size) || size < 1 ||
        size > 8)
        return err_set(e, "'%s': write iobase=0xf4,iosize=4", text);
    return board_add_exit_port(m, (uint16_t)base, (unsigned)size, e);
}

static const struct {
    const char *name, *title;
    bool (*add)(struct nidus *m, const char *text, struct err *e);
} addable[] = {
    { "virtio-rng-pci", "entropy for the guest", add_rng },
    { "isa-debug-exit", "a port that ends nidus: iobase=0x501,iosize=2", add_exit_port },
    { "virtio-console", "a console: virtio-console,stdio or virtio-console,file:PATH",
      add_console },
    { "pc-testdev", "the test device of kvm-unit-tests", add_testdev },
};

bool nidus_add_device(struct nidus *m, const char *device, char *error)
{
    size_t n = strcspn(device, ",");
    struct err e = { "" };

    for (size_t i = 0; i < sizeof addable / sizeof addable[0]; i++) {
        if (strlen(addable[i].name) == n && strncmp(device, addable[i].name, n) == 0)
            return addable[i].add(m, device, &e) || fail(error, &e);
    }
    err_set(&e, "there is no device '%.*s'; -device help lists them", (int)n, device);
    return fail(error, &e);
}

void nidus_list_devices(FILE *out)
{
    for (size_t i = 0; i < sizeof addable / sizeof addable[0]; i++)
        fprintf(out, "%-16s %s\n", addable[i].name, addable[i].title);
}

/* ---- what to boot ---- */

static uint8_t *copy_of(struct nidus_blob b)
{
    uint8_t *copy = malloc(b.count + 1);

    if (copy && b.count)
        memcpy(copy, b.bytes, b.count);
    return copy;
}

bool nidus_load_kernel(struct nidus *m, struct nidus_blob kernel, struct nidus_blob initrd,
                       const char *command_line, char *error)
{
    struct boot_image *image = calloc(1, sizeof *image);
    struct err e = { "" };

    if (!image)
        return fail(error, (err_set(&e, "out of memory"), &e));
    m->image = image;
    image->kernel = copy_of(kernel);
    image->initrd = copy_of(initrd);
    image->kernel_bytes = kernel.count;
    image->initrd_bytes = initrd.count;
    image->command_line = strdup(command_line);
    if (!image->kernel || !image->initrd || !image->command_line)
        return fail(error, (err_set(&e, "out of memory"), &e));
    if (!linux_recognize(image) && !multiboot_recognize(image)) {
        err_set(&e, "this is neither a Linux bzImage nor a multiboot kernel");
        return fail(error, &e);
    }
    return start(m, &e) || fail(error, &e);
}

bool nidus_load_builtin(struct nidus *m, char *error)
{
    return nidus_load_kernel(m, (struct nidus_blob){ hello_vmx, sizeof hello_vmx },
                             (struct nidus_blob){ NULL, 0 }, "", error);
}
