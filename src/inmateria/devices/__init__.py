"""Devices: volts in, nanoamperes out."""

from inmateria.devices.device import Device, DifferentiableDevice, Terminal

__all__ = ["Device", "DifferentiableDevice", "Terminal"]
