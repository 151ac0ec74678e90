"""Nothing is signed with a key that is gone: whoever signs looks at the key again after the write.

A token that was signed with the old key of a rotation, and is written while that is under way, is
found in one of two ways, and there is no third. Either it was written before the rotation's last
look at all tokens, which begins after the new key is in its place: then the rotation signs it
again. Or it was written later: then the writer's own look, which comes later still, sees the new
key, and the writer signs the token again. So a rotation needs to know of no writer, nor to wait.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from typing import TypeVar

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    find_secret,
    update_secret,
    write_secret,
)
from kubectl_pxauth.errors import ClusterError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.jwt import SigningKey, sign_again
from kubectl_pxauth.token.minting import Signer
from kubectl_pxauth.token.shared_secret import SharedSecret

_BATCH = 50  # tokens that are written between two looks at the key
_ROUNDS = 5  # changes of the key that are followed

Result = TypeVar("Result")


@dataclass(frozen=True)
class WrittenToken:
    """Where a token was written, and what signed it."""

    namespace: str
    secret: str
    key: str
    # A place is one whoever signs, and to hash a signer is to hash all that it trusts.
    signer: Signer = field(compare=False)


def look_at_the_key_again(
    cluster: Cluster,
    signer: Signer,
    outcomes: Iterable[Result],
    written: Callable[[Result], WrittenToken | None],
    mended: Callable[[Result, Secret | PxauthError], Result],
) -> Iterator[Result]:
    """The outcomes of writes with this signer, as they come, with a look at the key after them.

    written says where an outcome has put a token, if it has. Where the key was changed meanwhile
    the token is signed again with the new one, and another outcome takes the place of the first:
    mended makes it, of the Secret as it is then, or of what went wrong.
    """
    if signer.read_again is None:
        yield from outcomes
        return
    batch: dict[WrittenToken, Result] = {}

    def look() -> Iterator[Result]:
        for place, now in _mend(cluster, signer, list(batch)).items():
            yield mended(batch[place], now)
        batch.clear()

    try:
        for outcome in outcomes:
            yield outcome
            if place := written(outcome):
                batch[place] = outcome
            if len(batch) == _BATCH:
                yield from look()
    except PxauthError:  # what was written before it is looked at all the same
        yield from look()
        raise
    yield from look()


def _mend(
    cluster: Cluster, signer: Signer, places: list[WrittenToken]
) -> dict[WrittenToken, Secret | PxauthError]:
    """Sign again what another key signed than the one that is there now; says what was new."""
    news: dict[WrittenToken, Secret | PxauthError] = {}
    keys = {place: [place.signer.key] for place in places}
    for _ in range(_ROUNDS if places else 0):
        try:
            now = signer.latest().key
        except PxauthError as error:
            return dict.fromkeys(places, _not_known(error))
        stale = [place for place in places if not _same(keys[place][-1], now)]
        if not stale:
            break
        for place in stale:
            news[place] = _sign_again(cluster, place, keys[place], now)
            keys[place].append(now)
    return news


def _same(first: SigningKey, second: SigningKey) -> bool:
    return (
        isinstance(first, SharedSecret)
        and isinstance(second, SharedSecret)
        and first.value == second.value
    )


def _sign_again(
    cluster: Cluster, place: WrittenToken, former: list[SigningKey], key: SigningKey
) -> Secret | PxauthError:
    assert isinstance(key, SharedSecret)  # noqa: S101 - a private key is not read again

    def write(secret: Secret | None) -> Secret:
        if secret is None:
            raise ClusterError(f"Secret {place.namespace}/{place.secret} was deleted meanwhile")
        token = secret.data.get(place.key, b"").strip()
        if not any(is_signed(token, one) for one in former if isinstance(one, SharedSecret)):
            return secret  # the rotation was quicker, or somebody else was
        content = SecretContent({place.key: sign_again(token, key).encode()}, {}, {})
        return update_secret(cluster, secret, content, DryRun.NONE)

    try:
        found = find_secret(cluster, place.namespace, place.secret)
        return write_secret(cluster, place.namespace, place.secret, found, write)
    except PxauthError as error:
        return error


def is_signed(token: bytes, key: SharedSecret) -> bool:
    """Whether that key has signed it, whatever it says."""
    from datetime import UTC, datetime

    from kubectl_pxauth.token.verdict import Trust, judge

    return judge(token, Trust(issuer=None, shared_secret=key.value), datetime.now(UTC)).signed


def _not_known(error: PxauthError) -> ClusterError:
    return ClusterError(
        f"the token is written, but whether its key was rotated meanwhile is not known: {error}",
        hint="run the command again, which signs it with the key that is there then",
    )
