// swift-tools-version: 6.0
// On a Mac: `swift build`, or add the product to an app. Depends on MLX Swift, which the package
// Allotment itself does not.

import PackageDescription

let package = Package(
    name: "MLXBudget",
    platforms: [.macOS(.v14), .iOS(.v17)],
    products: [.library(name: "MLXBudget", targets: ["MLXBudget"])],
    dependencies: [
        .package(path: "../.."),
        .package(url: "https://github.com/ml-explore/mlx-swift", from: "0.30.6"),
    ],
    targets: [
        .target(
            name: "MLXBudget",
            dependencies: [
                .product(name: "Allotment", package: "swift"),
                .product(name: "MLX", package: "mlx-swift"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
