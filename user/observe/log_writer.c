/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/log_writer.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "observe/log_file.h"

#define ROUND_MS  25	/* between two looks at the rings */
#define AWAKE_MS  1000	/* without a line, before it sleeps */
#define REPORT_MS 1000	/* how often drops are told */
#define PER_RING  16384 /* lines of a ring before the next ring has its turn */

#define LAST_ROUNDS 64 /* at the end: files that take nothing are not waited for */

/* What is above <file> is under the lock; the rest is the writer's. */
struct file_slot {
	int next_fd; /* opened by the control thread, to be used from now on; -1: none */
	bool open;   /* or will be in the next round */
	bool used;   /* by the present configuration */
	struct log_file *file;
	int said; /* the trouble that was told */
	uint64_t told;
	_Atomic uint64_t dropped; /* of file->dropped */
};

static struct {
	pthread_mutex_t lock; /* never held while a file is written */
	struct list new_rings;
	struct file_slot slots[LOG_MAX_FILES];
	uint32_t n_slots;
	bool reopen;
	/* Of all threads. */
	sem_t wake;
	pthread_t thread;
	bool running;
	atomic_bool stopping;
	atomic_bool asleep;
	_Atomic uint64_t lines, ring_dropped;
	/* The writer's. */
	struct list rings;
	uint32_t n_files; /* slots it knows of */
	uint64_t told;	  /* of ring_dropped */
	uint64_t told_ms;
} writer = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.new_rings = {&writer.new_rings, &writer.new_rings},
	.rings = {&writer.rings, &writer.rings},
};

/* ---- One round ------------------------------------------------------------------------------- */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* What the control thread has for us. True: the files are to be opened anew. */
static bool take_news(void)
{
	struct list *node;
	bool again;

	pthread_mutex_lock(&writer.lock);
	while ((node = list_pop(&writer.new_rings)) != NULL)
		list_append(&writer.rings, node);
	writer.n_files = writer.n_slots;
	for (uint32_t i = 0; i < writer.n_files; i++) {
		struct file_slot *slot = &writer.slots[i];

		if (slot->next_fd >= 0)
			log_file_adopt(slot->file, slot->next_fd);
		slot->next_fd = -1;
	}
	again = writer.reopen;
	writer.reopen = false;
	pthread_mutex_unlock(&writer.lock);
	return again;
}

static uint64_t take_lines(struct log_ring *ring)
{
	struct slice line;
	uint64_t lines = 0;
	uint32_t file;

	while (lines < PER_RING && log_ring_next(ring, &file, &line)) {
		/* A file that was added after this round began. */
		if (file >= writer.n_files)
			break;
		log_file_put(writer.slots[file].file, line);
		log_ring_done(ring);
		lines++;
	}
	return lines;
}

/* Lines taken. The last line of a closed ring was put before it was closed. */
static uint64_t take_all(void)
{
	uint64_t sum = 0;

	list_for_each_safe (node, &writer.rings) {
		struct log_ring *ring = container_of(node, struct log_ring, node);
		bool closed = atomic_load_explicit(&ring->closed, memory_order_acquire);
		uint64_t lines = take_lines(ring);
		uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);

		add(&writer.ring_dropped, dropped - ring->dropped_seen);
		ring->dropped_seen = dropped;
		sum += lines;
		if (closed && lines == 0) {
			list_remove(&ring->node);
			log_ring_free(ring);
		}
	}
	add(&writer.lines, sum);
	return sum;
}

static void reopen(struct file_slot *slot)
{
	int fd = -1;
	bool used;

	pthread_mutex_lock(&writer.lock);
	used = slot->used;
	slot->open = used;
	pthread_mutex_unlock(&writer.lock);
	if (used)
		fd = log_file_open(slot->file->path);
	if (used && fd < 0)
		log_error("cannot open access log '%s' anew, going on with the old one: %s",
			  slot->file->path, strerror(-fd));
	else
		log_file_adopt(slot->file, fd);
}

