// Any number of streams of the same thing. Each keeps the newest so many, whoever is slow.

final class Listeners<Element: Sendable>: Sendable {
    private struct State {
        var next = 0
        /// None once there will be nothing more.
        var continuations: [Int: AsyncStream<Element>.Continuation]? = [:]
    }

    private let state = Locked(State())

    func stream(keeping count: Int) -> AsyncStream<Element> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Element.self, bufferingPolicy: .bufferingNewest(max(count, 1)))
        let key: Int? = state.with {
            $0.next += 1
            $0.continuations?[$0.next] = continuation
            return $0.continuations == nil ? nil : $0.next
        }
        guard let key else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.with { _ = $0.continuations?.removeValue(forKey: key) }
        }
        return stream
    }

    // What is called of a stream is called without the lock: it may end the stream, which takes it.

    func yield(_ element: Element) {
        let continuations = state.with { $0.continuations }
        for continuation in continuations?.values ?? [:].values { continuation.yield(element) }
    }

    func finish() {
        let continuations = state.with { state in
            defer { state.continuations = nil }
            return state.continuations
        }
        for continuation in continuations?.values ?? [:].values { continuation.finish() }
    }
}
