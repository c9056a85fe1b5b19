"""Running a script of SQL the way a database administrator would, through the driver."""

from __future__ import annotations

from sqlalchemy import Engine


def run_script(engine: Engine, script: str) -> None:
    """Run a script; on MariaDB statement by statement, since its driver takes one at a time."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        if engine.dialect.name == "sqlite":
            connection.driver_connection.executescript(script)  # type: ignore[union-attr]  # sqlite3's
        elif engine.dialect.name == "postgresql":
            cursor.execute(script)
        else:
            for statement in script.split(";\n"):
                if statement.strip():
                    cursor.execute(statement)
        cursor.close()
        connection.commit()
    finally:
        connection.close()
