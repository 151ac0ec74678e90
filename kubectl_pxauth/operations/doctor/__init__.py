"""The operation behind `doctor`: look at all that a token needs, and write nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from kubectl_pxauth.cluster.access import server_version
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.errors import ClusterError, ForbiddenError, PxauthError
from kubectl_pxauth.operations.doctor.assumption import Assumption
from kubectl_pxauth.operations.doctor.diagnosis import (
    Diagnosis,
    errors_as_diagnoses,
    from_error,
    ok,
)
from kubectl_pxauth.operations.doctor.job import check_jobs
from kubectl_pxauth.operations.doctor.rights import check_rights
from kubectl_pxauth.operations.doctor.signing import check_signing
from kubectl_pxauth.operations.doctor.snapshots import (
    check_snapshot_classes,
    find_snapshot_classes,
)
from kubectl_pxauth.operations.doctor.storage import (
    annotated_claims,
    check_storage,
    find_classes,
    find_volume_claims,
)
from kubectl_pxauth.operations.doctor.stork import check_stork
from kubectl_pxauth.operations.doctor.stork_objects import check_stork_objects, find_stork_objects
from kubectl_pxauth.operations.doctor.tokens import (
    check_subjects,
    check_tokens,
    missing,
    read_kept_tokens,
    trouble_with,
)
from kubectl_pxauth.operations.doctor.volumes import check_volumes, find_volumes
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.job_objects import find_jobs
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.token.verdict import Severity

_ASSUMED = {
    Assumption.SECURITY: "security on, and guests",
    Assumption.NO_GUESTS: "security on, and no guests",
    Assumption.NO_SECURITY: "security off",
}


@dataclass(frozen=True)
class DoctorRequest:
    """namespace is the one that commands take by default.

    A token that ends within that time is worth a warning. assumed is what is to be taken for
    granted of Portworx, None for what is found.
    """

    namespace: str
    within: timedelta
    now: datetime
    assumed: Assumption | None = None


def diagnose(request: DoctorRequest, source: KeySource, cluster: Cluster) -> Iterator[Diagnosis]:
    """What is found, check by check; a server that can't be reached is one finding, and the only.

    Only reads, and asks what the user may do. Errors are findings.
    """
    namespace, now, assumed = request.namespace, request.now, request.assumed
    version = None
    try:
        version = server_version(cluster)
        yield ok("server", f"{version} at {cluster.server}")
    except ClusterError as error:
        yield from_error("server", error)
        if not isinstance(error, ForbiddenError):
            return
    classes = Background(lambda: find_classes(cluster))
    claims = Background(lambda: find_volume_claims(cluster, classes.result()))
    snapshots = Background(lambda: find_snapshot_classes(cluster))
    volumes = Background(lambda: find_volumes(cluster))
    jobs = Background(lambda: find_jobs(cluster))
    storks = Background(lambda: find_stork_objects(cluster))
    signing = check_signing(cluster, source)
    trusted = signing.trusted
    yield from errors_as_diagnoses(
        "rights", lambda: check_rights(cluster, namespace, signing.key_place)
    )
    yield from signing.diagnoses
    asks = signing.asks
    if assumed:
        asks = assumed is not Assumption.NO_SECURITY
        yield ok("portworx", f"the rest is judged as with {_ASSUMED[assumed]}")
    secured, guests = asks is True, _lets_in_guests(signing.search, assumed)
    if asks is False:
        look = partial(missing, cluster=cluster, to_be_off=signing.asks is not False)
        look_for_volumes = look
    else:
        usual = sorted({namespace, *USUAL_NAMESPACES})
        kept = read_kept_tokens(cluster, trusted, usual, now, request.within)
        yield from check_tokens(kept, trusted, now)
        yield from check_subjects(kept, trusted.trust.username_claim)
        yield from errors_as_diagnoses(
            "job", lambda: check_jobs(cluster, jobs.result().of_key(trusted.key), kept, now)
        )
        looking = partial(trouble_with, cluster=cluster, kept=kept, trusted=trusted, now=now)
        # What names no Secret at all is judged in the same way.
        as_guest = Severity.WARNING if guests else Severity.PROBLEM
        look = partial(looking, without_token=as_guest if secured else Severity.OK)
        refused = secured and not guests
        look_for_volumes = partial(
            looking, without_token=Severity.PROBLEM if refused else Severity.OK
        )
    yield from errors_as_diagnoses(
        "classes",
        lambda: check_storage(classes, claims, look, version, secured=secured, guests=guests),
    )
    yield from errors_as_diagnoses(
        "classes",
        lambda: check_snapshot_classes(snapshots, look, secured=secured, guests=guests),
    )
    if not isinstance(attempt(classes.result), PxauthError):  # or nobody needs to hear more of it
        yield from errors_as_diagnoses(
            "volumes",
            lambda: check_volumes(
                volumes,
                look_for_volumes,
                version,
                secured=secured,
                guests=guests,
                assumed=assumed is not None,
                annotated=lambda: annotated_claims(claims),
            ),
        )
    if signing.asks is True:
        yield from errors_as_diagnoses(
            "stork", lambda: check_stork(cluster, signing.search, trusted)
        )
    if secured:
        yield from errors_as_diagnoses(
            "stork", lambda: check_stork_objects(storks, look, guests=guests)
        )


def _lets_in_guests(search: Search, assumed: Assumption | None) -> bool | None:
    """Whether Portworx lets in those who bring no token; None where that is not known."""
    if assumed:
        return False if assumed is Assumption.NO_GUESTS else None
    specs = attempt(search.specs)
    known = () if isinstance(specs, PxauthError) else specs.specs
    return next((spec.guests for spec in known if spec.guests is not None), None)
