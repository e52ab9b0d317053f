"""What can be wrong with a command.

UsageError                 the command line names something that does not exist, or that does not go together
  NoSuchConfigError        neither a path nor the name of a bundled configuration
"""

from __future__ import annotations


class UsageError(Exception):
    """The command line names something that does not exist or does not go together."""


class NoSuchConfigError(UsageError):
    """Neither a path nor the name of a bundled configuration."""
