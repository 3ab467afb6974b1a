"""Gradients of output currents with respect to control voltages, from a rig or a device."""
