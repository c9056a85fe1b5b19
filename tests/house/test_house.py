"""Taste is a test: what this project asks of its code beyond what the linters know."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "pluct_ledger"

MAX_MODULE = 400
MAX_FUNCTION = 70
BANNED_NAMES = {
    "manager",
    "service",
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "data",
    "info",
    "process",
    "handle",
}

# Where SQL may be: the rooms that speak to a database. The CLI plays the host, and brings the engine.
SQLALCHEMY_ROOMS = {"storage", "doors", "migrations", "sqlite", "tables", "aio", "importing", "cli"}
# What would make a rule depend on when or where it runs.
IMPURE_MODULES = {
    "sqlalchemy",
    "alembic",
    "logging",
    "random",
    "secrets",
    "os",
    "time",
    "uuid",
    "socket",
    "subprocess",
}
IMPURE_CALLS = {
    "now",
    "utcnow",
    "today",
    "getenv",
    "environ",
    "urandom",
    "uuid1",
    "uuid4",
    "open",
    "print",
    "input",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(*folders: str) -> list[Path]:
    return sorted(
        file
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in file.parts
    )


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def functions_of(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def place(file: Path, node: ast.AST | None = None) -> str:
    line = getattr(node, "lineno", None)
    return f"{file.relative_to(ROOT)}{f':{line}' if line else ''}"


def imported(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every imported module, but for what only the type checker imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node
        else:
            yield from imported(node)


def length_of(function: Function) -> int:
    """The lines of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        text = function.body[0]
        lines -= (text.end_lineno or text.lineno) - text.lineno + 1
    return lines


def is_one_sentence(text: str) -> bool:
    text = " ".join(text.split())
    return bool(re.fullmatch(r"[A-Z0-9`\"'(].*[.]", text)) and not re.search(r"[.!?] +[A-Z]", text)


def comments_of(file: Path) -> Iterator[tuple[int, str]]:
    source = io.StringIO(file.read_text(encoding="utf-8"))
    return (
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(source.readline)
        if token.type == tokenize.COMMENT
    )


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("only a git checkout knows which files are tracked")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_every_test_states_a_truth() -> None:
    """Every test says in one sentence what is true, never what ought to be."""
    wrong = []
    for file in python_files("tests"):
        for function in functions_of(parsed(file)):
            if not function.name.startswith("test_"):
                continue
            docstring = ast.get_docstring(function) or ""
            if not is_one_sentence(docstring) or re.search(r"\bshould\b", docstring, re.IGNORECASE):
                wrong.append(f"{place(file, function)} {function.name}: {docstring!r}")
    assert not wrong, "\n".join(wrong)


def test_modules_are_short() -> None:
    """No module of the package is longer than four hundred lines."""
    lengths = {
        place(file): len(file.read_text(encoding="utf-8").splitlines()) for file in python_files("src")
    }
    assert not {name: length for name, length in lengths.items() if length > MAX_MODULE}


def test_functions_are_short() -> None:
    """No function of the package is longer than seventy lines beside its docstring."""
    wrong = [
        f"{place(file, function)} {function.name}: {length_of(function)} lines"
        for file in python_files("src", "examples")
        for function in functions_of(parsed(file))
        if length_of(function) > MAX_FUNCTION
    ]
    assert not wrong, "\n".join(wrong)


def test_every_exception_to_a_check_has_its_reason() -> None:
    """A check is switched off for one line by its code only, with the reason beside it."""
    wrong = []
    named = re.compile(r"(noqa: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*|type: ignore\[[a-z, -]+\])[\s#:-]+\w.{4,}")
    for file in python_files("src", "tests", "examples", "alembic", "benchmarks"):
        for line, comment in comments_of(file):
            if re.match(r"#\s*(noqa|type:\s*ignore|ruff: *noqa|mypy:)", comment) and not named.search(
                comment
            ):
                wrong.append(f"{place(file)}:{line} {comment}")
    assert not wrong, "\n".join(wrong)


def test_names_say_what_a_thing_is() -> None:
    """No module or class is named by a word that could name anything."""
    wrong = []
    for file in python_files("src", "examples"):
        if BANNED_NAMES & set(file.stem.lower().split("_")):
            wrong.append(place(file))
        for node in ast.walk(parsed(file)):
            if not isinstance(node, ast.ClassDef):
                continue
            words = {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+", node.name)}
            if BANNED_NAMES & words:
                wrong.append(f"{place(file, node)} {node.name}")
    assert not wrong, "\n".join(wrong)


def test_the_rules_are_pure() -> None:
    """The domain imports nothing that knows the time, the machine or the database, and asks nobody for them."""
    wrong = []
    for file in python_files("src/pluct_ledger/domain"):
        tree = parsed(file)
        wrong += [
            f"{place(file, node)} {name}"
            for name, node in imported(tree)
            if name.split(".")[0] in IMPURE_MODULES
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if called in IMPURE_CALLS:
                    wrong.append(f"{place(file, node)} {ast.unparse(node.func)}()")
    assert not wrong, "\n".join(wrong)


def test_sql_has_its_rooms() -> None:
    """Only the rooms that speak to a database import SQLAlchemy when the package runs."""
    wrong = []
    for file in python_files("src"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room in SQLALCHEMY_ROOMS:
            continue
        wrong += [
            f"{place(file, node)} {name}"
            for name, node in imported(parsed(file))
            if name.split(".")[0] == "sqlalchemy"
        ]
    assert not wrong, "\n".join(wrong)


def test_no_file_knows_a_machine() -> None:
    """No tracked file names a place that is on one machine only."""
    places = re.compile(rb"(?<![\w.])/(home|work|root|Users)/[\w.-]+/")
    wrong = [
        f"{file.relative_to(ROOT)}: {found.group().decode()}"
        for file in tracked_files()
        if (found := places.search(file.read_bytes()))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("A credit is counted once.", True),
        ("A credit is counted\nonce, e.g. here.", True),
        ("no capital.", False),
        ("No end", False),
        ("One. Two.", False),
        ("", False),
    ],
)
def test_a_sentence_is_known_when_seen(text: str, verdict: bool) -> None:
    """One sentence begins with a capital, ends with a full stop, and holds no other."""
    assert is_one_sentence(text) is verdict
