"""Prints the SQL for a database administrator: `python write_sql.py postgresql > pluct-ledger.sql`.

For the next release: `python write_sql.py postgresql 0001`, from the schema version that the database is at.
"""

import sys

from pluct_ledger import migrations


def main() -> None:
    dialect, since = (*sys.argv[1:], "base")[:2]
    sys.stdout.write(migrations.sql(dialect, since=since))


if __name__ == "__main__":
    main()
