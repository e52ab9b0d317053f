"""Documents of every kind become sections with their places; what cannot be read is a clear error."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from rails_engine.retrieval import Document, DocumentError
from rails_engine.retrieval.kb import Chunk, cut, documents, read_document, read_folder


def chunks_of(content: str | bytes, kind: str) -> list[Chunk]:
    document = Document(f"kb/a.{kind}", content, kind)
    return cut(read_document(document), document.path)


def pdf_of(*pages: str, title: str | None = None, password: str | None = None) -> bytes:
    """A small PDF with one line of text for each line of a page."""
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        lines = " ".join(f"({line}) Tj T*" for line in text.split("\n"))
        stream.set_data(f"BT /F1 12 Tf 14 TL 20 280 Td {lines} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


HTML = """<!doctype html><html><head><title>Shop</title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a></nav>
<h1>Delivery &amp; returns</h1>
<p>We ship on
Mondays.</p><p>Parcels take <b>two</b> days.
<h2>Returns</h2>
<ul><li>within 30 days</li><li>unused</li></ul>
<table><tr><th>Country</th><th>Fee</th></tr><tr><td>Norway</td><td>5</td></tr></table>
<script>alert("x")</script><pre>code  stays
as it is</pre>
<footer>imprint</footer></body></html>"""


def test_html_is_read_as_a_reader_sees_it() -> None:
    chunks = chunks_of(HTML, "html")
    assert [chunk.title for chunk in chunks] == ["Delivery & returns", "Delivery & returns - Returns"]
    assert chunks[0].body.split("\n") == ["We ship on Mondays.", "Parcels take two days."]
    for text in ("within 30 days", "Norway | 5", "code  stays\nas it is"):
        assert text in chunks[1].body
    seen = " ".join(chunk.body for chunk in chunks)
    assert not any(word in seen for word in ("Home", "color", "alert", "imprint"))


def test_html_blocks_know_their_lines() -> None:
    provenance = chunks_of(HTML, "html")[0].provenance
    assert (provenance.first_line, provenance.last_line) == (4, 6)


def test_html_without_headings_is_named_by_its_title() -> None:
    assert chunks_of("<title>Hours</title><p>Open at nine.", "html")[0].title == "Hours"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<p", ["<p"]),
        ("<h1>only", []),
        ("<script>never closed <p>x", []),
        ("&#xD800; <b>", ["\ufffd"]),
        ("<p>before <![CDATA[", ["before <![CDATA["]),
        ("<p>a<p>b</h1></p>", ["a\nb"]),
    ],
)
def test_broken_html_is_read_as_far_as_it_goes(text: str, read: list[str]) -> None:
    assert [chunk.body for chunk in chunks_of(text, "html")] == read


def test_plain_text_is_paragraphs() -> None:
    chunks = chunks_of("first line\nsecond\n\n\nnext paragraph\n", "txt")
    assert [(c.title, c.body) for c in chunks] == [("", "first line\nsecond\n\n\nnext paragraph")]
    assert str(chunks[0].provenance) == "kb/a.txt:1-5"


def test_pdf_pages_are_named(tmp_path: Path) -> None:
    chunks = chunks_of(pdf_of("The warranty lasts\ntwo years.", "Call us on Monday.", title="Manual"), "pdf")
    assert [(c.title, c.body, c.provenance.page) for c in chunks] == [
        ("Manual", "The warranty lasts\ntwo years.", 1),
        ("Manual", "Call us on Monday.", 2),
    ]
    assert str(chunks[1].provenance) == "kb/a.pdf, page 2:1-1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the PDF is broken"),
        (b"%PDF-1.7\nnot really", "the PDF is broken"),
        (pdf_of("some text")[:-200], "the PDF"),
        (pdf_of(""), r"the PDF holds no text; scanned pages .* \(OCR\)"),
        (pdf_of("secret", password="x"), "the PDF is locked with a password"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_a_clear_error(content: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=rf"kb/a\.pdf: {message}"):
        chunks_of(content, "pdf")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_files_are_read(encoding: str) -> None:
    assert chunks_of("# Größe\n\n東京".encode(encoding), "md")[0].title == "Größe"


def test_another_encoding_is_a_clear_error() -> None:
    with pytest.raises(
        DocumentError, match=r"kb/a\.md: is not utf-8 text \(byte 11, line 2\); save it as UTF-8"
    ):
        chunks_of("plain line\n\xe9t\xe9".encode("latin-1"), "md")


def test_a_binary_file_is_no_text() -> None:
    with pytest.raises(DocumentError, match="holds zero bytes"):
        chunks_of(b"\x00\x01\x02", "txt")


def test_an_unknown_format_is_a_clear_error() -> None:
    with pytest.raises(DocumentError, match="unknown format 'docx'; known are md, txt, html, pdf"):
        chunks_of(b"x", "docx")


def test_a_folder_is_read_in_order_without_hidden_and_foreign_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "kb"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("b.md", "a.TXT", "sub/c.html", ".hidden.md", ".git/x.md", "photo.png"):
        (folder / name).write_text("x")
    (folder / "sub" / "loop").symlink_to(folder)
    assert [(d.path, d.format) for d in read_folder(folder)] == [
        ("kb/a.TXT", "txt"),
        ("kb/b.md", "md"),
        ("kb/sub/c.html", "html"),
    ]
    assert "photo.png: not read" in caplog.text


def test_a_file_of_two_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kb" / "huge.md"
    path.parent.mkdir()
    with path.open("wb") as stream:
        stream.truncate(2 << 30)
    with pytest.raises(DocumentError, match=r"huge\.md: has 2,048 MiB, more than the 64 MiB"):
        read_folder(path.parent)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.md").write_text("x")
    monkeypatch.setattr(documents, "MAX_DOCUMENTS", 2)
    with pytest.raises(DocumentError, match="more than 2 documents"):
        read_folder(folder)
