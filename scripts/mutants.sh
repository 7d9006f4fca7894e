#!/usr/bin/env bash
# Small mistakes, planted one at a time in src/core: how many of them the tests notice.
#
#   scripts/mutants.sh                 measures the files that changed since docs/MUTANTS.md was
#                                      written, and those it does not have, and writes it anew
#   scripts/mutants.sh FILE...         only these, e.g. src/core/rate.rs
#   scripts/mutants.sh --all [FILE...] also those that did not change
#   scripts/mutants.sh --again FILE... only what was missed there, after tests were added
#   scripts/mutants.sh table           writes the page from what is known, measures nothing
#
# Fails if a mutant is missed for which tests/survivors.txt has no reason, or if a reason there has
# no mutant. What was found is kept in target/mutants/found: a run that was interrupted goes on
# where it ended. MUTANTS_JOBS is the number of processes cargo may start (1).
#
# To build the tests anew for each mutant takes most of the time. So all that cargo-mutants names
# are planted in one program, behind a switch (scripts/plant.py), and tried there, one by one. In a
# copy of the tree tests/core.rs is a module of the library, a little optimised: one compilation,
# and what compares with a model takes a fifth of the time. The quick tests come first, with few
# random cases; what they miss is tried again by tests/steps.rs and tests/interrupted.rs, by
# tests/hot_path.rs, and by the slow tests with all cases. What cannot be planted so cargo-mutants
# itself tries in the same way: mutants of constants, mostly.
#
# Left out: steps.rs, which is numbers that tests/steps.rs compares with what is counted, and
# bugs.rs, which plants mistakes itself. Neither decides anything in a build that is shipped.
set -euo pipefail

version=27.1.0
left_out=(bugs steps)
# Seconds of processor time, and by the clock, that the quick and the slow tests may take; a mutant
# that needs more counts as caught. About four times what they take, by the clock much more: the
# machine may have other work.
quick_cpu_max_s=10 quick_max_s=90
slow_cpu_max_s=240 slow_max_s=840
# The tests that take more than half a second with few random cases, and the one that takes longer
# than all others.
few_cases=32
slow_tests=(
    evict::victims_that_ended_do_not_fill_the_poll
    reclaim::one_owner_that_hangs_does_not_take_all_threads
    reclaim::one_promise_too_many_ends_the_oldest
    stress::everything_moves_and_everything_comes_back
    stress::the_ledger_stays_within_a_fixed_capacity
    wait::freed_bytes_are_shared_by_weight
)
slowest_test=wait::a_flood_of_requests_gains_nothing
# In the order in which they are made: what one misses is for the next of its kind.
passes=(planted planted_steps planted_hot_path planted_all quick steps hot_path all)

root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/target/mutants
tree=$work/tree
planted=$work/planted
found=$work/found
page=docs/MUTANTS.md
reasons=tests/survivors.txt

# Runs a test program within its bounds, and says so if it had to be ended.
bounded() {
    local cpu_max_s=$1 max_s=$2 status=0
    shift 2
    (ulimit -t "$cpu_max_s" && RUSTC_BOOTSTRAP=1 timeout --kill-after 1 "$max_s" "$@" \
        -Z unstable-options --fail-fast --test-threads 4) || status=$?
    case $status in 124 | 137 | 152) echo "out of time" ;; esac
    return "$status"
}

