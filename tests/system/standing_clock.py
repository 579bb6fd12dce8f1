"""The command line under a standing clock, its workers too: what is written does not tell when."""

from datetime import datetime, tzinfo
from typing import Self

from s2dask.production import ortho, surface


class StandingClock(datetime):
    """A clock that shows one time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)


for module in (ortho, surface):
    module.datetime = StandingClock  # type: ignore[attr-defined]

if __name__ == "__main__":
    from s2dask.cli import main

    main()
