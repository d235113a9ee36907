"""What can go wrong while painting."""


class GeneratorError(Exception):
    """Base of this room's errors. The message names the file or value and the rule."""


class CheckpointError(GeneratorError):
    """A checkpoint folder that is missing, incomplete, misshapen or not trusted. Nothing half-loaded remains."""


class Cancelled(GeneratorError):
    """The caller asked to stop between two denoising steps."""
