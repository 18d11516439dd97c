/* A tiny VMM on /dev/kvm, to run inside L1: one guest a row of guests[], each with one virtual
 * CPU. The guests talk through I/O ports and MMIO; what they say and how often they exit must be
 * what their row expects. Ends with "tiny_vmm: ok" and status 0. [Linux "The Definitive KVM API"]
 *
 * Guest-physical memory: RAM at 0 to 640 KiB and 1 to 8 MiB, nothing elsewhere. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum {
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD_0 = 0x3000, /* 0 to 1 GiB */
    PD_3 = 0x4000, /* 3 to 4 GiB, where the APIC is */
    GDT = 0x5000,
    IDT = 0x6000,
    STACK = 0x8000, /* grows down */
    CODE = 0x8000,
    LOW_END = 0xa0000,
    HIGH = 0x100000,
    MEMORY = 0x800000,
    VECTOR = 0x40, /* the interrupt of every guest */
    PORT_TEXT = 0x3f8,
    PORT_VALUE = 0x80,
    PORT_ASK_INTERRUPT = 0x81,
    MMIO_ANSWER = 0x5a5a,
    VALUES_MAX = 8,
};

/* Real mode: string output, CPUID, INT n, MMIO below 1 MiB, HLT. */
__asm__(".pushsection .rodata\n"
        ".code16\n"
        "real_begin:\n"
        "    xorw %ax, %ax\n"
        "    movw %ax, %ds\n"
        "    movw $real_text - real_begin + 0x8000, %si\n"
        "    movw $real_text_end - real_text, %cx\n"
        "    movw $0x3f8, %dx\n"
        "    cld\n"
        "    rep outsb\n"
        "    movl $0x40000000, %eax\n"
        "    cpuid\n"
        "    movl %ebx, %eax\n"
        "    outl %eax, $0x80\n"
        "    movw $real_handler - real_begin + 0x8000, 0x100\n" /* vector 0x40 */
        "    movw $0, 0x102\n"
        "    xorl %edi, %edi\n"
        "    int $0x40\n"
        "    movl %edi, %eax\n"
        "    outl %eax, $0x80\n"
        "    movw $0xd000, %ax\n"
        "    movw %ax, %ds\n"
        "    movb $0x77, 2\n"
        "    movzwl 4, %eax\n"
        "    outl %eax, $0x80\n"
        "    hlt\n"
        "real_handler:\n"
        "    incl %edi\n"
        "    iretw\n"
        "real_text: .ascii \"hello from real mode\\n\"\n"
        "real_text_end:\n"
        "real_end:\n"
        ".code64\n"
        ".popsection\n");

/* Long mode: the same, and an MSR, CR3, #BP, a walk over all RAM, interrupts that L1 injects:
 * one through an interrupt window, one while halted. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "long_begin:\n"
        "    jmp 1f\n"
        "    .balign 16\n"
        "long_handler:\n" /* at 16 in every 64-bit guest */
        "    incl %r12d\n"
        "    iretq\n"
        "1:  leaq long_text(%rip), %rsi\n"
        "    movl $long_text_end - long_text, %ecx\n"
        "    movl $0x3f8, %edx\n"
        "    rep outsb\n"
        "    movl $0x40000000, %eax\n"
        "    cpuid\n"
        "    movl %ebx, %eax\n"
        "    outl %eax, $0x80\n"
        "    movl $0x10000000, %ebx\n"
        "    movl $0x12345678, (%rbx)\n"
        "    movzwl 4(%rbx), %eax\n"
        "    outl %eax, $0x80\n"
        "    movl $0xc0000102, %ecx\n" /* IA32_KERNEL_GS_BASE */
        "    movl $0x1234, %eax\n"
        "    xorl %edx, %edx\n"
        "    wrmsr\n"
        "    xorl %eax, %eax\n"
        "    rdmsr\n"
        "    outl %eax, $0x80\n"
        "    movl $0x100000, %edi\n"
        "2:  addl $1, (%rdi)\n"
        "    addl $0x1000, %edi\n"
        "    cmpl $0x800000, %edi\n"
        "    jb 2b\n"
        "    movq %cr3, %rax\n"
        "    movq %rax, %cr3\n"
        "    xorl %r12d, %r12d\n"
        "    int3\n"
        "    outb %al, $0x81\n"
        "    sti\n"
        "3:  pause\n"
        "    cmpl $2, %r12d\n"
        "    jb 3b\n"
        "    hlt\n"
        "    cli\n"
        "    movl %r12d, %eax\n"
        "    outl %eax, $0x80\n"
        "    hlt\n"
        "long_text: .ascii \"hello from long mode\\n\"\n"
        "long_text_end:\n"
        "long_end:\n"
        ".popsection\n");

