"""What the story itself can refuse."""


class FlowError(Exception):
    """Base of this room's errors."""


class SettingsError(FlowError):
    """A setting that is unknown or breaks a rule. The message names it and the nearest right name."""


class BadInput(FlowError):
    """What the caller asked for makes no sense. The message names the value and the rule."""


class CoverRejected(FlowError):
    """A screen said no, or asks for a person. Nothing was published."""


class OverBudget(FlowError):
    """The site has painted for as long as it may today. Nothing was lost: the next day goes on."""


class BacklogFailed(FlowError):
    """Some posts of a backlog got no cover. The others were covered all the same."""


class NotAsPublished(FlowError):
    """Posts or pictures are not as they were published. Nothing was changed."""


class Superseded(FlowError):
    """This run was taken for dead and may be at work in another process: it does nothing more that anybody would see."""
