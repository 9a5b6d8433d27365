/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the BPF programs and the daemon: map keys and values, verdicts, limits.
 *
 * Owns: nothing; this is memory layout only. Fixed width, explicit padding, no behaviour.
 * Byte order: fields of type __be16/__be32 and struct lb_ip are in network order, all others in
 * host order. Times are nanoseconds of CLOCK_MONOTONIC unless the name says otherwise.
 * May know: nothing but <linux/types.h>. Both sides include it; neither side may extend it.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

#include <linux/types.h>

/* Changed when flow records, the index or ids change: pinned state of another number is not
 * adopted. */
#define LB_FLOW_ABI 1
/* Changed when anything else here changes: those maps are rebuilt from the configuration. */
#define LB_CTL_ABI 1

#define LB_META_MAGIC 0x6c62643aU /* "lbd:" */

/* Limits. The sizes of the maps are chosen at load time, up to these. */
#define LB_MAX_SERVICES	 4096	    /* services; ids 1..LB_MAX_SERVICES - 1 */
#define LB_MAX_POOLS	 4096	    /* ids 1..LB_MAX_POOLS - 1 */
#define LB_MAX_BACKENDS	 65536	    /* ids 1..LB_MAX_BACKENDS - 1; 0 is "none" */
#define LB_MAX_SLOTS	 (1U << 20) /* backend ids in the arena shared by all pools' tables */
#define LB_DEFAULT_FLOWS 1000000    /* flow records */
#define LB_MAX_FLOWS	 (1U << 23)
#define LB_MAX_TABLE	 65521 /* slots of one pool's table */
#define LB_LEAST_EXACT	 256   /* least-connections looks at every member up to this many */
#define LB_NAME_LEN	 64    /* object names with their NUL */

/* An address of either family; IPv4 is mapped: ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
struct lb_ip {
	union {
		__u8 b[16];
		__be32 w[4];
		__u64 q[2]; /* for comparing and hashing only */
	};
};

enum lb_proto { LB_PROTO_TCP = 6, LB_PROTO_UDP = 17 };

enum lb_forward {
	LB_FORWARD_NAT = 0,
	LB_FORWARD_SNAT,
	LB_FORWARD_DSR,
	LB_FORWARD_IPIP,
	LB_FORWARD_GUE,
};

/*
 * How the kernel chooses; several names of the command line share one kind here.
 *   TABLE_NEXT   a shared counter walks the slot table (round-robin, weighted-round-robin)
 *   TABLE_HASH   the flow's hash indexes the slot table (maglev; source-hash with client_only)
 *   LEAST        lowest (open + pending) / weight over the members (least-connections)
 *   TWO          the better of two members drawn at random (random-two)
 * For LEAST and TWO the table lists every member once.
 */
enum lb_choice {
	LB_CHOICE_TABLE_NEXT = 0,
	LB_CHOICE_TABLE_HASH,
	LB_CHOICE_LEAST,
	LB_CHOICE_TWO,
};

/* ---- lb_services: hash, lb_service_key -> lb_service -------------------------------------- */

struct lb_service_key {
	struct lb_ip addr;
	__be16 port; /* 0: any port */
	__u16 zone;  /* 0 for now */
	__u8 proto;  /* enum lb_proto */
	__u8 pad[3];
};

#define LB_SERVICE_NO_FLOW_DROP (1U << 0) /* non-SYN without a flow: drop instead of RST */
#define LB_SERVICE_NO_FLOW_PASS (1U << 1) /* ... pass to the stack instead of RST */

struct lb_service {
	__u32 id;
	__u32 pool;   /* index into lb_pools */
	__u32 flags;  /* LB_SERVICE_* */
	__u8 forward; /* enum lb_forward */
	__u8 pad[3];
	char name[LB_NAME_LEN]; /* for people and for adoption after a restart */
};

/* ---- lb_pools: mmapable array, pool id -> lb_pool ----------------------------------------- */

/*
 * <table> is {size:32 | offset:32} in one word, so that one aligned store moves every CPU to
 * the new table. The old region may be reused 100 ms later. Size 0: the pool has no member.
 */
