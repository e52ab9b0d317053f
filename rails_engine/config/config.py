"""`RailsConfig`: a configuration as users hold it in their code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from colang import Source
from rails_engine.config.checks import faults
from rails_engine.config.document import MarkedDict, locate
from rails_engine.config.loading import Draft, draft_of_content, draft_of_path, merge_drafts
from rails_engine.config.merge import merge
from rails_engine.config.outline import ONE, SOURCE_CODE, outline_of, require_readable
from rails_engine.config.problems import ConfigProblemsError, KeyPath, Place, Problem
from rails_engine.config.report import log_warnings, problems_of
from rails_engine.config.schema import ConfigData

_OUTLINED = ("user_messages", "bot_messages", "flows")


class RailsConfig(ConfigData):
    """Everything that a configuration says: `config.yml`, Colang sources, prompts and documents.

    `sources` are the Colang files as text, in the order of loading; `problems` are the warnings of loading. What
    `model_dump` gives, as data or as JSON, makes the same configuration again: `RailsConfig(**config.model_dump())`.
    """

    sources: tuple[Source, ...] = ()
    _problems: tuple[Problem, ...] = PrivateAttr(default=())
    _written: MarkedDict = PrivateAttr(default_factory=MarkedDict)
    _yaml: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The warnings of loading; an error would have ended it."""
        return self._problems

    def place(self, key: KeyPath) -> Place | None:
        """Where a key stands in the files that this was loaded from; None where it was not read from one."""
        return locate(self._written, key)

    @property
    def yaml_flows(self) -> list[Any]:
        """The flows written in YAML; `flows` shows those of the Colang 1.0 sources too."""
        return [flow for flow in self.flows if not (isinstance(flow, dict) and SOURCE_CODE in flow)]

    @model_validator(mode="after")
    def _parts_fit(self, info: Any) -> Self:
        """Refuse what cannot work. While loading, the loader asks for the faults itself, to place them."""
        if info.context is None or not info.context.get("loading"):
            errors = [problem.message for problem in faults(self) if problem.severity == "error"]
            if errors:
                raise PydanticCustomError("configuration", "{message}", {"message": "; ".join(errors)})
            self._tell_apart()
        return self

    def _tell_apart(self) -> None:
        """What of a dumped configuration was YAML, and what the outline of its sources."""
        if not self.sources or self.colang_version != ONE:
            return
        found = outline_of(self.sources)
        self._yaml = {
            "user_messages": _without(self.user_messages, found.user_messages),
            "bot_messages": _without(self.bot_messages, found.bot_messages),
            "flows": self.yaml_flows,
        }

    @classmethod
    def from_path(cls, config_path: str | Path) -> Self:
        """Load a folder, or a single `.yml` file.

        Raises:
            InvalidRailsConfigurationError: the path or anything in it is wrong; every error is listed.
        """
        return cls._of_draft(draft_of_path(str(config_path)))

    @classmethod
    def from_content(
        cls,
        colang_content: str | None = None,
        yaml_content: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Self:
        """Load from texts and a mapping; of two single values that of the YAML wins over that of the mapping.

        Raises:
            InvalidRailsConfigurationError: as `from_path`.
        """
        return cls._of_draft(draft_of_content(colang_content, yaml_content, config))

    @classmethod
    def parse_object(cls, obj: Any) -> Self:
        """Load from a mapping."""
        return cls.from_content(config=obj)

    @classmethod
    def _of_draft(cls, draft: Draft) -> Self:
        config, problems = cls._attempt(draft)
        if config is None or any(problem.severity == "error" for problem in problems):
            raise ConfigProblemsError(problems)
        log_warnings(problems)
        config.outline()
        return config

    @classmethod
    def _attempt(cls, draft: Draft) -> tuple[Self | None, list[Problem]]:
        """The configuration if its values can be read at all, and every problem found on the way."""
        config, problems = problems_of(cls, draft)
        if config is not None:
            config.keep(draft.sources, problems, draft.data)
        return config, problems

    def keep(
        self, sources: Sequence[Source], problems: Sequence[Problem] = (), written: MarkedDict | None = None
    ) -> None:
        """Take these Colang sources, warnings and marked data as this configuration's own, instead of what it had."""
        self.sources = tuple(sources)
        self._problems = tuple(problems)
        if written is not None:
            self._written = written

    def outline(self) -> None:
        """Show what the Colang 1.0 sources define in `user_messages`, `bot_messages` and `flows`; 2.x ones are read.

        Of a message that YAML defines too the source's texts count.

        Raises:
            ColangError: a source cannot be read.
        """
        if self.colang_version != ONE:
            require_readable(self.sources)
            return
        self._yaml = {name: getattr(self, name) for name in _OUTLINED}
        found = outline_of(self.sources)
        self.user_messages = {**self.user_messages, **found.user_messages}
        self.bot_messages = {**self.bot_messages, **found.bot_messages}
        self.flows = [*self.flows, *found.flows]

    @classmethod
    def inspect(cls, config_path: str | Path) -> tuple[Self | None, list[Problem]]:
        """Load a folder as far as it goes: the configuration (None if unusable) and every problem in it.

        Raises:
            InvalidRailsConfigurationError: there is no configuration at this path.
        """
        try:
            draft = draft_of_path(str(config_path))
        except ConfigProblemsError as error:
            return None, list(error.problems)
        config, problems = cls._attempt(draft)
        usable = not any(problem.severity == "error" for problem in problems)
        return (config if usable else None), problems

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, wherever they were read from."""
        return isinstance(other, RailsConfig) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: RailsConfig) -> RailsConfig:
        """Both configurations as one; single values of `other` win, its list items come first.

        Raises:
            InvalidRailsConfigurationError: they name different models for one type, or different actions servers.
        """
        return RailsConfig._of_draft(merge_drafts(self._draft(), other._draft()))

    def _draft(self) -> Draft:
        data = {**self.explicit(), **{name: value for name, value in self._yaml.items() if value}}
        for name in _OUTLINED:
            if not self._yaml.get(name) and self._yaml:
                data.pop(name, None)
        data.pop("sources", None)
        return Draft(data=merge({}, data), sources=list(self.sources))

    @staticmethod
    def joined(configs: Sequence[RailsConfig]) -> RailsConfig:
        """All of `configs` added up, the last one winning; the sequence is not empty."""
        total = configs[0]
        for config in configs[1:]:
            total = total + config
        return total


def _without(messages: Mapping[str, list[str]], others: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: texts for name, texts in messages.items() if name not in others}
