/* Conventional PCI: one bus of functions, their configuration space, base address registers,
 * capabilities and interrupts. [PCI Local Bus Specification 3.0]
 *
 * A card's struct begins with a struct pci_function (and so with a struct device), its field list
 * has PCI_FIELDS, and its realize does
 *     pci_describe, pci_add_bar / pci_add_msix / pci_add_capability, pci_plug
 * in this order. Everything that is built before pci_plug is what reset returns to. */
#pragma once
#include "devices/device.h"

enum {
    PCI_CONFIG_BYTES = 256,
    PCI_BARS = 6,
    PCI_PIRQS = 8, /* PIRQA to PIRQH */
    PCI_MSIX_MAX = 64,
};

/* Configuration header, type 0. [PCI 3.0 "Configuration Space Organization"] */
enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS_CODE = 0x09,
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_HEADER_BYTES = 0x40,
};

enum {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_PARITY = 1 << 6,
    PCI_COMMAND_SERR = 1 << 8,
    PCI_COMMAND_INTX_DISABLE = 1 << 10,
    PCI_STATUS_INTERRUPT = 1 << 3,
    PCI_STATUS_CAPABILITIES = 1 << 4,
    PCI_STATUS_ERRORS = 0xf900, /* write one to clear */
};

enum { PCI_CAP_MSI = 0x05, PCI_CAP_VENDOR = 0x09, PCI_CAP_MSIX = 0x11 };

#define PCI_DEVFN(slot, function) ((slot) << 3 | (function))

struct pci_bus;
struct pci_function;

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_bar {
    enum pci_bar_kind kind;
    uint64_t size; /* a power of two, at least 16 */
    const struct io_ops *ops;
    char name[48];      /* in `info mtree` */
    uint64_t mapped_at; /* derived: where it decodes, or PCI_UNMAPPED */
};

#define PCI_UNMAPPED UINT64_MAX

/* Capability offsets and sizes of the message interrupts; 0 where the function has none. */
struct pci_messages {
    uint8_t msi_cap;
    uint8_t msix_cap;
    unsigned msix_vectors;
};

struct pci_function {
    struct device dev;
    struct pci_bus *bus;
    uint8_t devfn;

    /* state: PCI_FIELDS */
    uint8_t config[PCI_CONFIG_BYTES];
    uint32_t msix_table[PCI_MSIX_MAX * 4];
    uint64_t msix_pending;

    /* fixed once realized */
    uint8_t power_on[PCI_CONFIG_BYTES]; /* what config is after reset */
    uint8_t writable[PCI_CONFIG_BYTES]; /* bits that software may write */
    uint8_t w1c[PCI_CONFIG_BYTES];      /* bits that software clears by writing one */
    uint8_t driven[PCI_CONFIG_BYTES];   /* bits that the function itself changes */
    struct pci_bar bar[PCI_BARS];
    struct pci_messages messages;
    unsigned next_cap; /* where the next capability goes */
    unsigned last_cap; /* whose pointer to patch */

    /* of the card, may be NULL: before a read, and after a write, of configuration bytes */
    void (*config_reading)(struct pci_function *fn, unsigned reg, unsigned size);
    void (*config_written)(struct pci_function *fn, unsigned reg, unsigned size);
};

/* Rows of a card's field list for its struct pci_function `member`. */
#define PCI_FIELDS(type, member)                                                         \
    { .name = "config",                                                                  \
      .offset = (uint32_t)offsetof(type, member.config),                                 \
      .size = FIELD_SIZE(type, member.config),                                           \
      .elem = 1 },                                                                       \
        { .name = "msix_table",                                                          \
          .offset = (uint32_t)offsetof(type, member.msix_table),                         \
          .size = FIELD_SIZE(type, member.msix_table),                                   \
          .elem = 4 },                                                                   \
    {                                                                                    \
        .name = "msix_pending", .offset = (uint32_t)offsetof(type, member.msix_pending), \
        .size = FIELD_SIZE(type, member.msix_pending), .elem = 8                         \
    }

/* An address window of the host bridge. */
struct pci_window {
    uint64_t base, end; /* end: first address after it */
};

/* Who decides which PIRQ a pin drives and which 8259 input a PIRQ has: the south bridge. */
struct pci_router {
    void *owner;
    unsigned (*pirq)(void *owner, unsigned slot, unsigned pin); /* pin 0 to 3: INTA to INTD */
    uint8_t (*pic_irq)(void *owner, unsigned pirq);             /* 0xff: none */
};

