"""Settings from the environment and from fengmian.yaml: what is unknown is refused, what is secret is never shown."""

import pytest

from flows.errors import SettingsError
from flows.settings import load_settings

SECRET = "hunter2-do-not-print"


@pytest.fixture
def folder(tmp_path, monkeypatch, site):
    for name in list(site.environment):
        if name.startswith("FENGMIAN_"):
            monkeypatch.delenv(name)
    return tmp_path


def refusal(folder, text=""):
    if text:
        (folder / "fengmian.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(folder)
    return str(caught.value)


def test_the_defaults_need_nothing(folder):
    settings = load_settings(folder)
    assert (settings.cache.kind, settings.store.kind, settings.summarizer.kind) == ("sqlite", "folder", "extractive")
    assert settings.generator.checkpoint is None


def test_the_environment_wins_over_the_file(folder, monkeypatch):
    (folder / "fengmian.yaml").write_text("style: ink-wash\ngenerator: {steps: 9, guidance: 2}\n")
    monkeypatch.setenv("FENGMIAN_GENERATOR__STEPS", "5")
    settings = load_settings(folder)
    assert (settings.style, settings.generator.steps, settings.generator.guidance) == ("ink-wash", 5, 2)


def test_a_file_can_be_named(folder, monkeypatch):
    (folder / "other.yaml").write_text("style: dark-tech\n")
    monkeypatch.setenv("FENGMIAN_SETTINGS_FILE", str(folder / "other.yaml"))
    assert load_settings(folder).style == "dark-tech"
    monkeypatch.setenv("FENGMIAN_SETTINGS_FILE", str(folder / "none.yaml"))
    assert refusal(folder) == f"FENGMIAN_SETTINGS_FILE: {folder / 'none.yaml'} is not a file"


@pytest.mark.parametrize(("text", "line"), [
    ("stile: x", "setting stile is unknown; did you mean style?"),
    ("store: {knid: s3}", "setting store.knid is unknown; did you mean store.kind?"),
    ("generator: {stpes: 3}", "setting generator.stpes is unknown; did you mean generator.steps?"),
    ("qqqqqqqq: 1", "setting qqqqqqqq is unknown"),
    ("generator: {steps: 0}", "setting generator.steps 0: Input should be greater than or equal to 1"),
    ("generator: {steps: many}", "setting generator.steps 'many': Input should be a valid integer"),
    ("cache: {kind: memcached}", "setting cache.kind 'memcached': Input should be 'sqlite' or 'redis'"),
    ("cache: {kind: redis}", "setting cache: kind redis needs cache.redis_url"),
    ("summarizer: {kind: t5}", "setting summarizer: kind t5 needs summarizer.model"),
    ("store: {kind: s3}", "setting store: kind s3 needs store.endpoint_url"),
    ("cache: 5", "setting cache: "),
    ("5", "fengmian.yaml: not readable as YAML settings: it must hold lines `name: value`"),
    ("text", "fengmian.yaml: not readable as YAML settings: it must hold lines `name: value`"),
    ("1: x", "fengmian.yaml: not readable as YAML settings"),
    ("cache: {hold_s: .inf}", "setting cache.hold_s inf: Input should be a finite number"),
    ("- a\n- b", "fengmian.yaml: not readable as YAML settings"),
    ("style: [", "fengmian.yaml: not readable as YAML settings"),
])
def test_a_wrong_file_is_refused_in_one_line_with_the_nearest_name(folder, text, line):
    refused = refusal(folder, text)
    assert line in refused
    assert "\n" not in refused


@pytest.mark.parametrize(("variable", "line"), [
    ("FENGMIAN_STILE", "setting stile is unknown; did you mean style?"),
    ("FENGMIAN_STOER__KIND", "setting stoer.kind is unknown; did you mean store.kind?"),
    ("FENGMIAN_STORE__KNID", "setting store.knid is unknown; did you mean store.kind?"),
    ("FENGMIAN_SAFETY__WORD_LISTS", "setting safety.word_lists 'x': a list must be JSON, such as [\"first\", \"second\"]"),
    ("FENGMIAN_SAFETY", "safety"),
])
def test_a_wrong_variable_is_refused_with_the_nearest_name(folder, monkeypatch, variable, line):
    monkeypatch.setenv(variable, "x")
    assert line in refusal(folder)


SECRETS = {
    "FENGMIAN_CACHE__KIND": "redis", "FENGMIAN_CACHE__REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
    "FENGMIAN_STORE__KIND": "s3", "FENGMIAN_STORE__ENDPOINT_URL": "http://127.0.0.1:1",
    "FENGMIAN_STORE__BUCKET": "covers", "FENGMIAN_STORE__BASE_URL": "http://127.0.0.1:1/covers",
    "FENGMIAN_STORE__ACCESS_KEY": SECRET, "FENGMIAN_STORE__SECRET_KEY": SECRET,
}


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"], ["cover", "posts"], ["cover", "posts", "--debug"]])
def test_no_secret_is_ever_printed(site, monkeypatch, words):
    site.post("a.md")
    site.settle(monkeypatch, **{name.removeprefix("FENGMIAN_"): value for name, value in SECRETS.items()})
    answer = site.run(*words)
    assert answer.code == 1
    assert SECRET not in answer.out + answer.err
    assert SECRET not in repr(load_settings())


@pytest.mark.parametrize("variable", ["PREFECT_API_URL", "STORE__ENDPOINT_URL", "STORE__BASE_URL"])
@pytest.mark.parametrize("words", [["doctor", "--json"], ["cover", "posts"]])
def test_an_address_with_a_password_is_refused_without_repeating_it(site, monkeypatch, variable, words):
    site.settle(monkeypatch, **{variable: f"https://user:{SECRET}@127.0.0.1/x"})
    answer = site.run(*words)
    assert answer.code > 0
    assert "must not carry a user name or password" in answer.out + answer.err
    assert SECRET not in answer.out + answer.err


@pytest.mark.parametrize("variable", ["FENGMIAN_STORE__SECRET_KEY", "FENGMIAN_CACHE__REDIS_URL"])
def test_a_misspelt_secret_is_not_repeated(folder, monkeypatch, variable):
    monkeypatch.setenv(variable + "S", SECRET)
    assert SECRET not in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"CACHE__KIND": "redis", "CACHE__REDIS_URL": "http://127.0.0.1/"}, "settings, section cache: "),
        ({"STORE__BASE_URL": "covers"}, "settings, section store: storage: base_url is 'covers'"),
        (
            {"SAFETY__NSFW_MODEL": "x", "SAFETY__NSFW_REVIEW_AT": "0.9", "SAFETY__NSFW_BLOCK_AT": "0.5"},
            "settings, section safety: ",
        ),
    ],
)
def test_a_value_that_an_adapter_refuses_names_its_section(site, monkeypatch, changes, line):
    site.post("a.md")
    site.settle(monkeypatch, **changes)
    answer = site.run("cover", "posts")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"fengmian: {line}")
    assert answer.err.count("\n") == 1


def test_the_bundled_model_has_steps_of_its_own(folder):
    assert (load_settings(folder).generator.steps, load_settings(folder).generator.guidance) == (8, 1.0)


@pytest.mark.parametrize(("given", "expected"), [
    ("{steps: 12}", (12, 1.0)), ("{checkpoint: qwen-image}", (24, 3.0)), ("{checkpoint: qwen-image, steps: 50}", (50, 3.0))])
def test_steps_that_are_given_win_and_other_checkpoints_keep_theirs(folder, given, expected):
    (folder / "fengmian.yaml").write_text(f"generator: {given}\n")
    assert (load_settings(folder).generator.steps, load_settings(folder).generator.guidance) == expected
