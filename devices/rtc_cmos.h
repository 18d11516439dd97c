/* The real-time clock and CMOS memory, see rtc_cmos.c. */
#pragma once
#include "devices/device.h"

extern const struct device_class rtc_cmos_class;

/* Output: IRQ 8 (through the HPET's legacy replacement). */
struct line *rtc_cmos_irq(struct device *dev);

/* What firmware would have stored: bytes 0EH to 7FH and 80H to FFH (the upper bank); bytes of the
 * clock itself are refused by an ASSERT. */
void rtc_cmos_store(struct device *dev, unsigned index, uint8_t value);

/* The memory sizes that PC firmware keeps here, in bytes below and above 4 GiB. */
void rtc_cmos_store_memory(struct device *dev, uint64_t below_4g, uint64_t above_4g);
