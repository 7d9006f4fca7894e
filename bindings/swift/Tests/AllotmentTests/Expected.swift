// What tests have in common: errors as values, and waiting for what comes soon.

import Allotment
import Testing

/// What `body` refuses with; none if it does not.
func refusal(_ body: () throws(Refusal) -> Void) -> Refusal? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}

/// The same of a body that waits.
func refusal(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws(Refusal) -> Void
) async -> Refusal? {
    do {
        try await body()
        return nil
    } catch {
        return error
    }
}

/// What `body` fails with; none if it does not.
func fault(_ body: () throws(Fault) -> Void) -> Fault.Code? {
    do {
        try body()
        return nil
    } catch {
        return error.code
    }
}

extension Refusal {
    var denial: Denial? {
        if case .denied(let denial) = self { return denial }
        return nil
    }

    var code: Fault.Code? {
        if case .failed(let fault) = self { return fault.code }
        return nil
    }
}

/// Waits until `condition` holds; an error if that takes more than ten seconds.
func soon(_ what: String, _ condition: () throws -> Bool) async throws {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(10)
    while try !condition() {
        if clock.now > end {
            Issue.record("within ten seconds not: \(what)")
            return
        }
        try await Task.sleep(for: .milliseconds(1))
    }
}

extension Governor {
    /// Nothing is granted to anybody, and nobody waits.
    func expectEmpty(_ sourceLocation: SourceLocation = #_sourceLocation) throws {
        let snapshot = try snapshot()
        #expect(snapshot.pool.live == 0, sourceLocation: sourceLocation)
        #expect(snapshot.pool.waiters == 0, sourceLocation: sourceLocation)
        #expect(snapshot.tenants.allSatisfy { $0.used == 0 }, sourceLocation: sourceLocation)
    }
}
