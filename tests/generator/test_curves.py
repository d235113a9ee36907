"""Loss curves: what a resumed run paints over is not drawn."""

from generator.training.curves import draw, read_points, write_point


def test_points_that_were_lost_with_a_run_are_left_out(tmp_path):
    file = tmp_path / "mmdit_curve.jsonl"
    for spent, loss in ((1, 4.0), (2, 3.0), (3, 9.0), (2.5, 2.5), (4, 2.0)):
        write_point(file, {"step": spent, "spent_s": spent, "loss": loss})
    assert [point["loss"] for point in read_points(file)] == [4.0, 3.0, 2.5, 2.0]


def test_the_curves_of_all_parts_are_one_picture(tmp_path):
    for part in ("vae", "text", "mmdit"):
        for step in (1, 2):
            write_point(tmp_path / f"{part}_curve.jsonl", {"step": step, "spent_s": 60 * step, "loss": 1 / step})
    draw(tmp_path, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
