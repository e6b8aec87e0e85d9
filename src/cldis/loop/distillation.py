"""VAE-latent distillation L_dt: pulls z_sem towards z_disen (docs/method.md, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from cldis.networks.gaussian import Gaussian, kl


def distillation_loss(kind: str, teacher: Gaussian, student: Gaussian) -> Tensor:
    """L_dt per image, [n].

    Args:
        kind: `kl` is KL(q_phi || q_sem) in nats, summed over units; `softmax_kl` is
            KL(softmax(mu_phi) || softmax(mu_sem)) over units, in nats (as the group's DisWM);
            `mse` is the squared distance of the means, summed over units.
        teacher: q_phi(z|x); detached here.
        student: q_sem(z|x).
    """
    teacher = teacher.detach()
    if kind == "kl":
        return kl(teacher, student).sum(dim=1)
    if kind == "softmax_kl":
        log_p = torch.log_softmax(teacher.mean, dim=1)
        log_q = torch.log_softmax(student.mean, dim=1)
        return (log_p.exp() * (log_p - log_q)).sum(dim=1)
    assert kind == "mse", kind
    return ((teacher.mean - student.mean) ** 2).sum(dim=1)
