"""Documents in, chunks out: what a user finds with a question."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.retrieval import (
    ChunkSettings,
    Document,
    DocumentError,
    KnowledgeBase,
    StaticEmbedder,
    VectorSearcher,
)
from rails_engine.retrieval.kb import (
    Library,
    Sources,
    citations_in,
    cut,
    numbered,
    split_sentences,
    unknown_citations,
)
from rails_engine.retrieval.kb.markdown import read_markdown, read_text
from tests.rails_engine.retrieval.doubles import WordEmbedder

MANUAL = """\
# Kettle

Fill the kettle to the line.

## Care

Clean with vinegar
- once a month
- never with soap

```sh
# not a heading
descale --now
```

# Warranty

Two years from the day of purchase.
"""


def chunks_of(text: str, settings: ChunkSettings | None = None) -> list[tuple[str, str]]:
    return [(chunk.title, chunk.body) for chunk in cut(read_markdown(text, "a.md"), "a.md", settings)]


def knowledge_base(embedder: WordEmbedder, *texts: str) -> KnowledgeBase:
    documents = [Document(f"doc{i}.md", text) for i, text in enumerate(texts)]
    return KnowledgeBase(documents, VectorSearcher(embedder))


async def test_the_best_chunk_comes_first_and_knows_its_place(embedder: WordEmbedder) -> None:
    base = knowledge_base(embedder, MANUAL)
    best = (await base.search("how often do I clean it with vinegar"))[0]
    assert best.title == "Kettle - Care"
    assert best.provenance.path == "doc0.md"
    assert best.provenance.headings == ("Kettle", "Care")
    assert (best.provenance.first_line, best.provenance.last_line) == (7, 14)
    assert str(best.provenance) == "doc0.md:7-14 (Kettle > Care)"


async def test_users_actions_see_plain_dictionaries(embedder: WordEmbedder) -> None:
    base = knowledge_base(embedder, "---\nproduct: kettle\n---\n# Power\nIt draws 2 kW.")
    assert await base.search_relevant_chunks("draws kW") == [
        {
            "title": "Power",
            "body": "It draws 2 kW.",
            "product": "kettle",
            "source": "doc0.md:5-5 (Power)",
        }
    ]


async def test_three_chunks_unless_asked_otherwise(embedder: WordEmbedder) -> None:
    base = knowledge_base(embedder, "".join(f"# T{i}\n\nsame words\n\n" for i in range(6)))
    assert len(await base.search("same words")) == 3
    assert len(await base.search("same words", limit=5)) == 5


async def test_an_empty_knowledge_base_finds_nothing(embedder: WordEmbedder) -> None:
    assert await knowledge_base(embedder).search("anything") == []
    assert await knowledge_base(embedder, "", "# only a heading\n").search("anything") == []
    assert embedder.calls == []


async def test_documents_are_embedded_as_passages_and_questions_as_queries(embedder: WordEmbedder) -> None:
    base = knowledge_base(embedder, MANUAL)
    await base.search("vinegar")
    assert [kind.value for _, kind in embedder.calls] == ["passage", "query"]
    assert embedder.calls[0][0][2] == "# Warranty\n\nTwo years from the day of purchase."


def test_a_hash_in_a_code_fence_is_no_heading() -> None:
    assert [title for title, _ in chunks_of(MANUAL)] == ["Kettle", "Kettle - Care", "Warranty"]


def test_source_line_breaks_are_kept() -> None:
    assert chunks_of("# A\n\n\nx\n\n\n\ny\ntext\n- a\n") == [("A", "x\n\n\n\ny\ntext\n- a")]


def test_a_text_without_headings_is_one_chunk_without_title() -> None:
    assert chunks_of("no heading\n\nmore\n") == [("", "no heading\n\nmore")]


def test_a_deeper_heading_closes_with_the_next_shallower_one() -> None:
    assert chunks_of("# A\nx\n### C\ny\n## B\nz\n") == [("A", "x"), ("A - C", "y"), ("A - B", "z")]


def test_paragraphs_are_gathered_until_the_chunk_is_long_enough() -> None:
    text = "# L\n\n" + "\n\n".join(["a" * 199] * 6)
    assert [len(body) for _, body in chunks_of(text)] == [601, 601]


def test_a_long_paragraph_is_divided_at_sentences_with_overlap() -> None:
    sentences = [f"Sentence number {i} has six words." for i in range(20)]
    bodies = [
        body for _, body in chunks_of(" ".join(sentences), ChunkSettings(max_tokens=40, overlap_tokens=10))
    ]
    assert all(body.startswith("Sentence") and body.endswith("words.") for body in bodies)
    assert sentences[4] in bodies[0]
    assert sentences[4] in bodies[1]
    assert set(sentences) == {f"{part}." for body in bodies for part in body.rstrip(".").split(". ")}


def test_a_paragraph_without_any_sentence_end_is_divided_too() -> None:
    bodies = [body for _, body in chunks_of("word " * 1000, ChunkSettings(max_tokens=100, overlap_tokens=0))]
    assert [len(body.split()) for body in bodies] == [100] * 10


@pytest.mark.parametrize(
    "head", ["---\ntitle: Guide\nlang: en\n---\n", "```yaml\ntitle: Guide\nlang: en\n```\n"]
)
def test_metadata_at_the_head_is_read_and_names_the_chunks(head: str) -> None:
    outline = read_markdown(head + "# A\nbody\n", "a.md")
    chunk = cut(outline, "a.md")[0]
    assert (chunk.title, chunk.body, chunk.meta) == ("Guide", "body", {"lang": "en"})
    assert chunk.provenance.first_line == head.count("\n") + 2


def test_broken_metadata_names_the_file_and_the_line() -> None:
    with pytest.raises(DocumentError, match=r"guide\.md: the metadata block .* line 4"):
        read_markdown("---\na: 1\nb: [unclosed\n---\ntext\n", "guide.md")


def test_a_rule_at_the_top_is_no_metadata() -> None:
    assert chunks_of("---\njust text\n---\nmore\n") != []


SHOP = """# Delivery

