// Eviction handlers: who calls them, what they answer, and when they are let go.

import Allotment
import Foundation
import Testing

/// A value that closures of several threads write.
final class Box<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var inner: Value
    init(_ value: Value) { inner = value }
    var value: Value {
        get { lock.withLock { inner } }
        set { lock.withLock { inner = newValue } }
    }
}

private struct NotNow: Error, Equatable {
    let cookie: UInt64
}

@Suite(.timeLimit(.minutes(1))) struct ReclaimTests {
    let governor: Governor
    let cache: Tenant

    init() throws {
        var configuration = Governor.Configuration(capacity: .mib(64))
        configuration.eventsMax = 1_024
        governor = try Governor(configuration)
        cache = try governor.registerTenant("cache")
    }

    @Test func aHandlerSeesItsVictimOnTheThreadThatIsShort() throws {
        let seen = Box<[Victim]>([])
        let thread = Box<pthread_t?>(nil)
        try governor.onReclaim { victim in
            seen.value.append(victim)
            thread.value = pthread_self()
            return .freed
        }
        let block = try cache.request(.mib(64), for: .cache, .init(key: 9, cookie: 42))
        _ = try cache.request(.mib(32), for: .inference)
        #expect(seen.value.count == 1)
        let victim = try #require(seen.value.first)
        #expect(victim.grant == block.id)
        #expect(victim.tenant == cache.handle)
        #expect(victim.type == .cache)
        #expect(victim.bytes == .mib(64))
        #expect(victim.cookie == 42)
        #expect(victim.key == 9)
        #expect(thread.value == pthread_self())
        #expect(block.release() == .evicted)
    }

    @Test func aHandlerWithATimeOutRunsOnAThreadOfTheLibrary() throws {
        let thread = Box<pthread_t?>(nil)
        try governor.onReclaim(within: .seconds(10)) { _ in
            thread.value = pthread_self()
            return .freed
        }
        let block = try cache.request(.mib(64), for: .cache)
        _ = try cache.request(.mib(32), for: .inference)
        #expect(thread.value != nil && thread.value != pthread_self())
        #expect(block.release() == .evicted)
    }

    @Test func theHandlerOfATenantGoesBeforeThatOfAll() throws {
        let asked = Box<[String]>([])
        try governor.onReclaim { _ in
            asked.value.append("all")
            return .freed
        }
        try cache.onReclaim { _ in
            asked.value.append("cache")
            return .freed
        }
        for _ in 0..<2 {
            let block = try cache.request(.mib(64), for: .cache)
            _ = try cache.request(.mib(1), for: .inference)
            #expect(block.release() == .evicted)
            try cache.removeReclaimHandler()
        }
        #expect(asked.value == ["cache", "all"])
    }

    @Test func whatAHandlerThrowsIsAnAnswerAndIsTold() async throws {
        try governor.onReclaim { victim in throw NotNow(cookie: victim.cookie) }
        var failures = governor.handlerFailures().makeAsyncIterator()
        let block = try cache.request(.mib(64), for: .cache, .init(cookie: 7))
        let denied = refusal { () throws(Refusal) in _ = try cache.request(.mib(1), for: .inference)
        }
        #expect(denied?.denial?.reason == .capacity)
        let failure = try #require(await failures.next())
        #expect(failure.error as? NotNow == NotNow(cookie: 7))
        #expect(failure.victim.grant == block.id)
        #expect(block.release() == .released, "it was kept")
    }

    @Test func aThrowOnAThreadOfTheLibraryIsNoCrashEither() async throws {
        try governor.onReclaim(within: .seconds(10)) { _ in throw NotNow(cookie: 0) }
        var failures = governor.handlerFailures().makeAsyncIterator()
        let block = try cache.request(.mib(64), for: .cache)
        #expect(refusal { () throws(Refusal) in _ = try cache.request(1, for: .cache) } != nil)
        #expect(await failures.next()?.error is NotNow)
        #expect(block.release() == .released)
    }

    @Test func aHandlerMayCallTheGovernorAndReleaseTheGrant() throws {
        let blocks = Box<[UInt64: SharedGrant]>([:])
        let used = Box<ByteCount?>(nil)
        try governor.onReclaim { [weak governor] victim in
            used.value = try governor?.usage().capacity
            _ = try? blocks.value.removeValue(forKey: victim.cookie)?.release()
            return .freed
        }
        for cookie in 1...4 as ClosedRange<UInt64> {
            blocks.value[cookie] =
                try cache.request(.mib(16), for: .cache, .init(cookie: cookie)).shared()
        }
        let big = try cache.request(.mib(60), for: .inference)
        #expect(used.value == .mib(64))
        #expect(blocks.value.isEmpty)
        #expect(try governor.usage().live == .mib(60))
        big.release()
        try governor.expectEmpty()
    }

    @Test func aDeferredVictimServesWhoWaitsOnceItIsReleased() async throws {
        let blocks = Box<SharedGrant?>(nil)
        try governor.onReclaim { _ in .deferred }
        blocks.value = try cache.request(.mib(64), for: .cache).shared()
        let task = Task { try await cache.acquire(.mib(64), for: .inference).shared() }
        try await soon("in line") { try governor.usage().waiters == 1 }
        blocks.value = nil
        #expect(try await task.value.bytes() == .mib(64))
    }

    @Test func whereNobodyIsAskedVictimsAreHandedOut() throws {
        let block = try cache.request(.mib(64), for: .cache, .init(cookie: 5))
        #expect(
            refusal { () throws(Refusal) in _ = try cache.request(.mib(8), for: .inference) } != nil
        )
        let victim = try #require(try governor.nextVictim())
        #expect(victim.cookie == 5)
        #expect(try governor.nextVictim() == nil)
        try block.decline()
        let bytes = try block.bytes()
        #expect(bytes == .mib(64))
    }

    @Test func aHandlerIsLetGoWhenItIsReplacedRemovedOrItsGovernorCloses() throws {
        func tracked(_ set: (@escaping ReclaimHandler) throws -> Void) rethrows -> () -> Bool {
            let box = Box(0)
            weak var alive = box
            try set { _ in
                box.value += 1
                return .busy
            }
            return { alive != nil }
        }
        let first = try tracked { try governor.onReclaim($0) }
        #expect(first())
        let second = try tracked { try governor.onReclaim($0) }
        #expect(!first() && second())
        try governor.removeReclaimHandler()
        #expect(!second())
        let third = try tracked { try governor.onReclaim(within: .seconds(1), $0) }
        let fourth = try tracked { try cache.onReclaim($0) }
        #expect(third() && fourth())
        governor.close()
        #expect(!third() && !fourth())
        let refused = try? tracked { try governor.onReclaim($0) }
        #expect(refused == nil)
    }

    @Test func aHandlerThatHangsHoldsNobodyUp() async throws {
        var events = try governor.events(every: .milliseconds(5)).makeAsyncIterator()
        try governor.onReclaim(within: .milliseconds(20)) { _ in
            Thread.sleep(forTimeInterval: 0.2)
            return .busy
        }
        let block = try cache.request(.mib(64), for: .cache)
        #expect(refusal { () throws(Refusal) in _ = try cache.request(1, for: .cache) } != nil)
        #expect(await events.next()?.kind == .reclaimTimedOut)
        #expect(try governor.usage().reclaimTimeouts == 1)
        block.release()
    }
}
