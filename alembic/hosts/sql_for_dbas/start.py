"""What a host does when it starts with rights to no table's shape: look, and say what is missing."""

import os
import sys

from sqlalchemy import create_engine

from pluct_ledger import SchemaMismatch, migrations


def main() -> None:
    engine = create_engine(os.environ["DATABASE_URL"])
    try:
        migrations.check(engine)
    except SchemaMismatch as mismatch:
        sys.exit(f"the DBA has a script to run: found {mismatch.found}, expected {mismatch.expected}")
    finally:
        engine.dispose()
    print("the tables are there")


if __name__ == "__main__":
    main()
