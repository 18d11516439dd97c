/* QEMU's firmware configuration device: what the board tells firmware and loaders, as numbered
 * items and named files. ACPI: device QEMU0002, _CRS I/O 0x510, 12 bytes. */
#pragma once
#include "devices/device.h"

/* Keys of items; files are handed out from FW_CFG_FILE_FIRST up. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,      /* 16 bytes */
    FW_CFG_RAM_SIZE = 0x03,  /* 64 bits */
    FW_CFG_NOGRAPHIC = 0x04, /* 16 bits */
    FW_CFG_NB_CPUS = 0x05,   /* 16 bits */
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_BOOT_MENU = 0x0e, /* 16 bits */
    FW_CFG_MAX_CPUS = 0x0f,  /* 16 bits */
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_LOCAL = 0x8000, /* items of the PC: 0x8000 ACPI tables to 0x8004 HPET */
};

extern const struct device_class fw_cfg_class;

/**
 * fw_cfg_add - what a key reads as; the bytes are copied. A later call for the same key replaces
 * the item. False if the key is not one that this device has room for.
 */
bool fw_cfg_add(struct device *dev, unsigned key, const void *bytes, uint32_t size);
/* a little-endian value of 2, 4 or 8 bytes */
bool fw_cfg_add_value(struct device *dev, unsigned key, uint64_t value, unsigned size);
/**
 * fw_cfg_add_file - a file of the directory; the bytes are copied. A later call for the same name
 * replaces it. False, with the reason, if the name is too long (55 bytes) or there are too many.
 */
bool fw_cfg_add_file(struct device *dev, const char *name, const void *bytes, uint32_t size,
                     struct err *e);
