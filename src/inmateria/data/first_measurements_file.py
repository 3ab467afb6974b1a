"""Results of the first measurements on a bench: three schemas, version 1 each.

`inmateria.self-test`, `inmateria.iv-curves` and `inmateria.stability`. The names of
terminals and outputs are in the attributes `terminals` and `outputs`, as JSON, in the
order of the dimensions; what was recorded lies in a measurement beside them.
"""

from __future__ import annotations

from inmateria.data.quantity_file import Quantity, QuantityFile

_O, _OF = ("output",), ("output", "terminal")
_TONES = ("output", "terminal", "tone")
_IV, _CURVE = ("terminal", "output"), ("terminal", "output", "point")
_LEVEL = ("output", "point")

SELF_TEST = QuantityFile(
    "inmateria.self-test",
    1,
    {
        "offset": Quantity("mean with the terminals at rest", _O, "nA"),
        "offset_error": Quantity("how far the next mean of that length would be", _O, "nA"),
        "rms": Quantity("noise about the mean", _O, "nA"),
        "hold_noise": Quantity("standard error of a mean over 20 ms", _O, "nA"),
        "frequency": Quantity("of the noise", ("frequency",), "Hz"),
        "density": Quantity("one-sided spectral density at rest", ("output", "frequency"),
                            "nA2/Hz"),
        "line_output": Quantity("number of the output that shows the line", ("line",), "1", "<i8"),
        "line_frequency": Quantity("line of the mains", ("line",), "Hz"),
        "line_amplitude": Quantity("its amplitude", ("line",), "nA"),
        "line_error": Quantity("its standard error", ("line",), "nA"),
        "tone": Quantity("frequencies of the tones", ("tone",), "Hz"),
        "amplitude": Quantity("of a terminal's tone", ("terminal",), "V"),
        "rest": Quantity("what the tones were on top of", ("terminal",), "V"),
        "response_real": Quantity("response, real part", _TONES, "nA/V"),
        "response_imag": Quantity("response, imaginary part", _TONES, "nA/V"),
        "response_error": Quantity("standard error of either part", _TONES, "nA/V"),
        "gain": Quantity("slope at rest", _OF, "nA/V"),
        "gain_error": Quantity("its standard error", _OF, "nA/V"),
        "shorted": Quantity("1 where the tone alone clips", _OF, "1", "<i8"),
        "delay": Quantity("of the chain", _O, "s"),
        "delay_error": Quantity("its standard error", _O, "s"),
        "undriven_gain": Quantity("read for a gain where nothing is driven", _O, "nA/V"),
        "undriven_error": Quantity("what noise makes of it", _O, "nA/V"),
    },
    "inmateria bench test",
)  # fmt: skip

IV_CURVES = QuantityFile(
    "inmateria.iv-curves",
    1,
    {
        "voltage": Quantity("of the swept terminal, rising", ("terminal", "point"), "V"),
        "up": Quantity("current on the way up", _CURVE, "nA"),
        "down": Quantity("current on the way down", _CURVE, "nA"),
        "standard_error": Quantity("of each point", _IV, "nA"),
        "hysteresis": Quantity("root mean square of up - down", _IV, "nA"),
        "hysteresis_noise": Quantity("what noise makes of it", _IV, "nA"),
        "slope": Quantity("dI/dV at rest", _IV, "nA/V"),
        "slope_error": Quantity("its standard error", _IV, "nA/V"),
    },
    "inmateria iv",
)

STABILITY = QuantityFile(
    "inmateria.stability",
    1,
    {
        "points": Quantity("voltages of the points", ("point", "terminal"), "V"),
        "level_then": Quantity("levels of the reference", _LEVEL, "nA"),
        "level_now": Quantity("levels now", _LEVEL, "nA"),
        "error_then": Quantity("standard error of a level", _O, "nA"),
        "error_now": Quantity("standard error of a level", _O, "nA"),
        "noise_then": Quantity("standard deviation of a reading", _O, "nA"),
        "noise_now": Quantity("standard deviation of a reading", _O, "nA"),
        "change": Quantity("rms change without its common part", _O, "nA"),
        "expected": Quantity("what noise makes of it", _O, "nA"),
        "statistic": Quantity("F", _O),
        "p_value": Quantity("how often noise alone makes F as large", _O),
        "offset": Quantity("change common to all points", _O, "nA"),
        "offset_error": Quantity("how far passes wander", _O, "nA"),
        "offset_p_value": Quantity("how often that makes the offset as large", _O),
        "gain": Quantity("factor from then to now", _O),
        "gain_error": Quantity("its standard error", _O),
        "correlation": Quantity("of the levels then and now", _O),
        "left_p_value": Quantity("of F with the factor taken out", _O),
    },
    "inmateria stability",
)
