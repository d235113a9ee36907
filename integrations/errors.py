"""What can go wrong with the outside world, named by what the caller does next."""


class IntegrationError(Exception):
    """Base of this room's errors. The message names the system, the value and the rule."""


class Unavailable(IntegrationError):
    """The other side did not answer, or not now. Worth trying again."""


class Refused(IntegrationError):
    """The other side, or one of our own rules, said no. Trying again gives the same answer."""


class NotFound(Refused):
    """The named thing does not exist."""
