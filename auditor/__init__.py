"""Audit machine-learning models as they will be deployed, on the hardware they will run on."""

__version__ = "0.1.0"
