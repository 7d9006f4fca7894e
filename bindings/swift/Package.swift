// swift-tools-version: 6.0
// The memory governor for Swift. `README.md` says how to build and link it.
//
//   CAllotment   include/allot.h as a module, and what of it Swift cannot import by itself
//   Allotment    what a Swift program uses
//
// The library itself is Rust. Beside this file `Allot.xcframework`, which `build-xcframework.sh`
// makes on a Mac, is linked where it is there; else `liballot`, which the linker has to be told of.

import Foundation
import PackageDescription

let framework = "Allot.xcframework"
let isBuilt = FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/\(framework)")

let library: [Target] = isBuilt ? [.binaryTarget(name: "Allot", path: framework)] : []
let linked: [LinkerSetting] = isBuilt ? [] : [.linkedLibrary("allot")]

let package = Package(
    name: "Allotment",
    platforms: [.macOS(.v13), .iOS(.v16)],
    products: [.library(name: "Allotment", targets: ["Allotment"])],
    targets: library + [
        .target(
            name: "CAllotment",
            dependencies: isBuilt ? ["Allot"] : [],
            linkerSettings: linked),
        .target(name: "Allotment", dependencies: ["CAllotment"]),
        .target(name: "OverheadInC", dependencies: ["CAllotment"], path: "Benches/OverheadInC"),
        .executableTarget(
            name: "Overhead", dependencies: ["Allotment", "OverheadInC"], path: "Benches/Overhead"),
        // Empty where there is no Metal, and here always: MLXBudget has a package of its own.
        .executableTarget(
            name: "MetalBudget", dependencies: ["Allotment"], path: "Examples/MetalBudget"),
        .target(
            name: "MLXBudget", dependencies: ["Allotment"],
            path: "Examples/MLXBudget/Sources/MLXBudget"),
        .testTarget(name: "AllotmentTests", dependencies: ["Allotment"]),
    ],
    swiftLanguageModes: [.v6]
)
