"""The whole training recipe at toy size, from nothing to a painted picture."""

import pytest

from generator.training import smoke


@pytest.mark.slow
def test_the_recipe_learns(tmp_path):
    outcome = smoke.run(tmp_path)
    for part, (first, last) in outcome.losses.items():
        assert last < 0.8 * first, part
    assert outcome.painted < 0.7 * outcome.noise
    assert outcome.has_learned
    assert {folder.name for folder in (tmp_path / "mini").iterdir() if folder.is_dir()} == {
        "vae", "text_encoder", "transformer", "scheduler"}
