// Streams of pressure and events: bounded, the newest kept, and ended with the governor.

import Allotment
import Foundation
import Testing

@Suite(.timeLimit(.minutes(1))) struct StreamTests {
    let governor: Governor
    let chat: Tenant

    init() throws {
        var configuration = Governor.Configuration(capacity: .mib(64))
        configuration.eventsMax = 4_096
        governor = try Governor(configuration)
        chat = try governor.registerTenant("chat")
    }

    @Test func eachChangeOfPressureIsTold() async throws {
        var first = governor.pressures().makeAsyncIterator()
        var second = governor.pressures().makeAsyncIterator()
        for level in [Pressure.high, .critical, .normal] {
            try governor.reportPressure(level)
            #expect(try governor.pressure() == level)
            #expect(await first.next() == level)
            #expect(await second.next() == level)
        }
    }

    @Test func ofPressureTheNewestIsKept() async throws {
        let slow = governor.pressures(keeping: 2)
        for level in [Pressure.critical, .normal, .critical, .high] {
            try governor.reportPressure(level)
        }
        governor.close()
        #expect(await slow.reduce(into: []) { $0.append($1) } == [.critical, .high])
    }

    @Test func howFullThePoolIsShowsByBalancing() async throws {
        var levels = governor.pressures().makeAsyncIterator()
        let most = try chat.request(.mib(63), for: .modelLoad)
        let report = try governor.balance(evicting: false)
        #expect(report.live == .mib(63))
        #expect(report.pressure == .critical)
        #expect(await levels.next() == .critical)
        most.release()
        try governor.balance()
        #expect(await levels.next() == .normal)
    }

    @Test func theBalancerRunsUntilItsTaskIsCancelled() async throws {
        try governor.onReclaim { _ in .freed }
        let block = try chat.request(.mib(63), for: .cache)
        let balancer = Task { try await governor.keepBalanced(every: .milliseconds(1)) }
        try await soon("evicted") { try chat.used() == 0 }
        balancer.cancel()
        await #expect(throws: CancellationError.self) { try await balancer.value }
        #expect(block.release() == .evicted)
    }

    @Test func eventsAreStreamedFromTheSubscriptionOn() async throws {
        _ = try chat.request(.mib(1), for: .cache)
        var events = try governor.events([.granted, .denied, .released], every: .milliseconds(2))
            .makeAsyncIterator()
        let grant = try chat.request(.mib(8), for: .inference)
        _ = refusal { () throws(Refusal) in _ = try chat.tryRequest(.mib(60), for: .cache) }
        let id = grant.id
        grant.release()

        let granted = try #require(await events.next())
        #expect(granted.kind == .granted)
        #expect(granted.bytes == .mib(8))
        #expect(granted.grant == id)
        #expect(granted.slot == chat.slot)
        #expect(granted.type == AllocationType.inference.rawValue)
        let denied = try #require(await events.next())
        #expect(denied.kind == .denied)
        #expect(denied.reason == .capacity)
        #expect(denied.sequence > granted.sequence)
        #expect(denied.detail == ByteCount.mib(4).bytes, "so many bytes were short")
        #expect(await events.next()?.kind == .released)
    }

    @Test func alertsLeaveOutWhatIsUsual() async throws {
        var alerts = try governor.events(every: .milliseconds(2)).makeAsyncIterator()
        for _ in 0..<100 { _ = try chat.request(1, for: .cache) }
        try governor.reportPressure(.high)
        let first = try #require(await alerts.next())
        #expect(first.kind == .pressureChanged)
        #expect(first.from == Pressure.normal.rawValue)
        #expect(first.to == Pressure.high.rawValue)
    }

    @Test func ofEventsTheNewestAreKept() async throws {
        let slow = try governor.events([.granted], keeping: 3, every: .milliseconds(1))
        for bytes in 1...50 as ClosedRange<UInt64> {
            _ = try chat.request(ByteCount(bytes), for: .cache)
        }
        try await Task.sleep(for: .milliseconds(200))
        governor.close()
        let kept = await slow.reduce(into: [ByteCount]()) { $0.append($1.bytes) }
        #expect(kept == [48, 49, 50])
    }

    @Test func eventsThatWereOverwrittenAreCounted() async throws {
        var configuration = Governor.Configuration(capacity: .mib(64))
        configuration.eventsMax = 8
        let governor = try Governor(configuration)
        let chat = try governor.registerTenant("chat")
        let stream = try governor.events(every: .milliseconds(20))
        for _ in 0..<100 { _ = try chat.request(1, for: .cache) }
        var alerts = stream.makeAsyncIterator()
        let lost = try #require(await alerts.next())
        #expect(lost.kind == .lost)
        #expect(lost.detail > 0)
    }

    @Test func streamsEndWithTheGovernorAndKeepNothingAlive() async throws {
        weak var gone: Governor?
        let pressures: AsyncStream<Pressure>
        let events: AsyncStream<Event>
        let failures: AsyncStream<HandlerFailure>
        do {
            var configuration = Governor.Configuration(capacity: .mib(64))
            configuration.eventsMax = 64
            let governor = try Governor(configuration)
            gone = governor
            pressures = governor.pressures()
            events = try governor.events(every: .milliseconds(1))
            failures = governor.handlerFailures()
        }
        try await soon("gone") { gone == nil }
        #expect(await pressures.reduce(0) { count, _ in count + 1 } == 0)
        #expect(await events.reduce(0) { count, _ in count + 1 } == 0)
        #expect(await failures.reduce(0) { count, _ in count + 1 } == 0)
    }

    @Test func whereNoEventsAreKeptThereIsNoStreamOfThem() throws {
        let governor = try Governor(capacity: .mib(1))
        #expect(fault { () throws(Fault) in _ = try governor.events() } == .unsupported)
    }

    @Test func aStreamOfAClosedGovernorHasEnded() async throws {
        governor.close()
        #expect(await governor.pressures().first { _ in true } == nil)
        #expect(fault { () throws(Fault) in _ = try governor.events() } == .closed)
    }
}
