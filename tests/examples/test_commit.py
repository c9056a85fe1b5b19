"""Credit is committed before the answer is sent: where COMMIT fails, nobody is told of a success."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from pluct_ledger import Ledger
from tests.examples.serving import ADMIN, GATEWAY, open_site
from tests.lanes.databases import Lane

# A constraint that the database looks at only when it commits.
SABOTAGE = {
    "sqlite": [
        "CREATE TABLE saboteur_parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE saboteur (id INTEGER REFERENCES saboteur_parent DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER sabotage AFTER INSERT ON pluct_entry BEGIN INSERT INTO saboteur VALUES (1); END",
    ],
    "postgres": [
        """CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'sabotaged'; END $$""",
        """CREATE CONSTRAINT TRIGGER sabotage AFTER INSERT ON pluct_entry
           DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sabotage()""",
    ],
}
REPAIR = {
    "sqlite": ["DROP TRIGGER sabotage", "DROP TABLE saboteur", "DROP TABLE saboteur_parent"],
    "postgres": ["DROP TRIGGER sabotage ON pluct_entry", "DROP FUNCTION sabotage"],
}


@contextmanager
def commits_fail(engine: Engine) -> Iterator[None]:
    lane = "sqlite" if engine.dialect.name == "sqlite" else "postgres"
    with engine.begin() as connection:
        for statement in SABOTAGE[lane]:
            connection.execute(text(statement))
    try:
        yield
    finally:
        with engine.begin() as connection:
            for statement in REPAIR[lane]:
                connection.execute(text(statement))


@pytest.mark.lanes("sqlite", "postgres", because="MariaDB has no constraint that waits for COMMIT")
@pytest.mark.parametrize("dialect", ["envelope", "flat"])
def test_a_commit_that_fails_is_no_success(
    engine: Engine, database_url: str, tmp_path: Path, dialect: str
) -> None:
    """Every request that moves credit ends in an error when COMMIT fails, and nothing was moved."""
    with open_site(tmp_path, dialect, database_url) as site:
        user = site.user(5)
        secret, _ = site.api_key()
        requests: list[tuple[str, dict[str, str], dict[str, Any]]] = [
            ("/user/create", {}, {"userId": "new", "initialCredits": 5}),
            ("/vend-token", {}, {"userId": user}),
            ("/add-credits", GATEWAY, {"userId": user, "amount": 5}),
            ("/admin/credits/add", ADMIN, {"userId": user, "amount": 5}),
            ("/v1/credits/add", {"X-API-Key": secret}, {"userId": user, "amount": 5}),
        ]
        with commits_fail(engine):
            for path, headers, body in requests:
                response = site.post(path, headers, **body)
                site.refused(response, 500, "Internal server error")
                assert not {"success", "data", "token", "newBalance"} & set(response.json())
        assert (site.balance(user), site.balance("new")) == (5, 0)
        assert len(site.transactions(user)) == 1
        assert Ledger(engine).verify().ok
        for path, headers, body in requests:
            site.content(site.post(path, headers, **body))  # nothing of the failures stands in their way now
        assert site.balance(user) == 19


@pytest.mark.lanes(
    "postgres", because="the file of SQLite cannot go away from under a process that has it open"
)
@pytest.mark.parametrize("dialect", ["envelope", "flat"])
def test_a_database_that_is_gone_is_told(
    here: Lane, fresh_database: Callable[[], Engine], tmp_path: Path, dialect: str
) -> None:
    """Where the database does not answer, health says so, and every request may be tried again."""
    url = fresh_database().url
    with open_site(tmp_path, dialect, url.render_as_string(hide_password=False)) as site:
        user = site.user(5)
        here.drop(url)
        response = site.http.get("/health")
        assert (response.status_code, response.json()["status"]) == (503, "unhealthy")
        assert set(response.json()) == {"status", "timestamp", "version", "endpoints"}
        for response in (site.post("/vend-token", userId=user), site.http.get(f"/user/{user}/balance")):
            site.refused(response, 503)
            assert response.headers["retry-after"] == "1"
