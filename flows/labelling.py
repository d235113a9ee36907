"""What `fengmian labels` does."""

import hashlib
from pathlib import Path

from flows.console import print_json
from flows.errors import BadInput
from flows.steps import place_file
from flows.wiring import PICTURE_TYPES, ports
from integrations.errors import NotFound, Refused
from integrations.pictures import MAX_FILE_BYTES
from integrations.ports import Origin, Verdict

AVIF_TYPE = "image/avif"


def make_keys(folder: Path, owner: str) -> None:
    """Write the keys and say what each is for. Raises Refused, Unavailable."""
    from integrations.labels import keys

    certificate, key, root, root_key = keys.make_keys(folder, owner)
    print(f"labels.c2pa.certificate: {certificate}\nlabels.c2pa.key: {key}\n"
          f"{root}: for those who are to trust your pictures\n{root_key}: makes the next signer; keep it elsewhere\n"
          f"valid until {keys.expiry(certificate.read_bytes()):%Y-%m-%d}")


def apply_labels(file: Path, target: Path, picture_id: str, language: str) -> None:
    """Label `file` into `target`. Raises BadInput, Refused, NotFound."""
    data = _read(str(file))
    origin = Origin(picture_id=picture_id or hashlib.sha256(data).hexdigest(), checkpoint="", language=language)
    labelled = ports().labeller.label_file(data, str(file), origin)
    if labelled != data or target != file:
        place_file(target, labelled)
    print(f"{target}: {'it had its labels already' if labelled == data else 'labelled'}")


def verify_labels(place: str, language: str, as_json: bool) -> bool:
    """Print a line for each label; whether all that are asked for are there. Without a language, words in either count.

    Raises BadInput, Refused, NotFound, Unavailable.
    """
    data, labeller = _read(place), ports().labeller
    verdicts = labeller.verify(data, place, language or "zh")
    if not language and _count_faults(verdicts):
        verdicts = min(verdicts, labeller.verify(data, place, "en"), key=_count_faults)
    is_whole = not _count_faults(verdicts)
    if as_json:
        print_json({"file": place, "valid": is_whole, "policy": labeller.policy,
                    "labels": {verdict.check.removeprefix("label."): {"decision": verdict.decision, "detail": verdict.detail}
                               for verdict in verdicts}})
        return is_whole
    for verdict in verdicts:
        told = {"pass": "valid", "not_configured": "not asked for"}.get(verdict.decision, verdict.detail)
        print(f"{verdict.check.removeprefix('label.')}: {told}")
    return is_whole


def _count_faults(verdicts: tuple[Verdict, ...]) -> int:
    return sum(verdict.decision == "block" for verdict in verdicts)


def _read(place: str) -> bytes:
    if place.startswith(("http://", "https://")):
        return ports().client.get(place, PICTURE_TYPES | {AVIF_TYPE}).body
    if "://" in place:
        raise BadInput(f"file: {place[:80]!r} is neither a file nor an address with http or https")
    try:
        with Path(place).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as exc:
        raise NotFound(f"{place}: there is no such file") from exc
    except (OSError, ValueError) as exc:
        raise Refused(f"{place!r}: it cannot be read: {exc}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise Refused(f"{place}: the file is larger than {MAX_FILE_BYTES // 2**20} MiB")
    return data
