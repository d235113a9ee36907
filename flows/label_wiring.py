"""Builds what labels pictures, as the settings say."""

from flows.errors import SettingsError
from flows.label_settings import LabelSettings
from integrations.errors import Refused
from integrations.labels.keys import root_of
from integrations.labels.labeller import LabelPolicy, PictureLabeller
from integrations.labels.signing import C2paSigner


def build_labeller(chosen: LabelSettings) -> PictureLabeller:
    """With a signer where there are a certificate and a key. Raises SettingsError."""
    try:
        policy = LabelPolicy(**chosen.model_dump(exclude={"c2pa"}))
        if chosen.c2pa.certificate is None or chosen.c2pa.key is None:
            return PictureLabeller(policy)
        certificates, key = chosen.c2pa.certificate.read_bytes(), chosen.c2pa.key.read_bytes()
        return PictureLabeller(policy, C2paSigner(certificates, key, root_of(certificates), "fengmian"))
    except (Refused, OSError) as exc:
        raise SettingsError(f"settings, section labels: {exc}") from exc
