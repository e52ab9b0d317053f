"""The knowledge base: documents are read, cut into chunks that know where they come from, and searched.

Reading turns a file of any kind (`documents`: Markdown, text, HTML, PDF) into sections: a path of headings and the
blocks below it with their lines. Cutting (`chunks`) gathers blocks until a chunk is long enough and divides a block
that is too long, with overlap. `Library` does both once, when the configuration is loaded; `KnowledgeBase` gives the
chunks to a searcher and answers with them, best first; `citations` numbers them for a prompt and reads the numbers
back, and `extract` answers from them without a language model.
"""

from rails_engine.retrieval.kb.chunks import Chunk, ChunkSettings, Provenance, cut, split_sentences
from rails_engine.retrieval.kb.citations import Citation, citations_in, numbered, unknown_citations
from rails_engine.retrieval.kb.documents import Document, read_document, read_folder
from rails_engine.retrieval.kb.extract import Answer, ExtractSettings, extract_answer
from rails_engine.retrieval.kb.knowledge_base import KnowledgeBase, Library, Sources
from rails_engine.retrieval.kb.splitting import split_markdown_in_topic_chunks

__all__ = [
    "Answer",
    "Chunk",
    "ChunkSettings",
    "Citation",
    "Document",
    "ExtractSettings",
    "KnowledgeBase",
    "Library",
    "Provenance",
    "Sources",
    "citations_in",
    "cut",
    "extract_answer",
    "numbered",
    "read_document",
    "read_folder",
    "split_markdown_in_topic_chunks",
    "split_sentences",
    "unknown_citations",
]