#define LB_TABLE(offset, size) (((__u64)(size) << 32) | (__u32)(offset))
#define LB_TABLE_OFFSET(table) ((__u32)(table))
#define LB_TABLE_SIZE(table)   ((__u32)((table) >> 32))

struct lb_pool {
	__u64 table;	   /* LB_TABLE(): where in lb_slots */
	__u32 choice;	   /* enum lb_choice */
	__u32 client_only; /* 1: TABLE_HASH hashes the client address alone */
	__u32 next;	   /* written by BPF: the counter of TABLE_NEXT and of ties */
	__u32 used;	   /* 1: this id belongs to a pool */
	__u64 hash_seed;
	char name[LB_NAME_LEN];
};

/* ---- lb_slots: mmapable array of lines of four backend ids -------------------------------- */

/* Dense: ARRAY values are padded to 8 bytes, so a line holds four. Slot i is line i/4, id[i%4]. */
struct lb_slot_line {
	__u16 id[4];
};

/* ---- lb_backends: mmapable array, backend id -> lb_backend -------------------------------- */

#define LB_BACKEND_USED	     (1U << 0) /* the id names a backend of the configuration */
#define LB_BACKEND_ELIGIBLE  (1U << 1) /* may be chosen for new flows */
#define LB_BACKEND_TOMBSTONE (1U << 2) /* removed; flows may still name it */
#define LB_BACKEND_KILL	     (1U << 3) /* its flows are to be ended */

struct lb_backend {
	struct lb_ip addr;
	__be16 port; /* 0: the service's own port */
	__u16 zone;
	__u32 flags;	  /* LB_BACKEND_*; one aligned store */
	__u32 pool;	  /* pool id; identity is (pool name, addr, port) */
	__u32 weight;	  /* 0..256 */
	__u64 removed_at; /* tombstones */
	char name[LB_NAME_LEN];
};

/* ---- lb_live: mmapable array, backend id -> lb_live --------------------------------------- */

/*
 * One row per backend, shared by both speeds. opened and closed only grow; open is their
 * difference. The first line is written by BPF only (atomic adds), the second by the proxy's
 * workers only (relaxed atomics). A row is cleared only when its id is given to a new backend.
 */
struct lb_live {
	__u64 opened; /* flows counted */
	__u64 closed;
	__u64 pending_in;  /* SYNs sent to the backend */
	__u64 pending_out; /* ... and answered, refused or expired */
	__u64 failed;	   /* flows refused by the backend or unanswered */
	__u64 pad_kernel[3];

	__u64 proxy_opened; /* requests in flight and relay connections */
	__u64 proxy_closed;
	__u64 proxy_failed;    /* connects refused or timed out, causes of 502 and 504 */
	__u64 proxy_bytes_in;  /* client to backend */
	__u64 proxy_bytes_out; /* backend to client */
	__u64 latency_us;      /* moving average of time to first byte; 0: none yet */
	__u64 pad_proxy[2];
};

/* ---- lb_index: hash, lb_flow_key -> __u64 LB_REF(record, generation) ---------------------- */

/*
 * The packet as it arrives: source and destination of the frame on the wire. Every two-way flow
 * has two entries, one per direction, which name the same record.
 */
struct lb_flow_key {
	struct lb_ip saddr;
	struct lb_ip daddr;
	__be16 sport;
	__be16 dport;
	__u16 zone;
	__u8 proto;
	__u8 pad;
};

#define LB_REF(record, generation) (((__u64)(generation) << 32) | (__u32)(record))
#define LB_REF_RECORD(ref)	   ((__u32)(ref))
#define LB_REF_GENERATION(ref)	   ((__u32)((ref) >> 32))

/* ---- lb_flows: mmapable array, record -> lb_flow ------------------------------------------ */

