"""The knowledge base: documents are read, cut into chunks that know where they come from, and searched.

Reading turns a file of any kind into sections (`sections`): a path of headings and the blocks below it with their
lines. Cutting (`chunks`) gathers blocks until a chunk is long enough and divides a block that is too long, with
overlap. `KnowledgeBase` gives the chunks to a searcher and answers with them, best first.
"""

from rails_engine.retrieval.kb.chunks import Chunk, ChunkSettings, Provenance, cut
from rails_engine.retrieval.kb.documents import Document
from rails_engine.retrieval.kb.knowledge_base import KnowledgeBase
from rails_engine.retrieval.kb.markdown import read_markdown

__all__ = ["Chunk", "ChunkSettings", "Document", "KnowledgeBase", "Provenance", "cut", "read_markdown"]
