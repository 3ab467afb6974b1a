"""Constants of nature in SI units; exact since 2019 but the electron's mass (CODATA 2022)."""

from __future__ import annotations

import math

HBAR_J_S = 6.62607015e-34 / (2 * math.pi)
CHARGE_C = 1.602176634e-19
BOLTZMANN_J_K = 1.380649e-23
ELECTRON_KG = 9.1093837139e-31
# 1 kelvin in meV.
KELVIN_MEV = BOLTZMANN_J_K / CHARGE_C * 1e3
