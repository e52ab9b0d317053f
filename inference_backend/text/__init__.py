"""Text to tokens and back.

`tokenizer.py` reads `tokenizer.json` through the `tokenizers` library; `chat.py` renders messages with the model's own
template in a sandbox; `detokenizer.py` turns tokens into text as they come, never splitting a character;
`stops.py` holds text back while it may still be the beginning of a stop string; `constraint.py` keeps output inside a
choice, regex or JSON schema through llguidance; `control.py` keeps control tokens that users spell out plain text.
"""

from inference_backend.text.chat import ChatTemplate
from inference_backend.text.constraint import ConstraintCompiler, Matcher
from inference_backend.text.control import ControlText
from inference_backend.text.detokenizer import Detokenizer
from inference_backend.text.stops import StopFinder
from inference_backend.text.tokenizer import Tokenizer

__all__ = [
    "ChatTemplate",
    "ConstraintCompiler",
    "ControlText",
    "Detokenizer",
    "Matcher",
    "StopFinder",
    "Tokenizer",
]
