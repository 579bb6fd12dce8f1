"""What can go wrong, as one small tree: a message says what, where and the remedy."""


class S2Error(Exception):
    """Base of every error that s2dask raises on purpose.

    Parameters
    ----------
    what : str
        What is wrong, in a clause.
    where : str, optional
        The file, unit of work or variable concerned.
    remedy : str, optional
        What the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.remedy}" if self.remedy else text


class InputError(S2Error):
    """Input is damaged, hostile or contradicts itself: refused, never repaired by guessing."""

    exit_code = 3


class InputMissing(S2Error):
    """An input that the step needs is not there (yet)."""

    exit_code = 4


class SchemaError(S2Error):
    """A store does not have the variables, sizes or types that its level prescribes."""

    exit_code = 5


class BudgetError(S2Error):
    """A unit of work would need more memory or tasks than allowed."""

    exit_code = 6


class ConfigurationError(S2Error):
    """An option or a parameter set makes no sense."""

    exit_code = 2


class WorkerLost(S2Error):
    """A task took its worker process with it, more than once."""

    exit_code = 7