struct pci_bus {
    struct device_host *host;
    struct pci_function *function[256];
    /* BARs decode only inside these; pci_assign_resources hands out addresses from them */
    struct pci_window io, mem32, mem64;
    struct pci_router router; /* unset: INTA of slot s is PIRQ E + s mod 4, and so on */
    struct line pirq[PCI_PIRQS];
};

void pci_bus_init(struct pci_bus *bus, struct device_host *host);

/* Configuration cycles: reg+size beyond 256, and functions that do not exist, read as ones. */
uint32_t pci_config_read(struct pci_bus *bus, unsigned devfn, unsigned reg, unsigned size);
void pci_config_write(struct pci_bus *bus, unsigned devfn, unsigned reg, uint32_t value,
                      unsigned size);

/* the PIRQ (0 to 7) of a pin (0 to 3) of a slot */
unsigned pci_pirq(const struct pci_bus *bus, unsigned slot, unsigned pin);
/* the routing or a function's INTx has changed: drive the PIRQ lines */
void pci_drive_pirqs(struct pci_bus *bus);

/**
 * pci_assign_resources - what firmware does before an operating system starts: every BAR gets an
 * address (largest first, from the start of its window; 64-bit BARs below 4 GiB as long as they
 * fit), INTERRUPT_LINE the 8259 input of the pin, and decoding of I/O and memory is switched on.
 * A BAR that does not fit stays unassigned, and its function does not decode that space.
 */
void pci_assign_resources(struct pci_bus *bus);

/* What a function is. class_code: base class, sub-class, programming interface. */
struct pci_identity {
    uint16_t vendor, device;
    uint8_t revision;
    uint32_t class_code;
    uint16_t subsystem_vendor, subsystem;
    uint8_t pin; /* 0: no INTx, 1 to 4: INTA to INTD */
    bool multifunction;
};

void pci_describe(struct pci_function *fn, const struct pci_identity *id);
/* ops are called with fn as owner. A 64-bit BAR takes two of the six. */
void pci_add_bar(struct pci_function *fn, unsigned n, enum pci_bar_kind kind, uint64_t size,
                 const char *what, const struct io_ops *ops);
/* Room for a capability of `size` bytes, header filled in; returns its offset. */
unsigned pci_add_capability(struct pci_function *fn, uint8_t id, unsigned size);
/* One vector, 64-bit address, maskable. */
void pci_add_msi(struct pci_function *fn);
/* Table and pending bits in a memory BAR of their own: 32-bit, 4 KiB. */
void pci_add_msix(struct pci_function *fn, unsigned bar, unsigned vectors);
/* Declare a register of 1, 2 or 4 bytes: value after reset and which bits software may write. */
void pci_set_register(struct pci_function *fn, unsigned reg, unsigned size, uint32_t reset,
                      uint32_t writable);
bool pci_plug(struct pci_function *fn, struct err *e);
void pci_unplug(struct pci_function *fn);

/* For the class of every card: reset and settle of the struct pci_function that it begins with. */
void pci_reset(struct device *dev);
void pci_settle(struct device *dev);
void pci_show(const struct device *dev, FILE *out);

/* Registers of 1, 2 or 4 bytes as the card itself sees and changes them. */
uint32_t pci_get(const struct pci_function *fn, unsigned reg, unsigned size);
void pci_put(struct pci_function *fn, unsigned reg, uint32_t value, unsigned size);

static inline bool pci_is_master(const struct pci_function *fn)
{
    return fn->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

/* the function's interrupt pin; ignored by the bus while INTx is disabled */
void pci_set_intx(struct pci_function *fn, bool level);
/* MSI-X or MSI is enabled, so INTx must not be used */
bool pci_uses_messages(const struct pci_function *fn);
/* Send the message of a vector, or keep it pending while masked. Needs pci_uses_messages. */
void pci_send_message(struct pci_function *fn, unsigned vector);

/* pci_msi.c to pci.c: configuration bytes were written; state was replaced */
void pci_messages_written(struct pci_function *fn, unsigned reg, unsigned size);
void pci_messages_reset(struct pci_function *fn);
void pci_messages_settle(struct pci_function *fn);
