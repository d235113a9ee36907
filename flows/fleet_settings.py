"""What can be set for a fleet: what runs at once, when a run counts as dead, who is told, and what is kept for how long."""

from pydantic import Field, SecretStr, field_validator

from flows.site_settings import Section


class FleetSettings(Section):
    """Deployments of `fengmian deploy`, and the sweep that keeps them going."""

    work_pool: str = Field(default="fengmian", min_length=1, description="whose workers run the flows; made as a process pool")
    covers_at_once: int = Field(default=4, ge=1, description="runs of cover-post")
    silent_s: float = Field(default=600, gt=0, description="without a sign of life for so long, a run is dead; longer than the "
                                                           "PREFECT_FLOWS_HEARTBEAT_FREQUENCY of the workers, 180 unless set")
    attempts: int = Field(default=5, ge=0, description="how often the sweep starts a cover again, for one version of a post")
    pause_s: float = Field(default=600, gt=0, description="before the second of them; before each further one 4 times as long")
    notify_url: SecretStr = Field(default=SecretStr(""), description="an Apprise address, such as mailtos://... or "
                                                                     "https://hooks.slack.com/...: hears of reviews and crashes")


class RetentionSettings(Section):
    """What the flow `retention` may delete. Nothing that a published post names is ever deleted."""

    dry_run: bool = Field(default=True, description="the deployment only tells what it would delete")
    pictures_days: float = Field(default=90, ge=1, description="pictures that no post was given, such as those not picked")
    ledger_months: int = Field(default=0, description="entries about painting and reviews; 0: all are kept, else 6 or more")

    @field_validator("ledger_months")
    @classmethod
    def _lawful(cls, months: int) -> int:
        """Six months is how long a log of generated pictures must be kept in China."""
        if months and months < 6:
            raise ValueError("it is neither 0 (all is kept) nor 6 or more")
        return months
