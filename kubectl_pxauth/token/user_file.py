"""User files: the YAML that the generators take as --auth-config."""

from collections.abc import Iterator

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kubectl_pxauth.errors import UserFileError
from kubectl_pxauth.token.identity import (
    NOBODY,
    Identity,
    PartialIdentity,
    generated_sub,
    is_placeholder,
)

_TEXT_FIELDS = ("name", "email", "sub")
_LIST_FIELDS = ("roles", "groups")
_FIELDS = (*_TEXT_FIELDS, *_LIST_FIELDS)
_TAG = "tag:yaml.org,2002:"
_LONGEST = 1 << 18  # bytes: far more than gRPC carries of a token, and read within seconds


def read_user_file(data: bytes, source: str, overrides: PartialIdentity = NOBODY) -> Identity:
    """Read a user file as the generators do, with single fields overridden.

    Every value is the text that was written, whatever type it looks like; null is empty; a
    missing sub is made from the name and the email. Unlike the generators, which would make a
    token that Portworx refuses or that is not the one that was meant, it raises UserFileError
    for what is odd. source names the file in errors.
    Source: pkg/auth/auth.go and cmd/openstorage-sdk-auth/main.go of
    libopenstorage/openstorage-sdk-auth, with gopkg.in/yaml.v2 below it.
    """
    written = _parse(data, source)
    name, email = (
        _required(field, getattr(overrides, field), written.get(field), source)
        for field in ("name", "email")
    )
    sub = overrides.sub or _text(written.get("sub"), "sub", source) or generated_sub(name, email)
    return overrides.over(
        Identity(
            sub=sub,
            name=name,
            email=email,
            roles=_texts(written.get("roles"), "roles", source) or (),
            groups=_texts(written.get("groups"), "groups", source),
        )
    )


def _parse(data: bytes, source: str) -> dict[str, Node]:
    """The value nodes of the file's one mapping, by field."""
    if len(data) > _LONGEST:
        raise UserFileError(f"{source} is not a user file: it has more than {_LONGEST} bytes")
    loader = None
    try:
        loader = yaml.SafeLoader(data)
        root = loader.get_single_node()
        if not isinstance(root, MappingNode):
            raise _not_a_mapping(root, source)
        fields = list(_read_in_order(root, source))
        _check_not_twice(root, source)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, source) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise UserFileError(f"{source} is not YAML: {_first_line(error)}") from None
    except RecursionError:
        raise UserFileError(f"{source} is not a user file: it is nested too deep") from None
    finally:
        if loader is not None:
            loader.dispose()
    return dict(fields)


def _check_not_twice(root: MappingNode, source: str) -> None:
    """Raise UserFileError where a field of the file itself is given twice."""
    first_lines: dict[str, int] = {}
    for key, _ in root.value:
        line = key.start_mark.line + 1
        if key.tag == f"{_TAG}merge" or not isinstance(key, ScalarNode):
            continue
        if key.value in first_lines:
            raise UserFileError(
                f'{source}:{line}: field "{key.value}" is given again; it stands in line'
                f" {first_lines[key.value]} already"
            )
        first_lines[key.value] = line


def _read_in_order(node: MappingNode, source: str) -> Iterator[tuple[str, Node]]:
    """Each field with its value, in the generator's order, in which the last of a name counts.

    Its reader, gopkg.in/yaml.v2, takes what is merged by << where that stands, so that it goes
    before what stands above it; and of a list of mappings the first goes before the others.
    """
    for key, value in node.value:
        where = f"{source}:{key.start_mark.line + 1}"
        if not isinstance(key, ScalarNode):
            raise UserFileError(f"{where}: a field's name must be text")
        if key.tag == f"{_TAG}merge":
            for one in value.value[::-1] if isinstance(value, SequenceNode) else [value]:
                if not isinstance(one, MappingNode):
                    raise UserFileError(f"{where}: what << merges must be a mapping")
                yield from _read_in_order(one, source)
            continue
        if key.value not in _FIELDS:
            raise UserFileError(f'{where}: unknown field "{key.value}"', hint=_suggest(key.value))
        yield key.value, value


def _suggest(key: str) -> str:
    if key.lower() in ("iss", "issuer"):
        return "name the issuer with --issuer"
    from difflib import get_close_matches

    close = get_close_matches(key.lower(), _FIELDS, n=1)
    return f'did you mean "{close[0]}"?' if close else f"the fields are {', '.join(_FIELDS)}"


def _required(field: str, override: str | None, node: Node | None, source: str) -> str:
    value = _text(node, field, source) if override is None else override
    if not value:
        where = source if node is None else f"{source}:{node.start_mark.line + 1}"
        raise UserFileError(
            f"{where}: {field} is {'missing' if node is None else 'empty'}",
            hint=f"fill it in, or give it with --{field}",
        )
    return value


def _text(node: Node | None, field: str, source: str) -> str:
    if node is None:
        return ""
    where = f"{source}:{node.start_mark.line + 1}"
    if not isinstance(node, ScalarNode):
        kind = "a list" if isinstance(node, SequenceNode) else "a mapping"
        raise UserFileError(f"{where}: {field} must be text, not {kind}")
    value = _scalar(node, where, field)
    if is_placeholder(value):
        raise UserFileError(f'{where}: {field} is the unfilled placeholder "{_first_line(value)}"')
    return value


def _texts(node: Node | None, field: str, source: str) -> tuple[str, ...] | None:
    if node is None or node.tag == f"{_TAG}null":
        return None
    where = f"{source}:{node.start_mark.line + 1}"
    if not isinstance(node, SequenceNode):
        example = f"[{node.value}]" if isinstance(node, ScalarNode) else "[system.user]"
        raise UserFileError(f"{where}: {field} must be a list", hint=f"write {field}: {example}")
    return tuple(_text(item, f"{field}[{index}]", source) for index, item in enumerate(node.value))


def _scalar(node: ScalarNode, where: str, field: str) -> str:
    if node.tag == f"{_TAG}null":
        return ""
    if node.tag == f"{_TAG}binary":
        import base64

        try:
            return base64.b64decode(node.value).decode()
        except ValueError:
            raise UserFileError(f"{where}: {field} is not base64 text") from None
    text = str(node.value)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # of an escape; Go refuses it too
        raise UserFileError(f"{where}: {field} has half a character, which is no text")
    return text


def _not_a_mapping(root: Node | None, source: str) -> UserFileError:
    kind = {type(None): "is empty", SequenceNode: "holds a list"}.get(type(root), "holds a text")
    return UserFileError(
        f"{source} {kind}: a user file is a mapping with the fields {', '.join(_FIELDS)}"
    )


def _not_yaml(error: yaml.MarkedYAMLError, source: str) -> UserFileError:
    mark = error.problem_mark or error.context_mark
    where = f"{source}:{mark.line + 1}" if mark else source
    if isinstance(error, yaml.composer.ComposerError) and "document" in (error.problem or ""):
        return UserFileError(f"{where}: a user file holds one document, and here another begins")
    return UserFileError(f"{where}: not YAML: {error.problem or error.context}")


def _first_line(text: object) -> str:
    return str(text).partition("\n")[0]
