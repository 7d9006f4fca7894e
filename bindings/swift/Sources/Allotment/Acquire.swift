// Asking for memory and awaiting one's turn, without a thread that waits.
//
//   a ticket ends once: its answer is taken by `ready`, or it is cancelled by `giveUp`
//   who ended it settles the wait; the library says who that was
//
// If cancellation comes first, the ticket is cancelled and what it was just given goes back; if the
// answer was taken first, cancellation finds no ticket and the task has its grant.

import CAllotment

extension Tenant {
    /// Asks for memory, and where it is not there and waiting can help awaits its turn: first in
    /// first out within the tenant, and fair between tenants by weight.
    ///
    /// ```swift
    /// let grant = try await chat.acquire(.gib(4), for: .inference, within: .seconds(30))
    /// ```
    ///
    /// Evicts like ``request(_:for:_:)`` before it waits: eviction handlers run on the thread of
    /// this task. A task that is cancelled gives its place up and throws ``Refusal/cancelled``.
    /// It waits for up to `patience` by the governor's clock; none: for ever.
    public func acquire(
        _ size: ByteCount, for type: AllocationType, _ options: RequestOptions = .init(),
        within patience: Duration? = nil
    ) async throws(Refusal) -> Grant {
        if Task.isCancelled { throw .cancelled }
        var request = spec(size, type, options)
        var id: allot_grant = 0
        var ticket: allot_ticket = 0
        var queued = false
        try governor.ask { pointer, denial in
            let most = patience?.ns ?? ALLOT_FOREVER
            let status = allot_enqueue(pointer, &request, most, &id, &ticket, denial)
            queued = status == ALLOT_QUEUED
            return queued ? ALLOT_OK : status
        }
        if queued { id = try await Wait(governor, ticket).outcome().get() }
        return Grant(Holding(self, id))
    }
}

/// One task that waits for its turn.
final class Wait: Sendable {
    private enum State {
        case open
        case waiting(CheckedContinuation<Outcome, Never>)
        case settled(Outcome)
    }
    typealias Outcome = Result<allot_grant, Refusal>

    private let governor: Governor
    private let ticket: allot_ticket
    private let state = Locked(State.open)

    init(_ governor: Governor, _ ticket: allot_ticket) {
        self.governor = governor
        self.ticket = ticket
    }

    func outcome() async -> Outcome {
        if !governor.waiting.enter(self) { giveUp(.failed(.closed)) }
        defer { governor.waiting.leave(self) }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { begin($0) }
        } onCancel: {
            giveUp(.cancelled)
        }
    }

    /// Cancels the ticket, unless its answer was taken: then the wait is settled by that.
    func giveUp(_ refusal: Refusal) {
        if allot_ticket_cancel(governor.pointer, ticket) == ALLOT_OK { settle(.failure(refusal)) }
    }

    private func begin(_ continuation: CheckedContinuation<Outcome, Never>) {
        let settled: Outcome? = state.with {
            if case .settled(let outcome) = $0 { return outcome }
            $0 = .waiting(continuation)
            return nil
        }
        if let settled { return continuation.resume(returning: settled) }
        let held = Unmanaged.passRetained(self)
        let status = allot_ticket_on_ready(
            governor.pointer, ticket,
            { _, _, wait in Unmanaged<Wait>.fromOpaque(wait!).takeUnretainedValue().ready() },
            held.toOpaque(),
            { Unmanaged<Wait>.fromOpaque($0!).release() })
        if status == ALLOT_OK { return }
        held.release()
        // Of a ticket that was cancelled meanwhile the one who cancelled it takes care.
        if status != ALLOT_ERROR_STALE_TICKET { giveUp(.failed(Fault(status: status))) }
    }

    /// Takes the answer. On a thread of the library's.
    private func ready() {
        var id: allot_grant = 0
        var denial = callot_denial()
        let status = allot_ticket_poll(governor.pointer, ticket, &id, &denial)
        switch status {
        case ALLOT_OK: settle(.success(id))
        case ALLOT_ERROR_STALE_TICKET: break
        default: settle(.failure(Refusal(status: status, denial)))
        }
    }

    private func settle(_ outcome: Outcome) {
        let continuation: CheckedContinuation<Outcome, Never>? = state.with { state in
            defer { state = .settled(outcome) }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume(returning: outcome)
    }
}

/// Who waits, so that closing a governor leaves nobody behind.
final class WaitingRoom: Sendable {
    private let waits: Locked<[ObjectIdentifier: Wait]?> = Locked([:])

    /// Whether it is open still.
    func enter(_ wait: Wait) -> Bool {
        waits.with {
            $0?[ObjectIdentifier(wait)] = wait
            return $0 != nil
        }
    }

    func leave(_ wait: Wait) {
        waits.with { _ = $0?.removeValue(forKey: ObjectIdentifier(wait)) }
    }

    func close() {
        let left = waits.with { waits in
            defer { waits = nil }
            return waits
        }
        for wait in left?.values ?? [:].values { wait.giveUp(.failed(.closed)) }
    }
}
