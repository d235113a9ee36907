"""What can go wrong with words: a style guide, a template or a brief that breaks a rule."""


class PromptError(ValueError):
    """Bad input to the prompts room. The message names the value and the rule."""