/* True while it holds lines that its file does not take. */
static bool flush(struct file_slot *slot)
{
	struct log_file *file = slot->file;

	/* A late line of a service that was removed. */
	if (file->fd < 0 && file->len > 0)
		log_file_adopt(file, log_file_open(file->path));
	log_file_flush(file);
	atomic_store_explicit(&slot->dropped, file->dropped, memory_order_relaxed);
	return file->len > 0;
}

static void report_file(struct file_slot *slot)
{
	struct log_file *file = slot->file;
	unsigned long long dropped = file->dropped - slot->told;

	if (dropped > 0)
		log_warning("%llu lines of access log '%s' dropped: %s", dropped, file->path,
			    file->trouble ? strerror(-file->trouble) : "more than it takes");
	else if (file->trouble && file->trouble != -EAGAIN && slot->said != file->trouble)
		log_warning("cannot write access log '%s', lines wait: %s", file->path,
			    strerror(-file->trouble));
	slot->told = file->dropped;
	slot->said = file->trouble;
}

static void report(void)
{
	unsigned long long dropped = atomic_load(&writer.ring_dropped) - writer.told;

	writer.told_ms = clock_ms();
	if (dropped > 0)
		log_warning("%llu lines of access logs dropped: more than can be written", dropped);
	writer.told += dropped;
	for (uint32_t i = 0; i < writer.n_files; i++)
		report_file(&writer.slots[i]);
}

/* True when there was anything to do. */
static bool round_once(void)
{
	bool again = take_news();
	bool busy = take_all() > 0;

	for (uint32_t i = 0; i < writer.n_files; i++)
		busy |= flush(&writer.slots[i]);
	for (uint32_t i = 0; again && i < writer.n_files; i++)
		reopen(&writer.slots[i]);
	if (clock_ms() - writer.told_ms >= REPORT_MS)
		report();
	return busy;
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void wait_ms(unsigned ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (sem_clockwait(&writer.wake, CLOCK_MONOTONIC, &until) < 0 && errno == EINTR)
		;
}

/* Who puts a line looks at <asleep> after it; we look for lines after setting it. So either sees
 * the other. */
static void sleep_for_lines(void)
{
	atomic_store(&writer.asleep, true);
	if (!round_once() && !atomic_load(&writer.stopping))
		while (sem_wait(&writer.wake) < 0 && errno == EINTR)
			;
	atomic_store(&writer.asleep, false);
}

static void *run(void *unused)
{
	unsigned idle_ms = 0;

	(void)unused;
	while (!atomic_load(&writer.stopping)) {
		idle_ms = round_once() ? 0 : idle_ms + ROUND_MS;
		if (idle_ms < AWAKE_MS) {
			wait_ms(ROUND_MS);
			continue;
		}
		sleep_for_lines();
		idle_ms = 0;
	}
	return NULL;
}

void log_writer_wake(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&writer.asleep, memory_order_relaxed) &&
	    atomic_exchange(&writer.asleep, false))
		(void)sem_post(&writer.wake);
}

