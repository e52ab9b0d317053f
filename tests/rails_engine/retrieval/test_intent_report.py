"""The report on a labelled file: what it reads, and what its figures mean."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.retrieval import DocumentError, StaticEmbedder
from rails_engine.retrieval.intents import IntentIndex, IntentMatch, Ranked
from rails_engine.retrieval.intents.report import (
    Confusion,
    Labelled,
    auroc,
    make_report,
    read_labelled,
    render,
    summarise,
)


def taken(
    intent: str, probability: float = 0.9, familiarity: float = 1.0, *, in_scope: bool = True
) -> IntentMatch:
    return IntentMatch((Ranked(intent, probability),), familiarity, familiarity, in_scope)


def test_the_figures_count_what_they_say() -> None:
    report = summarise(
        [
            ("a", taken("a")),
            ("a", taken("b")),
            ("a", taken("a", in_scope=False, familiarity=0.2)),
            ("b", taken("b")),
            (None, taken("a", familiarity=0.1)),
            (None, taken("b", in_scope=False, familiarity=0.0)),
        ]
    )
    assert (report.count, report.foreign) == (6, 2)
    assert (report.accuracy, report.known_rejected, report.foreign_accepted) == (0.75, 0.25, 0.5)
    assert report.auroc == 1.0
    assert [(f.intent, f.recall, f.precision) for f in report.intents] == [
        ("a", pytest.approx(1 / 3), 0.5),
        ("b", 1.0, 0.5),
    ]
    assert Confusion("a", "b", 1) in report.confusions
    assert Confusion(None, "a", 1) in report.confusions


def test_a_confidence_that_is_too_high_shows_as_calibration_error() -> None:
    outcomes = [("a", taken("a" if i < 6 else "b", 0.9)) for i in range(10)]
    assert summarise(outcomes).calibration_error == pytest.approx(0.3)


def test_without_foreign_utterances_there_is_no_auroc() -> None:
    report = summarise([("a", taken("a"))])
    assert math.isnan(report.auroc)
    assert "AUROC" not in render(report)


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_auroc_is_the_share_of_pairs_in_order(known: list[int], foreign: list[int]) -> None:
    pairs = [1.0 if k > f else 0.5 if k == f else 0.0 for k in known for f in foreign]
    assert auroc(known, foreign) == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'text,category\n"hello, there",greets\nwhat is love,none\n'),
        ("a.tsv", "intent\ttext\ngreets\thello, there\nOOS\twhat is love\n"),
        (
            "a.jsonl",
            '{"text": "hello, there", "label": "greets"}\n\n{"text": "what is love", "intent": ""}\n',
        ),
    ],
)
def test_labelled_files_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert read_labelled(tmp_path / name) == [
        Labelled("hello, there", "greets"),
        Labelled("what is love", None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"utterance,intent\nx,y\n", "the columns text and intent"),
        ("a.csv", b"", "the columns text and intent"),
        ("a.csv", b"text,intent\n\xff\xfe,x\n", "not UTF-8"),
        ("a.jsonl", b'{"text": "x", "intent": "y"}\n{"text": 1\n', r"a\.jsonl:2"),
        ("a.jsonl", b'{"text": "x"}\n', r"a\.jsonl:1"),
    ],
)
def test_what_is_no_labelled_file_is_a_clear_error(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DocumentError, match=message):
        read_labelled(tmp_path / name)


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        read_labelled(tmp_path / "none.csv")


async def test_a_report_over_real_intents_reads_well() -> None:
    intents = IntentIndex(
        {"greets": ["hello", "hi there"], "leaves": ["goodbye", "see you"]}, StaticEmbedder()
    )
    report = await make_report(
        intents, [Labelled("hello there", "greets"), Labelled("bye see you", "leaves")]
    )
    assert report.accuracy == 1.0
    assert "utterances            2" in render(report)
