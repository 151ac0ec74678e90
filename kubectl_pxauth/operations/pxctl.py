"""Run pxctl on a node, with a token in its environment."""

from collections.abc import Sequence

from kubectl_pxauth.cluster.exec import Finished
from kubectl_pxauth.errors import NotFoundError
from kubectl_pxauth.portworx.pxctl import PxctlNode, TokenBy, pxctl_error


def run_pxctl(arguments: Sequence[str], token: str, nodes: Sequence[PxctlNode]) -> Finished:
    """Run pxctl once, on the first node that is ready, with a token; what it says has none.

    Raises PxauthErrors where pxctl can't be asked, or nobody says how it ended.
    """
    node = next((node for node in nodes if node.ready), nodes[0])
    try:
        done = node.execute(arguments, token, TokenBy.VARIABLE)
    except NotFoundError as error:
        raise NotFoundError(f"node {node.name}: {error}", error.hint) from None
    if done.code is None:
        raise pxctl_error(node.pxctl, done.errors or done.output, done.message, token)
    output, errors = (text.replace(token, "[token]") for text in (done.output, done.errors))
    return Finished(done.code, output, errors, done.message)
