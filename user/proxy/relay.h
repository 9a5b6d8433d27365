/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The TCP relay: a client connection and a backend connection, bytes both ways, half-closes too.
 *
 * For: listeners of services with protocol tcp and path proxy. Owns: both channels.
 * May know: balancers, snapshots, tunnels. Must never know: HTTP messages.
 * A backend that cannot be connected to is followed by others, as the pool's retries say.
 */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include "proxy/session.h"

void relay_accept(const struct arrival *arrival);

#endif
