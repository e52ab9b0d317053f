"""Which of a few languages a text is in, told by its script and its commonest words; and how to refuse in each."""

from __future__ import annotations

import re
from collections.abc import Mapping

DEFAULT = "en"

REFUSALS: Mapping[str, str] = {
    "en": "I'm sorry, I can't respond to that.",
    "es": "Lo siento, no puedo responder a eso.",
    "de": "Es tut mir leid, darauf kann ich nicht antworten.",
    "fr": "Je suis désolé, je ne peux pas répondre à cela.",
    "zh": "抱歉，我无法回应该内容。",  # noqa: RUF001 - the punctuation of the language
    "ja": "申し訳ありませんが、それにはお答えできません。",
    "hi": "माफ़ कीजिए, मैं इसका उत्तर नहीं दे सकता।",
    "ar": "عذراً، لا يمكنني الرد على ذلك.",
    "th": "ขออภัย ฉันไม่สามารถตอบเรื่องนี้ได้",
}

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
_COMMON: Mapping[str, str] = {
    "en": "the and is of to you what how are in my a i it that this do can",
    "es": "el la los que es de y cómo qué una un por para en mi puedo cual cuál está",
    "de": "der die das und ist ich wie was ein eine nicht zu mit mein kann auf den",
    "fr": "le la les et est je que comment quoi une un des pour mon puis dans ce quel",
}
_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}
_WORD = re.compile(r"\w+")


def language_of(text: str) -> str:
    """The code of the language that `text` is most likely in; English where nothing tells."""
    for code, script in _SCRIPTS:
        if len(script.findall(text)) * 4 > len(text.strip()):
            return code
    words = _WORD.findall(text.lower())
    counts = {code: sum(word in known for word in words) for code, known in _WORDS.items()}
    best = max(counts, key=lambda code: counts[code])
    return best if counts[best] else DEFAULT


def refusal_in(language: str, own: Mapping[str, str]) -> str:
    """The refusal in a language: the configuration's, else ours, else the one in English."""
    return own.get(language) or REFUSALS.get(language) or own.get(DEFAULT) or REFUSALS[DEFAULT]
