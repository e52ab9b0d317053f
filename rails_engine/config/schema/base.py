"""What the sections of the schema share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in `config.yml`. Unknown keys are reported by `config.keys`, with their place, not here."""

    model_config = ConfigDict(extra="ignore", defer_build=True, protected_namespaces=())


class OpenSection(Section):
    """A section whose further keys belong to a plug-in and are kept."""

    model_config = ConfigDict(extra="allow", defer_build=True, protected_namespaces=())


class StrictSection(Section):
    """A section in which an unknown key is an error wherever it comes from."""

    model_config = ConfigDict(extra="forbid", defer_build=True, protected_namespaces=())
