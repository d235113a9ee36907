"""The files of `fengmian train brand`: approved covers with their prompts, where the LoRA may go, and its card."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.console import errors
from flows.errors import BadInput
from flows.parsing import bad
from flows.steps import check_folder
from generator.revision import BUNDLED_FOLDER
from integrations.errors import NotFound, Refused
from integrations.models.licence import read_provenance
from integrations.pictures import decode_file

if TYPE_CHECKING:
    from generator.training.brand import Learned
    from generator.training.brand_lessons import ApprovedCover

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
LEAST_PICTURES, MOST_PICTURES = 4, 500
MAX_PROMPT_CHARACTERS = 20_000
CARD_MARK = "<!-- written by fengmian train brand -->"


def find_pictures(folder: Path) -> list[Path]:
    """The picture files in the folder itself, by name. Raises BadInput."""
    if not folder.is_dir():
        bad(f"folder: {str(folder)!r} is {'no folder' if folder.exists() else 'not there'}; give the folder of approved covers")
    try:
        files = sorted(file for file in folder.iterdir()
                       if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file())
    except OSError as exc:
        raise BadInput(f"folder: {str(folder)!r} cannot be read: {exc.strerror}") from exc
    if not LEAST_PICTURES <= len(files) <= MOST_PICTURES:
        bad(f"folder: {str(folder)!r} holds {len(files)} pictures ({', '.join(SUFFIXES)}); "
            f"it must hold {LEAST_PICTURES} to {MOST_PICTURES}")
    for file in files:
        read_prompt(file)  # what is wrong with a text is said before the work, not in the middle of it
    return files


def read_prompt(picture: Path) -> str:
    """What stands in the text file beside the picture; empty without one. Raises BadInput naming the file and the rule."""
    file = picture.with_suffix(".txt")
    try:
        with file.open("rb") as stream:
            text = stream.read(4 * MAX_PROMPT_CHARACTERS + 4).decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as exc:
        if exc.start >= 4 * MAX_PROMPT_CHARACTERS:  # cut in the middle of a character
            bad(f"{file}: it has more than {MAX_PROMPT_CHARACTERS} characters")
        raise BadInput(f"{file}: not UTF-8 at byte {exc.start}; a prompt is UTF-8 text") from exc
    except OSError as exc:
        raise BadInput(f"{file}: {exc.strerror}") from exc
    if len(text) > MAX_PROMPT_CHARACTERS:
        bad(f"{file}: it has more than {MAX_PROMPT_CHARACTERS} characters")
    return " ".join(text.split())


def check_out(out: Path, pictures: Path) -> None:
    """Refuse a place that the LoRA cannot or should not be written to, before the work. Raises BadInput."""
    if out.suffix != ".safetensors":
        bad(f"out: {str(out)!r} must end in .safetensors")
    if out.resolve().parent == pictures.resolve():
        bad(f"out: {str(out)!r} lies among the approved covers: its sheet would be learned from next time; give another folder")
    if out.is_dir():
        bad(f"out: {str(out)!r} is a folder; give a file")
    check_folder(out.parent)
    if out.exists():
        from generator.training.brand_lora import is_ours

        if not is_ours(out):
            bad(f"out: {str(out)!r} is there and was not written by `fengmian train brand`; give another name")


def open_covers(files: Sequence[Path]) -> "Iterator[ApprovedCover]":
    """One after another, so that large pictures are not in memory together; what is no picture is named and left out."""
    from generator.training.brand_lessons import ApprovedCover

    for file in files:
        try:
            picture = decode_file(file)
        except (NotFound, Refused) as exc:
            errors.print(f"left out: {exc}", markup=False)
        else:
            yield ApprovedCover(picture=picture, prompt=read_prompt(file))


def is_strangers(card: Path) -> bool:
    """Whether there is a card that was not written here."""
    try:
        return CARD_MARK not in card.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    except OSError:
        return True


def write_card(name: str, rank: int, checkpoint: Path, learned: "Learned", count: int) -> str:
    """A model card: the licence is that of the weights it was trained beside, where they state one."""
    found = None if checkpoint == BUNDLED_FOLDER else read_provenance(checkpoint).licence
    licence = "apache-2.0" if checkpoint == BUNDLED_FOLDER else found.id if found else ""
    front = [f"license: [{licence}]" if licence else "", f"base_model: {checkpoint.resolve().name}"]
    stated = (f"The licence is that of the weights it was trained beside ({checkpoint.resolve().name})." if licence else
              f"{checkpoint.resolve().name}, which it was trained beside, states no licence, so this states none.")
    return "\n".join(["---", *filter(None, front), "---", "", f"# {name}", "", CARD_MARK, "",
                      f"A LoRA of rank {rank}, learned from {count} covers in {learned.steps} steps. Held-out loss "
                      f"{learned.held_out_before:.4f} before, {learned.held_out_after:.4f} after.", "",
                      f"{stated} The covers are their owners'.", ""])