/* Signals are the control thread's. */
int log_writer_start(void)
{
	sigset_t all, before;
	int err;

	if (writer.running)
		return 0;
	(void)sem_init(&writer.wake, 0, 0);
	atomic_store(&writer.stopping, false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&writer.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	writer.running = err == 0;
	return -err;
}

static void free_all(void)
{
	list_for_each_safe (node, &writer.rings) {
		list_remove(node);
		log_ring_free(container_of(node, struct log_ring, node));
	}
	for (uint32_t i = 0; i < writer.n_slots; i++) {
		if (writer.slots[i].next_fd > STDERR_FILENO)
			close(writer.slots[i].next_fd);
		log_file_free(writer.slots[i].file);
	}
	writer.n_slots = 0;
	writer.n_files = 0;
}

void log_writer_stop(void)
{
	if (!writer.running)
		return;
	atomic_store(&writer.stopping, true);
	(void)sem_post(&writer.wake);
	(void)pthread_join(writer.thread, NULL);
	writer.running = false;
	for (int i = 0; i < LAST_ROUNDS && round_once(); i++)
		;
	report();
	free_all();
	(void)sem_destroy(&writer.wake);
}

/* ---- Rings and files ------------------------------------------------------------------------- */

struct log_ring *log_writer_ring(void)
{
	struct log_ring *ring = log_ring_new();

	if (!ring)
		return NULL;
	pthread_mutex_lock(&writer.lock);
	list_append(&writer.new_rings, &ring->node);
	pthread_mutex_unlock(&writer.lock);
	return ring;
}

void log_writer_ring_closed(struct log_ring *ring)
{
	if (!ring)
		return;
	if (writer.running) {
		atomic_store_explicit(&ring->closed, true, memory_order_release);
		log_writer_wake();
		return;
	}
	list_remove(&ring->node); /* no other thread looks at the list */
	log_ring_free(ring);
}

static struct file_slot *find_slot(const char *path)
{
	for (uint32_t i = 0; i < writer.n_slots; i++) {
		if (strcmp(writer.slots[i].file->path, path) == 0)
			return &writer.slots[i];
	}
	return NULL;
}

static int add_slot(const char *path, struct file_slot **ret_slot)
{
	struct file_slot *slot = &writer.slots[writer.n_slots];

	if (writer.n_slots == LOG_MAX_FILES)
		return -ENOSPC;
	*slot = (struct file_slot){.file = log_file_new(path), .next_fd = -1};
	if (!slot->file)
		return -ENOMEM;
	writer.n_slots++;
	*ret_slot = slot;
	return 0;
}

static int open_locked(const char *path, struct file_slot **ret_slot)
{
	struct file_slot *slot = find_slot(path);
	int fd, r;

	if (slot && slot->open) {
		*ret_slot = slot;
		return 0;
	}
	fd = log_file_open(path);
	if (fd < 0)
		return fd;
	r = slot ? 0 : add_slot(path, &slot);
	if (r < 0) {
		if (fd > STDERR_FILENO)
			close(fd);
		return r;
	}
	slot->next_fd = fd;
	slot->open = true;
	*ret_slot = slot;
	return 0;
}

int log_writer_open(const char *path, uint32_t *ret_file, struct error *err)
{
	struct file_slot *slot = NULL;
	int r;

	pthread_mutex_lock(&writer.lock);
	r = open_locked(path, &slot);
	pthread_mutex_unlock(&writer.lock);
	if (r == -ENOSPC)
		return error_set(err, r, "access-log", "more than %d access logs", LOG_MAX_FILES);
	if (r < 0)
		return error_set(err, r, "access-log", "cannot open access log '%s': %s", path,
				 strerror(-r));
	*ret_file = (uint32_t)(slot - writer.slots);
	return 0;
}

void log_writer_use_none(void)
{
	pthread_mutex_lock(&writer.lock);
	for (uint32_t i = 0; i < writer.n_slots; i++)
		writer.slots[i].used = false;
	pthread_mutex_unlock(&writer.lock);
}

void log_writer_use(uint32_t file)
{
	pthread_mutex_lock(&writer.lock);
	writer.slots[file].used = true;
	pthread_mutex_unlock(&writer.lock);
}

void log_writer_reopen(void)
{
	pthread_mutex_lock(&writer.lock);
	writer.reopen = true;
	pthread_mutex_unlock(&writer.lock);
	if (writer.running)
		(void)sem_post(&writer.wake);
}

void log_writer_counts(struct log_writer_counts *ret_counts)
{
	uint64_t dropped = atomic_load(&writer.ring_dropped);

	pthread_mutex_lock(&writer.lock);
	for (uint32_t i = 0; i < writer.n_slots; i++)
		dropped += atomic_load(&writer.slots[i].dropped);
	pthread_mutex_unlock(&writer.lock);
	*ret_counts = (struct log_writer_counts){
		.lines = atomic_load(&writer.lines),
		.dropped = dropped,
	};
}