# The same. A test that fails has to fail again by itself: some depend on the clock, and the machine
# may be busy.
twice() {
    local bounds=("$1" "$2") said status test failed skipped=()
    shift 2
    said=$(mktemp)
    while true; do
        status=0
        bounded "${bounds[@]}" "$@" "${skipped[@]}" > "$said" || status=$?
        mapfile -t failed < <(sed -n 's/^test \([^ ]*\).* \.\.\. FAILED$/\1/p' "$said")
        cat "$said"
        if [ "$status" -eq 0 ] || [ ${#failed[@]} -eq 0 ]; then break; fi
        if ! bounded "${bounds[@]}" "$1" --exact "${failed[@]}"; then break; fi
        for test in "${failed[@]}"; do skipped+=(--skip "$test"); done
    done
    rm "$said"
    return "$status"
}

# What cargo calls instead of a test program.
run_quick_first() {
    local program=$1 test skipped=()
    export PROPTEST_CASES=$few_cases PROPTEST_MAX_SHRINK_ITERS=0
    for test in "${slow_tests[@]}" "$slowest_test"; do skipped+=(--skip "$test"); done
    twice "$quick_cpu_max_s" "$quick_max_s" "$program" "${skipped[@]}" || return
    twice "$slow_cpu_max_s" "$slow_max_s" "$program" "${slow_tests[@]}"
}

run_all() {
    export PROPTEST_MAX_SHRINK_ITERS=0
    twice "$slow_cpu_max_s" "$slow_max_s" "$1"
}

# What cargo calls instead of the compiler where everything is planted at once: the switch needs an
# intrinsic, and no lint is of interest.
compile_planted() {
    case " $* " in
    *" --crate-name allotment "*)
        RUSTC_BOOTSTRAP=1 exec "$@" --cap-lints allow \
            -Z 'crate-attr=feature(core_intrinsics,const_eval_select)' ;;
    *) exec "$@" ;;
    esac
}

install_tool() {
    local tools=$root/target/tools
    export PATH=$tools/bin:$PATH
    if [ "$(cargo mutants --version 2> /dev/null)" = "cargo-mutants $version" ]; then return; fi
    echo "installing cargo-mutants $version under target/tools"
    # Not optimised: to build it takes longer than all that it does.
    cargo install --quiet --locked --debug --version "=$version" --root "$tools" \
        --target-dir "$tools/build" cargo-mutants
}

# What a copy has beyond the tree: the tests as a module, and where all is planted, the switch.
addition() {
    local copy=$1 path=$2
    case $path in
    Cargo.toml) printf '\n[profile.dev.package.allotment]\nopt-level = 1\n' ;;
    src/lib.rs)
        printf '\n#[cfg(test)]\nextern crate self as allotment;\n'
        printf '#[cfg(test)]\n#[path = "../tests/core.rs"]\nmod program;\n'
        if [ "$copy" = "$planted" ]; then
            printf '#[doc(hidden)]\n#[path = "../scripts/plant.rs"]\npub mod plant;\n'
        fi
        ;;
    esac
}

