"""The programs of README.md print what the page says; the example and the table of verbs hold."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

import allotment

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent


def run(*arguments: str) -> str:
    """Runs a program, which has to end well, and answers what it prints."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout


def programs() -> List[Tuple[str, str]]:
    """Each program of the page with what it prints, which is the next block of text."""
    page = (HERE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = []
    for (kind, program), (after, said) in zip(blocks, blocks[1:]):
        if kind == "python":
            assert after == "text", f"the page does not say what this prints:\n{program}"
            found.append((program, said))
    assert len(found) == page.count("```python") >= 3
    return found


@pytest.mark.parametrize("place", range(len(programs())))
def test_a_program_of_the_page(place: int, tmp_path: Path) -> None:
    program, said = programs()[place]
    file = tmp_path / "program.py"
    file.write_text(program, encoding="utf-8")
    assert run(str(file)) == said


def test_the_first_program_is_ten_lines() -> None:
    assert len([line for line in programs()[0][0].split("\n") if line]) <= 10


def test_the_programs_of_the_page_are_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for place, (program, _) in enumerate(programs()):
        (tmp_path / f"program{place}.py").write_text(program, encoding="utf-8")
    run("-m", "mypy", "--no-incremental", str(tmp_path))


def test_the_example() -> None:
    said = run(str(HERE / "examples" / "numpy_budget.py"))
    assert "chat takes its 32 MiB: search 24 MiB, thumbs 8 MiB" in said
    assert "chat takes 16 more:    search 8 MiB, thumbs 8 MiB" in said
    assert "evicted for the chat:  8" in said


def rows() -> List[List[str]]:
    """The rows of the table of verbs, each with its cells: C, Rust, Swift, Python."""
    page = (ROOT / "bindings" / "README.md").read_text(encoding="utf-8")
    table = page.split("| C | Rust | Swift | Python |\n|---|---|---|---|\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def names(cell: str, pattern: str) -> List[str]:
    """Names between backticks, as far as they match."""
    return re.findall(rf"`({pattern})", cell)


def sources(*patterns: str) -> str:
    """The text of some files of the repository."""
    files = [file for pattern in patterns for file in sorted(ROOT.glob(pattern))]
    assert files
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_every_verb_of_the_table_is_there() -> None:
    header = sources("include/allot.h")
    rust = sources("src/*.rs", "src/core/*.rs", "src/os/*.rs", "crates/config/src/*.rs")
    swift = sources("bindings/swift/Sources/Allotment/*.swift")
    seen = 0
    for cells in rows():
        assert len(cells) == 4, cells
        for name in names(cells[0], r"[A-Za-z_]+"):
            assert re.search(rf"\b{name}\b", header), f"C has no {name}"
            seen += 1
        for name in names(cells[1], r"[A-Za-z_:]+"):
            for part in name.split("::"):
                assert re.search(rf"\b{part}\b", rust), f"Rust has no {name}"
        for name in names(cells[2], r"[A-Za-z.]+"):
            for part in filter(None, name.split(".")):
                assert re.search(rf"\b{part}\b", swift), f"Swift has no {name}"
        for name in names(cells[3], r"[A-Za-z_.]+"):
            if keyword.iskeyword(name):
                continue
            thing: object = allotment
            for part in name.split("."):
                fields = getattr(thing, "__dataclass_fields__", {})
                assert part in fields or hasattr(thing, part), f"Python has no {name}"
                thing = fields.get(part) or getattr(thing, part)
            seen += 1
    assert seen > 80


def test_every_function_of_c_is_in_the_table() -> None:
    header = sources("include/allot.h")
    functions = set(re.findall(r"^(?:allot_status|void) \*?(allot_\w+)\(", header, re.MULTILINE))
    assert len(functions) > 50
    told = {name for cells in rows() for name in names(cells[0], r"[A-Za-z_]+")}
    # Texts of C for what the others have as values.
    texts = {"allot_error_message", "allot_snapshot_tenant_name", "allot_snapshot_group_name"}
    assert functions - told <= texts


def test_every_public_thing_is_documented() -> None:
    for name in allotment.__all__:
        thing = getattr(allotment, name)
        assert thing.__doc__, name
        for verb, what in vars(thing).items():
            if not verb.startswith("_") and callable(what) or isinstance(what, property):
                assert what.__doc__, f"{name}.{verb}"


def test_the_types_are_published() -> None:
    package = Path(allotment.__file__).parent
    assert (package / "py.typed").exists() and (package / "_native.pyi").exists()
