"""`docs`, `knowledge_base` and `core`: what is searched, and by which provider."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rails_engine.config.schema.base import Section


class Document(Section):
    """A document of the knowledge base, as its folder or a caller gives it."""

    format: str = Field(description="The format, such as `md`.")
    content: str = Field(description="The text.")


class EmbeddingsCacheConfig(Section):
    """Where embeddings are kept between calls."""

    enabled: bool = Field(default=False, description="Whether embeddings are kept.")
    key_generator: str = Field(default="sha256", description="How a text becomes a key.")
    store: str = Field(
        default="filesystem",
        description="Where they are kept: `filesystem` (SQLite), `redis` or `in_memory`.",
    )
    store_config: dict[str, Any] = Field(default_factory=dict, description="Settings of the store.")

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return self.model_dump()


class EmbeddingSearchProvider(Section):
    """What embeds and searches texts."""

    name: str = Field(default="default", description="`default`, or one that you registered.")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="Such as `embedding_engine`, `embedding_model` and `search_threshold`.",
    )
    cache: EmbeddingsCacheConfig = Field(
        default_factory=EmbeddingsCacheConfig, description="Keep embeddings."
    )


class RerankConfig(Section):
    """A model that reads question and passage together: `nim` (NVIDIA's ranking endpoint) or `local` (a folder)."""

    engine: Literal["nim", "nvidia_ai_endpoints", "local"] = Field(
        description="NVIDIA's ranking endpoint, or a model here."
    )
    model: str = Field(description="Its name, or the folder of its checkpoint.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Settings of the client.")
    candidates: int = Field(default=30, gt=0, le=512, description="Chunks that are put in order.")


class ChunkingConfig(Section):
    """How documents are cut into chunks."""

    soft_characters: int = Field(default=400, gt=0, description="Gather paragraphs up to here.")
    max_tokens: int = Field(default=180, gt=0, description="Divide longer paragraphs at sentences.")
    overlap_tokens: int = Field(default=30, ge=0, description="Repeat so much of the part before.")


class KnowledgeBaseConfig(Section):
    """The documents that answers may be drawn from."""

    folder: str = Field(default="kb", description="The folder of documents.")
    embedding_search_provider: EmbeddingSearchProvider = Field(
        default_factory=EmbeddingSearchProvider, description="What searches the documents."
    )
    search: Literal["auto", "hybrid", "vectors"] = Field(
        default="auto", description="`auto` adds search by words where no embedding engine is named."
    )
    index_folder: str | None = Field(default=None, description="Keep the index here between starts.")
    chunking: ChunkingConfig = Field(default_factory=ChunkingConfig, description="How documents are divided.")
    rerank: RerankConfig | None = Field(default=None, description="A second look at what was found.")


class CoreConfig(Section):
    """Settings of the dialog itself."""

    embedding_search_provider: EmbeddingSearchProvider = Field(
        default_factory=EmbeddingSearchProvider, description="What searches the examples of intents."
    )