# A copy follows the tree, file by file: what did not change keeps its time, and is not built again.
# Of the core, plant.py decides.
follow() {
    local copy=$1 path
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' path; do
        case $copy:$path in "$planted":src/core/*) continue ;; esac
        if [ -f "$path" ] &&
            ! cmp -s <(cat "$path" && addition "$copy" "$path") "$copy/$path"; then
            mkdir -p "$copy/$(dirname "$path")"
            { cat "$path" && addition "$copy" "$path"; } > "$copy/$path"
        fi
    done
}

# A command that calls cargo, as pass $1 needs it. Passes whose name begins with `planted` are of
# programs with all mutants, the others of cargo-mutants, which builds anew for each. In `*steps`
# accesses are counted.
in_pass() {
    local pass=$1 copy=$tree
    shift
    case $pass in planted*) copy=$planted ;; esac
    case $pass in
    *steps) set -- "$@" --test steps --test interrupted ;;
    *hot_path) set -- "$@" --test hot_path ;;
    *) set -- "$@" --lib ;;
    esac
    (
        cd "$copy"
        export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=1 CARGO_BUILD_JOBS=${MUTANTS_JOBS:-1}
        export CARGO_TARGET_DIR=$work/build MUTANTS_PASS=$pass
        export "CARGO_TARGET_${host}_RUNNER=$root/scripts/mutants.sh"
        case $pass in
        planted*) export CARGO_INCREMENTAL=0 RUSTC_WORKSPACE_WRAPPER=$root/scripts/mutants.sh ;;
        esac
        case $pass in
        *steps) export CARGO_TARGET_DIR=$work/steps RUSTFLAGS="${RUSTFLAGS:-} --cfg allot_steps" ;;
        esac
        "$@"
    )
}

# The start of git's name for a file without the tests that stand at its end: what they find more
# need not be measured at once.
blob_of() {
    sed '/^#\[cfg(test)\]$/,$d' "src/core/$1.rs" | git hash-object --stdin | cut -c 1-8
}

# What cargo-mutants has found, as lines of status and mutant: added to what is known.
collect() {
    local pass=$1 name=$2 out=$work/out/mutants.out
    [ -e "$out/outcomes.json" ] || return 0
    python3 - "$out" >> "$found/$name.$pass" << 'PYTHON'
import json, os, sys
STATUS = {"CaughtMutant": "caught", "MissedMutant": "missed", "Unviable": "unviable",
          "Timeout": "timeout"}
folder = sys.argv[1]
for outcome in json.load(open(os.path.join(folder, "outcomes.json")))["outcomes"]:
    if "Mutant" not in outcome["scenario"] or outcome["summary"] not in STATUS:
        continue
    status = STATUS[outcome["summary"]]
    with open(os.path.join(folder, outcome["log_path"]), errors="replace") as log:
        if status == "caught" and "out of time" in log.read():
            status = "timeout"
    print(status, outcome["scenario"]["Mutant"]["name"], sep="\t")
PYTHON
    rm -r "$work/out"
}

# The mutants of a file that a pass of cargo-mutants has still to try: `quick` those that cannot be
# planted, the others what the one before has missed.
remaining() {
    local pass=$1 name=$2
    case $pass in
    quick) grep -v -x -F -f <(cut -f 2 "$found/$name.planted") "$found/$name.list" ;;
    steps) sed -n 's/^missed\t//p' "$found/$name.quick" ;;
    hot_path) sed -n 's/^missed\t//p' "$found/$name.steps" ;;
    all) sed -n 's/^missed\t//p' "$found/$name.hot_path" ;;
    esac | grep -v -x -F -f <(cut -f 2 "$found/$name.$pass") || true
}

# Tries what remains of a file with one pass of tests.
try_pass() {
    local pass=$1 name=$2 status=0
    touch "$found/$name.$pass"
    remaining "$pass" "$name" > "$work/todo"
    [ -s "$work/todo" ] || return 0
    sound "$pass"
    echo "$name: $(wc -l < "$work/todo") mutants, pass $pass"
    {
        echo 'examine_re = ['
        sed -E 's/[].+*?()|{}^$#&~\\[-]/\\&/g; s/[\\"]/\\&/g; s/.*/    "^&$",/' "$work/todo"
        echo ']'
    } > "$work/config.toml"
    echo "$pass $name" > "$work/running"
    in_pass "$pass" cargo mutants --config "$work/config.toml" --in-place --package allotment \
        --file "src/core/$name.rs" --output "$work/out" --baseline skip --timeout 900 \
        --colors never --no-times -- --locked || status=$?
    collect "$pass" "$name"
    case $status in
    0 | 2 | 3) ;;
    *)
        echo "$name: cargo-mutants ended with $status" >&2
        exit 1
        ;;
    esac
}

# The tests find nothing where nothing is planted: asked once for each pass that is used.
sound() {
    local pass=$1
    case " ${sound_passes:-} " in *" $pass "*) return ;; esac
    if ! in_pass "$pass" cargo test --quiet --package allotment --locked \
        > "$work/sound.log" 2>&1; then
        tail -n 40 "$work/sound.log" >&2
        echo "the tests of pass $pass fail as they are" >&2
        exit 1
    fi
    sound_passes="${sound_passes:-} $pass"
}

# What is known of a file is of its present text, or nothing.
begin() {
    local name=$1
    if [ "$(cat "$found/$name.blob" 2> /dev/null)" = "$(blob_of "$name")" ]; then return; fi
    rm -f "$found/$name".*
    (cd "$tree" && cargo mutants --list --no-config --file "src/core/$name.rs") \
        > "$found/$name.list"
    blob_of "$name" > "$found/$name.blob"
}

# All mutants of these files that $2 has missed in one program, each tried by itself.
plant() {
    local pass=$1 previous=$2 name
    shift 2
    for name in "$@"; do touch "$found/$name.$pass"; done
    SLOW_TESTS="${slow_tests[*]}" SLOWEST_TEST=$slowest_test FEW_CASES=$few_cases \
        in_pass "$pass" \
        python3 "$root/scripts/plant.py" "$root" "$found" "$pass" "$previous" "$*" \
        cargo test --no-run --locked --package allotment --message-format json
}

