"""What is kept of a JSON object, beyond what the verdict's tests see of it."""

import pytest

from kubectl_pxauth.token.go_json import GoJSONError, kind, read_object


def test_all_members_are_kept_in_order_and_duplicates_below_the_top_are_not() -> None:
    text = b' {"a": 1, "b": {"x": 1, "y": [], "x": [2, {"": null}]}, "a": true}\n'
    assert read_object(text) == [("a", 1), ("b", {"x": [2, {"": None}], "y": []}), ("a", True)]


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("0", 0),
        ("-7", -7),
        ("12345678901234567890", 12345678901234567890),
        ("123456789012345678901", 1.2345678901234568e20),
        ("-1234567890123456789", -1234567890123456789),
        ("1.0", 1.0),
        ("1e2", 100.0),
    ],
)
def test_short_whole_numbers_are_exact(number: str, value: float) -> None:
    ((_, read),) = read_object(f'{{"n":{number}}}'.encode())
    assert (read, type(read)) == (value, type(value))


def test_what_nobody_would_print_is_emptied() -> None:
    def depth(value: object) -> int:
        return 1 + depth(value[0]) if isinstance(value, list) and value else 0

    for levels, kept in ((31, 31), (32, 31), (500, 31)):
        ((_, read),) = read_object(b'{"a":' + b"[" * levels + b"1" + b"]" * levels + b"}")
        assert depth(read) == kept


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is not JSON to its end"),
        (b"{", "is not JSON to its end"),
        (b"{ ,", "is not JSON at its character 3"),
        (b'{"a":1 "b"', "is not JSON at its character 8"),
        (b'{"a"  x', "is not JSON at its character 7"),
        (b"{} \t\r\n{", "goes on after the end of its JSON"),
        (b"{}X", "goes on after the end of its JSON"),
        (b"[1]", "is a list, not an object"),
        (b'"{}"', "is text, not an object"),
        (b"null", "is null, not an object"),
        (b"false", "is true or false, not an object"),
        (b"1e999", "holds a number that is too large for a float64"),
    ],
)
def test_what_is_no_object(text: bytes, says: str) -> None:
    with pytest.raises(GoJSONError) as caught:
        read_object(text)
    assert str(caught.value) == says


def test_kinds_have_names() -> None:
    values: list[object] = [{}, [], "", True, None, 1, 1.5]
    assert [kind(value) for value in values] == [
        "an object",
        "a list",
        "text",
        "true or false",
        "null",
        "a number",
        "a number",
    ]
