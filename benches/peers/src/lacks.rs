//! What each peer is, and what it does not do that Allotment does: a side that does less has less
//! to pay for. Facts of the versions that are built in.

/// One peer.
pub struct Peer {
    /// What it is called.
    pub name: &'static str,
    /// The package of which the version is shown; none: written here.
    pub package: Option<&'static str>,
    /// How it works, and what it leaves out.
    pub about: &'static str,
}

/// All of them.
pub const PEERS: [Peer; 9] = [
    Peer {
        name: "`GreedyMemoryPool`",
        package: Some("datafusion-execution"),
        about: "One atomic number for the whole pool and one in each reservation. No limit or \
                guarantee for a consumer, no priority, no eviction of what others hold, no queue. \
                `grow` cannot be refused and goes beyond the size of the pool; only `try_grow` \
                heeds it. Nobody can ask who holds what.",
    },
    Peer {
        name: "`FairSpillPool`",
        package: Some("datafusion-execution"),
        about: "A mutex. Consumers that can spill get equal parts of what the others leave; one \
                that is idle gets its part as well, and it is each reservation that is held \
                against it, not the consumer's sum. No weights, guarantees or limits; whoever is \
                refused has to spill by itself. No queue.",
    },
    Peer {
        name: "`TrackConsumersPool`",
        package: Some("datafusion-execution"),
        about: "Another pool and a map of consumers behind a mutex, taken at each growth. Knows \
                who holds what, and names the largest in the text of an error; the error is text. \
                Limits, guarantees, eviction and queue are those of the pool inside: none.",
    },
    Peer {
        name: "`Semaphore`",
        package: Some("tokio"),
        about: "One atomic number, and a mutex with a list for those who wait. Waits in order, so \
                a large request holds up all behind it. One ceiling for all: no tenants, limits, \
                guarantees or eviction; permits know only how many they are, and a refusal says \
                nothing more. A request names its permits in 32 bits: more bytes than that need \
                another unit.",
    },
    Peer {
        name: "`Mutex<HashMap>` manager",
        package: None,
        about: "Tenants with a limit, a map of grants and a capacity, all behind one mutex of the \
                standard library: what one writes first. No guarantees, priorities, eviction, \
                queue, events or rate limit; a thread that is interrupted while it holds the lock \
                holds up all others.",
    },
    Peer {
        name: "plain facade",
        package: Some("tokio"),
        about: "The usual shape of such a manager in a service: an `RwLock<HashMap>` that is \
                awaited, tenants by UUID, each allocation a random UUID as a string. Limits of \
                tenants and nothing else: no capacity of the whole, guarantees, eviction, queue \
                or events. What an executor costs is in its figures, a move between threads is \
                not.",
    },
    Peer {
        name: "moka",
        package: Some("moka"),
        about: "A concurrent cache, W-TinyLFU unless set otherwise. Keeps the values itself. \
                Bookkeeping is put aside and done later by the threads that call, so for a while \
                it may hold more than its capacity; what is new may be refused admission. One \
                capacity for one cache, of entries or of weights: no tenants, no guarantees, and \
                nothing outside of it can make it give way.",
    },
    Peer {
        name: "quick_cache",
        package: Some("quick_cache"),
        about: "A concurrent cache in shards, a form of S3-FIFO. Keeps the values itself. The \
                capacity is divided by shards and rounded up, so a few entries more fit. No \
                tenants, guarantees, time to live, costs or anything that could make it give way \
                to others.",
    },
    Peer {
        name: "foyer",
        package: Some("foyer-memory"),
        about: "The cache in memory of foyer, in eight shards, LRU unless set otherwise; here also \
                its W-TinyLFU. Keeps the values itself, each entry counted by references. The \
                capacity is divided by shards. No tenants or guarantees; its disk tier is not \
                used.",
    },
];
