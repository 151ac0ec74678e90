"""What the commands that make a class share: flags, its Secret's namespace, its parameters."""

from typing import Annotated

import typer

from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.inputs import check_exclusive, read_namespace
from kubectl_pxauth.cluster.secret_templates import SecretTemplates, is_template
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.portworx.volumes import SECRET_PARAMETERS

SecretFlag = Annotated[str, typer.Option(metavar="NAME", help="Secret that holds the token.")]
DefaultFlag = Annotated[
    bool | None,
    typer.Option(help="Make it the default class, or not.", show_default="as it is"),
]


def read_class_namespace(
    given: str | None, tenants: str | None, templates: SecretTemplates, connection: Connection
) -> str:
    """The namespace that a class names: each tenant's, if it is for tenants, or the flag's.

    Raises UsageError and ClusterError.
    """
    check_exclusive({"--namespace": given, "--multitenant": tenants})
    if given is not None and is_template(given):
        return templates.check_namespace(given)
    plain = read_namespace(given, connection)
    return tenants or plain


def read_parameters(arguments: list[str]) -> dict[str, str]:
    """The parameters of a class but for those that name its Secret; raises UsageError."""
    parameters: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key.strip():
            raise UsageError(f'parameter "{argument}" is not KEY=VALUE')
        if key in parameters:
            raise UsageError(f'parameter "{key}" is given twice')
        if key.lower() in SECRET_PARAMETERS:
            raise UsageError(
                f'parameter "{key}" names the token\'s Secret',
                hint="name it with --secret and -n, or with --multitenant",
            )
        parameters[key] = value
    return parameters
