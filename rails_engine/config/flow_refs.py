"""How a configuration names a flow: `name`, `name $model=x $variant="a b"` or `name(model=x, variant="a b")`.

Under Colang 2.x values may stand without a name, as in `name $input_text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_PARAMETER = re.compile(r"""\$?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s,$"'][^\s,]*)""")
_POSITIONAL = re.compile(r"""\s*(?P<value>"[^"]*"|'[^']*'|\$[A-Za-z_]\w*|-?\d+(?:\.\d+)?)\s*(?:,|(?=\s)|$)""")
_CALL = re.compile(r"^(?P<name>[^($]+)\((?P<arguments>.*)\)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FlowRef:
    """A flow by name with the values of its parameters, as written and without quotes.

    `positional` are values without a name, as written.
    """

    name: str
    parameters: dict[str, str] = field(default_factory=dict)
    text: str = ""
    positional: tuple[str, ...] = ()

    def task(self, base: str) -> str:
        """The name of the prompt for this reference: `base`, then ` $name=value` for each parameter."""
        return base + "".join(f" ${name}={value}" for name, value in self.parameters.items())


@lru_cache(maxsize=1024)
def parse_flow_ref(text: str) -> FlowRef:
    """Read one flow reference.

    Raises:
        ValueError: the parameters cannot be read.
    """
    called = _CALL.match(text.strip())
    if called:
        name, arguments = called["name"], called["arguments"]
    else:
        # A quotation mark begins a value, but within a word it is a letter, as in `don't`.
        end = re.search(r"""\$|"|(?<!\w)'""", text)
        name, arguments = (text[: end.start()], text[end.start() :]) if end else (text, "")
    named, positional = _parameters(arguments, text)
    return FlowRef(" ".join(name.split()), named, text, positional)


def _parameters(arguments: str, text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    found: dict[str, str] = {}
    positional: list[str] = []
    position = 0
    for match in _PARAMETER.finditer(arguments):
        positional += _values(arguments[position : match.start()], text)
        found[match["name"]] = match["value"].strip("\"'")
        position = match.end()
    positional += _values(arguments[position:], text)
    return found, tuple(positional)


def _values(between: str, text: str) -> list[str]:
    """The values without a name that stand between others."""
    values: list[str] = []
    rest = between.strip(" \t\n,")
    while rest:
        value = _POSITIONAL.match(rest)
        if value is None:
            raise ValueError(
                f"cannot read {rest!r} in the flow reference {text!r}; write parameters as "
                'name $parameter=value or name(parameter="value")'
            )
        values.append(value["value"])
        rest = rest[value.end() :].strip(" \t\n,")
    return values
