"""The command `nemoguardrails`, also as `python -m nemoguardrails`."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from nemoguardrails import __version__


def main() -> None:
    """Run the command line, unless something else stands where our parts should be."""
    if trouble := shadowed() or doubled():
        sys.exit(f"Error: {trouble}")
    from app.cli import main as run

    run(__version__)


def shadowed() -> str:
    """What is wrong if a package of the user's hides our `app`; empty if nothing."""
    ours = Path(__file__).resolve().parents[1] / "app" / "__init__.py"
    spec = find_spec("app")
    found = spec.origin if spec else None
    if found and Path(found).resolve() == ours:
        return ""
    if found is None and PathFinder.find_spec("app") is None:
        return "the package 'app' of interlock-rails is missing; install interlock-rails again."
    where = found or "a folder named app"
    return (
        f"{where} hides the package 'app' that interlock-rails brings. "
        "Start the command 'nemoguardrails' from another folder, or rename that package."
    )


def doubled() -> str:
    """What is wrong if the other distribution of this name is installed too; empty if nothing."""
    try:
        found = version("nemoguardrails")
    except PackageNotFoundError:
        return ""
    return (
        f"both interlock-rails and nemoguardrails {found} are installed, and they share their import name. "
        "Remove the latter: pip uninstall nemoguardrails; then install interlock-rails again."
    )


if __name__ == "__main__":
    main()
