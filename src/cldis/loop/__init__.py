"""The paper: distillation, feedback and the closed loop."""
