"""What `inmateria reconstruct` can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from inmateria.data.configuration import Configuration

if TYPE_CHECKING:
    from inmateria.reconstruction.presets import Preset
    from inmateria.reconstruction.training import TrainingPlan

Form = Literal["amplitude", "signed", "plain"]


class AugmentationSettings(Configuration):
    """How images are changed in every epoch; what is left out is the preset's."""

    mirror: bool | None = None
    # Of the scaled image's standard deviation, at most.
    noise: float | None = Field(default=None, ge=0, lt=100)
    # Pixels, at most.
    broadening: float | None = Field(default=None, ge=0, lt=100)


class PlanSettings(Configuration):
    """How a network is trained; what is left out is the preset's."""

    epochs: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    schedule: Literal["cosine", "constant"] | None = None
    weight_decay: float | None = Field(default=None, ge=0)
    loss: Literal["likelihood", "squared"] | None = None
    # Epochs without a better validation loss.
    patience: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    augmentation: AugmentationSettings = AugmentationSettings()


class TrainSettings(Configuration):
    """A network, the set that it learns from, and how."""

    # The path of the set; on the command line it comes first.
    store: str = ""
    network: str = "unet"
    # The variable that the network sees, or several, as its channels.
    image: str | tuple[str, ...] = "pldos"
    # Samples to train on at most.
    most: int | None = Field(default=None, ge=1)
    device: Literal["cpu", "cuda"] = "cpu"
    # How an image is scaled, and pixels that are averaged into one of the potential.
    form: Form | None = None
    target_pixel: int | None = Field(default=None, ge=1)
    plan: PlanSettings = PlanSettings()
    # Of the network: width, depth, shrink; widths, dense.
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("image")
    @classmethod
    def _check_image(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        names = value.split(",") if isinstance(value, str) else value
        names = tuple(name.strip() for name in names)
        if not names or not all(names) or len(set(names)) < len(names):
            raise ValueError("give variables of the set, each once, as pldos,pldos_in_field")
        return names[0] if len(names) == 1 else names

    @property
    def image_text(self) -> str:
        """What the network sees, as it is typed."""
        return self.image if isinstance(self.image, str) else ",".join(self.image)

    def preset(self) -> Preset:
        """The preset with these changes.

        Raises
        ------
        ParameterError
            If there is no preset of that name, or a number has no meaning.
        """
        from dataclasses import replace

        from inmateria.reconstruction.presets import find_preset

        base = find_preset(self.network)
        form = self.form or base.form
        one = isinstance(self.image, str)
        if self.form is None and form == "amplitude" and one and not _is_density(str(self.image)):
            # A map of changes has both signs.
            form = "signed"
        return replace(
            base,
            form=form,
            target_pixel=self.target_pixel or base.target_pixel,
            options={**base.options, **self.options},
            plan=_changed(base.plan, self.plan),
        )

    def complete(self) -> TrainSettings:
        """The same with every number of its preset, as a run folder keeps it."""
        from dataclasses import asdict

        preset = self.preset()
        found = {
            "form": preset.form,
            "target_pixel": preset.target_pixel,
            "options": {k: _listed(v) for k, v in preset.options.items()},
            "plan": PlanSettings.model_validate(asdict(preset.plan)),
        }
        return self.model_copy(update=found)


class EvaluateSettings(Configuration):
    """A model and the samples that it is judged on."""

    model: str = "default"
    store: str = ""
    # FIRST:STOP; by default those that the model has not seen.
    blocks: str | None = None


class InferSettings(Configuration):
    """A file with images, and what is done with them."""

    file: str = ""
    model: str = "default"
    variable: str | None = None
    pixel_nm: float | None = Field(default=None, gt=0)
    refine: bool = False
    # Of the refinement, at most.
    iterations: int = Field(default=200, ge=1, le=10_000)


def _is_density(variable: str) -> bool:
    return variable.startswith("pldos")


def _changed(plan: TrainingPlan, settings: PlanSettings) -> TrainingPlan:
    from dataclasses import replace

    given = settings.model_dump(exclude_none=True)
    augmentation = replace(plan.augmentation, **given.pop("augmentation"))
    return replace(plan, augmentation=augmentation, **given)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
