"""Plants all mutants of some files at once, behind a switch, and tries the tests on each.

    scripts/plant.py ROOT FOUND PASS PREVIOUS "NAME..." CARGO...

cargo-mutants says what its mutants are (`--list --json`), but builds the tests anew for each: most
of the time goes into that. Here a function with mutants becomes a `match` on the number of the
mutant that is chosen when the tests start, with one arm for each and the original in the last:

    fn f(self) -> bool { match crate::plant::planted() { 17 => { mutated } _ => { original } } }

so that one build serves a thousand mutants. In what the compiler evaluates nothing is planted
(`const_eval_select`). A mutant whose arm does not compile is unviable. What cannot be planted this
way (mutants of constants, functions that return `impl`) is left to cargo-mutants, and so is all
that is missed.

Called by scripts/mutants.sh in its copy of the tree, whose files are overwritten. CARGO is the
command that builds the tests. FOUND/NAME.PASS gets a line for each mutant that PREVIOUS has missed:
caught, timeout, unviable or missed, and its name. In the pass `planted` there are FEW_CASES random
cases, and neither SLOW_TESTS nor the SLOWEST_TEST.
"""

import glob
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

# Seconds in which a process that is to go on gets some processor time, however busy the machine.
IDLE_MAX_S = 20

class Mutant:
    def __init__(self, number, found, start, end):
        self.number, self.name, self.replacement = number, found["name"], found["replacement"]
        self.start, self.end = start, end
        self.status = None


class Source:
    """A file with those of its mutants that can be planted."""

    def __init__(self, path, text, found, first_number):
        self.path, self.text = path, text
        starts = [0]
        for line in text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)

        def offsets(span):
            at = [starts[span[k]["line"] - 1] + span[k]["column"] - 1 for k in ("start", "end")]
            return tuple(at)

        functions = {offsets(m["function"]["span"]) for m in found if m["function"]}
        outermost = [f for f in functions if not any(inside(f, g) for g in functions if g != f)]
        self.functions = {}
        for number, m in enumerate(found, first_number):
            span = offsets(m["span"])
            for function in outermost:
                body = body_of(text, function)
                if body and inside(span, body):
                    self.functions.setdefault(body, []).append(Mutant(number, m, *span))
        self.lines = []

    def mutants(self):
        return [m for mutants in self.functions.values() for m in mutants]

    def planted(self):
        """The text with all mutants but the unviable ones; keeps which lines are whose."""
        parts, at, line = [], 0, 1
        self.lines = []

        def add(part):
            nonlocal line
            parts.append(part)
            line += part.count("\n")

        for (start, end), mutants in sorted(self.functions.items()):
            add(self.text[at:start] + " match crate::plant::planted() {\n")
            for m in mutants:
                if m.status == "unviable":
                    continue
                first = line
                before, after = self.text[start:m.start], self.text[m.end:end]
                add(f"{m.number}u32 => {{\n{before}{m.replacement}{after}\n}}\n")
                self.lines.append((first, line, m))
            add("_ => {\n" + self.text[start:end] + "\n} } ")
            at = end
        add(self.text[at:])
        return "".join(parts)

    def at_line(self, number):
        return next((m for first, end, m in self.lines if first <= number < end), None)


def inside(inner, outer):
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def body_of(text, function):
    """What stands between the braces of a function; None if it returns `impl`."""
    item = text[function[0] : function[1]]
    head = re.match(r"(\s*(///|//|#\[).*\n)*", item).end()
    brace = item.find("{", head)
    if brace < 0 or not item.endswith("}") or re.search(r"->\s*impl\b", item[head:brace]):
        return None
    return function[0] + brace + 1, function[1] - 1


def spans(message):
    """The places of a message, the primary ones first, each with what it was expanded from."""
    for span in sorted(message["spans"], key=lambda s: not s["is_primary"]):
        while span:
            yield span["file_name"], span["line_start"]
            span = span["expansion"] and span["expansion"]["span"]


