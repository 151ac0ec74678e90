"""What an archive is made of, as a CycloneDX bill of materials."""

import platform
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import Distribution

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from kubectl_pxauth import __version__


def bill_of_materials(digest: str, parts: Iterable[Distribution], at: datetime) -> str:
    """JSON for the archive with this sha256; the same archive gets the same bill."""
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"urn:sha256:{digest}"))
    bom.metadata.timestamp = at.astimezone(UTC)
    plugin = Component(
        name="kubectl-pxauth",
        version=__version__,
        type=ComponentType.APPLICATION,
        bom_ref="kubectl-pxauth",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )
    bom.metadata.component = plugin
    interpreter = Component(
        name=platform.python_implementation().lower(),
        version=platform.python_version(),
        type=ComponentType.PLATFORM,
        bom_ref="python",
        licenses=[LicenseFactory().make_from_string("PSF-2.0")],
    )
    components = [interpreter, *map(_component, parts)]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(plugin, components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(part: Distribution) -> Component:
    purl = PackageURL("pypi", name=part.name.lower().replace("_", "-"), version=part.version)
    expression = part.metadata.json.get("license_expression")
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(str(expression))] if expression else [],
    )
