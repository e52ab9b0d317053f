"""The arguments of `execute` and `create event`, filled in: a text `$name` or `$name.member` stands for a variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def resolved(arguments: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with each text `$name` or `$name.member` replaced by the variable, where there is one."""
    return {name: _value(given, variables) for name, given in arguments.items()}


def _value(given: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(given, dict):
        return {key: _value(inner, variables) for key, inner in given.items()}
    if not isinstance(given, str) or not given.startswith("$"):
        return given
    if "." not in given:
        return variables.get(given[1:], given)
    name, *members = given[1:].split(".")
    if name not in variables:
        return given
    value = variables[name]
    for member in members:
        value = value.get(member) if isinstance(value, Mapping) else None
    return value


class Filling:
    """`resolved` for arguments that are filled in again and again: which of them vary is found out once."""

    __slots__ = ("_arguments", "_named", "_others")

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = dict(arguments)
        varying = [name for name, given in arguments.items() if _may_vary(given)]
        self._named = [
            (name, arguments[name][1:], arguments[name]) for name in varying if _is_name(arguments[name])
        ]
        self._others = [(name, arguments[name]) for name in varying if not _is_name(arguments[name])]

    def filled(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with these variables."""
        filled = self._arguments.copy()
        for name, variable, given in self._named:
            filled[name] = variables.get(variable, given)
        for name, given in self._others:
            filled[name] = _value(given, variables)
        return filled

    def into(self, target: dict[str, Any], variables: Mapping[str, Any]) -> None:
        """Write the arguments with these variables into `target`."""
        target.update(self._arguments)
        for name, variable, given in self._named:
            target[name] = variables.get(variable, given)
        for name, given in self._others:
            target[name] = _value(given, variables)


def _may_vary(given: Any) -> bool:
    return isinstance(given, dict) or (isinstance(given, str) and given.startswith("$"))


def _is_name(given: Any) -> bool:
    """Whether this is a variable and no member of one."""
    return isinstance(given, str) and "." not in given
