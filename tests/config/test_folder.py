"""A configuration folder: which files count, in which order, and what a broken one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from rails_engine.config import ConfigProblemsError, RailsConfig
from rails_engine.errors import InvalidRailsConfigurationError


def folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def names(config: RailsConfig, root: Path) -> list[str]:
    return [Path(source.name).relative_to(root).as_posix() for source in config.sources]


def contents(config: RailsConfig) -> list[str]:
    return [document.content for document in config.docs or ()]


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    root = folder(
        tmp_path,
        {
            "config.yml": "instructions: [{type: general, content: one}]\nrails: {input: {flows: [a]}}",
            "prompts.yaml": "prompts: [{task: general, content: hi}]",
            "extra/rails.yml": "rails: {input: {flows: [b]}}\nteam: blue",
            "main.co": "main",
            "rails/input.co": "input",
            "kb/one.md": "# One",
            "kb/deep/two.md": "# Two",
            "README.md": "not knowledge",
            ".hidden/copy.co": "copy",
        },
    )
    config = RailsConfig.from_path(root)
    assert config.config_path == str(root)
    assert config.rails.input.flows == ["a", "b"]
    assert [prompt.task for prompt in config.prompts or ()] == ["general"]
    assert config.custom_data == {"team": "blue"}
    assert names(config, root) == ["main.co", "rails/input.co"]
    assert contents(config) == ["# One", "# Two"]


def test_the_knowledge_folder_can_have_another_name(tmp_path: Path) -> None:
    root = folder(
        tmp_path, {"config.yml": "knowledge_base: {folder: facts}", "facts/a.md": "A", "kb/b.md": "B"}
    )
    assert contents(RailsConfig.from_path(root)) == ["A"]


def test_a_single_file_is_a_configuration(tmp_path: Path) -> None:
    root = folder(tmp_path, {"config.yml": "colang_version: '2.x'", "main.co": "flow main"})
    config = RailsConfig.from_path(str(root / "config.yml"))
    assert (config.colang_version, config.sources) == ("2.x", ())


def test_ignored_files_are_skipped(tmp_path: Path) -> None:
    root = folder(
        tmp_path,
        {
            ".railsignore": "# drafts\nskipped*.co\nold/\n\n",
            "config.yml": "models: []",
            "skipped_flows.co": "x",
            "old/a.co": "x",
            "kept.co": "x",
        },
    )
    assert names(RailsConfig.from_path(root), root) == ["kept.co"]


def test_links_are_followed_without_going_round(tmp_path: Path) -> None:
    shared = folder(tmp_path / "shared", {"flows.co": "shared"})
    root = folder(tmp_path / "bot", {"config.yml": "models: []"})
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "linked").symlink_to(shared, target_is_directory=True)
    assert names(RailsConfig.from_path(root), root) == ["linked/flows.co"]


def test_imports_are_loaded_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(
        tmp_path / "lib" / "base",
        {"base.yml": "lowest_temperature: 0.9\npassthrough: true", "base.co": "base"},
    )
    root = folder(
        tmp_path / "bot", {"config.yml": "import_paths: [base]\nlowest_temperature: 0.1", "own.co": "own"}
    )
    monkeypatch.setenv("COLANGPATH", str(tmp_path / "lib"))
    config = RailsConfig.from_path(root)
    assert (config.lowest_temperature, config.passthrough) == (0.1, True)
    assert [source.text for source in config.sources] == ["base", "own"]
    assert config.imported_paths == {"base": str(tmp_path / "lib" / "base")}


def test_imports_may_go_in_a_circle(tmp_path: Path) -> None:
    folder(
        tmp_path,
        {"a/config.yml": "import_paths: [../b]\nx: 1", "b/config.yml": "import_paths: [../a]\ny: 2"},
    )
    assert RailsConfig.from_path(tmp_path / "a").custom_data == {"x": 1, "y": 2}


def test_an_import_that_is_not_there(tmp_path: Path) -> None:
    root = folder(tmp_path, {"config.yml": "import_paths: [nowhere]"})
    with pytest.raises(InvalidRailsConfigurationError, match="'nowhere' could not be resolved; looked in"):
        RailsConfig.from_path(root)


@pytest.mark.parametrize("path", ["/no/such/place", "a,b", " a", ""])
def test_a_path_that_cannot_be(path: str) -> None:
    with pytest.raises(InvalidRailsConfigurationError, match="Invalid config path"):
        RailsConfig.from_path(path)


def test_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidRailsConfigurationError, match=r"no \.yml, \.yaml or \.co file"):
        RailsConfig.from_path(tmp_path)


def test_a_colang_file_is_no_folder(tmp_path: Path) -> None:
    root = folder(tmp_path, {"main.co": "x"})
    with pytest.raises(InvalidRailsConfigurationError, match=r"not a \.co file"):
        RailsConfig.from_path(root / "main.co")


def test_each_broken_file_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.yml": "x: [", "b.yml": "y: {"})
    (root / "c.yml").write_bytes(b"z: \xff\xfe")
    with pytest.raises(ConfigProblemsError) as caught:
        RailsConfig.from_path(root)
    files = [Path(problem.place.file).name for problem in caught.value.problems if problem.place]
    assert files == ["a.yml", "b.yml", "c.yml"]


def test_inspection_reports_and_does_not_raise(tmp_path: Path) -> None:
    root = folder(tmp_path, {"config.yml": "modles: []\nrails: {input: {colour: red}}"})
    config, problems = RailsConfig.inspect(root)
    assert config is None
    assert [problem.severity for problem in problems] == ["error", "warning"]
    assert RailsConfig.inspect(folder(tmp_path / "good", {"config.yml": "models: []"}))[1] == []
