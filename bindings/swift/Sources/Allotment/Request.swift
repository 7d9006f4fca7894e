// Asking for memory without waiting: what is asked for, and the verbs that answer at once.
// `Acquire.swift` has the one that waits.

import CAllotment

/// What memory is taken for. Decides who goes first when memory is short.
public enum AllocationType: UInt32, Sendable, Hashable, Codable, CaseIterable {
    /// Weights: persistent, not evicted unless marked evictable.
    case modelLoad
    /// A running request.
    case inference
    /// Results and KV blocks that can be rebuilt.
    case cache
    /// Work nobody waits for.
    case background
}

/// What may be said of a request beyond its size and type.
public struct RequestOptions: Sendable, Hashable {
    /// Names the content, so that its frequency is remembered when it is evicted and comes back; 0:
    /// no name.
    public var key: UInt64
    /// A number of the caller's own, handed back with the victim when the grant is evicted.
    public var cookie: UInt64
    /// For how long the content is good; none: it does not expire.
    public var ttl: Duration?
    /// What it costs to rebuild the content, in any unit the tenant uses for all its requests.
    public var cost: UInt32
    /// A loaded model may be evicted. Other types always may.
    public var isEvictable: Bool
    /// Never evicted until it is unpinned.
    public var isPinned: Bool

    /// Nothing said, unless it is.
    public init(
        key: UInt64 = 0, cookie: UInt64 = 0, ttl: Duration? = nil, cost: UInt32 = 1,
        isEvictable: Bool = false, isPinned: Bool = false
    ) {
        self.key = key
        self.cookie = cookie
        self.ttl = ttl
        self.cost = cost
        self.isEvictable = isEvictable
        self.isPinned = isPinned
    }
}

extension Tenant {
    /// Asks for memory: looks and answers, evicts nothing.
    public func tryRequest(
        _ size: ByteCount, for type: AllocationType, _ options: RequestOptions = .init()
    ) throws(Refusal) -> Grant {
        var request = spec(size, type, options)
        var id: allot_grant = 0
        try governor.ask { allot_try_request($0, &request, &id, $1) }
        return Grant(Holding(self, id))
    }

    /// Asks for memory, and evicts what may go when it is short. Eviction handlers run within it,
    /// on this thread or while it waits for them.
    public func request(
        _ size: ByteCount, for type: AllocationType, _ options: RequestOptions = .init()
    ) throws(Refusal) -> Grant {
        var request = spec(size, type, options)
        var id: allot_grant = 0
        try governor.ask { allot_request($0, &request, &id, $1) }
        return Grant(Holding(self, id))
    }

    /// Sets bytes aside for up to `ttl` for a grant that is still being prepared: counted, never
    /// evicted, and given back unless ``Grant/commit()`` comes in time. Evicts like
    /// ``request(_:for:_:)``.
    public func reserve(
        _ size: ByteCount, for type: AllocationType, ttl: Duration,
        _ options: RequestOptions = .init()
    ) throws(Refusal) -> Grant {
        var request = spec(size, type, options)
        var id: allot_grant = 0
        try governor.ask { allot_reserve($0, &request, ttl.ns, &id, $1) }
        return Grant(Holding(self, id))
    }

    /// Asks for several grants of one type, at most 64: all of them or none. Evicts nothing.
    public func requestAll(
        _ sizes: [ByteCount], for type: AllocationType, _ options: RequestOptions = .init()
    ) throws(Refusal) -> [SharedGrant] {
        let requests = sizes.map { spec($0, type, options) }
        var ids = [allot_grant](repeating: 0, count: sizes.count)
        try governor.ask { allot_request_all($0, requests, UInt64(requests.count), &ids, $1) }
        return ids.map { SharedGrant(Holding(self, $0)) }
    }

    /// Runs `body` with memory that is acquired for it, and released when it has ended.
    ///
    /// ```swift
    /// let answer = try await chat.withGrant(.mib(512), for: .inference) { grant in
    ///     try await model.run(prompt)
    /// }
    /// ```
    public func withGrant<Answer: Sendable>(
        _ size: ByteCount, for type: AllocationType, _ options: RequestOptions = .init(),
        within patience: Duration? = nil, isolation: isolated (any Actor)? = #isolation,
        _ body: (borrowing Grant) async throws -> Answer
    ) async throws -> Answer {
        let grant = try await acquire(size, for: type, options, within: patience)
        return try await body(grant)
    }

    /// The most bytes, at most those asked for, that the request could be granted now, counting
    /// what would be evicted for it. Changes nothing.
    public func attainable(
        _ size: ByteCount, for type: AllocationType, _ options: RequestOptions = .init()
    ) throws(Fault) -> ByteCount {
        try governor.checkOpen()
        var request = spec(size, type, options)
        var bytes: UInt64 = 0
        try okay(allot_attainable(governor.pointer, &request, &bytes))
        return ByteCount(bytes)
    }

    /// How long the request would wait if it were queued now; none if that is not known, and
    /// wherever waiting cannot help. Changes nothing.
    public func estimatedWait(
        _ size: ByteCount, for type: AllocationType, _ options: RequestOptions = .init()
    ) throws(Fault) -> Duration? {
        try governor.checkOpen()
        var request = spec(size, type, options)
        var ns: UInt64 = 0
        try okay(allot_estimate_wait(governor.pointer, &request, &ns))
        return Duration(known: ns)
    }

    func spec(_ size: ByteCount, _ type: AllocationType, _ options: RequestOptions)
        -> allot_request_spec
    {
        var spec = callot_request_spec()
        spec.tenant = handle
        spec.allocation_type = type.rawValue
        spec.bytes = size.bytes
        spec.key = options.key
        spec.cookie = options.cookie
        spec.ttl_ns = options.ttl?.ns ?? ALLOT_FOREVER
        spec.cost = options.cost
        spec.flags =
            UInt32(options.isEvictable ? ALLOT_REQUEST_EVICTABLE : 0)
            | UInt32(options.isPinned ? ALLOT_REQUEST_PINNED : 0)
        return spec
    }
}

extension Governor {
    /// Makes a call that answers with a denial, and throws what it answers.
    @inline(__always)
    func ask(
        _ call: (OpaquePointer, UnsafeMutablePointer<allot_denial>) -> allot_status
    ) throws(Refusal) {
        if isClosed { throw .failed(.closed) }
        var denial = callot_denial()
        let status = call(pointer, &denial)
        if status != ALLOT_OK { throw Refusal(status: status, denial) }
    }
}

extension Refusal {
    /// What a call has answered instead of `ALLOT_OK`.
    init(status: allot_status, _ denial: allot_denial) {
        switch status {
        case ALLOT_DENIED: self = .denied(Denial(denial))
        case ALLOT_EVICTED: self = .evicted
        default: self = .failed(Fault(status: status))
        }
    }
}
