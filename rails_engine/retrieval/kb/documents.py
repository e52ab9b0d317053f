"""Documents: found in a folder, bounded in size, decoded, and read by their kind."""

from __future__ import annotations

import codecs
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rails_engine.retrieval.errors import DocumentError
from rails_engine.retrieval.kb.html import read_html
from rails_engine.retrieval.kb.markdown import read_markdown, read_text
from rails_engine.retrieval.kb.pdf import read_pdf
from rails_engine.retrieval.kb.sections import Outline

MAX_DOCUMENT_BYTES = 64 << 20
MAX_DOCUMENTS = 100_000

FORMATS = MappingProxyType(
    {
        ".md": "md",
        ".markdown": "md",
        ".txt": "txt",
        ".text": "txt",
        ".html": "html",
        ".htm": "html",
        ".pdf": "pdf",
    }
)
"""File endings to formats."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the knowledge base; `format` is `md`, `txt`, `html` or `pdf` (whose `content` is bytes)."""

    path: str
    content: str | bytes
    format: str = "md"


def read_document(document: Document) -> Outline:
    """The sections of a document.

    Raises:
        DocumentError: the format is unknown, or the content is not of its format.
    """
    if document.format == "pdf":
        content = document.content
        return read_pdf(
            content if isinstance(content, bytes) else content.encode("latin-1", "replace"), document.path
        )
    text = document.content if isinstance(document.content, str) else decode(document.content, document.path)
    if document.format in ("md", "markdown"):
        return read_markdown(text, document.path)
    if document.format in ("txt", "text"):
        return read_text(text, document.path)
    if document.format in ("html", "htm"):
        return read_html(text)
    raise DocumentError(document.path, f"unknown format {document.format!r}; known are md, txt, html, pdf")


def read_folder(folder: Path) -> list[Document]:
    """Every document below `folder`, in the order of names; other files are left out, with a warning.

    Paths are given as seen from the folder above. Symbolic links are followed, each real folder once.

    Raises:
        DocumentError: a file is too large or cannot be read, or there are too many.
    """
    documents: list[Document] = []
    for path in _files(folder):
        kind = FORMATS.get(path.suffix.lower())
        if kind is None:
            _log.warning(
                "%s: not read into the knowledge base; known endings are %s", path, ", ".join(FORMATS)
            )
            continue
        if len(documents) >= MAX_DOCUMENTS:
            raise DocumentError(str(folder), f"more than {MAX_DOCUMENTS:,} documents")
        documents.append(Document(path.relative_to(folder.parent).as_posix(), _content(path), kind))
    return documents


def decode(content: bytes, path: str) -> str:
    """Text from bytes: UTF-8, or UTF-16 where the file begins with its mark.

    Raises:
        DocumentError: neither; the position of the first wrong byte is named.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(
            path, f"is not {encoding} text (byte {error.start}, line {line}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise DocumentError(path, "is no text: it holds zero bytes")
    return text


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_DOCUMENT_BYTES:
            raise DocumentError(
                str(path),
                f"has {size >> 20:,} MiB, more than the {MAX_DOCUMENT_BYTES >> 20} MiB a document may have; split it",
            )
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(str(path), f"cannot be read ({error.strerror or error})") from error


def _files(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))
