"""Processors by configuration: a name stands for an installation of s2dask, and for the cluster that has it too.

The file is TOML; a version is added by a table, and several work side by side::

    [processors."0.1"]
    python = "s2dask-0.1/bin/python"
    cluster = "tcp://scheduler:8786"             # optional: workers here without it
    environment = {S2DASK_SITE = "main"}         # optional
"""

import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from s2dask.errors import ConfigurationError, InputMissing

_START = "from s2dask.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Processor:
    """An installation of s2dask.

    Attributes
    ----------
    name : str
    python : str
        Its interpreter.
    cluster : str or None
        Address of the scheduler whose workers are of the same installation.
    environment : dict of str to str
        Variables that it needs.
    """

    name: str
    python: str
    cluster: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


def load_processor(file: Path | None, name: str) -> Processor:
    """Return a processor of a configuration file.

    Parameters
    ----------
    file : Path or None
    name : str
    """
    if file is None:
        raise ConfigurationError(f"nothing tells what processor {name} is", "--processors", "name the TOML file")
    if not file.is_file():
        raise InputMissing("no such file", str(file), "name the TOML file of processors")
    try:
        known: dict[str, Any] = tomllib.loads(file.read_text("utf-8")).get("processors", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"no TOML: {error}", str(file)) from None
    if name not in known:
        raise ConfigurationError(f"no processor {name}", str(file), f"it has {', '.join(sorted(known)) or 'none'}")
    told = dict(known[name])
    if strange := sorted(set(told) - {"python", "cluster", "environment"}):
        raise ConfigurationError(f"unknown field {strange[0]}", f"{file} {name}", "python, cluster, environment")
    if not told.get("python"):
        raise ConfigurationError("no interpreter", f"{file} {name} python", "name that of the installation")
    variables = {key: str(value) for key, value in told.get("environment", {}).items()}
    return Processor(name, str(told["python"]), told.get("cluster"), variables)


def words_for(processor: Processor, words: Sequence[str]) -> list[str]:
    """Return the words of a command for a processor: without what has chosen it, with its cluster."""
    kept, skip = [], False
    for word in words:
        option = word.partition("=")[0]
        if skip or option in ("--processor", "--processors"):
            skip = not skip and "=" not in word
            continue
        kept.append(word)
    return [*kept, *(["--cluster", processor.cluster] if processor.cluster else [])]


def hand_over(processor: Processor) -> NoReturn:
    """Become the same command of another installation; what lies in the current folder is not taken for it."""
    command = [processor.python, "-P", "-c", _START, *words_for(processor, sys.argv[1:])]
    sys.stdout.flush()
    try:
        os.execvpe(processor.python, command, {**os.environ, **processor.environment})  # noqa: S606 - no shell
    except OSError as error:
        remedy = "name the interpreter of an installation of s2dask"
        raise ConfigurationError(f"cannot be started: {error.strerror}", processor.python, remedy) from None
