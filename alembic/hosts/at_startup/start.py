"""What a host does when it starts: the schema first, then the rest."""

import os

from sqlalchemy import create_engine

from pluct_ledger import Ledger, migrations


def main() -> None:
    engine = create_engine(os.environ["DATABASE_URL"])
    # From every process, at once if need be: one of them does the work, the others wait for it. Where there is nothing
    # to do it costs two reads.
    migrations.upgrade(engine)

    ledger = Ledger(engine)
    ledger.grant("ada", 10, idempotency_key="welcome:ada")
    print("ada has", ledger.balance("ada").available)
    engine.dispose()


if __name__ == "__main__":
    main()
