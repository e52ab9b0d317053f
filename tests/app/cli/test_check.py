"""`nemoguardrails check`: every problem of a configuration at once, and an exit status for scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bundled import bundled_names
from app.cli.check import run_check
from app.errors import UsageError
from tests.app.cli.command import nemoguardrails_command, run_here


class Checked:
    """What a check of a folder printed, and its exit status."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], *, strict: bool = False) -> None:
        self.status = run_check([str(folder)], strict=strict)
        self.lines = capsys.readouterr().out.replace(f"{folder}/", "").splitlines()

    def has(self, *parts: str) -> bool:
        return any(all(part in line for part in parts) for line in self.lines)


def folder(root: Path, **files: str) -> Path:
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (root / f"{stem}.{suffix}").write_text(text)
    return root


TWO = 'colang_version: "2.x"\n'
SOUND = 'import core\n\nflow main\n  user said "hi"\n  bot say "hello"\n'


def test_a_sound_configuration_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = Checked(folder(tmp_path, config_yml=TWO, main_co=SOUND), capsys)
    assert checked.status == 0
    assert checked.has("no errors, no warnings")


def test_problems_of_all_files_come_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        "config_yml": f"{TWO}modles: []\n",
        "main_co": 'import nope\n\nflow main\n  bot say "x\n',
        "other_co": "flow twice\n  pass\n\nflow twice\n  pass\n",
    }
    checked = Checked(folder(tmp_path, **files), capsys)
    assert checked.status == 1
    assert checked.has("config.yml:2:1: error: modles", "did you mean `models`?")
    assert checked.has("main.co:1:1: error:", "nope")
    assert checked.has("main.co:4:11: error: this string is never closed")
    assert checked.has("other.co:4:1: error: flow `twice` is defined twice")
    assert checked.lines[-1].endswith(": 4 errors, no warnings")


def test_a_model_that_no_client_can_be_made_for_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = "models:\n  - type: main\n    engine: opnai\n    model: m\n"
    checked = Checked(folder(tmp_path, config_yml=models), capsys)
    assert checked.status == 1
    assert checked.has("config.yml:2:5: error:", "opnai", "Did you mean `openai`?")


def test_engines_that_the_configuration_may_register_itself_are_taken_on_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = "models:\n  - type: main\n    engine: ours\n    model: m\n"
    checked = Checked(folder(tmp_path, config_yml=models, config_py="def init(rails): ...\n"), capsys)
    assert checked.status == 0


def test_a_problem_shows_its_line_with_a_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked = Checked(folder(tmp_path, config_yml=TWO, main_co='flow main\n  bot say "x\n'), capsys)
    at = next(i for i, line in enumerate(checked.lines) if "never closed" in line)
    assert checked.lines[at + 1 : at + 3] == ['    bot say "x', "            ^"]


def test_warnings_fail_only_a_strict_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"config_yml": TWO, "main_co": f'{SOUND}  bot sayy "again"\n'}
    root = folder(tmp_path, **files)
    assert Checked(root, capsys).status == 0
    checked = Checked(root, capsys, strict=True)
    assert checked.status == 1
    assert checked.has("main.co:6:3: warning: there is no flow `bot sayy` (did you mean `bot say`?)")


def test_colang_1_is_checked_with_the_flows_of_the_library(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows = 'define user greets\n  "hi"\n\ndefine flow\n  user greets\n  bot express greeting\n'
    checked = Checked(folder(tmp_path, config_yml="models: []\n", main_co=flows), capsys)
    assert checked.status == 0, checked.lines


UNWRITTEN = """define user says bye
  "bye"

define bot express goodbye
  "Goodbye!"

define flow
  user says bye
  bot express godbye

define flow
  user says hello
  bot $answer
  bot tell a joke "Knock, knock."
"""


def test_a_message_that_nobody_writes_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "main.co:9:3: warning: no bot message is called `express godbye`"
    checked = Checked(folder(tmp_path, config_yml="models: []\n", main_co=UNWRITTEN), capsys)
    assert checked.has(told, "there is no model to write one (did you mean `express goodbye`?)")
    assert sum("no bot message" in line for line in checked.lines) == 1
    (tmp_path / "config.yml").write_text("models: [{type: main, engine: openai, model: m}]\n")
    assert not Checked(tmp_path, capsys).has("no bot message")


def test_colang_is_checked_even_where_the_yaml_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = Checked(folder(tmp_path, config_yml="models: [\n", main_co='flow main\n  bot say "x\n'), capsys)
    assert checked.has("config.yml:", "error")
    assert checked.has("main.co:2:11: error: this string is never closed")


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_configurations_are_strictly_clean(name: str) -> None:
    assert run_check([name], strict=True) == 0


def test_a_path_that_does_not_exist_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="There is no configuration at nowhere"):
        run_check(["nowhere"], strict=False)


def test_the_command_ends_with_the_status_of_the_check(tmp_path: Path) -> None:
    broken = folder(tmp_path, config_yml=TWO, main_co='flow main\n  bot say "x\n')
    assert nemoguardrails_command("check", str(broken)).returncode == 1
    assert run_here("check", "nowhere").exit_code == 2
    assert run_here("check").exit_code == 2


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"config_yml": "models: []\nrails: {input: {flows: [no such rail]}}\n"},
            "config.yml:2:25: error: rails.input.flows[0]: The provided input rail flow `no such rail` does not exist",
        ),
        (
            {
                "config_yml": f"{TWO}models: []\n",
                "main_co": "import nemoguardrails.library.topic_safety\n\nflow main\n"
                '  topic safety check input $model="nope"\n',
            },
            "main.co:4:36: error: no model of type `nope` in `models`",
        ),
        (
            {"config_yml": "models: []\n", "actions_py": "def f(:\n  pass\n"},
            "actions.py:1:7: error: invalid syntax",
        ),
    ],
    ids=["a rail without a flow", "a model that is not there", "broken Python"],
)
def test_what_would_be_refused_at_load_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], found: str
) -> None:
    checked = Checked(folder(tmp_path, **files), capsys)
    assert checked.status == 1
    assert checked.has(found)