/* Long mode with KVM's own interrupt controller: HLT until the APIC timer has fired three times. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "apic_begin:\n"
        "    jmp 1f\n"
        "    .balign 16\n"
        "    incl %r12d\n"
        "    movl $0, 0xb0(%rbx)\n" /* EOI */
        "    cmpl $3, %r12d\n"
        "    jae 4f\n"
        "    movl $1000, 0x380(%rbx)\n" /* again */
        "4:  iretq\n"
        "1:  movl $0xfee00000, %ebx\n"
        "    movl $0x1ff, 0xf0(%rbx)\n" /* SVR: enable */
        "    movl $0xb, 0x3e0(%rbx)\n"  /* divide by 1 */
        "    movl $0x40, 0x320(%rbx)\n" /* LVT timer: one shot, vector 0x40 */
        "    movl $1000, 0x380(%rbx)\n" /* initial count */
        "    xorl %r12d, %r12d\n"
        "2:  cli\n"
        "    cmpl $3, %r12d\n"
        "    jae 3f\n"
        "    sti\n"
        "    hlt\n"
        "    jmp 2b\n"
        "3:  movl %r12d, %eax\n"
        "    outl %eax, $0x80\n"
        "    outb %al, $0xf4\n"
        "apic_end:\n"
        ".popsection\n");

extern const char real_begin[], real_end[], long_begin[], long_end[], apic_begin[], apic_end[];

enum { KVMK = 0x4b4d564b }; /* CPUID.40000000H:EBX of KVM */
enum { IO, MMIO, HLT, WINDOW, COUNTS };

static const struct guest {
    const char *name, *begin, *end, *text;
    bool long_mode, irqchip;
    uint32_t values[VALUES_MAX]; /* what it writes to PORT_VALUE, then zeros */
    unsigned counts[COUNTS];     /* exits to user space; IO counts a REP once */
} guests[] = {
    /* clang-format off */
    { "real", real_begin, real_end, "hello from real mode\n", false, false,
      { KVMK, 1, MMIO_ANSWER },         { 4, 2, 1, 0 } },
    { "long", long_begin, long_end, "hello from long mode\n", true, false,
      { KVMK, MMIO_ANSWER, 0x1234, 3 }, { 6, 2, 2, 1 } },
    { "apic", apic_begin, apic_end, "", true, true,
      { 3 },                            { 2, 0, 0, 0 } },
    /* clang-format on */
};

struct vm {
    const struct guest *guest;
    int fd, cpu;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_size;
    char text[64];
    uint32_t values[VALUES_MAX];
    size_t text_length, value_count;
    unsigned counts[COUNTS];
};

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("tiny_vmm: FAILED: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    exit(1);
}

static int kvm(int fd, unsigned long request, const char *name, void *arg)
{
    int result = ioctl(fd, request, arg);

    if (result < 0)
        die("%s: %m", name);
    return result;
}
#define KVM(fd, request, arg) kvm(fd, request, #request, (void *)(uintptr_t)(arg))

static void put64(struct vm *vm, size_t at, uint64_t value)
{
    memcpy(vm->memory + at, &value, sizeof value);
}

/* Identity map of 0 to 1 GiB and 3 to 4 GiB in 2-MiB pages; a flat 64-bit GDT; an IDT whose every
 * gate leads to the handler at CODE + 16. */
