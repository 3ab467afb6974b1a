"""What random devices can do: gates, non-linearity, components, negative differential resistance.

`device_survey.survey_device` surveys one device, `scan.survey` many seeds and
parameters of the dopant network. Everything measured is a `samples.Samples`;
everything concluded is a pure function of those arrays.
"""