We ship on Mondays. A parcel takes two days within the country. Islands take a week.

# Returns

Send unused goods back within 30 days. The refund takes a week. We pay for the parcel if the goods are broken.
"""


def shop() -> KnowledgeBase:
    embedder = StaticEmbedder()
    return KnowledgeBase([Document("shop.md", SHOP)], VectorSearcher(embedder), embedder)


@pytest.mark.parametrize(
    ("question", "expected", "heading"),
    [
        ("how long does a parcel take", "A parcel takes two days within the country.", "Delivery"),
        ("until when can I send goods back", "Send unused goods back within 30 days.", "Returns"),
    ],
)
async def test_answers_are_sentences_of_the_documents(question: str, expected: str, heading: str) -> None:
    answer = await shop().answer(question)
    assert answer is not None
    assert expected in answer.text
    assert answer.citation.provenance.headings == (heading,)
    assert answer.with_source == f"{answer.text} [shop.md > {heading}]"
    assert all(f"{part}." in SHOP for part in answer.text.rstrip(".").split(". "))


async def test_what_the_documents_do_not_say_is_not_answered() -> None:
    assert await shop().answer("who won the world cup in 1998") is None
    assert await shop().answer("") is None


async def test_without_an_embedder_nothing_is_extracted(embedder: WordEmbedder) -> None:
    assert await knowledge_base(embedder, SHOP).answer("how long does a parcel take") is None


async def test_documents_of_a_tenant_are_its_own(embedder: WordEmbedder) -> None:
    base = knowledge_base(embedder, "---\ntenant: acme\n---\nthe price is ten", "the price is public")
    assert [chunk.body for chunk in await base.search("price")] == ["the price is public"]
    assert "the price is ten" in [chunk.body for chunk in await base.search("price", tenant="acme")]


async def test_a_given_document_that_the_folder_holds_too_counts_once(
    embedder: WordEmbedder, tmp_path: Path
) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    (folder / "a.md").write_text("# A\nsame text")
    sources = Sources((Document("1.md", "# A\nsame text"), Document("2.md", "# B\nother text")), folder)
    base = KnowledgeBase(Library(sources), VectorSearcher(embedder))
    await base.build()
    assert [chunk.provenance.path for chunk in base.chunks] == ["kb/a.md", "2.md"]


def test_citations_go_from_numbers_to_places_and_back() -> None:
    chunks = cut(read_markdown(SHOP, "shop.md"), "shop.md")
    assert numbered(chunks).startswith("[1] Delivery\nWe ship on Mondays.")
    cited = citations_in("Two days [1], refunds a week [2, 1]. See [7] and [x].", chunks)
    assert [(c.number, c.title, str(c.provenance)) for c in cited] == [
        (1, "Delivery", "shop.md:3-3 (Delivery)"),
        (2, "Returns", "shop.md:7-7 (Returns)"),
    ]
    assert unknown_citations("Two days [1], see [7].", chunks) == [7]


def test_a_line_break_inside_a_paragraph_ends_no_sentence() -> None:
    text = (
        "Lock the bike\nat the pier. It is\nsafe there!\n- first item\n- second item\n\nlast 東京です。はい"
    )
    assert split_sentences(text) == [
        "Lock the bike at the pier.",
        "It is safe there!",
        "- first item",
        "- second item",
        "last 東京です。",
        "はい",
    ]


def test_the_lines_of_a_divided_paragraph_are_its_parts_own() -> None:
    text = "\n".join(f"Line {i} ends here." for i in range(1, 13))
    chunks = cut(read_markdown(text, "a.md"), "a.md", ChunkSettings(max_tokens=20, overlap_tokens=0))
    assert [(c.provenance.first_line, c.provenance.last_line) for c in chunks] == [(1, 4), (5, 8), (9, 12)]
    assert "\n".join(chunk.body for chunk in chunks) == text


@given(st.text("ab .!\n-|", max_size=120), st.integers(1, 12), st.integers(0, 6))
def test_no_letter_of_any_text_is_lost(text: str, max_tokens: int, overlap: int) -> None:
    chunks = cut(read_text(text, "a.txt"), "a.txt", ChunkSettings(5, max_tokens, overlap))
    letters = Counter(text.replace(" ", "").replace("\n", ""))
    found = Counter("".join(chunk.body for chunk in chunks).replace(" ", "").replace("\n", ""))
    assert found >= letters if overlap else found == letters
