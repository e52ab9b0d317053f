"""The command starts, says its version, and says plainly what stands in its way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

import nemoguardrails
from nemoguardrails.cli import app
from tests.app.cli.command import IMPORT_ROOT, environment, nemoguardrails_command, run_here


def test_it_says_its_version(tmp_path: Path) -> None:
    done = nemoguardrails_command("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{nemoguardrails.__version__}\n")


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = nemoguardrails_command("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "chat" in done.stdout
    assert "check" in done.stdout


def test_a_package_of_the_users_that_hides_ours_is_named(tmp_path: Path) -> None:
    hiding = tmp_path / "app" / "__init__.py"
    hiding.parent.mkdir()
    hiding.write_text("raise RuntimeError('the user code was run')\n")
    done = nemoguardrails_command("--version", cwd=tmp_path)
    assert done.returncode == 1
    assert f"{hiding} hides the package 'app' that interlock-rails brings" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hiding_package_does_not_disturb_the_library(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('the user code was run')\n")
    program = "import nemoguardrails; print('loaded')"
    done = subprocess.run(  # noqa: S603 -- a fixed program of ours
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "loaded\n")


def test_the_other_distribution_beside_ours_is_refused(tmp_path: Path) -> None:
    info = tmp_path / "nemoguardrails-0.24.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nemoguardrails\nVersion: 0.24.1\n")
    done = nemoguardrails_command("--version", PYTHONPATH=f"{IMPORT_ROOT}:{tmp_path}", cwd=tmp_path)
    assert done.returncode == 1
    assert "pip uninstall nemoguardrails" in done.stderr


def test_an_unknown_configuration_is_a_sentence_and_a_usage_status(tmp_path: Path) -> None:
    done = nemoguardrails_command("chat", "--config", "hello_wrld", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: There is no configuration at hello_wrld; did you mean the bundled 'hello_world'?\n"
    )


def test_two_configurations_are_refused() -> None:
    done = run_here("chat", "--config", "a", "--config", "b")
    assert done.exit_code == 2
    assert "One configuration at a time" in done.stderr


def test_an_unknown_debug_level_is_refused() -> None:
    done = run_here("chat", "--config", "hello_world", "--debug-level", "LOUD")
    assert done.exit_code == 2
    assert "--debug-level LOUD: choose one of WARNING, INFO, DEBUG." in done.stderr


def test_a_program_runs_the_command_itself() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"{nemoguardrails.__version__}\n")
