// A grant with any number of owners: for arrays, dictionaries, classes and closures.
//
// Whoever ends it first has released it; the library refuses a number that has ended, so that a
// second release is an error and never gives back what is another's.

import CAllotment

/// Bytes that are held until the last owner of this object lets go, or one of them releases it.
public final class SharedGrant: Sendable {
    private let holding: Holding

    init(_ holding: Holding) {
        self.holding = holding
    }

    deinit {
        _ = holding.release()
        holding.end()
    }

    /// Gives the bytes back now, for all owners. Later calls throw ``Fault/Code/staleGrant``.
    @discardableResult
    public func release() throws(Fault) -> Ending {
        let status = holding.release()
        try okay(status)
        return status == ALLOT_OK ? .released : .evicted
    }

    /// Who holds it.
    public var tenant: Tenant { holding.owner() }
    /// Its number, by which victims and explanations name it.
    public var id: UInt64 { holding.id }
    /// The bytes it holds now.
    public func bytes() throws(Refusal) -> ByteCount { try holding.bytes() }
    /// Adds bytes, without evicting.
    public func grow(by size: ByteCount) throws(Refusal) { try holding.grow(by: size) }
    /// Adds bytes, and evicts others when memory is short.
    public func growEvicting(by size: ByteCount) throws(Refusal) {
        try holding.growEvicting(by: size)
    }
    /// Gives back part of it; at least 1 byte stays.
    public func shrink(by size: ByteCount) throws(Refusal) { try holding.shrink(by: size) }
    /// Grows or shrinks it to what was measured. Does not evict.
    public func trueUp(to measured: ByteCount) throws(Refusal) { try holding.trueUp(to: measured) }
    /// Its content was used: it goes later.
    public func touch() throws(Refusal) { try holding.touch() }
    /// Forbids its eviction until ``unpin()``.
    public func pin() throws(Refusal) { try holding.pin() }
    /// Allows its eviction again.
    public func unpin() throws(Refusal) { try holding.unpin() }
    /// Forbids its eviction for so long from now on.
    public func keepAlive(for duration: Duration) throws(Refusal) {
        try holding.keepAlive(for: duration)
    }
    /// Makes a reservation a grant.
    public func commit() throws(Refusal) { try holding.commit() }
    /// Keeps it after its handler has answered ``ReclaimAnswer/deferred``.
    public func decline() throws(Refusal) { try holding.decline() }
}
