/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One interface and its program: which hook, and from one to another without a packet lost.
 *
 * For: attach, which has the list of them. Owns: the rows of lb_devs, where XDP may redirect to.
 * May know: link, hook, doctor's questions.
 */
#ifndef DATAPLANE_ATTACHMENT_H
#define DATAPLANE_ATTACHMENT_H

#include "dataplane/state.h"

/* Sets <hook> and <why> from what was asked for. */
void attachment_choose(struct attachment *attachment);
/* Whether <old> is alive and where <new> is to be. */
bool attachment_is_at(const struct attachment *old, const struct attachment *new);

/* Attaches to where nothing of ours is; auto goes on to tc where the driver takes no XDP. */
int attachment_make(struct dataplane *dataplane, struct attachment *attachment, struct error *err);
/* A newer program at the same place. -ENOLINK: the device is gone. */
int attachment_renew(struct dataplane *dataplane, struct attachment *old,
		     const struct attachment *new, struct error *err);
/* The same without the program: only what was asked for. */
void attachment_keep(const struct dataplane *dataplane, struct attachment *old,
		     const struct attachment *new);
/* <old> becomes <new>; when that is refused it stays, or is lost: <ifindex> 0. */
int attachment_change(struct dataplane *dataplane, struct attachment *old, struct attachment *new,
		      struct error *err);
/* The same for one whose device is gone. */
int attachment_replace_dead(struct dataplane *dataplane, struct attachment *old,
			    struct attachment *new, struct error *err);
/* XDP does not redirect there any more. */
void attachment_unlist(const struct dataplane *dataplane, const struct attachment *attachment);

#endif
