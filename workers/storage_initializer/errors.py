"""What can go wrong with a download.

SednaError
└── FileError
    └── TransferError        it cannot be had; asking again will not help
        ├── Missing              there is no such file
        ├── Denied               the server does not let us read it
        └── Interrupted          it may go better at the next attempt
"""

from __future__ import annotations

from sedna_py.file_ops import FileError


class TransferError(FileError):
    """It cannot be had, and asking again will not help; one line for people."""


class Missing(TransferError):
    """There is no such file."""


class Denied(TransferError):
    """The server does not let us read it."""


class Interrupted(TransferError):
    """It may go better at the next attempt."""
