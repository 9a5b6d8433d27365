/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Field names: which we know, and which of them end at this hop.
 *
 * For: the parsers of this room. Owns: nothing. Knows: slices.
 */
#ifndef HTTP_HEADER_H
#define HTTP_HEADER_H

#include "http/input.h"

/* <ret_hop>: hop-by-hop by its name. */
enum http_header_id http_header_identify(struct slice name, bool *ret_hop);

#endif
