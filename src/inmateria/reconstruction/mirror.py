"""Whether the mirror image of a sample of a store is a sample of the same store.

Mirrored across, from source to drain, a potential's PLDOS and scanning-gate map are the
mirrored ones where the leads are symmetric about the axis. In a magnetic field they are those
of the opposite field. A map at every n-th row is its own only if the last row has a tip, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from inmateria.data.sample_store import SampleStore
from inmateria.errors import ParameterError
from inmateria.reconstruction.stored import variables_of

FIX = "train without mirror images (mirror = false of the plan's augmentation)"


def check_mirror(store: SampleStore, image: str | Sequence[str]) -> None:
    """Refuse mirror images where they are none of the same set.

    Raises
    ------
    ParameterError
    """
    configuration = store.layout.configuration
    gas, gate = configuration["gas"], configuration["scanning_gate"]
    n_y, names = int(gas["n_y"]), variables_of(image)
    for name in ("source_rows", "drain_rows"):
        first, _, stop = gas[name].partition(":")
        if int(first) + int(stop) != n_y:
            raise ParameterError(
                f"{name} {gas[name]} of {n_y} rows are not symmetric about the axis, so mirror "
                f"images belong to another gas; {FIX}"
            )
    fields = [field for field in configuration["field_t"] if field != 0]
    for name in names:
        if "field" in store.variable(name).dims and fields:
            raise ParameterError(
                f"{name} is at {fields[0]:g} T, and its mirror image belongs to {-fields[0]:g} T; "
                f"{FIX}"
            )
        if name == "gate_map" and (n_y - 1) % gate.get("stride", 1):
            raise ParameterError(
                f"the tip stands at every {gate['stride']}th of {n_y} rows, from the first but not "
                f"to the last, so mirror images are shifted; {FIX}, or generate with a stride that "
                f"divides {n_y - 1}"
            )
