"""escl: offline, memory-aware evaluation of emotional-support chat models."""

__version__ = "0.1.0"
