"""A host's env.py: what is its own is the metadata; `include_name` is all that pluct-ledger asks for."""

import os

from alembic import context
from sqlalchemy import Column, Integer, MetaData, NullPool, String, Table, create_engine

from pluct_ledger import migrations

metadata = MetaData()
Table(
    "host_order",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("customer", String(64), nullable=False),
)

url = os.environ["DATABASE_URL"]
# Without include_name, autogenerate would propose to drop every table that is not in this metadata.
options = {"target_metadata": metadata, "include_name": migrations.include_name}

if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