def errors(command):
    """The errors of a build, and the programs if there are none."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    found, programs = [], []
    for line in done.stdout.splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("reason") == "compiler-message" and said["message"]["level"] == "error":
            found.append(said["message"])
        if said.get("executable"):
            programs.append(said["executable"])
    if done.returncode and not found:
        sys.exit(done.stderr)
    return found, programs


def write(path, text):
    """Leaves a file that has this text as old as it is: it is not built again."""
    with open(path, "a+") as file:
        file.seek(0)
        if file.read() == text:
            return
    with open(path, "w") as file:
        file.write(text)


def build(sources, cargo):
    """Builds the tests with everything planted, less what turns out to be unviable."""
    by_path = {s.path: s for s in sources}
    while True:
        for source in sources:
            write(source.path, source.planted())
        found, programs = errors(cargo)
        if not found:
            return programs
        unviable = set()
        for message in found:
            places = [by_path[f].at_line(line) for f, line in spans(message) if f in by_path]
            places = [m for m in places if m]
            if places:
                unviable.add(places[0])
            elif message["spans"]:
                print(message["rendered"], file=sys.stderr)
        if not unviable:
            sys.exit("these errors are no mutant's")
        for m in unviable:
            m.status = "unviable"
        print(f"{len(unviable)} unviable", flush=True)


def cpu_ticks(process):
    """Processor time that a process has used, in ticks of the clock; none if it has ended."""
    try:
        with open(f"/proc/{process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])


def wait(process, max_s):
    """Waits for the end of a process, whose return code is answered: none if it takes longer, or
    if it only waits, for what will not come."""
    start = moved = time.monotonic()
    ticks = 0
    while True:
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            now, seen = time.monotonic(), cpu_ticks(process)
            if seen != ticks:
                ticks, moved = seen, now
            if now - moved > IDLE_MAX_S or now - start > max_s:
                process.kill()
                process.wait()
                return None


def run(program, number, arguments, bound, environment):
    """One run of the tests: its return code, none if it ran out of time, and what it said."""
    cpu_max_s, max_s = bound
    environment = dict(os.environ, **environment, PLANTED=str(number), RUSTC_BOOTSTRAP="1",
                       PROPTEST_MAX_SHRINK_ITERS="0")
    arguments = [program, *arguments, "-Z", "unstable-options", "--fail-fast"]
    arguments += ["--test-threads", "4"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (cpu_max_s, cpu_max_s))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=said, stderr=subprocess.DEVNULL, preexec_fn=limit)
        code = wait(process, max_s)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return None if code in (-signal.SIGXCPU, -signal.SIGKILL) else code, text


def try_tests(program, number, arguments, bound, environment):
    """Whether the tests notice a mutant: caught, timeout or missed. A test that fails has to fail
    again by itself: some depend on the clock, and the machine may be busy."""
    passed_again = []
    while True:
        skipped = [word for test in passed_again for word in ("--skip", test)]
        code, said = run(program, number, [*arguments, *skipped], bound, environment)
        if code is None:
            return "timeout"
        if code == 0:
            return "missed"
        failed = re.findall(r"^test (\S+).* \.\.\. FAILED$", said, re.MULTILINE)
        if not failed:
            return "caught"
        again, _ = run(program, number, ["--exact", *failed], bound, environment)
        if again != 0:
            return "caught"
        passed_again += failed


def listed(root, names):
    """The files with their mutants, as cargo-mutants says; the other files as they are."""
    sources, number = [], 1
    for path in sorted(glob.glob("src/core/*.rs", root_dir=root)):
        with open(os.path.join(root, path)) as file:
            text = file.read()
        if os.path.basename(path)[:-3] not in names:
            write(path, text)
            continue
        command = ["cargo", "mutants", "--list", "--json", "--no-config", "--dir", root]
        found = json.loads(subprocess.check_output([*command, "--file", path]))
        sources.append(Source(path, text, found, number))
        number += len(found)
    return sources


def recorded(found, name, of_pass):
    """What is on record: the status of each mutant."""
    path = os.path.join(found, f"{name}.{of_pass}")
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        lines = (line.rstrip("\n").split("\t") for line in file)
        return {name: status for status, name in lines}


def runs_of(this, name):
    """Arguments and environment of the runs of a pass, those first that find most in little time:
    the tests named like the file."""
    slow, slowest = os.environ["SLOW_TESTS"].split(), os.environ["SLOWEST_TEST"]
    few = {"PROPTEST_CASES": os.environ["FEW_CASES"]}
    if this == "planted_all":
        return [(slow, few), ([], {})]
    if this != "planted":
        return [([], {})]
    skipped = [word for test in [*slow, slowest] for word in ("--skip", test)]
    own = f"{name}::"
    return [([own, *skipped], few), ([*skipped, "--skip", own], few)]


def bound_of(run, programs):
    """The bounds of a run: some times what it takes where nothing is planted. A busy machine gets
    more than one try."""
    arguments, environment = run
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        answers = [try_tests(program, 0, arguments, (600, 600), environment)
                   for program in programs]
        if all(answer == "missed" for answer in answers):
            cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            return 4 + int(4 * cpu_s), 60 + int(40 * cpu_s)
    sys.exit(f"the tests fail as they are: {programs} {arguments}")


def main():
    root, found, this, previous, names = sys.argv[1:5] + [sys.argv[5].split()]
    by_name = {os.path.basename(s.path)[:-3]: s for s in listed(root, names)}
    remaining = {}
    for name in names:
        known, before = recorded(found, name, this), recorded(found, name, previous)
        first = recorded(found, name, "planted")
        mutants = by_name[name].mutants()
        for m in mutants:
            if first.get(m.name) == "unviable":
                m.status = "unviable"
        remaining[name] = [m for m in mutants if m.name not in known]
        if before:
            remaining[name] = [m for m in remaining[name] if before.get(m.name) == "missed"]
    if not any(remaining.values()):
        return
    programs = build(list(by_name.values()), sys.argv[6:])
    records = {name: open(os.path.join(found, f"{name}.{this}"), "a") for name in names}
    for name, mutants in remaining.items():
        for m in mutants:
            if m.status == "unviable":
                print(m.status, m.name, sep="\t", file=records[name], flush=True)
    bounds = {}
    for name, mutants in remaining.items():
        start = time.monotonic()
        runs = runs_of(this, name)
        for run in runs:
            key = str(run)
            if mutants and key not in bounds:
                bounds[key] = bound_of(run, programs)
        for m in [m for m in mutants if m.status != "unviable"]:
            for arguments, environment in runs:
                bound = bounds[str((arguments, environment))]
                for program in programs:
                    if m.status in (None, "missed"):
                        m.status = try_tests(program, m.number, arguments, bound, environment)
            print(m.status, m.name, sep="\t", file=records[name], flush=True)
        seconds = time.monotonic() - start
        print(f"{name}: {len(mutants)} mutants tried in {seconds:.0f} s", flush=True)


main()