/*
 * TCP as both directions tell it. One function in bpf/flow.h moves it.
 *   FREE         the record belongs to nobody
 *   CLAIMED      being filled by the CPU that took it
 *   SYN          the client's SYN went to the backend
 *   SYNACK       the backend answered, the client has not yet
 *   OPEN         handshake done (UDP: a reply was seen)
 *   FIN_CLIENT   the client has sent FIN
 *   FIN_BACKEND  the backend has sent FIN
 *   CLOSING      both have; the last ACKs and retransmissions pass
 *   RESET        a valid RST was seen; lingers briefly
 */
enum lb_flow_state {
	LB_FLOW_FREE = 0,
	LB_FLOW_CLAIMED,
	LB_FLOW_SYN,
	LB_FLOW_SYNACK,
	LB_FLOW_OPEN,
	LB_FLOW_FIN_CLIENT,
	LB_FLOW_FIN_BACKEND,
	LB_FLOW_CLOSING,
	LB_FLOW_RESET,
	LB_FLOW_STATES
};

/* The state word: everything that is decided by compare-and-swap. */
#define LB_FLOW_COUNTED		 (1ULL << 8) /* who sets it adds to opened, who clears it to closed */
#define LB_FLOW_PENDING		 (1ULL << 9)  /* the same for pending_in and pending_out */
#define LB_FLOW_KILLED		 (1ULL << 10) /* the next packet of either side is answered by RST */
#define LB_FLOW_STATE(word)	 ((__u32)((word)&0xff))
#define LB_FLOW_GENERATION(word) ((__u32)((word) >> 32))

/*
 * Where the packets of one direction go: a cached bpf_fib_lookup. Good while it is under a second
 * old and not older than lb_meta.hops_changed_ms.
 */
struct lb_hop {
	__u8 dmac[6];
	__u8 smac[6];
	__u32 ifindex;	/* 0: unknown */
	__u16 asked_at; /* monotonic ms >> LB_HOP_SHIFT, low 16 bits */
	__u16 mtu;	/* of the route, at most 65535 */
};

#define LB_HOP_SHIFT 4

struct lb_flow {
	__u64 word;    /* state word, see above */
	__u64 seen_at; /* coarse monotonic ns of the last packet */
	struct lb_ip client;
	struct lb_ip vip;
	__be16 client_port;
	__be16 vip_port;
	__be16 backend_port;
	__u16 backend; /* id */
	__u16 zone;
	__u8 proto;
	__u8 forward;  /* enum lb_forward */
	__u32 service; /* id */
	/* Second cache line. */
	struct lb_ip backend_addr;
	struct lb_hop to_backend;
	struct lb_hop to_client;
	__u32 seq_client; /* next sequence number expected from each side: RST must fit */
	__u32 seq_backend;
};

/* ---- lb_free: array of __u64, records given back, oldest first ----------------------------- */

/*
 * A ring of max_flows cells between lb_meta.free_head and free_tail, which only grow. The cell of
 * a ticket is {low 32 bits of ticket + 1 : 32 | record : 32}: full when its ticket fits. A kernel
 * queue would do, but programs of type syscall may use one from Linux 6.9 on only.
 */
#define LB_FREE_CELL(ticket, record) (((__u64)((__u32)(ticket) + 1) << 32) | (__u32)(record))

/* ---- lb_timer: the sweep's timer ---------------------------------------------------------- */
/* ---- lb_devs: DEVMAP_HASH, ifindex -> ifindex, where XDP may redirect to ------------------- */

/* ---- lb_meta: mmapable array of one -------------------------------------------------------- */

/*
 * What the pinned maps are and how old their upkeep is. Written by the daemon, but for the
 * fields marked BPF.
 */
