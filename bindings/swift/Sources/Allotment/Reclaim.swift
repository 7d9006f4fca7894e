// Who is asked for memory back: eviction handlers of Swift, called by the library.
//
//   a handler is let go once, when it is replaced, removed, or what it was set for has ended
//   what a handler throws is an answer (busy) and an element of `handlerFailures`, never a crash

import CAllotment

/// A grant that was chosen to go.
public struct Victim: Sendable, Hashable {
    /// Who holds it, by its number: ``Tenant/handle``.
    public let tenant: UInt64
    /// The grant, by its number: ``Grant/id``.
    public let grant: UInt64
    /// What it was requested for.
    public let type: AllocationType
    /// What it holds.
    public let bytes: ByteCount
    /// The number that the caller gave it.
    public let cookie: UInt64
    /// The name of its content.
    public let key: UInt64

    init(_ victim: allot_victim) {
        tenant = victim.tenant
        grant = victim.grant
        type = AllocationType(rawValue: victim.allocation_type) ?? .background
        bytes = ByteCount(victim.bytes)
        cookie = victim.cookie
        key = victim.key
    }
}

/// What an owner answers when its grant is chosen.
public enum ReclaimAnswer: UInt32, Sendable, Hashable {
    /// The memory is free now; the grant has ended.
    case freed
    /// The owner will release the grant, or decline: within the time of
    /// ``Governor/Configuration/promise``.
    case deferred
    /// Not now: the grant is left alone for a while.
    case busy
}

/// What a handler has thrown, instead of an answer.
public struct HandlerFailure: Error, Sendable {
    /// What it was asked for.
    public let victim: Victim
    /// What it has thrown.
    public let error: any Error
}

/// Frees the memory of a victim and answers ``ReclaimAnswer/freed``, or says what becomes of it.
/// What it throws counts as ``ReclaimAnswer/busy``.
public typealias ReclaimHandler = @Sendable (Victim) throws -> ReclaimAnswer

extension Governor {
    /// Sets who is asked for victims of tenants without a handler of their own. A second call
    /// replaces the first.
    ///
    /// Without `timeout` it runs on the thread that is short of memory, or balances. With one it
    /// runs on a thread of the library's, and whoever is short waits at most so long. It is called
    /// by several threads at once, with nothing held, and may call anything.
    ///
    /// The handler lives until it is replaced or the governor ends: let it hold the governor and
    /// its grants weakly, or ``close()`` the governor.
    public func onReclaim(within timeout: Duration? = nil, _ handler: @escaping ReclaimHandler)
        throws(Fault)
    {
        try checkOpen()
        try Asked(handler, failureListeners).hand { function, userData, drop in
            allot_on_reclaim(pointer, Asked.timeout(timeout), function, userData, drop)
        }
        // Closed meanwhile, maybe before it was there to be let go.
        if isClosed { _ = allot_on_reclaim(pointer, 0, nil, nil, nil) }
    }

    /// Nobody is asked any more; ``nextVictim()`` hands victims out.
    public func removeReclaimHandler() throws(Fault) {
        try checkOpen()
        try okay(allot_on_reclaim(pointer, 0, nil, nil, nil))
    }

    /// The next victim of a tenant that has nobody to be asked, if there is one. Its owner frees
    /// the memory and releases the grant, or declines.
    public func nextVictim() throws(Fault) -> Victim? {
        try checkOpen()
        var victim = callot_victim()
        let status = allot_next_victim(pointer, &victim)
        try okay(status)
        return status == ALLOT_OK ? Victim(victim) : nil
    }

    /// What eviction handlers have thrown, from now on; the newest `count` are kept.
    public func handlerFailures(keeping count: Int = 16) -> AsyncStream<HandlerFailure> {
        failureListeners.stream(keeping: count)
    }
}

extension Tenant {
    /// Sets who is asked for victims of this tenant, as ``Governor/onReclaim(within:_:)`` does for
    /// all.
    public func onReclaim(within timeout: Duration? = nil, _ handler: @escaping ReclaimHandler)
        throws(Fault)
    {
        try governor.checkOpen()
        try Asked(handler, governor.failureListeners).hand { function, userData, drop in
            allot_tenant_on_reclaim(
                governor.pointer, handle, Asked.timeout(timeout), function, userData, drop)
        }
        if governor.isClosed {
            _ = allot_tenant_on_reclaim(governor.pointer, handle, 0, nil, nil, nil)
        }
    }

    /// Its victims are asked of whom ``Governor/onReclaim(within:_:)`` has set.
    public func removeReclaimHandler() throws(Fault) {
        try governor.checkOpen()
        try okay(allot_tenant_on_reclaim(governor.pointer, handle, 0, nil, nil, nil))
    }
}

/// A handler as the library keeps it.
private final class Asked: Sendable {
    private let handler: ReclaimHandler
    private let failures: Listeners<HandlerFailure>

    init(_ handler: @escaping ReclaimHandler, _ failures: Listeners<HandlerFailure>) {
        self.handler = handler
        self.failures = failures
    }

    /// 0 means the thread that is short, so that no time at all is the shortest that is one.
    static func timeout(_ timeout: Duration?) -> UInt64 {
        timeout.map { max($0.ns, 1) } ?? 0
    }

    func hand(
        _ set: (@escaping allot_reclaim_fn, UnsafeMutableRawPointer, @escaping allot_drop_fn)
            -> allot_status
    ) throws(Fault) {
        let held = Unmanaged.passRetained(self)
        let status = set(
            { _, victim, asked in
                Unmanaged<Asked>.fromOpaque(asked!).takeUnretainedValue().answer(victim!.pointee)
            },
            held.toOpaque(),
            { Unmanaged<Asked>.fromOpaque($0!).release() })
        if status == ALLOT_OK { return }
        held.release()
        throw Fault(status: status)
    }

    private func answer(_ victim: allot_victim) -> allot_reclaim_answer {
        let victim = Victim(victim)
        do {
            return try handler(victim).rawValue
        } catch {
            failures.yield(HandlerFailure(victim: victim, error: error))
            return ReclaimAnswer.busy.rawValue
        }
    }
}