static void build_long_mode(struct vm *vm)
{
    put64(vm, PML4, PDPT | 3);
    put64(vm, PDPT, PD_0 | 3);
    put64(vm, PDPT + 3 * 8, PD_3 | 3);
    for (uint64_t i = 0; i < 512; i++) {
        put64(vm, PD_0 + i * 8, i << 21 | 0x83);
        put64(vm, PD_3 + i * 8, 3ull << 30 | i << 21 | 0x83);
    }
    put64(vm, GDT + 8, 0x00af9b000000ffff);
    put64(vm, GDT + 16, 0x00cf93000000ffff);
    for (size_t vector = 0; vector < 256; vector++)
        put64(vm, IDT + vector * 16, 0x00008e0000080000 | (CODE + 16));
}

static void enter_long_mode(struct kvm_sregs *s)
{
    struct kvm_segment code = {
        .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
    };
    struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
    };

    s->cs = code;
    s->ds = s->es = s->fs = s->gs = s->ss = data;
    s->gdt.base = GDT;
    s->gdt.limit = 23;
    s->idt.base = IDT;
    s->idt.limit = 0xfff;
    s->cr0 = 0x80000033; /* PG, NE, ET, MP, PE */
    s->cr3 = PML4;
    s->cr4 = 0x620;  /* PAE, OSFXSR, OSXMMEXCPT */
    s->efer = 0x500; /* LMA, LME */
}

static void set_cpuid(int dev, struct vm *vm)
{
    enum { MAX = 128 };
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + MAX * sizeof cpuid->entries[0]);

    if (!cpuid)
        die("out of memory");
    cpuid->nent = MAX;
    KVM(dev, KVM_GET_SUPPORTED_CPUID, cpuid);
    KVM(vm->cpu, KVM_SET_CPUID2, cpuid);
    free(cpuid);
}

static void create(struct vm *vm, int dev)
{
    struct kvm_userspace_memory_region low = { .slot = 0, .memory_size = LOW_END };
    struct kvm_userspace_memory_region high = { .slot = 1,
                                                .guest_phys_addr = HIGH,
                                                .memory_size = MEMORY - HIGH };
    struct kvm_regs regs = { .rip = CODE, .rsp = STACK, .rflags = 2 };
    struct kvm_sregs sregs;

    vm->fd = KVM(dev, KVM_CREATE_VM, 0);
    KVM(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000);
    vm->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vm->memory == MAP_FAILED)
        die("mmap of guest memory: %m");
    low.userspace_addr = (uintptr_t)vm->memory;
    high.userspace_addr = (uintptr_t)vm->memory + HIGH;
    KVM(vm->fd, KVM_SET_USER_MEMORY_REGION, &low);
    KVM(vm->fd, KVM_SET_USER_MEMORY_REGION, &high);
    if (vm->guest->irqchip)
        KVM(vm->fd, KVM_CREATE_IRQCHIP, 0);
    memcpy(vm->memory + CODE, vm->guest->begin, (size_t)(vm->guest->end - vm->guest->begin));

    vm->cpu = KVM(vm->fd, KVM_CREATE_VCPU, 0);
    vm->run_size = (size_t)KVM(dev, KVM_GET_VCPU_MMAP_SIZE, 0);
    vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->cpu, 0);
    if (vm->run == MAP_FAILED)
        die("mmap of the virtual CPU: %m");
    set_cpuid(dev, vm);
    KVM(vm->cpu, KVM_GET_SREGS, &sregs);
    if (vm->guest->long_mode) {
        build_long_mode(vm);
        enter_long_mode(&sregs);
    } else {
        sregs.cs.base = sregs.cs.selector = 0;
    }
    KVM(vm->cpu, KVM_SET_SREGS, &sregs);
    KVM(vm->cpu, KVM_SET_REGS, &regs);
}

static void inject(struct vm *vm)
{
    struct kvm_interrupt interrupt = { .irq = VECTOR };

    KVM(vm->cpu, KVM_INTERRUPT, &interrupt);
}

