"""User files: the YAML that the generators take as --auth-config."""

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
    loader = None
    try:
        loader = yaml.SafeLoader(data)
        root = loader.get_single_node()
        if not isinstance(root, MappingNode):
            raise _not_a_mapping(root, source)
        _check_keys(root, source)
        loader.flatten_mapping(root)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, source) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise UserFileError(f"{source} is not YAML: {_first_line(error)}") from None
    except RecursionError:
        raise UserFileError(f"{source} is not a user file: it is nested too deep") from None
    finally:
        if loader is not None:
            loader.dispose()
    _check_keys(root, source, merged=True)
    return {key.value: value for key, value in root.value}


def _check_keys(root: MappingNode, source: str, *, merged: bool = False) -> None:
    first_lines: dict[str, int] = {}
    for key, _ in root.value:
        where = f"{source}:{key.start_mark.line + 1}"
        if not isinstance(key, ScalarNode):
            raise UserFileError(f"{where}: a field's name must be text")
        if key.tag == f"{_TAG}merge" and not merged:
            continue
        if key.value not in _FIELDS:
            raise UserFileError(f'{where}: unknown field "{key.value}"', hint=_suggest(key.value))
        if key.value in first_lines and not merged:
            raise UserFileError(
                f'{where}: field "{key.value}" is given again; it stands in line'
                f" {first_lines[key.value]} already"
            )
        first_lines[key.value] = key.start_mark.line + 1


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
    return str(node.value)


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