# First what finds most in little time, and then what builds the tests anew for each mutant.
measure() {
    local name pass previous=planted
    plant planted none "$@"
    for name in "$@"; do touch "$found/$name.done"; done
    write_page 2> /dev/null || true
    for pass in planted_steps planted_hot_path planted_all; do
        plant "$pass" "$previous" "$@"
        previous=$pass
        write_page 2> /dev/null || true
    done
    for name in "$@"; do
        for pass in quick steps hot_path all; do try_pass "$pass" "$name"; done
        touch "$found/$name.deep"
        write_page 2> /dev/null || true
    done
}

is_open() {
    [ -n "$all$again" ] || ! page_has "$1" || [ -e "$found/$1.done" -a ! -e "$found/$1.deep" ]
}

# What was missed is open again.
forget_missed() {
    local name=$1 pass
    for pass in planted quick; do
        if [ -e "$found/$name.$pass" ]; then sed -i '/^missed\t/d' "$found/$name.$pass"; fi
    done
    rm -f "$found/$name".{planted_*,all,hot_path,steps,done,deep}
}

# What is known: of each file its figures (F) and each survivor (S), measured or from the page.
known() {
    local name pass
    for name in "${names[@]}"; do
        if grep -q -v ^unviable "$found/$name.planted" 2> /dev/null &&
            [ "$(cat "$found/$name.blob")" = "$(blob_of "$name")" ]; then
            for pass in "${passes[@]}"; do cat "$found/$name.$pass" 2> /dev/null || true; done |
                awk -F '\t' -v OFS='\t' -v name="$name" -v blob="$(blob_of "$name")" \
                    -v all="$(wc -l < "$found/$name.list")" '
                { last[$2] = $1 }
                END {
                    for (mutant in last) {
                        count[last[mutant]]++
                        if (last[mutant] != "missed") continue
                        text = mutant
                        sub(/^[^:]*:[0-9]+:[0-9]+: /, "", text)
                        print "S", name, text
                    }
                    print "F", name, blob, all, count["caught"] + 0, count["timeout"] + 0,
                        count["unviable"] + 0, count["missed"] + 0, all - length(last)
                }'
        elif grep -q "^| \`$name\` |" "$page" 2> /dev/null; then
            sed -n "s/\\\\|/\x01/g; s/^| \`$name\` | *//p" "$page" | awk -F ' *[|] *' -v OFS='\t' \
                -v name="$name" '
                NF >= 7 && $2 ~ /^[0-9]+$/ { print "F", name, $1, $2, $3, $4, $5, $6, $7 }
                NF < 7 && $1 ~ /^`/ {
                    times = match($1, /[0-9]+ times$/) ? substr($1, RSTART) + 0 : 1
                    sub(/`[^`]*$/, "", $1); sub(/^`/, "", $1); gsub(/\001/, "|", $1)
                    while (times-- > 0) print "S", name, $1
                }'
        fi
    done
}

# The page. Fails if a survivor has no reason, or a reason no survivor.
write_page() {
    known | LC_ALL=C sort > "$work/known"
    {
        sed '/^<!-- measured -->$/q' "$page"
        echo
        awk -F '\t' '
            FNR == 1 { part++ }
            part == 1 { if ($1 == "F") row[$2] = $0; next }
            FNR == 1 {
                print "| file | measured at | mutants | caught | out of time | unviable |" \
                    " missed | not tried | % |"
                print "|---|---|---|---|---|---|---|---|---|"
            }
            !($1 in row) { printf "| `%s` | not measured | | | | | | | |\n", $1; next }
            {
                split(row[$1], f, "\t")
                printf "| `%s` | %s | %d | %d | %d | %d | %d | %d | %.1f |\n", f[2], f[3], f[4],
                    f[5], f[6], f[7], f[8], f[9], percent(f)
                files++
                for (i = 4; i <= 9; i++) all[i] += f[i]
            }
            function percent(f, tried) {
                tried = f[5] + f[6] + f[8]
                return tried ? 100 * (f[5] + f[6]) / tried : 100
            }
            END {
                printf "| %d files | | %d | %d | %d | %d | %d | %d | %.1f |\n", files, all[4],
                    all[5], all[6], all[7], all[8], all[9], percent(all)
            }' "$work/known" <(printf '%s\n' "${names[@]}")
        echo
        echo "## Survivors"
        echo
        echo "| file | mutant | why no test sees it |"
        echo "|---|---|---|"
        reasoned
    } > "$work/page"
    cp "$work/page" "$page"
    if [ -s "$work/faults" ]; then
        cat "$work/faults" >&2
        return 1
    fi
}

