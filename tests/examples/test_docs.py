"""The code blocks of README.md and docs run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pluct_ledger import errors
from pluct_ledger.cli.terminal import EXIT_CODES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NOT_RUN = re.compile(r"<!-- not run here: [^\n]+ -->\n\Z")
BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS_NOT_RUN = {"text", "json", "sql", "toml", "ini", "mako"}


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of each block that is to run."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        if not NOT_RUN.search(text[: found.start()]):
            yield found["kind"], found["code"]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page))], ids=name_of)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """Python blocks of a page run as one program, shell blocks each by itself, and none fails."""
    program = [code for kind, code in blocks(page) if kind == "python"]
    shell = [code for kind, code in blocks(page) if kind == "sh"]
    others = {kind for kind, _ in blocks(page)} - {"python", "sh"} - KINDS_NOT_RUN
    assert not others, "each block says what it is"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    environment.pop("DATABASE_URL", None)
    if program:
        script = tmp_path / "page.py"
        script.write_text("\n".join(program), encoding="utf-8")
        run([sys.executable, "-W", "error::SyntaxWarning", str(script)], tmp_path, environment)
    for code in shell:
        run(["bash", "-euo", "pipefail", "-c", code], tmp_path, environment)


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_the_links_between_pages_lead_somewhere() -> None:
    """Every relative link of a page names a file or folder that is there."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


def test_the_errors_page_lists_every_error_as_it_is() -> None:
    """Each error of the library has its row with its code and its exit code, and no row is of something else."""
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    listed = {
        row[0]: (row[1], int(row[2]))
        for row in re.findall(r"^\| (\w+)[^|]*\| `(\w+)` \|[^|]*\|[^|]*\| (\d+) \|$", page, re.MULTILINE)
    }
    bases = {"PluctError", "Refused"}
    expected = {
        name: (getattr(errors, name).code, EXIT_CODES[getattr(errors, name).code])
        for name in errors.__all__
        if name not in bases
    }
    assert listed == expected


def test_the_decisions_are_indexed() -> None:
    """Every decision has its line in the index."""
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs/decisions").glob("0*.md"):
        assert f"({page.name})" in index
