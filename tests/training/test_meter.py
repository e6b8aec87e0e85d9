"""The line beside the progress bar."""

from __future__ import annotations

import pytest

from cldis.training.meter import Meter


@pytest.mark.parametrize(("weight", "shown"), [(0.0, False), (2e-4, True)])
def test_the_distance_of_the_codes_is_shown_while_it_is_trained(weight: float, shown: bool) -> None:
    meter = Meter()
    for _ in range(2):
        meter.add({"diffusion": 0.5, "distillation": 1e6, "vae_kl": 2, "lambda_dt": weight}, 16)
    found = meter.take()
    assert found["distillation"] == 1e6  # metrics.jsonl keeps it
    assert ("distillation 1e+06" in meter.words) == shown
    assert "diffusion 0.5" in meter.words and "vae_kl 2" in meter.words


def test_a_term_of_one_stage_is_the_mean_over_the_steps_of_that_stage() -> None:
    meter = Meter()
    meter.add({"diffusion": 1.0, "vae_nll": 6000.0}, 16)
    meter.add({"diffusion": 3.0}, 16)  # the VAE rests from here on
    found = meter.take()
    assert found["vae_nll"] == 6000.0 and found["diffusion"] == 2.0
    meter.add({"diffusion": 5.0}, 16)
    assert "vae_nll" not in meter.take()
