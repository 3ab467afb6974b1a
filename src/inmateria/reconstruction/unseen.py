"""Which samples of a store a model may be judged on.

A sample follows from the seed of its set, its number and what is computed of it. So a set
holds samples that a model was trained on where seed, gas and disorder are those of the
training set, whatever its size and its blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inmateria.data.sample_layout import configuration_sha256
from inmateria.data.sample_store import SampleStore, first_difference
from inmateria.errors import ParameterError
from inmateria.reconstruction.number_reader import NumberReader
from inmateria.reconstruction.reconstructor import Reconstructor
from inmateria.reconstruction.stored import variables_of

# What a sample's image depends on beside its disorder.
PHYSICS = ("gas", "temperature_k")
# And some images on more.
ALSO = {"gate_map": "scanning_gate", "pldos_in_field": "field_t"}


@dataclass(frozen=True)
class Unseen:
    """Blocks to judge a model by.

    Attributes
    ----------
    blocks : tuple of int
    relation : str
        What they are to the model, in words.
    warnings : tuple of str
    """

    blocks: tuple[int, ...]
    relation: str
    warnings: tuple[str, ...] = ()


def check_set(model: Reconstructor | NumberReader, store: SampleStore) -> tuple[str, ...]:
    """Whether a set's images are of the kind that a model was trained on.

    Returns
    -------
    tuple of str
        What differs and may be, in words.

    Raises
    ------
    ParameterError
        If electron gas, pixels, temperature or image differ; the message names the first.
    """
    trained = _trained(model)
    here = store.layout.configuration
    images = variables_of(model.about.get("image", "pldos"))
    keys = [*PHYSICS, "keep"]
    for image in images:
        store.variable(image)
        keys += [ALSO[image]] if image in ALSO else []
    there, asked = ({key: _only(source, key) for key in keys} for source in (trained, dict(here)))
    different = first_difference(there, asked)
    if different != "none differs":
        raise ParameterError(
            f"{store.path} is of another kind than the model's training set: "
            f"{different.replace(' there', ' for the model').replace(' here', ' in the set')}; "
            "give a set of the same electron gas and pixels, or train on this one"
        )
    disorder = first_difference(
        {"disorder": trained["disorder"]}, {"disorder": dict(here)["disorder"]}
    )
    if disorder == "none differs":
        return ()
    named = disorder.replace(" there", " for the model").replace(" here", " in the set")
    return (f"another disorder than the training set's: {named}",)


def unseen_blocks(model: Reconstructor | NumberReader, store: SampleStore) -> Unseen:
    """The blocks of a set that a model has not seen.

    Raises
    ------
    ParameterError
        As `check_set`, and if there are none.
    """
    warnings = check_set(model, store)
    done, trained = store.done_blocks(), _trained(model)
    held = model.about.get("blocks")
    if configuration_sha256(trained) == store.identity and held is not None:
        blocks = [block for block in held["test"] if block in set(done)]
        relation = "the set that the model was trained on, blocks that were held out"
    elif _same_draws(trained, store.layout.configuration):
        blocks = [block for block in done if not _overlaps(model, store, block)]
        relation = "drawn from the seed of the training set, samples that were held out"
    else:
        blocks, relation = done, "another set than the one that the model was trained on"
    if not blocks:
        raise ParameterError(
            f"{store.path} holds no samples that the model has not seen; generate more, or a set "
            "of another seed"
        )
    return Unseen(tuple(blocks), relation, warnings)


def seen_among(
    model: Reconstructor | NumberReader, store: SampleStore, blocks: Sequence[int]
) -> list[int]:
    """Those of the blocks that hold samples which the model was trained or calibrated on."""
    if not _same_draws(_trained(model), store.layout.configuration):
        return []
    return [block for block in blocks if _overlaps(model, store, block)]


def _trained(model: Reconstructor | NumberReader) -> dict[str, Any]:
    try:
        found = dict(model.about["configuration"])
        return found | {"disorder": dict(found["disorder"])}
    except (KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            f"the model does not say what it was trained on ({error} is missing); train again"
        ) from error


def _only(configuration: Mapping[str, Any], key: str) -> Any:
    """The part of a set's configuration that images depend on."""
    found = configuration.get(key)
    return {"resolution": found["resolution"]} if key == "keep" and found is not None else found


def _same_draws(trained: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    keys = ("seed", "gas", "disorder")
    return first_difference({k: trained.get(k) for k in keys}, {k: here.get(k) for k in keys}) == (
        "none differs"
    )


def _overlaps(model: Reconstructor | NumberReader, store: SampleStore, block: int) -> bool:
    """Whether a block holds samples of the training set's blocks, or calibration's."""
    held = model.about.get("blocks")
    if held is None:
        # The model does not say which ones: any may be.
        return True
    size = int(_trained(model)["block_size"])
    numbers = store.layout.samples(block)
    used = {*held["training"], *held["validation"]}
    return any(
        number in used for number in range(numbers.start // size, (numbers.stop - 1) // size + 1)
    )
