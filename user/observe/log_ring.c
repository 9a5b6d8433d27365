/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/log_ring.h"

#include <stdlib.h>

/* Before each line; lines begin at multiples of its size, so it always fits before the end. */
struct line_head {
	uint32_t len;
	uint32_t file;
};

#define SKIP UINT32_MAX /* file: the rest up to the end is empty */
#define NEED (sizeof(struct line_head) + LOG_MAX_LINE)

static uint64_t padded(size_t len)
{
	size_t size = sizeof(struct line_head);

	return size + (len + size - 1) / size * size;
}

struct log_ring *log_ring_new(void)
{
	/* From mmap, because of its size: pages that no line needs are never there. */
	struct log_ring *ring = NULL;

	if (posix_memalign((void **)&ring, 64, sizeof(*ring)) != 0)
		return NULL;
	memset(ring, 0, offsetof(struct log_ring, data));
	list_init(&ring->node);
	return ring;
}

void log_ring_free(struct log_ring *ring)
{
	free(ring);
}

static struct line_head *head_at(struct log_ring *ring, uint64_t at)
{
	return (struct line_head *)(void *)(ring->data + at % LOG_RING_SIZE);
}

static bool has_room(struct log_ring *ring, uint64_t head, uint64_t need)
{
	if (head + need - ring->tail_seen <= LOG_RING_SIZE)
		return true;
	ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	return head + need - ring->tail_seen <= LOG_RING_SIZE;
}

char *log_ring_begin(struct log_ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t rest = LOG_RING_SIZE - head % LOG_RING_SIZE;
	uint64_t jump = rest < NEED ? rest : 0;

	if (!has_room(ring, head, jump + NEED)) {
		atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
		return NULL;
	}
	if (jump > 0) {
		*head_at(ring, head) = (struct line_head){.len = (uint32_t)jump, .file = SKIP};
		head += jump;
		atomic_store_explicit(&ring->head, head, memory_order_release);
	}
	return (char *)(head_at(ring, head) + 1);
}

void log_ring_end(struct log_ring *ring, uint32_t file, size_t len)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	*head_at(ring, head) = (struct line_head){.len = (uint32_t)len, .file = file};
	atomic_store_explicit(&ring->head, head + padded(len), memory_order_release);
}

static void pass(struct log_ring *ring, uint64_t tail)
{
	atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

bool log_ring_next(struct log_ring *ring, uint32_t *ret_file, struct slice *ret_line)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	const struct line_head *line;

	if (tail != head && head_at(ring, tail)->file == SKIP) {
		tail += head_at(ring, tail)->len;
		pass(ring, tail);
	}
	if (tail == head)
		return false;
	line = head_at(ring, tail);
	*ret_file = line->file;
	*ret_line = (struct slice){(const char *)(line + 1), line->len};
	return true;
}

void log_ring_done(struct log_ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	pass(ring, tail + padded(head_at(ring, tail)->len));
}
