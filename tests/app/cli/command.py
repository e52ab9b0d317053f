"""Runs the command `nemoguardrails`: as a user does, in a process of its own, or more quickly in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

import nemoguardrails
from app.cli.root import app

IMPORT_ROOT = Path(nemoguardrails.__file__).parents[1]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment, with our packages importable from any folder."""
    return {**os.environ, "PYTHONPATH": str(IMPORT_ROOT), "PYTHONIOENCODING": "utf-8", **extra}


def nemoguardrails_command(
    *arguments: str, stdin: str = "", cwd: Path | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own command
        [sys.executable, "-m", "nemoguardrails", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=environment(**extra),
        timeout=60,
        check=False,
    )


def run_here(*arguments: str) -> Result:
    """The command in this process, for what does not depend on how it is started."""
    return CliRunner().invoke(app, arguments, obj=nemoguardrails.__version__)
