// What the machine says of memory, told to a governor: memory pressure by the kernel, and on a
// phone what the process may still take, and whether it is in the background.

#if canImport(Metal)
    import Allotment
    import Dispatch
    import Foundation
    import os
    #if canImport(UIKit)
        import UIKit
    #endif

    enum Machine {
        /// What this process may take beyond what it has now, before it is ended; none on a Mac,
        /// where nothing is that strict.
        static var available: ByteCount? {
            #if os(iOS) || os(tvOS) || os(visionOS)
                // 0: it does not answer here, as in the simulator.
                let left = os_proc_available_memory()
                return left > 0 ? ByteCount(clamping: left) : nil
            #else
                return nil
            #endif
        }
    }

    /// Reports the kernel's memory pressure as long as it lives, and balances at once when it
    /// rises.
    final class PressureSource: @unchecked Sendable {
        private let source: any DispatchSourceMemoryPressure
        private let governor: Governor

        init(_ governor: Governor) {
            self.governor = governor
            source = DispatchSource.makeMemoryPressureSource(
                eventMask: [.normal, .warning, .critical],
                queue: DispatchQueue(label: "allotment.pressure", qos: .userInitiated))
            source.setEventHandler { [weak self] in self?.report() }
            source.activate()
        }

        deinit {
            source.cancel()
        }

        private func report() {
            let event = source.data
            let level: Pressure =
                event.contains(.critical) ? .critical : event.contains(.warning) ? .high : .normal
            do {
                try governor.reportPressure(level)
                if level > .normal { try governor.balance() }
            } catch {
                // Closed: there is nobody to tell any more.
                source.cancel()
            }
        }
    }

    #if canImport(UIKit)
        /// A phone's app in the background keeps a tenth: the system ends the largest first. Back
        /// in the foreground it has what the process may take then.
        @MainActor final class BackgroundBudget {
            private let budget: MetalBudget
            private var observers: [any NSObjectProtocol] = []

            init(_ budget: MetalBudget) {
                self.budget = budget
                observe(UIApplication.didEnterBackgroundNotification) { budget in
                    try budget.resize(to: ByteCount(budget.budget.bytes / 10))
                }
                observe(UIApplication.willEnterForegroundNotification) { budget in
                    let available = Machine.available ?? .max
                    let live = try budget.governor.usage().live
                    try budget.resize(to: min(live + available, budget.budget))
                }
                observe(UIApplication.didReceiveMemoryWarningNotification) { budget in
                    try budget.governor.reportPressure(.critical)
                    try budget.governor.balance()
                    try budget.governor.reportPressure(.normal)
                }
            }

            /// Stops listening. Call it before letting go: observers live until they are removed.
            func stop() {
                for observer in observers { NotificationCenter.default.removeObserver(observer) }
                observers = []
            }

            private func observe(
                _ name: Notification.Name, _ act: @escaping @Sendable (MetalBudget) throws -> Void
            ) {
                let observer = NotificationCenter.default.addObserver(
                    forName: name, object: nil, queue: nil
                ) { [weak budget] _ in
                    guard let budget else { return }
                    do {
                        try act(budget)
                    } catch {
                        Logger(subsystem: "allotment", category: "budget").error("\(error)")
                    }
                }
                observers.append(observer)
            }
        }
    #endif
#endif
