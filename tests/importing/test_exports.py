"""Reading an export: SQLite files and SQL dumps, whole, odd, damaged and hostile."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from pluct_ledger import InvalidArgument
from pluct_ledger.domain.repairs import Repair
from pluct_ledger.importing.export import opened
from tests.importing.exports import (
    API_KEYS,
    LAX_API_KEYS,
    LAX_TRANSACTIONS,
    REAL_DUMP,
    REAL_FILE,
    TRANSACTIONS,
    Row,
    row,
    write_dump,
    write_file,
)

INSERT = "INSERT INTO \"transactions\" VALUES('t1','ada','admin_add',5,'2024-01-01T00:00:00.000Z','Support goodwill')"


def read(export: Path) -> tuple[list[Row], tuple[Repair, ...]]:
    """The rows of ``transactions`` without their numbers, and the statements that were not taken."""
    with opened(export) as source:
        return [row(*found[1:]) for found in source.transactions()], source.repairs


def test_a_file_is_told_by_its_content(tmp_path: Path) -> None:
    """Names say nothing: a dump may be called .sqlite, and a database .sql."""
    swapped = tmp_path / "d1.sqlite", tmp_path / "d1.sql"
    shutil.copyfile(REAL_DUMP, swapped[0])
    shutil.copyfile(REAL_FILE, swapped[1])

    assert read(swapped[0]) == read(swapped[1]) == read(REAL_FILE)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "neither an SQLite database nor an SQL dump"),
        (b'{"user:ada": "1"}', "neither an SQLite database nor an SQL dump"),
        ("CREATE TABLE transactions (id);".encode("utf-16"), "it is UTF-16"),
        (b"SQLite format 3\0 and then something else", "cannot be read as an SQLite database"),
        (b"CREATE TABLE other (id);", "it has no table transactions"),
        (TRANSACTIONS.encode() + b";", "it has no table api_keys"),
        (
            f"{LAX_API_KEYS}; CREATE TABLE transactions (id, amount);".encode(),
            "has no column user_id, type, times",
        ),
        (f"{LAX_API_KEYS}; CREATE VIEW transactions AS SELECT 1;".encode(), "it has no table transactions"),
        (
            f"{TRANSACTIONS}; INSERT INTO transactions VALUES ('a".encode(),
            "begins in line 1 has no end: it is cut",
        ),
        (
            f"{TRANSACTIONS};\n\nINSERT INTO transactions VALUES (1".encode(),
            "begins in line 3 has no end: it is cut",
        ),
        (f"{TRANSACTIONS}; /* and so on".encode(), "has no end: it is cut off"),
        (f"BEGIN TRANSACTION; {TRANSACTIONS}; {API_KEYS};".encode(), "never commits it: it is cut off"),
        (f"BEGIN; {TRANSACTIONS}; {API_KEYS}; ROLLBACK;".encode(), "never commits it: it is cut off"),
    ],
)
def test_what_is_no_whole_export_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    """A file that is damaged, cut off or something else is refused with what is wrong with it."""
    file = tmp_path / "export"
    file.write_bytes(content)
    with pytest.raises(InvalidArgument, match=problem) as caught:
        read(file)

    assert caught.value.argument == "export"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing file and a folder are refused by their names."""
    with pytest.raises(InvalidArgument, match=r"none\.sqlite cannot be read: No such file"):
        read(tmp_path / "none.sqlite")
    with pytest.raises(InvalidArgument, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    """A database whose pages are overwritten is refused when they are reached."""
    content = bytearray(REAL_FILE.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    damaged = tmp_path / "d1.sqlite"
    damaged.write_bytes(content)
    with pytest.raises(InvalidArgument, match="cannot be read as an SQLite database"):
        read(damaged)


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_database_with_unmerged_writes_is_refused(tmp_path: Path, suffix: str) -> None:
    """A file beside which writes wait that are not in it is not the whole database."""
    export = write_file(tmp_path / "d1.sqlite", [row()])
    beside = export.with_name(export.name + suffix)
    beside.write_bytes(b"")
    assert len(read(export)[0]) == 1
    beside.write_bytes(b"something")
    with pytest.raises(InvalidArgument, match=rf"d1\.sqlite{suffix} stands beside it"):
        read(export)


def test_a_table_without_rowid_is_read(tmp_path: Path) -> None:
    """A table without row numbers stands in the order of its key."""
    schema = (
        "CREATE TABLE transactions (id TEXT PRIMARY KEY, user_id, type, amount, timestamp, reason) WITHOUT ROWID",
        LAX_API_KEYS,
    )
    export = write_file(tmp_path / "d1.sqlite", [row("b"), row("a")], schema=schema)

    assert [found[0] for found in read(export)[0]] == ["a", "b"]


def test_text_that_is_not_utf8_ends_nothing(tmp_path: Path) -> None:
    """A row with broken bytes is read, and its neighbours too."""
    export = write_file(tmp_path / "d1.sqlite", [row("a")])
    connection = sqlite3.connect(export)
    connection.execute("INSERT INTO transactions SELECT 'b', CAST(X'61FF' AS TEXT), type, amount, timestamp, reason "
                       "FROM transactions")  # fmt: skip
    connection.commit()
    connection.close()

    assert [found[1] for found in read(export)[0]] == ["ada", "a\udcff"]


def test_a_dump_of_the_sqlite_shell_is_read(tmp_path: Path) -> None:
    """What other tools put around the two tables is passed over without a word."""
    export = write_dump(
        tmp_path / "d1.sql",
        "-- a comment; with a semicolon\nPRAGMA defer_foreign_keys=TRUE",
        "/* another; one */ BEGIN TRANSACTION",
        "CREATE TABLE d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)",
        "INSERT INTO d1_migrations VALUES(1,'0001_initial.sql')",
        "CREATE TABLE _cf_KV (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
        "DELETE FROM sqlite_sequence",
        "INSERT INTO sqlite_sequence VALUES('d1_migrations',1)",
        INSERT,
        "CREATE INDEX by_user ON transactions(user_id)",
        "CREATE TRIGGER t AFTER INSERT ON transactions BEGIN "
        "INSERT INTO transactions VALUES (1,2,3,4,5,CASE WHEN 1 THEN 6 END); -- not yet\n"
        "INSERT INTO transactions VALUES (1,2,3,4,5,6); /* but now */ END",
        "CREATE VIEW spenders AS SELECT user_id FROM transactions",
        "COMMIT",
    )

    assert read(export) == ([row()], ())


def test_a_dump_may_end_without_its_last_semicolon(tmp_path: Path) -> None:
    """COMMIT is an end, with or without its semicolon."""
    export = tmp_path / "d1.sql"
    export.write_text(f"BEGIN;{TRANSACTIONS};{API_KEYS};{INSERT};\nCOMMIT\n", encoding="utf-8")

    assert read(export) == ([row()], ())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("'it''s; -- no comment'", "it's; -- no comment"),
        ("'two\nlines'", "two\nlines"),
        ("replace('two\\nlines','\\n',char(10))", "two\nlines"),
        ("unistr('two\\u000alines \\\\ \\000a')", "two\nlines \\ \n"),
        ("X'61'", b"a"),
        ("NULL", None),
        ("-1.5", -1.5),
    ],
)
def test_values_of_a_dump_are_read_as_sqlite_reads_them(
    tmp_path: Path, written: str, expected: object
) -> None:
    """Quotes, line breaks, escapes and numbers come out as they went in."""
    found, repairs = read(write_dump(tmp_path / "d1.sql", INSERT.replace("'Support goodwill'", written)))

    assert (found, repairs) == ([row(reason=expected)], ())


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO transactions VALUES {0}",
        "insert or ignore into main.[transactions] values {0}",
        "INSERT INTO `transactions` (id, user_id, type, amount, timestamp, reason) VALUES {0}",
        'REPLACE INTO\n"transactions" VALUES {0}',
        'INSERT INTO "main"."TRANSACTIONS" VALUES {0}',
    ],
)
def test_inserts_are_known_in_any_writing(tmp_path: Path, statement: str) -> None:
    """However it is quoted and spelled, an INSERT of a wanted table is taken."""
    export = write_dump(tmp_path / "d1.sql", statement.format(row()))

    assert read(export) == ([row()], ())


