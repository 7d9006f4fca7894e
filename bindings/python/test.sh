#!/usr/bin/env bash
# The Python package, built as a wheel and tested by a Python that knows nothing but that wheel.
#
#   the form            cargo fmt, clippy with all warnings denied
#   the types           mypy, strict; and the stub beside what the native module really has
#   the tests           tests/, with the programs of README.md and examples/
#   other Pythons       the same wheel in each newer or older Python of this machine
#   the cost            benches/overhead.py
#
# All it needs is installed into a fresh virtual environment below target/python. Where Python or
# its packages cannot be had, one line says "skipped: ..." and the answer is 0.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: Python, $1"
    exit 0
}

scratch=$PWD/target/python
here=bindings/python
# What a static library of Rust needs.
native_libraries="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"
# For each step that runs code of ours.
seconds_max=900
python=${PYTHON:-python3}

mkdir -p "$scratch"
command -v "$python" > /dev/null || skip "there is no $python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    skip "$("$python" --version) is older than 3.11, which the pinned packages need"
log=$scratch/install.log
"$python" -m venv --clear "$scratch/venv" > "$log" 2>&1 ||
    skip "no virtual environment could be made ($(tail -n 1 "$log"))"
timeout "$seconds_max" "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
    --requirement "$here/requirements.txt" > "$log" 2>&1 ||
    skip "its packages could not be fetched ($(tail -n 1 "$log"))"
export PATH=$scratch/venv/bin:$PATH
python_target=$scratch/cargo

limited() {
    timeout --kill-after 10 "$seconds_max" "$@"
}

form() {
    cargo fmt --manifest-path "$here/Cargo.toml" --check
    PYO3_PYTHON=$scratch/venv/bin/python cargo clippy --quiet --locked --all-targets \
        --target-dir "$python_target" --manifest-path "$here/Cargo.toml" -- --deny warnings
    echo "the form is that of cargo fmt and clippy"
}

wheel() {
    rm -rf "$scratch/wheels"
    maturin build --quiet --release --locked --manifest-path "$here/Cargo.toml" \
        --interpreter "$scratch/venv/bin/python" --out "$scratch/wheels" \
        --target-dir "$python_target"
    pip install --quiet --disable-pip-version-check --no-index "$scratch"/wheels/*.whl
}

types() {
    # From a folder where there is no source beside the wheel.
    (cd "$scratch" && limited mypy --strict --no-incremental --package allotment &&
        limited python -m mypy.stubtest allotment._native)
    limited mypy --strict --no-incremental "$here/tests" "$here/examples" "$here/benches"
}

# That the wheel is for each Python from 3.9 on: it is imported, waits, evicts and forks.
other_pythons() {
    local other versions=("$scratch"/none)
    if command -v pyenv > /dev/null; then
        versions=("$(pyenv root)"/versions/3.{9,1?}.*/bin/python)
    fi
    for other in python3.{9,10,12,13,14} "${versions[@]}"; do
        "$other" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2> /dev/null || continue
        "$other" -m venv --clear "$scratch/other" > "$log" 2>&1 || continue
        "$scratch/other/bin/pip" install --quiet --disable-pip-version-check --no-index \
            "$scratch"/wheels/*.whl 2> "$log"
        limited "$scratch/other/bin/python" "$here/tests/any_python.py"
    done
}

# Beside the same calls in C, where there is a compiler for them.
cost() {
    local compiler=${CC:-cc} library=
    if command -v "$compiler" > /dev/null; then
        cargo build --quiet --locked --release --package allotment-ffi
        library=$scratch/overhead.so
        "$compiler" -O2 -std=c11 -Wall -Wextra -pedantic -Werror -shared -fPIC -Iinclude \
            "$here/benches/overhead.c" "${CARGO_TARGET_DIR:-target}/release/liballot.a" \
            $native_libraries -o "$library"
    else
        echo "the cost is told without that of C: there is no $compiler"
    fi
    limited python "$here/benches/overhead.py" "$library"
}

form
wheel
types
limited python -m pytest --quiet --rootdir "$here" --config-file "$here/pyproject.toml" \
    "$here/tests"
other_pythons
cost
