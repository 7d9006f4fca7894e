// What must not be done answers with an error of the language, and changes nothing.

import Allotment
import Foundation
import Testing

@Suite struct MisuseTests {
    let governor: Governor
    let chat: Tenant

    init() throws {
        governor = try Governor(capacity: .mib(64))
        chat = try governor.registerTenant("chat")
    }

    @Test func aClosedGovernorTakesNoMoreCalls() async throws {
        let team = try governor.registerGroup("team")
        let grant = try chat.request(.mib(1), for: .cache)
        governor.close()
        governor.close()
        #expect(governor.isClosed)
        #expect(
            refusal { () throws(Refusal) in _ = try chat.request(1, for: .cache) }?.code == .closed)
        #expect(
            refusal { () throws(Refusal) in _ = try chat.tryRequest(1, for: .cache) }?.code
                == .closed)
        let waited = await refusal { () async throws(Refusal) in
            _ = try await chat.acquire(1, for: .cache)
        }
        #expect(waited?.code == .closed)
        #expect(refusal { () throws(Refusal) in try grant.touch() }?.code == .closed)
        #expect(refusal { () throws(Refusal) in try grant.grow(by: 1) }?.code == .closed)
        let calls: [() throws(Fault) -> Void] = [
            { () throws(Fault) in _ = try governor.snapshot() },
            { () throws(Fault) in _ = try governor.usage() },
            { () throws(Fault) in _ = try governor.pressure() },
            { () throws(Fault) in try governor.reportPressure(.high) },
            { () throws(Fault) in try governor.balance() },
            { () throws(Fault) in try governor.check() },
            { () throws(Fault) in try governor.setCapacity(1) },
            { () throws(Fault) in _ = try governor.registerTenant("late") },
            { () throws(Fault) in _ = try governor.registerGroup("late") },
            { () throws(Fault) in _ = try governor.nextVictim() },
            { () throws(Fault) in try governor.onReclaim { _ in .busy } },
            { () throws(Fault) in _ = try chat.explain(1, for: .cache) },
            { () throws(Fault) in try chat.unregister() },
            { () throws(Fault) in _ = try chat.name() },
            { () throws(Fault) in try team.unregister() },
        ]
        for call in calls { #expect(fault(call) == .closed) }
        #expect(grant.release() == .released, "what is held goes back all the same")
    }

    @Test func whatIsAnotherGovernorsIsRefused() throws {
        let other = try Governor(capacity: .mib(1))
        let foreign = try other.registerGroup("elsewhere")
        let code = fault { () throws(Fault) in _ = try governor.registerTenant("lost", in: foreign)
        }
        #expect(code == .foreign)
        #expect(try governor.usage().tenants == 1)
    }

    @Test func sizesOutOfRangeAreRefused() async throws {
        for (size, code) in [
            (0, Fault.Code.zeroBytes), (.max, .tooLarge), (.gib(1 << 20), .tooLarge),
        ]
            as [(ByteCount, Fault.Code)]
        {
            #expect(
                refusal { () throws(Refusal) in _ = try chat.request(size, for: .cache) }?.code
                    == code)
            let waited = await refusal { () async throws(Refusal) in
                _ = try await chat.acquire(size, for: .cache)
            }
            #expect(waited?.code == code)
        }
        try governor.expectEmpty()
    }

    @Test func aConfigurationOutOfRangeIsNamed() {
        #expect(throws: Fault.self) { try Governor(capacity: 0) }
        var configuration = Governor.Configuration(capacity: .gib(1))
        configuration.highPercent = 101
        configuration.grantsMax = -5
        do {
            _ = try Governor(configuration)
            Issue.record("it was taken")
        } catch {
            #expect(error.code == .configuration)
            #expect(error.message.contains("grants_max") || error.message.contains("high_percent"))
        }
        do {
            _ = try Governor(toml: "capacity = \"much\"")
            Issue.record("it was taken")
        } catch {
            #expect(error.code == .configuration)
            #expect(error.message.contains("configuration:1: `capacity`"))
        }
    }

    @Test func namesAreChecked() throws {
        let register = { (name: String) in
            fault { () throws(Fault) in _ = try governor.registerTenant(name) }
        }
        #expect(register("a\0b") == .text)
        #expect(register(String(repeating: "n", count: 256)) == .text)
        #expect(register("chat") == .duplicateTenant)
        #expect(register("") == nil, "a name may be empty")
        #expect(try governor.registerTenant("Größe 🌱").name() == "Größe 🌱")
    }

    @Test func promisesBeyondWhatThereIsAreRefused() throws {
        let code = fault { () throws(Fault) in
            _ = try governor.registerTenant("greedy", .init(guarantee: .mib(65)))
        }
        #expect(code == .guaranteesExceed)
        #expect(
            fault { () throws(Fault) in
                _ = try governor.registerTenant("odd", .init(guarantee: 2, limit: 1))
            } == .configuration)
    }

    @Test func whatIsInUseIsNotUnregistered() throws {
        let team = try governor.registerGroup("team")
        let member = try governor.registerTenant("member", in: team)
        #expect(fault { () throws(Fault) in try team.unregister() } == .hasChildren)
        let grant = try member.request(.mib(1), for: .modelLoad)
        #expect(fault { () throws(Fault) in try member.unregister() } == .grantsLive)
        try member.unregister(.force)
        #expect(grant.release() == .evicted)
        #expect(fault { () throws(Fault) in try member.unregister() } == .gone)
        #expect(
            refusal { () throws(Refusal) in _ = try member.request(1, for: .cache) }?.code == .gone)
        try team.unregister()
        try governor.expectEmpty()
    }

    @Test func theClockOfTheSystemIsNotMoved() throws {
        let code = fault { () throws(Fault) in try governor.advanceClock(by: .seconds(1)) }
        #expect(code == .unsupported)
        #expect(try governor.now() > .zero)
    }

    @Test func durationsOutOfRangeAreTheNearestThatFit() async throws {
        let grant = try chat.request(.mib(1), for: .cache, .init(ttl: .seconds(-1)))
        try? grant.keepAlive(for: .seconds(Int64.max))
        let again = try await chat.acquire(.mib(1), for: .cache, within: .seconds(Int64.max))
        again.release()
    }

    @Test func anErrorHasWordsForPeople() throws {
        let shared = try chat.request(1, for: .cache).shared()
        try shared.release()
        do {
            try shared.release()
            Issue.record("released twice")
        } catch {
            #expect(!error.message.isEmpty)
            #expect("\(Refusal.failed(error))" == error.message)
        }
    }
}