def test_many_rows_may_stand_in_one_insert(tmp_path: Path) -> None:
    """An INSERT of several rows gives them in their order, also those that break the table's own constraints."""
    rows = [row("t2"), row("t1"), row("t1"), row(owner="bob")]
    values = ",\n".join(map(str, rows))
    export = write_dump(
        tmp_path / "d1.sql", f"INSERT INTO transactions VALUES {values}, (NULL,NULL,NULL,NULL,NULL,NULL)"
    )

    assert read(export) == ([*rows, (None,) * 6], ())


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH DATABASE '{file}' AS stolen",
        "INSERT INTO transactions SELECT * FROM transactions",
        "INSERT INTO transactions SELECT id, key_hash, 'x', 1, created_at, status FROM api_keys",
        "INSERT INTO transactions VALUES ((SELECT key_hash FROM api_keys),1,1,1,1,1)",
        "INSERT INTO transactions VALUES (readfile('{file}'),1,1,1,1,1)",
        "INSERT INTO transactions VALUES (load_extension('{file}'),1,1,1,1,1)",
        "INSERT INTO transactions VALUES (hex(zeroblob(900000000)),1,1,1,1,1)",
        "INSERT INTO transactions WITH RECURSIVE n AS (SELECT 1 x UNION ALL SELECT x FROM n) SELECT x,1,1,1,1,1 FROM n",
        "INSERT INTO transactions VALUES (1,2)",
        "UPDATE transactions SET amount = 1000000",
        "DELETE FROM transactions",
        "DROP TABLE transactions",
        "ALTER TABLE transactions RENAME TO others",
        "VACUUM INTO '{file}'; SELECT 1",
        "CREATE TABLE transactions (id)",
        "this is not SQL",
        "INSERT INTO transactions VALUES (\x1bJ)",
    ],
)
def test_a_dump_can_do_nothing_but_fill_the_two_tables(tmp_path: Path, statement: str) -> None:
    """Whatever else a dump asks for is not done, touches no file, and is reported with its line."""
    target = tmp_path / "target"
    export = write_dump(
        tmp_path / "d1.sql", INSERT, statement.format(file=target), INSERT.replace("t1", "t2")
    )
    found, repairs = read(export)

    assert [one[0] for one in found] == ["t1", "t2"]
    assert [(repair.source, repair.what) for repair in repairs] == [("statement in line 4", "skipped")]
    assert repairs[0].reason.isprintable()
    assert not target.exists()


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE transactions AS SELECT 1 AS id",
        "CREATE TABLE transactions (id, user_id, type, amount, timestamp, reason); ATTACH 'x' AS y",
    ],
)
def test_a_table_of_a_dump_is_made_of_its_columns_alone(tmp_path: Path, schema: str) -> None:
    """A definition that reads or does anything else makes no table, or only the table."""
    export = tmp_path / "d1.sql"
    export.write_text(
        f"{schema};\n{LAX_TRANSACTIONS.replace('TABLE', 'TABLE IF NOT EXISTS')};{API_KEYS};{INSERT};"
    )
    found, repairs = read(export)

    assert found == [row()]
    assert repairs


def test_bytes_that_are_not_utf8_cost_their_statement_only(tmp_path: Path) -> None:
    """A statement of a dump that is not UTF-8, or holds NUL, is skipped and reported, and the next one is taken."""
    export = write_dump(tmp_path / "d1.sql")
    broken = [INSERT.encode().replace(b"ada", b"a\xff"), INSERT.encode().replace(b"ada", b"a\0")]
    export.write_bytes(export.read_bytes() + b";\n".join([*broken, INSERT.encode(), b""]))
    found, repairs = read(export)

    assert found == [row()]
    assert [repair.source for repair in repairs] == ["statement in line 3", "statement in line 4"]


def test_a_mark_at_the_beginning_of_a_dump_is_passed_over(tmp_path: Path) -> None:
    """A byte order mark is no part of the first statement."""
    export = write_dump(tmp_path / "d1.sql", INSERT)
    export.write_bytes(b"\xef\xbb\xbf" + export.read_bytes())

    assert read(export) == ([row()], ())
