"""What a database says that it holds, in its own words, so that two databases can be compared in everything."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

Catalog = dict[str, Any]

POSTGRES = {
    "columns": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname,
               pg_get_expr(d.adbin, d.adrelid), a.attidentity
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = CAST(:schema AS regnamespace) AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE connamespace = CAST(:schema AS regnamespace) AND conrelid <> 0""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = :schema",
    "tables": """
        SELECT relname, relkind, relpersistence, reloptions FROM pg_class
        WHERE relnamespace = CAST(:schema AS regnamespace)""",
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "routines": "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace = CAST(:schema AS regnamespace)",
}


def catalog(engine: Engine, *, schema: str = "public", leave_out: tuple[str, ...] = ()) -> Catalog:
    """Everything in a database: columns, types, collations, constraints, indexes and options.

    Args:
        engine: the database.
        schema: of PostgreSQL's, the schema to look at.
        leave_out: tables that don't count.
    """
    with engine.connect() as connection:
        found = LOOKS[connection.dialect.name](connection, schema)
    return {
        key: value for key, value in found.items() if not any(name in key.split(".")[0] for name in leave_out)
    }


def nothing_is_left(engine: Engine) -> bool:
    """The database holds no table at all."""
    return not inspect(engine).get_table_names()


def _sqlite(connection: Connection, _schema: str) -> Catalog:
    rows = connection.execute(
        text("SELECT tbl_name, type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    )
    return {f"{table}.{kind}.{name}": " ".join(sql.split()) for table, kind, name, sql in rows}


def _postgres(connection: Connection, schema: str) -> Catalog:
    return {
        ".".join((row[0], look, *(str(part) for part in row[1:2]))): tuple(row)
        for look, query in POSTGRES.items()
        for row in connection.execute(text(query), {"schema": schema})
    }


def _mariadb(connection: Connection, _schema: str) -> Catalog:
    tables = inspect(connection).get_table_names()
    found: Catalog = {}
    for table in tables:
        lines = connection.execute(text(f"SHOW CREATE TABLE `{table}`")).one()[1].splitlines()
        # Indexes stand in the order in which they were made, which means nothing.
        found[f"{table}.table"] = [line.strip(" ,") for line in lines if " KEY " not in line[:14]]
        found[f"{table}.keys"] = sorted(line.strip(" ,") for line in lines if " KEY " in line[:14])
    triggers = text(
        "SELECT event_object_table, trigger_name, action_timing, event_manipulation, action_statement"
        " FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    )
    for row in connection.execute(triggers):
        found[f"{row[0]}.trigger.{row[1]}"] = tuple(row)
    return found


LOOKS = {"sqlite": _sqlite, "postgresql": _postgres, "mysql": _mariadb, "mariadb": _mariadb}
