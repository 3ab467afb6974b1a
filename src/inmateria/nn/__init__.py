"""Devices as neurons of a PyTorch network."""

from inmateria.nn.device_layer import DeviceLayer
from inmateria.nn.wired import WiredLayers, as_layered

__all__ = ["DeviceLayer", "WiredLayers", "as_layered"]
