"""Bytes of a post to text and back, losing nothing on the way. What the text means lives elsewhere."""

import codecs
from dataclasses import dataclass

import charset_normalizer

from integrations.errors import Refused

MAX_BYTES = 10 * 1024 * 1024
_GUESSABLE = ["gb18030", "big5", "shift_jis", "euc_kr", "cp1252"]
_SAMPLE_BYTES = 64 * 1024
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF8, "utf-8"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Text and how it was encoded. mark: the byte order mark, which is not part of `text`."""

    text: str
    encoding: str
    errors: str = "strict"
    mark: bytes = b""

    def encode(self, text: str) -> bytes:
        """`text` in the encoding of the original. Raises Refused for a character that it does not have."""
        try:
            return self.mark + text.encode(self.encoding, self.errors)
        except UnicodeEncodeError as exc:
            raise Refused(f"character {text[exc.start]!r} cannot be written in {self.encoding}") from exc


def decode(data: bytes, name: str, declared: str = "") -> Decoded:
    """The text of `data`. UTF-8 that decodes is believed; then the declared charset; then the likeliest one.

    name: of the post, for errors. Raises Refused for more than 10 MB, for NUL bytes, and where nothing fits.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"{name}: it has {len(data)} bytes; at most {MAX_BYTES} are allowed")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _whole(data, encoding, name, mark)
    if b"\0" in data:
        raise Refused(f"{name}: it contains a NUL byte at {data.index(0)}; it is not a text file")
    return _utf8(data) or _declared(data, declared) or _guessed(data, name)


def _whole(data: bytes, encoding: str, name: str, mark: bytes) -> Decoded:
    try:
        text = data[len(mark):].decode(encoding)
    except UnicodeDecodeError as exc:
        raise Refused(f"{name}: its mark says {encoding}, but byte {exc.start + len(mark)} is not") from exc
    if "\0" in text:
        raise Refused(f"{name}: it contains a NUL character; it is not a text file")
    return Decoded(text=text, encoding=encoding, mark=mark)


def _utf8(data: bytes) -> Decoded | None:
    """UTF-8, also where a few bytes are broken: lone surrogates and a cut or damaged character."""
    for errors in ("strict", "surrogatepass", "surrogateescape"):
        try:
            text = data.decode("utf-8", errors)
        except UnicodeDecodeError:
            continue
        broken = sum("\udc80" <= character <= "\udcff" for character in text) if errors == "surrogateescape" else 0
        sound = sum(character > "\x7f" for character in text) - broken
        if broken * 50 <= sound or not broken:
            return Decoded(text=text, encoding="utf-8", errors=errors)
    return None


def _declared(data: bytes, declared: str) -> Decoded | None:
    """What the source says, unless that is UTF-8, which was tried, or does not decode."""
    return _exactly(data, declared.strip())


def _guessed(data: bytes, name: str) -> Decoded:
    # A sample is enough to tell, and keeps 10 MB quick; the cut may fall inside a character.
    best = charset_normalizer.from_bytes(data[:_SAMPLE_BYTES], cp_isolation=_GUESSABLE).best()
    guesses = [best.encoding] if best else []
    for encoding in [*guesses, *_GUESSABLE]:
        decoded = _exactly(data, encoding)
        if decoded:
            return decoded
    raise Refused(f"{name}: its characters are in no encoding we know; save it as UTF-8")


def _exactly(data: bytes, encoding: str) -> Decoded | None:
    """`data` in `encoding`, if that reads it and gives it back unchanged.

    Pages that say gb2312 use its supersets; the smallest that fits is taken, so that what we add stays readable in it.
    """
    for name in ("gbk", "gb18030") if encoding.lower() in ("gb2312", "gbk", "gb18030") else (encoding,):
        try:
            text = data.decode(name)
            if text.encode(name) == data:
                return Decoded(text=text, encoding=name)
        except (LookupError, UnicodeError, ValueError):
            continue
    return None