static bool on_io(struct vm *vm)
{
    const uint8_t *data = (const uint8_t *)vm->run + vm->run->io.data_offset;
    size_t size = vm->run->io.size * (size_t)vm->run->io.count;

    switch (vm->run->io.port) {
    case PORT_TEXT:
        if (vm->text_length + size >= sizeof vm->text)
            die("%s: it says too much", vm->guest->name);
        memcpy(vm->text + vm->text_length, data, size);
        vm->text_length += size;
        return true;
    case PORT_VALUE:
        if (size != 4 || vm->value_count == VALUES_MAX)
            die("%s: value %zu of %zu bytes", vm->guest->name, vm->value_count, size);
        memcpy(&vm->values[vm->value_count++], data, size);
        return true;
    case PORT_ASK_INTERRUPT: vm->run->request_interrupt_window = 1; return true;
    case 0xf4: return false;
    default: die("%s: unexpected port %#x", vm->guest->name, vm->run->io.port);
    }
}

static bool on_exit_to_user(struct vm *vm)
{
    switch (vm->run->exit_reason) {
    case KVM_EXIT_IO:
        /* A string instruction may come in any number of parts. */
        vm->counts[IO] += vm->run->io.port != PORT_TEXT || vm->text_length == 0;
        return on_io(vm);
    case KVM_EXIT_MMIO:
        vm->counts[MMIO]++;
        if (!vm->run->mmio.is_write)
            memcpy(vm->run->mmio.data, &(uint16_t){ MMIO_ANSWER }, 2);
        return true;
    case KVM_EXIT_HLT:
        vm->counts[HLT]++;
        if (!vm->run->if_flag)
            return false;
        inject(vm);
        return true;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        vm->counts[WINDOW]++;
        vm->run->request_interrupt_window = 0;
        inject(vm);
        return true;
    case KVM_EXIT_FAIL_ENTRY:
        die("%s: VM entry failed, reason %#llx", vm->guest->name,
            (unsigned long long)vm->run->fail_entry.hardware_entry_failure_reason);
    default:
        die("%s: unexpected exit %u, suberror %u", vm->guest->name, vm->run->exit_reason,
            vm->run->internal.suberror);
    }
}

static unsigned check(const struct vm *vm)
{
    const struct guest *g = vm->guest;
    unsigned sum = 0;

    if (strcmp(vm->text, g->text) != 0)
        die("%s said \"%s\", not \"%s\"", g->name, vm->text, g->text);
    for (size_t i = 0; i < VALUES_MAX; i++)
        if (vm->values[i] != g->values[i])
            die("%s: value %zu is %#x, not %#x", g->name, i, vm->values[i], g->values[i]);
    for (size_t i = 0; i < COUNTS; i++) {
        if (vm->counts[i] != g->counts[i])
            die("%s: %u exits of kind %zu, not %u", g->name, vm->counts[i], i, g->counts[i]);
        sum += vm->counts[i];
    }
    for (size_t at = HIGH; strcmp(g->name, "long") == 0 && at < MEMORY; at += 4096)
        if (vm->memory[at] != 1)
            die("%s: byte at %#zx is %u, not 1", g->name, at, vm->memory[at]);
    printf("tiny_vmm: %s: io %u, mmio %u, hlt %u, window %u\n", g->name, vm->counts[IO],
           vm->counts[MMIO], vm->counts[HLT], vm->counts[WINDOW]);
    return sum;
}

int main(void)
{
    int dev = open("/dev/kvm", O_RDWR);
    unsigned exits = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (dev < 0)
        die("/dev/kvm: %m");
    if (KVM(dev, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        die("/dev/kvm: another version of the interface");
    for (size_t i = 0; i < sizeof guests / sizeof guests[0]; i++) {
        struct vm vm = { .guest = &guests[i] };

        create(&vm, dev);
        do
            KVM(vm.cpu, KVM_RUN, 0);
        while (on_exit_to_user(&vm));
        exits += check(&vm);
    }
    printf("tiny_vmm: ok, %zu guests, %u exits to user space\n", sizeof guests / sizeof guests[0],
           exits);
    return 0;
}
