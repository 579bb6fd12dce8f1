"""Chunk files that a process opens, counted where it happens: for tests that nothing is read or written twice."""

import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any


class Traffic:
    """Chunk files of this process, as the interpreter opens and renames them: how often, by path."""

    def __init__(self) -> None:
        self.written: Counter[str] = Counter()
        self.read: Counter[str] = Counter()
        self.on = True
        sys.addaudithook(self._hear)  # which stays for ever: so it is switched off

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event not in ("open", "os.rename"):
            return
        if event == "os.rename":
            self.written[os.fsdecode(arguments[1])] += 1
        elif isinstance(arguments[0], str | bytes):
            mode = arguments[1] or ""
            (self.written if "w" in mode or "x" in mode else self.read)[os.fsdecode(arguments[0])] += 1

    @staticmethod
    def of(counted: Counter[str], store: str, pattern: str) -> dict[str, int]:
        """Return the chunks of a store whose path matches a pattern."""
        root = f"{Path(store).absolute()}/"
        found = ((path.removeprefix(root), n) for path, n in counted.items() if path.startswith(root))
        return {path: n for path, n in found if re.fullmatch(rf"{pattern}/c(/\d+)+", path)}
