"""JSON objects as Go's encoding/json reads them, which is not quite how Python's json does."""

import json
import math
import re
from typing import Any

_DEEPEST = 10_000
_DEEPEST_KEPT = 32
_LONGEST_INTEGER = 20

_TOKEN = re.compile(
    r"""[ \t\n\r]*+(?:
      (?P<mark>[][{}:,])
    | (?P<string>"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")
    | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)
    | (?P<word>true|false|null)
    )""",
    re.VERBOSE,
)
_WORDS = {"true": True, "false": False, "null": None}
_SURROGATES = re.compile("[\ud800-\udfff]")

# What may come next; "0" stands for every number and word.
_VALUE, _FIRST_ITEM, _NEXT_ITEM = '{["0', '{["0]', ",]"
_KEY, _FIRST_KEY, _COLON, _NEXT_KEY = '"', '"}', ":", ",}"
_NOTHING = ""


class GoJSONError(ValueError):
    """Go would not read this as an object; str(error) completes "the header …"."""


def read_object(data: bytes) -> list[tuple[str, Any]]:
    """The members of the one object that data holds, in order, with all duplicates.

    As json.Unmarshal into a map does: what is no UTF-8 or half a surrogate pair becomes U+FFFD,
    a number must fit into a float64, nesting ends at 10,000. Below the top the last duplicate
    counts, and containers nested deeper than anybody would print are empty. Raises GoJSONError.
    Source: decode.go and scanner.go of Go's encoding/json.
    """
    text = data.decode("utf-8", "surrogateescape")
    reader = _Reader()
    end = 0
    while (token := _TOKEN.match(text, end)) and reader.take(token):
        end = token.end()
    rest = text[end:].lstrip(" \t\n\r")
    if reader.allowed == _NOTHING and rest:
        raise GoJSONError("goes on after the end of its JSON")
    if reader.allowed != _NOTHING:
        where = f"at its character {len(text) - len(rest) + 1}" if rest else "to its end"
        raise GoJSONError(f"is not JSON {where}")
    if not isinstance(reader.root, dict):
        raise GoJSONError(f"is {kind(reader.root)}, not an object")
    return reader.members


class _Reader:
    """Takes token after token without recursion, so that no nesting is too deep for it."""

    def __init__(self) -> None:
        self.allowed = _VALUE
        self.root: Any = None
        self.members: list[tuple[str, Any]] = []
        self._open: list[Any] = []
        self._keys: list[str] = []

    def take(self, token: re.Match[str]) -> bool:
        """Go one token further; False where it may not stand here."""
        symbol = token["mark"] or ('"' if token["string"] else "0")
        if symbol not in self.allowed:
            return False
        if symbol in ":,":
            self.allowed = _KEY if self.allowed == _NEXT_KEY else _VALUE
        elif symbol in "{[":
            if len(self._open) == _DEEPEST:
                raise GoJSONError(f"is nested deeper than {_DEEPEST}")
            self._open.append({} if symbol == "{" else [])
            self._keys.append("")
            self.allowed = _FIRST_KEY if symbol == "{" else _FIRST_ITEM
        elif symbol in "]}":
            self._keys.pop()
            self._put(self._open.pop())
        elif self.allowed in (_KEY, _FIRST_KEY):
            self._keys[-1] = _text(token["string"])
            self.allowed = _COLON
        else:
            self._put(_scalar(token))
        return True

    def _put(self, value: Any) -> None:
        if not self._open:
            self.root = value
            self.allowed = _NOTHING
            return
        parent = self._open[-1]
        self.allowed = _NEXT_KEY if isinstance(parent, dict) else _NEXT_ITEM
        if len(self._open) == 1:
            self.members.append((self._keys[-1], value))
        if len(self._open) > _DEEPEST_KEPT:
            return
        if isinstance(parent, dict):
            parent[self._keys[-1]] = value
        else:
            parent.append(value)


def kind(value: object) -> str:
    """What a value is called in JSON."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), "a number")


def _scalar(token: re.Match[str]) -> str | float | bool | None:
    if token["string"]:
        return _text(token["string"])
    if not token["number"]:
        return _WORDS.get(token["word"])
    number = float(token["number"])
    if math.isinf(number):
        raise GoJSONError("holds a number that is too large for a float64")
    short = len(token["number"]) <= _LONGEST_INTEGER
    return int(token["number"]) if short and token["number"].lstrip("-").isdigit() else number


def _text(literal: str) -> str:
    text = json.loads(literal) if "\\" in literal else literal[1:-1]
    return _SURROGATES.sub("\ufffd", text)
