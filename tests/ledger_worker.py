"""A service of the tests of the ledger: claims and completes until nothing is left, and says what it does.

    python ledger_worker.py ADDRESS OWNER LIMIT [LEAVE]

It prints a line per unit that it was given and one per unit whose completion was acknowledged. With LEAVE it holds
what it claims after so many units, says so, and waits to be killed.
"""

import sys
import time

from ledger_model import made

from s2dask.production.ledger import LeaseLost, Ledger


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> None:
    address, owner, limit, *rest = sys.argv[1:]
    leave = int(rest[0]) if rest else None
    done = 0
    with Ledger.open(address) as ledger:
        say("READY")
        while not ledger.pending("run").over:
            claims = ledger.claim("run", owner, lease=8.0, limit=int(limit))
            for claim in claims:
                say("CLAIMED", claim.unit.name)
            if leave is not None and done >= leave and claims:
                say("HOLDING")
                time.sleep(600)
            for claim in claims:
                try:
                    ledger.complete(claim, made(f"P-{claim.unit.name}"))
                except LeaseLost:
                    say("LOST", claim.unit.name)
                else:
                    say("DONE", claim.unit.name)
                    done += 1
            if not claims:
                time.sleep(0.05)


if __name__ == "__main__":
    main()
