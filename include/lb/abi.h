/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the BPF programs and the daemon: map keys and values, verdicts, limits.
 *
 * Owns: nothing; this is memory layout only. Fixed width, explicit padding, no behaviour.
 * Byte order: fields of type __be16/__be32 and struct lb_ip are in network order, all others in
 * host order. Times are ticks (the kernel's jiffies64, see lb_meta.tick_ns) unless they say
 * nanoseconds.
 * May know: nothing but <linux/types.h>. Both sides include it; neither side may extend it.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

#include <linux/types.h>

/* Changed when flow records, the index or ids change: pinned state of another number is not
 * adopted. */
#define LB_FLOW_ABI 3
/* Changed when anything else here changes: those maps are rebuilt from the configuration. */
#define LB_CTL_ABI 3

#define LB_META_MAGIC 0x6c62643aU /* "lbd:" */
#define LB_HASH_KEYS  12

/* Limits. The sizes of the maps are chosen at load time, up to these. */
#define LB_MAX_SERVICES	 4096	    /* services; ids 1..LB_MAX_SERVICES - 1 */
#define LB_MAX_LISTENERS 8192	    /* entries of lb_services: addresses, with and without ports */
#define LB_MAX_POOLS	 4096	    /* ids 1..LB_MAX_POOLS - 1 */
#define LB_MAX_BACKENDS	 65536	    /* ids 1..LB_MAX_BACKENDS - 1; 0 is "none" */
#define LB_MAX_SLOTS	 (1U << 22) /* backend ids in the arena shared by all pools' tables */
#define LB_DEFAULT_FLOWS 1000000
#define LB_MAX_FLOWS	 (1U << 23)
#define LB_MAX_TABLE	 65521 /* slots of one pool's table */
#define LB_LEAST_EXACT	 256   /* least-connections looks at every member up to this many */
#define LB_NAME_LEN	 64    /* object names with their NUL */
#define LB_MAX_SNAT	 1024  /* source addresses of snat services; rows 1..LB_MAX_SNAT - 1 */
#define LB_MAX_VIPS	 8192  /* addresses of services; rows 1..LB_MAX_VIPS - 1 */
#define LB_MAX_PREFIXES	 65536 /* allow and deny prefixes of all services */
#define LB_HEAD_LEN	 128   /* bytes kept of the last packet of a verdict */

/* An address of either family; IPv4 is mapped: ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
struct lb_ip {
	union {
		__u8 b[16];
		__be32 w[4];
		__u64 q[2]; /* for comparing and hashing only */
	};
};

/* ICMP, for either family: an entry of lb_services with port 0, whose address answers echo. */
enum lb_proto { LB_PROTO_ICMP = 1, LB_PROTO_TCP = 6, LB_PROTO_UDP = 17 };

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
 *   LATENCY      the one of two that answers SYNs faster (least-latency)
 * For LEAST, TWO and LATENCY the table lists every member once.
 */
