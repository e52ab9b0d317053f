"""`docs`, `knowledge_base` and `core`: what is searched, and by which provider."""

from __future__ import annotations

from typing import Any, Literal

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


class RerankConfig(Section):
    """A model that reads question and passage together: `nim` (NVIDIA's ranking endpoint) or `local` (a folder)."""

    engine: Literal["nim", "nvidia_ai_endpoints", "local"]
    model: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    candidates: int = Field(default=30, gt=0, le=512, description="Chunks that are put in order.")


class ChunkingConfig(Section):
    soft_characters: int = Field(default=400, gt=0, description="Gather paragraphs up to here.")
    max_tokens: int = Field(default=180, gt=0, description="Divide longer paragraphs at sentences.")
    overlap_tokens: int = Field(default=30, ge=0, description="Repeat so much of the part before.")


class KnowledgeBaseConfig(Section):
    folder: str = "kb"
    embedding_search_provider: EmbeddingSearchProvider = Field(default_factory=EmbeddingSearchProvider)
    search: Literal["auto", "hybrid", "vectors"] = Field(
        default="auto", description="`auto` adds search by words where no embedding engine is named."
    )
    index_folder: str | None = Field(default=None, description="Keep the index here between starts.")
    chunking: ChunkingConfig = Field(default_factory=ChunkingConfig)
    rerank: RerankConfig | None = None


class CoreConfig(Section):
    embedding_search_provider: EmbeddingSearchProvider = Field(default_factory=EmbeddingSearchProvider)
