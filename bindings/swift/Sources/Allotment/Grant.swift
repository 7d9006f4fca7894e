// A grant with one owner, which the compiler keeps track of: no use after release, no second
// release. For what is stored in arrays, dictionaries and classes there is `SharedGrant`.

import CAllotment

/// Bytes that are held, until this value ends.
///
/// It cannot be copied. Where it goes out of scope its bytes go back; ``release()`` gives them back
/// earlier, and says whether they were there still. Using it after that does not compile.
public struct Grant: ~Copyable, Sendable {
    private let holding: Holding

    init(_ holding: Holding) {
        self.holding = holding
    }

    deinit {
        _ = holding.release()
        holding.end()
    }

    /// Gives the bytes back now.
    @discardableResult
    public consuming func release() -> Ending {
        let status = holding.release()
        holding.end()
        discard self
        return status == ALLOT_OK ? .released : .evicted
    }

    /// The same grant as an object with any number of owners.
    public consuming func shared() -> SharedGrant {
        let holding = holding
        discard self
        return SharedGrant(holding)
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
