"""HTML to sections, with the standard library's parser: what a reader sees, without scripts, styles and navigation."""

from __future__ import annotations

from html.parser import HTMLParser

from rails_engine.retrieval.kb.sections import Block, Outline, OutlineBuilder

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNSEEN = frozenset(
    {"script", "style", "template", "noscript", "nav", "footer", "aside", "svg", "form", "button"}
)
_BLOCKS = frozenset(
    {
        "p",
        "li",
        "pre",
        "blockquote",
        "table",
        "tr",
        "dt",
        "dd",
        "div",
        "section",
        "article",
        "main",
        "body",
        "ul",
        "ol",
    }
)
_CELLS = frozenset({"td", "th"})


def read_html(text: str) -> Outline:
    """The sections of an HTML page; its `<title>` becomes metadata only where there is no heading."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.outline()


class _Reader(HTMLParser):
    """Gathers text until a block ends. Tags that are never closed, as most paragraphs are, close with the next."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._builder = OutlineBuilder()
        self._parts: list[str] = []
        self._first_line = 1
        self._heading = 0
        self._any_heading = False
        self._unseen: list[str] = []
        self._in_title = False
        self._title = ""
        self._in_pre = 0

    def outline(self) -> Outline:
        """What was read."""
        self._flush()
        meta = {"title": self._title.strip()} if self._title.strip() and not self._any_heading else {}
        return self._builder.outline(meta)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 -- the parser's
        """See `HTMLParser`."""
        if tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag == "title":
            self._in_title = True
        elif tag in _HEADINGS:
            self._flush()
            self._heading = _HEADINGS[tag]
        elif tag in _BLOCKS:
            self._flush()
        elif tag in _CELLS and self._parts:
            self._parts.append(" | ")
        elif tag == "br":
            self._parts.append("\n")
        self._in_pre += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        if self._unseen:
            if tag in self._unseen:
                del self._unseen[self._unseen.index(tag) :]
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADINGS or tag in _BLOCKS:
            self._flush()
        if tag == "pre":
            self._in_pre = max(0, self._in_pre - 1)

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if self._in_title:
            self._title += data
        elif not self._unseen:
            if not "".join(self._parts).strip():
                self._first_line = self.getpos()[0] + len(data) - len(data.lstrip("\n"))
            self._parts.append(data if self._in_pre else _collapsed(data))

    def _flush(self) -> None:
        text = "\n".join(line.strip() for line in "".join(self._parts).split("\n")).strip()
        self._parts = []
        heading, self._heading = self._heading, 0
        if not text:
            return
        if heading:
            self._any_heading = True
            self._builder.heading(heading, " ".join(text.split()))
        else:
            self._builder.block(Block(text, self._first_line, self.getpos()[0]))


def _collapsed(data: str) -> str:
    """White space as a browser shows it."""
    words = " ".join(data.split())
    return f"{' ' if data[:1].isspace() else ''}{words}{' ' if words and data[-1:].isspace() else ''}"