enum lb_choice {
	LB_CHOICE_TABLE_NEXT = 0,
	LB_CHOICE_TABLE_HASH,
	LB_CHOICE_LEAST,
	LB_CHOICE_TWO,
	LB_CHOICE_LATENCY,
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
#define LB_SERVICE_ALLOW_ONLY	(1U << 2) /* a source without a prefix in lb_prefixes is denied */
#define LB_SERVICE_PREFIXES	(1U << 3) /* lb_prefixes has entries of this service */

struct lb_service {
	__u32 id;
	__u32 pool;	 /* index into lb_pools */
	__u32 flags;	 /* LB_SERVICE_* */
	__u8 forward;	 /* enum lb_forward */
	__u8 rate_bits4; /* sources that share a limit: prefix length, IPv4 */
	__u8 rate_bits6; /* ... and IPv6 */
	__u8 pad;
	__u16 snat; /* first of its rows in lb_snat */
	__u16 n_snat;
	__u16 vip; /* row of lb_vips with the key's address */
	__u16 pad2;
	__u32 rate_new;		/* new flows a source may open in rate_ticks; 0: any number */
	__u32 rate_ticks;	/* ticks of the kernel, see lb_meta */
	char name[LB_NAME_LEN]; /* for people and for adoption after a restart */
};

/* ---- lb_ends: mmapable array of 64-bit words, a Bloom filter ------------------------------- */

/*
 * Which (address, port, protocol) may be a service's or a backend's: a packet whose destination and
 * source both are none is not looked up any further. Two bits an end, by lb_end_hash(). Bits are
 * set before a service or backend is written, and cleared when no end needs them any more.
 */
#define LB_ENDS_BITS  (1U << 19)
#define LB_ENDS_WORDS (LB_ENDS_BITS / 64) /* a power of two */

/* ---- lb_vips: mmapable array, row -> lb_ip -------------------------------------------------- */

/* Flow records name the address that their client knows by its row, which keeps it for ever. */

/* ---- lb_snat: mmapable array, row -> lb_snat ------------------------------------------------ */

/* A source address of snat flows. A row is not given to another address while flows may name it. */
struct lb_snat {
	struct lb_ip addr;
	__u16 first_port; /* host order */
	__u16 n_ports;
	__u32 next; /* written by BPF: where the next search begins, so that ports rest longest */
};

/* ---- lb_prefixes: LPM trie, lb_prefix_key -> __u32 enum lb_prefix --------------------------- */

enum lb_prefix { LB_PREFIX_ALLOW = 1, LB_PREFIX_DENY = 2 };

struct lb_prefix_key {
	__u32 bits; /* 32 of the service, then those of the mapped address */
	__be32 service;
	struct lb_ip addr;
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

/* ---- Next hops; lb_ways: mmapable array, row -> lb_hop -------------------------------------- */

/*
 * A cached bpf_fib_lookup. Good while it is under a second old and not older than
 * lb_meta.hops_changed. The one towards a backend is in its row. Clients are many and their
 * gateways few, so that a flow record names a row of lb_ways: a row keeps what it says for as long
 * as a record may believe it, two seconds after it was last asked for.
 */
struct lb_hop {
	__u8 dmac[6];
	__u8 smac[6];
	__u32 ifindex;	/* 0: unknown */
	__u32 asked_at; /* ticks */
	__u16 mtu;	/* of the route, at most 65535 */
	__u16 pad;
	__u32 sequence; /* odd while it is written */
	__u32 pad2;
};

#define LB_WAYS 4096

/* ---- lb_backends: mmapable array, backend id -> lb_backend -------------------------------- */

#define LB_BACKEND_USED	     (1U << 0) /* the id names a backend of the configuration */
#define LB_BACKEND_ELIGIBLE  (1U << 1) /* may be chosen for new flows */
#define LB_BACKEND_TOMBSTONE (1U << 2) /* removed; flows may still name it */
#define LB_BACKEND_KILL	     (1U << 3) /* its flows are to be ended */

struct lb_backend {
	struct lb_ip addr;
	__be16 port; /* 0: the service's own port */
	__u16 zone;
	__u32 flags;	   /* LB_BACKEND_*; one aligned store */
	__u32 pool;	   /* pool id; identity is (pool name, addr, port) */
	__u32 weight;	   /* 0..256 */
	struct lb_hop hop; /* written by BPF only; all else by the daemon only */
	/* Second cache line. */
	__u64 removed_at;    /* tombstones */
	struct lb_ip source; /* ours on the way to it: the outer source of tunnels; 0: none known */
	char name[LB_NAME_LEN];
	__u64 pad[5]; /* to whole cache lines */
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
	__u64 pmtu;	   /* {ticks when it was learnt:32 | bytes:32} of the way to it, 0: none */
	__u64 syn_us;	   /* moving average from SYN to SYN-ACK, microseconds; 0: none yet */
	__u64 pad_kernel;

