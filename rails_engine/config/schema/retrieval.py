"""`docs`, `knowledge_base` and `core`: what is searched, and by which provider."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from rails_engine.config.schema.base import Section


class Document(Section):
    format: str
    content: str


class EmbeddingsCacheConfig(Section):
    enabled: bool = False
    key_generator: str = "sha256"
    store: str = "filesystem"
    store_config: dict[str, Any] = Field(default_factory=dict)


class EmbeddingSearchProvider(Section):
    name: str = "default"
    parameters: dict[str, Any] = Field(default_factory=dict)
    cache: EmbeddingsCacheConfig = Field(default_factory=EmbeddingsCacheConfig)


class KnowledgeBaseConfig(Section):
    folder: str = "kb"
    embedding_search_provider: EmbeddingSearchProvider = Field(default_factory=EmbeddingSearchProvider)


class CoreConfig(Section):
    embedding_search_provider: EmbeddingSearchProvider = Field(default_factory=EmbeddingSearchProvider)