# The rows of survivors with their reasons; what does not match goes to `faults`.
reasoned() {
    awk -F '\t' -v faults="$work/faults" -v reasons="$reasons" '
        BEGIN { printf "" > faults }
        FILENAME == reasons && /^(#|$)/ { next }
        FILENAME == reasons && /^ / {
            sub(/^ +/, "")
            for (key in open) reason[key] = reason[key] (reason[key] == "" ? "" : " ") $0
            ended = 1
            next
        }
        FILENAME == reasons {
            if (ended) { delete open; ended = 0 }
            open[$0]
            reason[$0] = ""
            next
        }
        $1 == "F" { measured[$2] }
        $1 == "S" {
            key = $2 ": " $3
            why = reason[key]
            used[key]
            gsub(/[|]/, "\\|", $3)
            if (++seen[key] > 1) next
            if (why == "") print "missed, and no reason for it in " reasons ": " key > faults
            rows[++count] = "| `" $2 "` | `" $3 "`\t| " why " |"
            row_of[count] = key
        }
        END {
            for (i = 1; i <= count; i++) {
                split(rows[i], half, "\t")
                times = seen[row_of[i]] > 1 ? ", " seen[row_of[i]] " times" : ""
                print half[1] times " " half[2]
            }
            for (key in reason) {
                file = key
                sub(/: .*/, "", file)
                if (file in measured && !(key in used))
                    print "a reason in " reasons " for what is not missed: " key > faults
            }
        }' "$reasons" "$work/known"
}

# The files of the core that are measured, without their ending.
core_files() {
    local path name
    for path in src/core/*.rs; do
        name=$(basename "$path" .rs)
        case " ${left_out[*]} " in *" $name "*) ;; *) echo "$name" ;; esac
    done
}

# Whether the page has all of a file as it is.
page_has() {
    grep -q "^| \`$1\` | $(blob_of "$1") |.*| 0 | [0-9.]* |$" "$page"
}

# What an interrupted run has found.
recover() {
    local pass name
    [ -e "$work/running" ] || return 0
    read -r pass name < "$work/running"
    collect "$pass" "$name"
    rm "$work/running"
}

main() {
    local name path all= again= chosen=() open=()
    case ${1:-} in
    --all) all=yes && shift ;;
    --again) again=yes && shift ;;
    esac
    cd "$root"
    mkdir -p "$found" "$tree" "$planted/src/core"
    mapfile -t names < <(core_files)
    if [ "${1:-}" != table ]; then
        for path in "$@"; do
            name=$(basename "$path" .rs)
            case " ${names[*]} " in
            *" $name "*) chosen+=("$name") ;;
            *)
                echo "usage: scripts/mutants.sh [--all|--again] [FILE...] | table; no file of" \
                    "src/core that is measured: $path" >&2
                exit 2
                ;;
            esac
        done
        [ $# -gt 0 ] || chosen=("${names[@]}")
        host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
        install_tool
        recover
        follow "$tree"
        follow "$planted"
        for name in "${chosen[@]}"; do
            if ! is_open "$name"; then continue; fi
            begin "$name"
            if [ -n "$again" ]; then forget_missed "$name"; fi
            open+=("$name")
        done
        if [ ${#open[@]} -gt 0 ]; then measure "${open[@]}"; fi
    fi
    write_page
}

case ${MUTANTS_PASS:-} in
planted*) compile_planted "$@" ;;
quick) run_quick_first "$@" ;;
all | hot_path | steps) run_all "$@" ;;
*) main "$@" ;;
esac
