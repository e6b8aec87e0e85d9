"""Settings of networks and trainings that take seconds."""

from __future__ import annotations

NETWORKS = (
    "model.units=4",
    "model.width=8",
    "model.embed=8",
    "model.encoder_width=8",
    "model.vae_width=8",
    "model.attention=[]",
    "training.precision=no",
)
# A run of 4 steps, whose report has something of everything.
RUN = (
    *NETWORKS,
    "model.resolution=16",
    "training.batch=16",
    "training.images=64",
    "training.log_every=16",
    "training.sample_every=32",
    "training.checkpoint_every=64",
    "distillation.warmup=16",
    "feedback.warmup=16",
    "diffusion.steps=12",
)
# The same as words of a command line; 192 images, two checkpoints.
TRAIN = ["--recipe", "tiny", "--resolution", "16", "--images", "192"]
for _setting in (
    "model.units=4",
    "training.ema=64",
    "training.checkpoint_every=96",
    "training.log_every=96",
    "training.sample_every=192",
):
    TRAIN += ["--set", _setting]
