"""The command line as an object, for programs that run it themselves."""

from app.cli import command
from nemoguardrails import __version__

app = command(__version__)

__all__ = ["app"]
