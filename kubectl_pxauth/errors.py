"""What can go wrong, said to the person who can mend it."""


class PxauthError(Exception):
    """Something did not work.

    str(error) is one line that names the file, field or object; hint, where there is one, is
    what to do next. Neither ever holds a key or a token. warnings are what is to be said before it.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PxauthError):
    """The command line asks for something that can't be."""


class UserFileError(PxauthError):
    """A user file can't be read as one."""


class SharedSecretError(PxauthError):
    """The shared secret is missing, empty or can't be a key."""


class WeakKeyError(PxauthError):
    """A key can be guessed from one of its tokens, and nobody said that it may sign."""


class KeyFileError(PxauthError):
    """A private key can't be read, or a public key not as the verifier would read it."""


class DiscoveryError(PxauthError):
    """The cluster does not say where its shared secret is, or says two different things."""


class NoKeyError(DiscoveryError):
    """The cluster does not say where its shared secret is, nor is it where it usually is."""


class NoSharedSecretError(NoKeyError):
    """Portworx is started with no shared secret: it asks for no tokens, or trusts others' alone."""


class IdentityError(PxauthError):
    """The token would not belong to the user that it should belong to."""


class LeftOutError(IdentityError):
    """A token is not signed again, as it may be there for somebody who has no right to it.

    Only who names its Secret can say that it is to be signed all the same; hint says how.
    """


class PxctlError(PxauthError):
    """pxctl refused, on one node."""


class ClusterError(PxauthError):
    """The API server can't be reached, or refused."""


class NoClusterError(ClusterError):
    """Nothing names a cluster."""


class NotFoundError(ClusterError):
    """The API server has no such object."""


class ConflictError(ClusterError):
    """The object changed, or came to be, between the read and the write."""


class UnansweredError(ClusterError):
    """A write was sent, and no answer says whether it was done.

    again is after how many seconds it may be sent again, where the server or the connection was
    only out for a moment.
    """

    def __init__(self, message: str, again: float | None = None) -> None:
        super().__init__(message)
        self.again = again


class NoAnswerError(ClusterError):
    """The API server was reached, and whom it asked to run a command did not answer in time."""


class OutOfOrderError(ClusterError):
    """The API server can't list these objects, and will not be able to soon."""


class InterruptedWriteError(KeyboardInterrupt):
    """A write was sent, and its answer was not waited for; str(error) names the object."""


class ExpiredError(ClusterError):
    """A list was read for so long that its rest is of another moment; the token asks for that."""

    def __init__(self, message: str, continue_token: str) -> None:
        super().__init__(message)
        self.continue_token = continue_token


class ForbiddenError(ClusterError):
    """RBAC does not let this user do that."""


class StillUnderWayError(PxauthError):
    """A run that was interrupted has waited long enough for what was under way."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"no answer yet for {count} that {'was' if count == 1 else 'were'} under way:"
            " whether that is done is not known"
        )
