"""The command ``pluct-ledger``; needs the extra ``cli``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without the extra ``cli``, say what to install."""
    try:
        from pluct_ledger.cli.app import run
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"typer", "rich"}:
            raise
        sys.exit("pluct-ledger's command line needs its extra: pip install 'pluct-ledger[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
    run()
