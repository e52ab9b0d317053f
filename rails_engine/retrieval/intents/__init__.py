"""Intents: what a user's utterance was said for, by its likeness to examples, without a language model.

Each intent comes with example utterances. Where there are few, the nearest example decides (`index`). Where there are
enough, a linear head over their vectors and their wording (`surface`) is fitted when it is first needed (`head`,
minimised by `lbfgs`), mixed with the nearness of the examples, and calibrated on held-out ones: the probabilities can
be read as such, and an utterance that is like none of the examples is said to be out of scope. A fitted head is kept
by the hash of its examples (`fitted`). `report` measures all that on a labelled file.
"""

from rails_engine.retrieval.intents.custom import SearchedIntents
from rails_engine.retrieval.intents.fitted import FittedHeads, cache_folder
from rails_engine.retrieval.intents.index import IntentIndex
from rails_engine.retrieval.intents.match import IntentMatch, Intents, Ranked
from rails_engine.retrieval.intents.report import (
    IntentReport,
    Labelled,
    Rule,
    auroc,
    make_report,
    read_labelled,
    render,
    summarise,
)

__all__ = [
    "FittedHeads",
    "IntentIndex",
    "IntentMatch",
    "IntentReport",
    "Intents",
    "Labelled",
    "Ranked",
    "Rule",
    "SearchedIntents",
    "auroc",
    "cache_folder",
    "make_report",
    "read_labelled",
    "render",
    "summarise",
]
