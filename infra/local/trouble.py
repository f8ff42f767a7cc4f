"""What keeps the embedded stack from doing what it was asked, in words for the person at the terminal.

    Trouble
    ├── WrongUse   asked for what cannot be: no such port, a second stack in one data directory  exit 2
    └── Away       something it needs is missing: Java, Maven, a jar, a free port                exit 3

Every message ends with the next command to run.
"""


class Trouble(Exception):
    """Told to the person as it stands; `code` is the exit code of the command."""

    code = 1


class WrongUse(Trouble):
    code = 2


class Away(Trouble):
    code = 3
