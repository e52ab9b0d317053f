"""PDF to sections, with pypdf (extra `pdf`): the text of each page, cut at blank lines."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from rails_engine.error_boundary import ErrorBoundary
from rails_engine.retrieval.errors import DocumentError
from rails_engine.retrieval.kb.sections import Block, Outline, OutlineBuilder

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_PAGES = 10_000


def read_pdf(content: bytes, path: str) -> Outline:
    """The pages of a PDF; blocks know their page. Pages that are pictures have no text.

    Raises:
        DocumentError: pypdf is not installed, or the file is broken, locked or far too long.
    """
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise DocumentError(path, "reading PDF needs pypdf: pip install 'interlock-rails[pdf]'") from error
    # A broken file fails pypdf in any way.
    with ErrorBoundary(lambda error: DocumentError(path, f"the PDF is broken ({error})")):
        reader = PdfReader(BytesIO(content))
        problem = _problem(reader)
        pages = [] if problem else [page.extract_text() for page in reader.pages]
        title = None if problem or reader.metadata is None else reader.metadata.title
    if problem:
        raise DocumentError(path, problem)
    if not any(text.strip() for text in pages):
        raise DocumentError(path, "the PDF holds no text; scanned pages have to be recognised (OCR) first")
    builder = OutlineBuilder()
    for number, text in enumerate(pages, start=1):
        _add_page(builder, text, number)
    return builder.outline({"title": title.strip()} if title and title.strip() else {})


def _problem(reader: PdfReader) -> str | None:
    if reader.is_encrypted and not reader.decrypt(""):
        return "the PDF is locked with a password"
    if len(reader.pages) > MAX_PAGES:
        return f"the PDF has more than {MAX_PAGES:,} pages"
    return None


def _add_page(builder: OutlineBuilder, text: str, page: int) -> None:
    lines = text.split("\n")
    start = 0
    for number in range(len(lines) + 1):
        if number == len(lines) or not lines[number].strip():
            paragraph = "\n".join(line.strip() for line in lines[start:number]).strip()
            if paragraph:
                builder.block(Block(paragraph, start + 1, number, page))
            start = number + 1
