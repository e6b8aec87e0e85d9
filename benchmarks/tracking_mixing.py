"""Does a direction mix things that could change apart? From change fields and codes, no labels.

The change field of direction k on image i is x_ik = (picture at +s - picture at -s) / 2, averaged
over `SIDE` x `SIDE` cells, signed, in three colours. Every direction's fields over all images are
scaled to length 1 (x_k). Things that can change apart lie apart somewhere, so we look for
*components*: combinations u_m of the fields, of length 1 and uncorrelated, whose changes overlap
least: sum over m, images and cells of |u_m| (length over colours) is smallest. That is independent
component analysis by whitening and plane rotations, with groups of colours. Then

- q_km = (x_k . u_m)^2 / max over directions of the same: small things count as much as large ones,
- p_km = q_km / sum over m of q_km: the share of component m in direction k,
- Y_mn in [0, 1]: do two components vary together over the collection? A code c_i moves component m
  to s_im = sum over k of c_ik / spread_k * (length of k's fields) * (x_k . u_m); with I the mutual
  information of s_m and s_n, Y_mn = 1 - exp(-2 I), which is r^2 where they are Gaussian.
- purity_k = sum_mn p_km p_kn Y_mn: 1 for a direction that is one component, or several that vary
  together (a hue circle, the units that one factor takes); 1/2 for an even mix of two that do not
  (Rao's quadratic index).
- own_k = sum_m p_km^2 / sum_l sum_m p_km p_lm, l over directions, k among them: 1 where no other
  direction moves k's components, 1/2 where one other does the same as k.

mixing_k = purity_k own_k; of a code, means over the directions that change something, weighted by
the square root of their activity.

The first candidate of this benchmark had in place of Y the overlap in space Z_mn, the cosine of
|u_m| and |u_n| over images and cells, and no weights; it is kept to compare (`Mixing.first`). Two
joints of one arm change one place and are two things: Z cannot tell them apart and Y can.

A linear change of the directions (pairs turned, one leaking into another, all turned) leaves the
components as they are and spreads p, so both scores see it whatever the directions were before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats

SIDE = 16  # cells of a side
ACTIVE = 0.5  # grey levels, root mean square over cells: less is no change
SHARE = 0.03  # of the strongest direction
LEAST = 0.001  # eigenvalue of the correlations of x_k: less is what directions share, and rounding
ANGLES = np.radians(np.arange(-45, 45, 3.75))  # of one plane rotation; -45 and 45 are one
SWEEPS = 10
BINS = 16  # of equal counts, for mutual information
TINY = 1e-12


def fields(frames: NDArray[np.uint8]) -> Floats:
    """x [K, images * SIDE^2, 3] from uint8 [images, K, J, H, W, 3], first and last of J shifts."""
    n, k, _, height, width, _ = frames.shape
    change = (frames[:, :, -1].astype(np.float64) - frames[:, :, 0]) / 2
    split = change.reshape(n, k, SIDE, height // SIDE, SIDE, width // SIDE, 3)
    return split.mean(axis=(3, 5)).transpose(1, 0, 2, 3, 4).reshape(k, -1, 3)


def activity(x: Floats) -> Floats:
    """Grey levels by which each direction changes a cell, root mean square, [K]."""
    return np.sqrt((x**2).mean(axis=(1, 2)))


def seen(x: Floats) -> NDArray[np.bool_]:
    """Which directions change something, [K]."""
    size = activity(x)
    return size >= max(ACTIVE, SHARE * float(size.max()))


@dataclass(frozen=True)
class Mixing:
    """Of K directions and M <= K components."""

    share: Floats  # p [K, M], rows sum to 1
    together: Floats  # Y [M, M] in [0, 1]
    overlap: Floats  # Z [M, M] in [0, 1]
    own: Floats  # [K] in (0, 1]

    @property
    def purity(self) -> Floats:
        """[K] in [0, 1]."""
        return self._alike(self.together)

    @property
    def score(self) -> Floats:
        """mixing_k, [K] in [0, 1]."""
        return self.purity * self.own

    @property
    def first(self) -> Floats:
        """The first candidate, [K] in [0, 1]."""
        return self._alike(self.overlap) * self.own

    def _alike(self, matrix: Floats) -> Floats:
        return np.clip(np.einsum("km,kn,mn->k", self.share, self.share, matrix), 0, 1)


def mixing(fields: Floats, codes: Floats) -> Mixing:
    """Purity and own share of directions that all change something.

    Args:
        fields: x [K, N, 3], N image cells, any scale; no row is all 0.
        codes: what each direction has in a collection [n, K]; no column is constant.
    """
    length = np.sqrt((fields**2).sum(axis=(1, 2)))
    x = fields / length[:, None, None]
    values, vectors = np.linalg.eigh(np.einsum("knc,lnc->kl", x, x))
    kept = values > LEAST
    whiten = (vectors[:, kept] / np.sqrt(values[kept])).T
    if kept.all():  # start from the directions themselves
        whiten = vectors @ whiten
    u = concentrate(np.einsum("mk,knc->mnc", whiten, x))
    loads = np.einsum("knc,mnc->km", x, u)
    share = loads**2
    share /= share.max(axis=0)
    share /= share.sum(axis=1, keepdims=True)
    size = np.linalg.norm(u, axis=2)
    size /= np.linalg.norm(size, axis=1, keepdims=True)
    moved = (codes / codes.std(axis=0)) @ (length[:, None] * loads)
    common = share @ share.T
    return Mixing(
        share,
        dependence(moved),
        np.clip(size @ size.T, 0, 1),
        np.diag(common) / common.sum(axis=1),
    )


def dependence(values: Floats) -> Floats:
    """Y [M, M] in [0, 1] of columns [n, M]: 1 - exp(-2 I), I from `BINS` x `BINS` counts.

    Independent columns have I = (BINS - 1)^2 / 2n by chance, which is subtracted.
    """
    n, columns = values.shape
    ranks = values.argsort(axis=0, kind="stable").argsort(axis=0)
    bins = ranks * BINS // n
    found = np.eye(columns)
    for k in range(columns):
        for m in range(k):
            counts = np.bincount(bins[:, k] * BINS + bins[:, m], minlength=BINS**2)
            joint = counts.reshape(BINS, BINS) / n
            alone = np.outer(joint.sum(axis=1), joint.sum(axis=0))
            there = joint > 0
            shared = float((joint[there] * np.log(joint[there] / alone[there])).sum())
            shared = max(shared - (BINS - 1) ** 2 / (2 * n), 0.0)
            found[k, m] = found[m, k] = 1 - np.exp(-2 * shared)
    return found


def concentrate(u: Floats) -> Floats:
    """Rotate components [M, N, 3], plane by plane, until sum |u_m| over cells no longer falls."""
    u = u.copy()
    c, s = np.cos(ANGLES), np.sin(ANGLES)
    square = np.stack([c * c, s * s, 2 * c * s], axis=1)  # |c a + s b|^2 from |a|^2, |b|^2, a.b
    other = np.stack([s * s, c * c, -2 * c * s], axis=1)
    still = int(np.argmin(np.abs(ANGLES)))
    for _ in range(SWEEPS):
        turned = False
        for k in range(len(u)):
            for m in range(k + 1, len(u)):
                a, b = u[k], u[m]
                terms = np.stack([(a * a).sum(1), (b * b).sum(1), (a * b).sum(1)])
                length = sum(
                    np.sqrt(np.maximum(form @ terms, 0)).sum(axis=1) for form in (square, other)
                )
                best = int(np.argmin(length))
                if length[best] < length[still] * (1 - 1e-4):
                    u[k], u[m] = c[best] * a + s[best] * b, c[best] * b - s[best] * a
                    turned = True
        if not turned:
            break
    return u
