/* The power management block of the ICH9 and its APM ports, see acpi_pm.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class acpi_pm_class;

/* What ACPI tables must say. */
enum {
    ACPI_PM_BASE = 0x600,    /* the default PMBASE: PM1a_EVT; PM1a_CNT at +4, PM_TMR at +8 */
    ACPI_PM_GPE0 = 0x20,     /* offset of GPE0_BLK */
    ACPI_PM_GPE0_BYTES = 16, /* GPE0_BLK_LEN */
    ACPI_PM_PORTS = 0x80,
    ACPI_PM_SMI_CMD = 0xb2,
    ACPI_PM_ENABLE = 0x02, /* ACPI_ENABLE and ACPI_DISABLE, written to SMI_CMD */
    ACPI_PM_DISABLE = 0x03,
    ACPI_PM_S5_TYPE = 0, /* SLP_TYP of \_S5 */
};

/* Before realize: soft power-off (S5), and whether the timer has 32 bits (TMR_VAL_EXT) or 24. */
void acpi_pm_configure(struct device *dev, void (*power_off)(void *owner), void *owner,
                       bool wide_timer);
/* PMBASE moves or is switched off; it is off until this says otherwise. `owner` is the device. */
void acpi_pm_move(void *owner, uint16_t base, bool enabled);

/* Output: the system control interrupt, level. */
struct line *acpi_pm_sci(struct device *dev);
/* Inputs: general-purpose event n (0 to 63), its status is set while the level is high; the power
 * button, pressed once. */
void acpi_pm_gpe(void *owner, unsigned n, bool level);
void acpi_pm_press_power_button(struct device *dev);
