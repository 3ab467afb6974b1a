"""Dopant networks: hopping conduction between acceptors in a disc with rim electrodes."""