struct lb_meta {
	__u32 magic;	/* LB_META_MAGIC, written last when the maps are new */
	__u32 flow_abi; /* LB_FLOW_ABI */
	__u32 ctl_abi;	/* LB_CTL_ABI */
	__u32 max_flows;
	__u64 netns; /* inode of the network namespace */
	__u64 hash_seed;
	__u64 heartbeat_at;    /* daemon */
	__u64 swept_at;	       /* BPF: end of the last sweep tick */
	__u64 live_flows;      /* BPF: records in use */
	__u32 fresh;	       /* BPF: records [0, fresh) were handed out at least once */
	__u32 sweep_next;      /* BPF: where the next tick starts */
	__u32 hops_changed_ms; /* low 32 bits of monotonic ms: cached hops older than this are asked
				  again */
	__u32 pad;
	__u64 timeout_ns[LB_FLOW_STATES]; /* idle time after which a record in this state ends;
					     0: never */
	char build[LB_NAME_LEN];
	__u64 free_head; /* BPF: tickets of lb_free */
	__u64 free_tail; /* BPF */
};

/* ---- Counters ------------------------------------------------------------------------------ */

struct lb_count {
	__u64 packets;
	__u64 bytes;
};

/* lb_svc_stats, lb_be_stats: per-CPU arrays by service id and backend id. */
struct lb_traffic {
	struct lb_count in;  /* client to backend */
	struct lb_count out; /* backend to client */
};

/*
 * Every packet leaves with exactly one verdict; lb_counters is a per-CPU array of lb_count indexed
 * by it. X(NAME, "name", "what happened, in words").
 */
#define LB_VERDICTS(X) \
	X(NOT_IP, "not_ip", "passed: not IPv4 or IPv6") \
	X(NOT_OURS, "not_ours", "passed: no service and no flow has this address and port") \
	X(NOT_HANDLED, "not_handled", "passed: a protocol that is not balanced") \
	X(FORWARDED, "forwarded", "sent to the backend of its flow") \
	X(FORWARDED_NEW, "forwarded_new", "sent to a backend chosen for a new flow") \
	X(REPLIED, "replied", "a backend's packet, sent to its client") \
	X(TO_STACK, "to_stack", \
	  "rewritten, and given to the stack because the next hop is not known") \
	X(NO_BACKEND, "no_backend", "refused: no backend of the pool is eligible") \
	X(NO_FLOW, "no_flow", "refused: not a SYN and no flow is known") \
	X(FLOW_KILLED, "flow_killed", "refused: the flow was ended by the operator") \
	X(NAT_COLLISION, "nat_collision", \
	  "dropped: the client port is in use to every backend tried") \
	X(TABLE_FULL, "table_full", "refused: no free flow record") \
	X(BAD_STATE, "bad_state", "dropped: a flag or sequence number that fits no flow state") \
	X(MALFORMED, "malformed", \
	  "dropped: a header of a service's packet is truncated or contradicts itself") \
	X(FRAGMENT, "fragment", "passed: a fragment") \
	X(TTL_EXPIRED, "ttl_expired", "passed: hop limit reached zero; the stack answers") \
	X(TOO_BIG, "too_big", "passed: larger than the next hop's MTU; the stack answers") \
	X(RATE_LIMITED, "rate_limited", \
	  "dropped: a RST would have gone over the limit of replies") \
	X(UNSUPPORTED, "unsupported", \
	  "dropped: the service's forward mode is not built into this program") \
	X(INTERNAL, "internal", "passed: a helper or map failed that cannot fail")

enum lb_verdict {
#define LB_VERDICT_ENUM(name, text, words) LB_V_##name,
	LB_VERDICTS(LB_VERDICT_ENUM)
#undef LB_VERDICT_ENUM
		LB_VERDICT_COUNT
};

_Static_assert(sizeof(struct lb_service_key) == 24, "no hidden padding");
_Static_assert(sizeof(struct lb_service) == 80, "no hidden padding");
_Static_assert(sizeof(struct lb_pool) == 96, "no hidden padding");
_Static_assert(sizeof(struct lb_slot_line) == 8, "one array element");
_Static_assert(sizeof(struct lb_backend) == 104, "no hidden padding");
_Static_assert(sizeof(struct lb_live) == 128, "two cache lines");
_Static_assert(sizeof(struct lb_flow_key) == 40, "no hidden padding");
_Static_assert(sizeof(struct lb_flow) == 128, "two cache lines");
_Static_assert(sizeof(struct lb_traffic) == 32, "no hidden padding");

#endif