	__u64 proxy_opened; /* requests in flight and relay connections */
	__u64 proxy_closed;
	__u64 proxy_failed;    /* connects refused or timed out, causes of 502 and 504 */
	__u64 proxy_bytes_in;  /* client to backend */
	__u64 proxy_bytes_out; /* backend to client */
	__u64 latency_us;      /* moving average of time to first byte; 0: none yet */
	__u64 pad_proxy[2];
};

/* ---- Keys ----------------------------------------------------------------------------------- */

/*
 * The packet as it arrives: source and destination of the frame on the wire. A two-way flow has
 * two, one for each direction.
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

/* ---- lb_index: mmapable array of buckets ---------------------------------------------------- */

/*
 * The way from a reply to its flow: a cache line of eight entries. The hash of a reply's key
 * (bpf/hash.h) gives two buckets and a tag; an entry lies in one of them. An entry is {tag:16 |
 * generation:24 | record + 1:24}, 0 is free. What it names is known only when the key was compared
 * with the record's.
 */
#define LB_BUCKET_ENTRIES 8

struct lb_bucket {
	__u64 entry[LB_BUCKET_ENTRIES];
};

#define LB_ENTRY_RECORD_BITS	   24
#define LB_ENTRY_RECORD(entry)	   ((__u32)((entry) & ((1U << LB_ENTRY_RECORD_BITS) - 1)) - 1)
#define LB_ENTRY_GENERATION(entry) ((__u32)((entry) >> LB_ENTRY_RECORD_BITS) & 0xffffff)
#define LB_ENTRY_TAG(entry)	   ((__u16)((entry) >> 48))
#define LB_ENTRY(tag, generation, record) \
	((__u64)(__u16)(tag) << 48 | (__u64)((generation)&0xffffff) << LB_ENTRY_RECORD_BITS | \
	 ((record) + 1))

/* A bucket for four flows: half full with a full table, so that no two buckets are. */
#define LB_BUCKETS(max_flows) ((max_flows) / 4 + 4)

/* Opening flows is serial by key: locks by hash, held for one step. */
#define LB_LOCKS 4096

/* ---- lb_flows: mmapable array, record -> lb_flow ------------------------------------------ */

/*
 * Records stand in sets of four. The hash of what its client sends gives a flow a row of sets; it
 * lives in the first of them that had a free record when it was opened, which is the first one, its
 * home, for nine of ten flows of a full table. Three records for two flows.
 */
#define LB_SET_RECORDS	      4
#define LB_SET_TURNS	      12 /* sets that a flow may live in: all are full for one of ten million */
#define LB_SETS(max_flows)    ((max_flows)*3ULL / (2 * LB_SET_RECORDS) + LB_SET_TURNS)
#define LB_RECORDS(max_flows) ((__u32)(LB_SETS(max_flows) * LB_SET_RECORDS))

/*
 * TCP as both directions tell it. One function in bpf/flow.h moves it.
 *   FREE         the record belongs to nobody
 *   CLAIMED      being filled by the CPU that took it, or taken apart
 *   SYN          the client's SYN went to the backend
 *   SYNACK       the backend answered, the client has not yet
 *   OPEN         handshake done (UDP: a reply was seen)
 *   FIN_CLIENT   the client has sent FIN
 *   FIN_BACKEND  the backend has sent FIN
 *   CLOSING      both have; the last ACKs and retransmissions pass
 *   RESET        a valid RST was seen; lingers briefly
 *   UDP_NEW      no reply yet; in one-way modes, fewer than three packets
 *   UDP_OPEN     a reply was seen; in one-way modes, the third packet
 *   RESTING      a snat flow that ended without both FINs: keeps its port from reuse
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
	LB_FLOW_UDP_NEW,
	LB_FLOW_UDP_OPEN,
	LB_FLOW_RESTING,
	LB_FLOW_STATES
};

/* The state word: everything that is decided by compare-and-swap. */
#define LB_FLOW_COUNTED		 (1ULL << 8) /* who sets it adds to opened, who clears it to closed */
#define LB_FLOW_PENDING		 (1ULL << 9)  /* the same for pending_in and pending_out */
#define LB_FLOW_KILLED		 (1ULL << 10) /* the next packet of either side is answered by RST */
#define LB_FLOW_SEEN_TWICE	 (1ULL << 11) /* one-way modes: the next packet proves the client */
#define LB_FLOW_STATE(word)	 ((__u32)((word)&0xff))
#define LB_FLOW_GENERATION(word) ((__u32)((word) >> 32))

/*
 * One cache line. Addresses that many flows share are named: the service's by its row of lb_vips,
 * the backend's by its id, which keeps address and port while a record names it.
 */
struct lb_flow {
	__u64 word;    /* state word, see above */
	__u32 seen;    /* ticks at the last packet, low 32 bits */
	__u16 backend; /* id; its port is the backend's own, or vip_port */
	__u16 service; /* id */
	struct lb_ip client;
	__be16 client_port;
	__be16 vip_port;
	__be16 source_port; /* what the backend sees: the client's, but with snat */
	__u16 vip;	    /* row of lb_vips */
	__u16 snat;	    /* row of lb_snat, 0: none */
	__u16 zone;
	__u8 proto;
	__u8 forward;	  /* enum lb_forward */
	__u16 way;	  /* to the client: row of lb_ways, 0: not known */
	__u32 way_asked;  /* ticks when it was asked for */
	__u32 seq_client; /* next sequence number expected from each side: RST must fit */
	__u32 seq_backend;
	/* What a checksum grows by on the way to the backend of a two-way flow (RFC 1624). */
	__u16 sum_addresses;
	__u16 sum_ports;
};

/* ---- lb_crowds: mmapable array of __u64, eight sets each ------------------------------------- */

/* How many flows live elsewhere because this set, their home, was full: a byte for each set. */
#define LB_CROWDS(max_flows) ((__u32)(LB_SETS(max_flows) / 8 + 1))
#define LB_CROWD_MOST	     200 /* more are not let in: a byte must not run over */

/* ---- lb_kills: mmapable array of __u64, flows that the daemon wants ended -------------------- */

/* Each is {generation:32 | record:32}; the program that ends them is told how many there are. */
#define LB_KILLS		    8192
#define LB_KILL(generation, record) (((__u64)(generation) << 32) | (__u32)(record))

/* ---- lb_half: array of __u64, half-open flows, oldest first --------------------------------- */

/*
 * A ring: who opens a flow puts {generation:32 | record:32} at lb_meta.half_tail, which only grows,
 * and ends the half-open flow it finds there. So no more than the ring holds are half-open, and a
 * flood ends its own flows first.
 */
#define LB_HALF_FLOWS(max_flows) ((max_flows) / 4 + 1)

/* ---- lb_frags: array of lb_frag, by hash ---------------------------------------------------- */

/* Which flow a fragmented packet belongs to, known from its first fragment. Valid for 2 s. */
struct lb_frag {
	struct lb_ip saddr;
	struct lb_ip daddr;
	__u32 id; /* as in the packet */
	__u16 zone;
	__u8 proto;
	__u8 pad;
	__u32 seen;   /* ticks, low 32 bits */
	__u32 record; /* of its flow */
	__u32 generation;
	__u32 sequence; /* odd while it is written */
};

#define LB_FRAGS 16384

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
	__u64 heartbeat_at;	       /* daemon, CLOCK_MONOTONIC ns */
	__u64 swept_at;		       /* BPF: end of the last sweep tick, CLOCK_MONOTONIC ns */
	__u64 live_flows;	       /* BPF: records in use */
	__u32 sweep_next;	       /* BPF: where the next tick starts */
	__u32 hops_changed;	       /* ticks: cached hops asked before this are asked again */
	__u32 swept_ticks;	       /* BPF: ticks at swept_at */
	__u32 tick_ns;		       /* length of a tick: the kernel's jiffies, measured once */
	__u32 second;		       /* a second in ticks */
	__u32 timeout[LB_FLOW_STATES]; /* ticks a record in this state may be idle; 0: for ever */
	__u64 hash_keys[LB_HASH_KEYS]; /* secret and odd; for ever: where records stand follows */
	char build[LB_NAME_LEN];
	__u64 half_tail; /* BPF: tickets of lb_half */
};

/* ---- lb_events: ring buffer of lb_event; lb_heads: array by verdict ------------------------- */

struct lb_event {
	__u64 at; /* CLOCK_MONOTONIC ns */
	struct lb_flow_key key;
	__u32 verdict;
	__u32 ifindex;
	__u16 service;
	__u16 backend;
	__u32 bytes;
};

/* The last packet that got a verdict; not kept for the frequent ones (bpf/event.h). */
struct lb_head {
	__u64 at; /* CLOCK_MONOTONIC ns; 0: none yet */
	__u32 ifindex;
	__u16 bytes; /* of the frame */
	__u16 kept;  /* of data */
	__u8 data[LB_HEAD_LEN];
};

/* ---- lb_trace: array of one, of a dry load alone -------------------------------------------- */

/* What would become of a packet: what a dry run says of it. Zeroed before the run. */
struct lb_trace {
	__u32 done;	     /* 1: the rest is filled */
	__u32 verdict;	     /* LB_V_* */
	__u32 from_client;   /* which end of the flow sent it */
	__s32 hop_error;     /* BPF_FIB_LKUP_RET_*; 0 with a next hop */
	struct lb_hop hop;   /* ifindex 0: none was asked for */
	struct lb_flow flow; /* word 0: none; rehearsed ones have generation 0 */
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
	__u64 opened;	     /* flows counted */
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
	X(FRAG_UNKNOWN, "frag_unknown", "dropped: a fragment whose first one was not seen") \
	X(TTL_EXPIRED, "ttl_expired", "passed: hop limit reached zero; the stack answers") \
	X(TOO_BIG, "too_big", "answered: larger than the way to its next hop takes") \
	X(RATE_LIMITED, "rate_limited", \
	  "dropped: an answer to it would have gone over the limit of answers") \
	X(UNTRACKED, "untracked", "sent to a backend by hash, without a flow record") \
	X(ICMP_FORWARDED, "icmp_forwarded", "an ICMP error about a flow, sent to its other side") \
	X(ICMP_UNKNOWN, "icmp_unknown", "passed: an ICMP message about no flow") \
	X(ECHO, "echo", "answered: an ICMP echo request to a service's address") \
	X(TUNNEL_ERROR, "tunnel_error", "taken: an ICMP error about our own outer header") \
	X(SNAT_EXHAUSTED, "snat_exhausted", \
	  "refused: no source port is free towards the backends tried") \
	X(NO_NEIGHBOUR, "no_neighbour", "dropped: the link address of a dsr backend is not known") \
	X(DENIED, "denied", "dropped: the source's prefix is denied") \
	X(SOURCE_RATE, "source_rate", "dropped: the source opens new flows too fast") \
	X(INTERNAL, "internal", \
	  "a helper or map failed that should not: passed, or dropped if half rewritten")

enum lb_verdict {
#define LB_VERDICT_ENUM(name, text, words) LB_V_##name,
	LB_VERDICTS(LB_VERDICT_ENUM)
#undef LB_VERDICT_ENUM
		LB_VERDICT_COUNT
};

_Static_assert(sizeof(struct lb_service_key) == 24, "no hidden padding");
_Static_assert(sizeof(struct lb_service) == 96, "no hidden padding");
_Static_assert(sizeof(struct lb_pool) == 96, "no hidden padding");
_Static_assert(sizeof(struct lb_slot_line) == 8, "one array element");
_Static_assert(sizeof(struct lb_backend) == 192, "three cache lines");
_Static_assert(sizeof(struct lb_live) == 128, "two cache lines");
_Static_assert(sizeof(struct lb_bucket) == 64, "one cache line");
_Static_assert(sizeof(struct lb_flow_key) == 40, "no hidden padding");
_Static_assert(sizeof(struct lb_flow) == 64, "one cache line");
_Static_assert(sizeof(struct lb_hop) == 32, "half a cache line");
_Static_assert(sizeof(struct lb_trace) == 112, "no hidden padding");
_Static_assert(sizeof(struct lb_traffic) == 40, "no hidden padding");

#endif
