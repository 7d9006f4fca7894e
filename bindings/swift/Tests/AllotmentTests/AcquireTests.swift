// Awaiting one's turn, and giving it up: cancellation at each point.

import Allotment
import Foundation
import Testing

@Suite(.timeLimit(.minutes(1))) struct AcquireTests {
    let governor: Governor
    let chat: Tenant

    init() throws {
        governor = try Governor(capacity: .mib(64))
        chat = try governor.registerTenant("chat")
    }

    /// Until so many stand in line.
    func waiters(_ count: Int) async throws {
        try await soon("\(count) in line") { try governor.usage().waiters == count }
    }

    @Test func whatIsThereIsGrantedAtOnce() async throws {
        let grant = try await chat.acquire(.mib(64), for: .inference)
        #expect(try chat.used() == .mib(64))
        #expect(grant.release() == .released)
    }

    @Test func whoWaitsIsServedWhenMemoryComesBack() async throws {
        let first = try await chat.acquire(.mib(64), for: .inference)
        let second = Task { try await chat.acquire(.mib(48), for: .inference).shared() }
        try await waiters(1)
        first.release()
        let grant = try await second.value
        #expect(try grant.bytes() == .mib(48))
        #expect(try chat.used() == .mib(48))
    }

    @Test func thoseWhoWaitAreServedInTheirOrder() async throws {
        let order = Order()
        let full = try await chat.acquire(.mib(64), for: .inference)
        var tasks: [Task<Void, any Error>] = []
        for place in 0..<8 {
            tasks.append(
                Task {
                    let grant = try await chat.acquire(.mib(64), for: .inference)
                    await order.came(place)
                    grant.release()
                })
            try await waiters(place + 1)
        }
        full.release()
        for task in tasks { try await task.value }
        #expect(await order.places == Array(0..<8))
        try governor.expectEmpty()
    }

    @Test func aTaskThatIsCancelledBeforeItAsksAsksNothing() async throws {
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return await refusal { () async throws(Refusal) in
                _ = try await chat.acquire(1, for: .cache)
            }
        }
        task.cancel()
        #expect(await task.value == .cancelled)
        #expect(try governor.snapshot().tenants[0].granted == 0)
    }

    @Test func aTaskThatIsCancelledInLineGivesItsPlaceUp() async throws {
        let full = try await chat.acquire(.mib(64), for: .inference)
        let task = Task {
            await refusal { () async throws(Refusal) in
                _ = try await chat.acquire(.mib(8), for: .inference)
            }
        }
        try await waiters(1)
        task.cancel()
        #expect(await task.value == .cancelled)
        try await waiters(0)
        full.release()
        try governor.expectEmpty()
    }

    @Test func aTaskThatIsCancelledWhileItHoldsGivesBackWhatItHas() async throws {
        let task = Task {
            try await chat.withGrant(.mib(64), for: .inference) { _ in
                try await Task.sleep(for: .seconds(60))
            }
        }
        try await soon("granted") { try chat.used() == .mib(64) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try governor.expectEmpty()
    }

    /// The release that serves the waiter and the cancellation race, from both sides.
    @Test func cancellationThatMeetsTheAnswerLosesNothing() async throws {
        let rounds = 2_000
        var served = 0
        for round in 0..<rounds {
            let full = try await chat.acquire(.mib(64), for: .inference)
            let task = Task {
                await refusal { () async throws(Refusal) in
                    _ = try await chat.acquire(.mib(8), for: .inference)
                }
            }
            while try round % 8 != 0 && governor.usage().waiters == 0 { await Task.yield() }
            // From a thread of its own, sooner or later than the release.
            let started = Box(false)
            let canceller = Thread {
                started.value = true
                for _ in 0..<round % 64 { sched_yield() }
                task.cancel()
            }
            canceller.start()
            while !started.value { await Task.yield() }
            for _ in 0..<round / 64 % 64 { sched_yield() }
            full.release()
            let answer = await task.value
            #expect(answer == nil || answer == .cancelled)
            served += answer == nil ? 1 : 0
            try governor.expectEmpty()
        }
        print("of \(rounds) tasks cancelled while they were served, \(served) had their grant")
    }

    @Test func nobodyWhoHasWaitedKeepsTheGovernor() async throws {
        weak var gone: Governor?
        do {
            let governor = try Governor(capacity: .mib(1))
            gone = governor
            let chat = try governor.registerTenant("chat")
            for cancelled in [false, true] {
                let full = try chat.request(.mib(1), for: .inference)
                let task = Task { try await chat.acquire(.mib(1), for: .inference).release() }
                try await soon("in line") { try governor.usage().waiters == 1 }
                if cancelled { task.cancel() }
                full.release()
                _ = await task.result
            }
        }
        try await soon("gone") { gone == nil }
    }

    @Test func whoseTimeRunsOutIsDeniedWithTheReason() async throws {
        let full = try await chat.acquire(.mib(64), for: .inference)
        let denied = await refusal { () async throws(Refusal) in
            _ = try await chat.acquire(.mib(8), for: .inference, within: .milliseconds(30))
        }
        #expect(denied?.denial?.reason == .waitedTooLong)
        #expect(denied?.denial?.asked == .mib(8))
        full.release()
        try governor.expectEmpty()
    }

    @Test func whereWaitingCannotHelpNobodyWaits() async throws {
        let small = try governor.registerTenant("small", .init(limit: .mib(1), isolation: .hard))
        let denial = await refusal { () async throws(Refusal) in
            _ = try await small.acquire(.mib(2), for: .inference)
        }?.denial
        #expect(denial?.waitingCanHelp == false)
        #expect(denial?.account == .tenant(small.handle))
    }

    @Test func asManyWaitAsCanAndNoMore() async throws {
        var configuration = Governor.Configuration(capacity: .mib(1))
        configuration.waitersMax = 1
        let governor = try Governor(configuration)
        let chat = try governor.registerTenant("chat")
        let full = try await chat.acquire(.mib(1), for: .inference)
        let waits = Task { try await chat.acquire(.mib(1), for: .inference).shared() }
        try await soon("one in line") { try governor.usage().waiters == 1 }
        let denied = await refusal { () async throws(Refusal) in
            _ = try await chat.acquire(.mib(1), for: .inference)
        }
        #expect(denied?.denial?.reason == .waitersExhausted)
        full.release()
        #expect(try await waits.value.release() == .released)
    }

    @Test func closingTheGovernorWakesAllWhoWait() async throws {
        let full = try await chat.acquire(.mib(64), for: .inference)
        let tasks = (0..<10).map { _ in
            Task {
                await refusal { () async throws(Refusal) in
                    _ = try await chat.acquire(.mib(8), for: .inference)
                }
            }
        }
        try await waiters(10)
        governor.close()
        for task in tasks { #expect(await task.value?.code == .closed) }
        full.release()
    }

    @Test func unregisteringATenantWakesItsWaiters() async throws {
        let full = try await chat.acquire(.mib(64), for: .inference)
        let guest = try governor.registerTenant("guest")
        let task = Task {
            await refusal { () async throws(Refusal) in
                _ = try await guest.acquire(.mib(8), for: .inference)
            }
        }
        try await waiters(1)
        try guest.unregister()
        #expect(await task.value?.code == .gone)
        full.release()
    }

    @Test func aThousandTasksShareWhatThereIs() async throws {
        let most = Most()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in 0..<1_000 {
                tasks.addTask {
                    let size = ByteCount.mib(UInt64(1 + number % 16))
                    try await chat.withGrant(size, for: .inference) { grant in
                        await most.enters(try grant.bytes())
                        await Task.yield()
                        await most.leaves(try grant.bytes())
                    }
                }
            }
            try await tasks.waitForAll()
        }
        #expect(await most.bytes <= .mib(64))
        #expect(await most.bytes > .mib(32), "they were in there together")
        #expect(try governor.snapshot().tenants[0].granted == 1_000)
        try governor.expectEmpty()
    }

    @Test func aThousandTasksHalfOfThemCancelledLoseNothing() async throws {
        let ended = await withTaskGroup(of: Refusal?.self) { tasks in
            for number in 0..<1_000 {
                tasks.addTask {
                    await refusal { () async throws(Refusal) in
                        let grant = try await chat.acquire(.mib(16), for: .inference)
                        await Task.yield()
                        grant.release()
                    }
                }
                if number == 500 { tasks.cancelAll() }
            }
            return await tasks.reduce(into: [Refusal?]()) { $0.append($1) }
        }
        #expect(ended.count == 1_000)
        #expect(ended.allSatisfy { $0 == nil || $0 == .cancelled })
        #expect(ended.contains(.cancelled))
        try governor.expectEmpty()
    }

    @Test func anActorMayHoldAGrantInItsOwnMethods() async throws {
        let model = Model()
        #expect(try await model.answer(chat) == 1)
        try governor.expectEmpty()
    }
}

private actor Order {
    var places: [Int] = []
    func came(_ place: Int) { places.append(place) }
}

private actor Most {
    var now: ByteCount = 0
    var bytes: ByteCount = 0
    func enters(_ size: ByteCount) {
        now = now + size
        bytes = max(bytes, now)
    }
    func leaves(_ size: ByteCount) { now = now - size }
}

private actor Model {
    var answers = 0
    func answer(_ tenant: Tenant) async throws -> Int {
        try await tenant.withGrant(.mib(1), for: .inference) { grant in
            try grant.touch()
            answers += 1
            return answers
        }
    }
}
