"""What is said of a job, on top of what the job has already."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Literal

from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.renewal_job import Issuing, JobSettings, Toleration


@dataclass(frozen=True)
class JobChanges:
    """The settings that are said, each None where nothing is; default_image is a new job's.

    An empty text or list takes a setting back. Of labels, annotations, requests and limits only
    what is named changes, and None as a value takes it away. The others are as in JobSettings.
    """

    default_image: str
    image: str | None = None
    schedule: str | None = None
    time_zone: str | None = None
    within: str | None = None
    selector: str | None = None
    issuing: Issuing | Literal[""] | None = None
    requests: Mapping[str, str | None] | None = None
    limits: Mapping[str, str | None] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    node_selector: Mapping[str, str] | None = None
    priority_class: str | None = None
    image_pull_secrets: tuple[str, ...] | None = None
    labels: Mapping[str, str | None] | None = None
    annotations: Mapping[str, str | None] | None = None

    def any(self) -> bool:
        """Whether anything is said."""
        return any(
            getattr(self, one.name) is not None
            for one in fields(self)
            if one.name != "default_image"
        )

    def over(self, present: JobSettings | None) -> JobSettings:
        """The settings of the job that is there, or of a new one, with what is said."""
        present = present or JobSettings(image=self.default_image)
        said = {
            name: value
            for one in fields(JobSettings)
            if (value := getattr(self, name := one.name)) is not None
        }
        for name in ("requests", "limits", "labels", "annotations"):
            if name in said:
                merged = {**getattr(present, name), **said[name]}
                said[name] = {key: value for key, value in merged.items() if value is not None}
        for name in ("time_zone", "selector", "issuing", "priority_class"):
            if name in said:
                said[name] = said[name] or None
        return replace(present, **said)
