"""Native canvases: the grids that the bundled model is trained on. Other sizes are painted on the nearest one and resampled."""

TOKEN_PX = 64
"""Pixels a token covers, along one side."""
CANVASES: tuple[tuple[int, int], ...] = ((20, 10), (24, 10), (20, 12), (16, 16), (20, 16), (16, 22), (12, 20))
"""Columns and rows of tokens: 1200x630, 900x383, 16:9, square, 4:3, 3:4 and 9:16. All even, so that the centre is between two
tokens; and wide enough for a subject of 8 tokens with a rim."""
MOST_LOST = 0.2
"""Share of a canvas that may fall off when it is cropped to another ratio."""


def fit_canvas(width: int, height: int) -> tuple[int, int]:
    """(columns, rows) of the canvas for a picture of this size: the trained one that loses least, or for ratios far from all
    of them one made to measure, 10 tokens on its short side.
    """
    ratio = width / height

    def lost(canvas: tuple[int, int]) -> float:
        own = canvas[0] / canvas[1]
        return 1 - min(ratio / own, own / ratio)

    best = min(CANVASES, key=lost)
    if lost(best) <= MOST_LOST:
        return best
    long = 2 * -(-10 * max(ratio, 1 / ratio) // 2)
    return (int(long), 10) if ratio > 1 else (10, int(long))
