// A grant with any number of owners: for arrays, dictionaries, classes and closures.
//
// Whoever ends it first has released it, and nobody asks the library again: a second release is an
// error. The library refuses a number that has ended, so that nobody gives back what is another's.

import CAllotment

/// Bytes that are held until the last owner of this object lets go, or one of them releases it.
public final class SharedGrant: @unchecked Sendable {
    private let holding: Holding
    private let released = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)

    init(_ holding: Holding) {
        self.holding = holding
        released.initialize(to: 0)
    }

    deinit {
        if callot_raise(released) { _ = holding.release() }
        released.deallocate()
        holding.end()
    }

    /// Gives the bytes back now, for all owners. Later calls throw ``Fault/Code/staleGrant``.
    @discardableResult
    public func release() throws(Fault) -> Ending {
        if !callot_raise(released) { throw .released }
        let status = holding.release()
        if status != ALLOT_ERROR_STALE_GRANT { try okay(status) }
        return status == ALLOT_OK ? .released : .evicted
    }

    /// What the library refuses after the release of another owner is no eviction.
    private func held<Answer>(
        _ verb: (Holding) throws(Refusal) -> Answer
    ) throws(Refusal) -> Answer {
        do {
            return try verb(holding)
        } catch {
            if error == .evicted && callot_is_raised(released) { throw .failed(.released) }
            throw error
        }
    }

    /// Who holds it.
    public var tenant: Tenant { holding.owner() }
    /// Its number, by which victims and explanations name it.
    public var id: UInt64 { holding.id }
    /// The bytes it holds now.
    public func bytes() throws(Refusal) -> ByteCount {
        try held { h throws(Refusal) in try h.bytes() }
    }
    /// Adds bytes, without evicting.
    public func grow(by size: ByteCount) throws(Refusal) {
        try held { h throws(Refusal) in try h.grow(by: size) }
    }
    /// Adds bytes, and evicts others when memory is short.
    public func growEvicting(by size: ByteCount) throws(Refusal) {
        try held { h throws(Refusal) in try h.growEvicting(by: size) }
    }
    /// Gives back part of it; at least 1 byte stays.
    public func shrink(by size: ByteCount) throws(Refusal) {
        try held { h throws(Refusal) in try h.shrink(by: size) }
    }
    /// Grows or shrinks it to what was measured. Does not evict.
    public func trueUp(to measured: ByteCount) throws(Refusal) {
        try held { h throws(Refusal) in try h.trueUp(to: measured) }
    }
    /// Its content was used: it goes later.
    public func touch() throws(Refusal) { try held { h throws(Refusal) in try h.touch() } }
    /// Forbids its eviction until ``unpin()``.
    public func pin() throws(Refusal) { try held { h throws(Refusal) in try h.pin() } }
    /// Allows its eviction again.
    public func unpin() throws(Refusal) { try held { h throws(Refusal) in try h.unpin() } }
    /// Forbids its eviction for so long from now on.
    public func keepAlive(for duration: Duration) throws(Refusal) {
        try held { h throws(Refusal) in try h.keepAlive(for: duration) }
    }
    /// Makes a reservation a grant.
    public func commit() throws(Refusal) { try held { h throws(Refusal) in try h.commit() } }
    /// Keeps it after its handler has answered ``ReclaimAnswer/deferred``.
    public func decline() throws(Refusal) { try held { h throws(Refusal) in try h.decline() } }
}
