/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What libbpf says goes to the log, level debug: its errors come back as return values too.
 *
 * For: open and teardown. Owns: libbpf's print function.
 */
#ifndef DATAPLANE_LOG_LIBBPF_H
#define DATAPLANE_LOG_LIBBPF_H

void log_libbpf(void);

#endif
